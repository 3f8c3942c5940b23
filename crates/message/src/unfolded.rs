//! A field that is printed folded (RFC 5322 §2.2.3).
//!
//! ```
//! use hikyaku_message::UnfoldedField;
//!
//! let field = UnfoldedField::new("Subject", "All that goes over the seventy-eight octets of a line is folded, as here")?;
//! assert_eq!(
//!     field.to_string(),
//!     "Subject: All that goes over the seventy-eight octets of a line is folded, as\r\n here\r\n",
//! );
//! assert!(UnfoldedField::new("Subject", "one\r\nBcc: two").is_err());
//! # Ok::<(), hikyaku_message::FieldError>(())
//! ```

use std::fmt;

use crate::FieldError;
use crate::header::is_ftext;
use crate::lexer::FieldErrorKind;

/// The line length that RFC 5322 §2.1.1 recommends, and the one that it allows; without CR LF.
const WIDTH: usize = 78;
const LINE_LIMIT: usize = 998;

/// A field with a value in one line; `Display` folds it and ends it with CR LF.
///
/// A line is broken before white space, which stays, so that unfolding gives the same value. It is
/// broken where it would have more than 78 octets, but never inside a word or a quoted string, and
/// no line is of white space only. White space at either end of the value is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnfoldedField<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> UnfoldedField<'a> {
    /// Checks name and value.
    ///
    /// # Errors
    /// A name that is empty or not `ftext`, a control character other than a tab in the value, or
    /// a line that could not be folded to 998 octets. The octet counts in the name or the value.
    pub fn new(name: &'a str, value: &'a str) -> Result<Self, FieldError> {
        if name.is_empty() || name.len() + 1 > LINE_LIMIT {
            return Err(FieldErrorKind::Name.at(0));
        }
        if let Some(at) = name.bytes().position(|octet| !is_ftext(octet)) {
            return Err(FieldErrorKind::Name.at(at));
        }
        if let Some(at) = value.find(|c: char| c.is_control() && c != '\t') {
            return Err(FieldErrorKind::Control.at(at));
        }
        let field = Self { name, value: value.trim_matches([' ', '\t']) };
        let trimmed = value.len() - value.trim_start_matches([' ', '\t']).len();
        let mut at = 0;
        for piece in pieces(field.value) {
            // The space that stands before the first piece.
            if piece.len() + usize::from(at == 0) > LINE_LIMIT {
                return Err(FieldErrorKind::LineTooLong.at(trimmed + at));
            }
            at += piece.len();
        }
        Ok(field)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The value, as it unfolds.
    #[must_use]
    pub fn value(&self) -> &'a str {
        self.value
    }
}

impl fmt::Display for UnfoldedField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        let mut column = self.name.len() + 1;
        for (index, piece) in pieces(self.value).enumerate() {
            let len = piece.len() + usize::from(index == 0);
            // A word that is longer than a line stays behind the name while that is allowed.
            let width = if index == 0 { LINE_LIMIT } else { WIDTH };
            if column + len > width {
                f.write_str("\r\n")?;
                column = 0;
            }
            if index == 0 {
                f.write_str(" ")?;
            }
            f.write_str(piece)?;
            column += len;
        }
        f.write_str("\r\n")
    }
}

/// The value in pieces that are never broken: a word or a quoted string, and the white space
/// before it.
fn pieces(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    let mut open = false;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(piece_len(rest.as_bytes(), &mut open));
        rest = after;
        Some(piece)
    })
}

/// `open` says that a quotation mark has been found that is not closed. The backslashes behind it
/// pair up in the same way for those that follow: none of them is closed either.
fn piece_len(rest: &[u8], open: &mut bool) -> usize {
    let is_wsp = |octet: &u8| matches!(octet, b' ' | b'\t');
    let mut at = rest.iter().position(|octet| !is_wsp(octet)).unwrap_or(rest.len());
    while let Some(octet) = rest.get(at).filter(|octet| !is_wsp(octet)) {
        at += match octet {
            b'"' if !*open => quoted_len(&rest[at..]).unwrap_or_else(|| {
                *open = true;
                1
            }),
            _ => 1,
        };
    }
    at
}

/// The length of the quoted string at the start of `rest`; `None` if it is not closed.
fn quoted_len(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match rest.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, HeaderLimits};
    use proptest::prelude::*;

    fn error(name: &str, value: &str) -> Option<(FieldErrorKind, usize)> {
        UnfoldedField::new(name, value).err().map(|error| (error.kind, error.at))
    }

    /// C1.25, D78: nothing that ends the field or begins another one.
    #[test]
    fn c1_25_d78_what_cannot_be_a_field() {
        for value in ["a\r\nBcc: b", "a\rb", "a\nb", "a\0b", "a\r\n b", "a\u{85}", "a\u{1b}[2J", "a\u{7f}"] {
            assert_eq!(error("X", value), Some((FieldErrorKind::Control, 1)), "{value:?}");
        }
        for (name, at) in [("", 0), ("a b", 1), ("a:", 1), ("a\r\nb", 1), ("\u{fc}", 0), ("a\0", 1), ("ab ", 2)] {
            assert_eq!(error(name, "x"), Some((FieldErrorKind::Name, at)), "{name:?}");
        }
        assert_eq!(error(&"n".repeat(997), ""), None);
        assert_eq!(error(&"n".repeat(998), ""), Some((FieldErrorKind::Name, 0)));
    }

    #[test]
    fn lines_that_would_be_too_long() {
        assert_eq!(error("X", &"w".repeat(997)), None);
        assert_eq!(error("X", &format!(" \t{}", "w".repeat(998))), Some((FieldErrorKind::LineTooLong, 2)));
        assert_eq!(error("X", &format!("a {}", "w".repeat(997))), None);
        assert_eq!(error("X", &format!("ab {}", "w".repeat(998))), Some((FieldErrorKind::LineTooLong, 2)));
        assert_eq!(error("X", &format!("a \"{}\"", "w ".repeat(498))), Some((FieldErrorKind::LineTooLong, 1)));
        // A mark that is not closed quotes nothing.
        assert_eq!(error("X", &format!("a \"{}", "w ".repeat(498))), None);
    }

    #[test]
    fn folding() {
        let w = |n: usize| "w".repeat(n);
        let quoted = format!("{} \"a b\\\" c\"", w(70));
        for (name, value, printed) in [
            ("X", String::new(), "X:\r\n".to_owned()),
            ("X", " \t ".into(), "X:\r\n".into()),
            ("X", " a  b\t".into(), "X: a  b\r\n".into()),
            ("X", format!("{} b", w(73)), format!("X: {} b\r\n", w(73))),
            ("X", format!("{} b", w(74)), format!("X: {}\r\n b\r\n", w(74))),
            ("X", format!("{} \t b", w(74)), format!("X: {}\r\n \t b\r\n", w(74))),
            ("X", format!("a {} b", w(90)), format!("X: a\r\n {}\r\n b\r\n", w(90))),
            ("X", w(995), format!("X: {}\r\n", w(995))),
            ("X", w(996), format!("X:\r\n {}\r\n", w(996))),
            ("X", format!("{} \"a\\\" b\"", w(70)), format!("X: {}\r\n \"a\\\" b\"\r\n", w(70))),
            ("X", quoted, format!("X: {}\r\n \"a b\\\" c\"\r\n", w(70))),
            ("X", format!("{} \"a b c", w(70)), format!("X: {} \"a b\r\n c\r\n", w(70))),
        ] {
            assert_eq!(UnfoldedField::new(name, &value).unwrap().to_string(), printed, "{value}");
        }
    }

    /// C1.34: quotation marks that are not closed are looked for once.
    #[test]
    fn c1_34_marks_that_are_not_closed() {
        let value = "\"".to_owned() + &"\\\" ".repeat(300_000);
        let lines = UnfoldedField::new("X", &value).unwrap().to_string().lines().count();
        // The name leaves room for one word less in the first line.
        assert_eq!(lines, 1 + (300_000_usize - 25).div_ceil(26));
    }

    proptest! {
        #[test]
        fn unfolds_to_the_same_value(value in "( |\t|\"|\\\\|[a-z]{1,30}|\u{e9}){0,60}", name in "[!-9;-~]{1,90}") {
            crate::fuzzing::unfolded(format!("{name}:{value}").as_bytes());
            let field = UnfoldedField::new(&name, &value).unwrap();
            let printed = field.to_string();
            let header = Header::parse(printed.as_bytes(), HeaderLimits::default()).unwrap();
            prop_assert_eq!(header.only(&name).unwrap().value().into_owned(), field.value().as_bytes());
        }
    }
}
