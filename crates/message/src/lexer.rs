//! What structured fields share: white space, comments, words (RFC 5322 §3.2), in one pass.

use std::borrow::Cow;

/// How deep comments may nest.
const NESTING: usize = 32;

/// Why the value of a field cannot be read or printed, and at which octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{kind}, at octet {at}")]
pub struct FieldError {
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// The octet, counted from 0 within what was given.
    pub at: usize,
}

/// What is wrong with the value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FieldErrorKind {
    /// The grammar allows something else here, or nothing more.
    #[error("remove or quote what stands here: the grammar does not allow it")]
    Unexpected,
    /// The value ends, or an element of it, where more has to come.
    #[error("add what is missing here")]
    Missing,
    /// NUL, a CR or LF that folds nothing, or another control character.
    #[error("remove the control character")]
    Control,
    /// Octets that are not UTF-8 where text is needed (RFC 6532 §3.1).
    #[error("write it in UTF-8")]
    NotUtf8,
    /// A comment that is not closed.
    #[error("close the comment with `)`")]
    OpenComment,
    /// More than 32 comments inside of each other.
    #[error("nest comments at most 32 deep")]
    Nesting,
    /// A quoted string that is not closed.
    #[error("close the quoted string with a quotation mark")]
    OpenQuote,
    /// A word that should be an address has no `@`.
    #[error("write the address with `@` and a domain")]
    NoDomain,
    /// More elements than are read: 10,000.
    #[error("list at most 10,000")]
    TooMany,
    /// A date that is none of RFC 5322 §3.3.
    #[error("write the date as in `Tue, 24 Nov 2026 05:52:00 +0000`")]
    Date,
    /// A field name with an octet that no name may hold, or none (RFC 5322 §3.6.8).
    #[error("use visible ASCII without a colon for the field name")]
    Name,
    /// A word that does not fit into a line of 998 octets (RFC 5322 §2.1.1).
    #[error("break the word: a line has at most 998 octets")]
    LineTooLong,
}

impl FieldErrorKind {
    pub(crate) fn at(self, at: usize) -> FieldError {
        FieldError { kind: self, at }
    }
}

/// `atext`, and UTF8-non-ascii as RFC 6532 §3.2 adds it.
pub(crate) fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet) || octet >= 0x80
}

fn is_wsp(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// What stood between two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Between {
    /// White space, folding or a comment.
    pub(crate) any: bool,
    /// A comment.
    pub(crate) comment: bool,
    /// A comment that holds `@`, `<`, `>` or `,`: for a reader who does not know comments it is
    /// part of an address.
    pub(crate) address: bool,
}

/// Reads the value of a field; it goes forward only.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// How many octets have been looked at.
    #[cfg(test)]
    pub(crate) steps: std::cell::Cell<usize>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            #[cfg(test)]
            steps: std::cell::Cell::default(),
        }
    }

    /// The octet that is looked at next.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to read an element in another way.
    pub(crate) fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The octets from one offset to another.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        &self.text[start..end]
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
        self.text.get(self.at).copied()
    }

    /// Takes this octet if it is next.
    pub(crate) fn take(&mut self, octet: u8) -> bool {
        let taken = self.peek() == Some(octet);
        self.at += usize::from(taken);
        taken
    }

    /// Takes this octet, which must be next.
    pub(crate) fn expect(&mut self, octet: u8) -> Result<(), FieldError> {
        if self.take(octet) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Takes octets while they are of a class.
    pub(crate) fn take_while(&mut self, class: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(&class) {
            self.at += 1;
        }
        self.slice(start, self.at)
    }

    /// The error for what is next.
    pub(crate) fn unexpected(&self) -> FieldError {
        let kind = match self.text.get(self.at) {
            None => FieldErrorKind::Missing,
            Some(0..=31 | 127) => FieldErrorKind::Control,
            Some(_) => FieldErrorKind::Unexpected,
        };
        kind.at(self.at)
    }

    /// `CFWS = (1*([FWS] comment) [FWS]) / FWS`, or nothing.
    pub(crate) fn skip(&mut self) -> Result<Between, FieldError> {
        let mut between = Between::default();
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\t' => self.at += 1,
                b'\r' => self.fold()?,
                b'(' => between.address |= self.comment()?,
                _ => break,
            }
            between.any = true;
            between.comment |= octet == b'(';
        }
        Ok(between)
    }

    /// CR LF and white space, which fold a line. At the end of the value CR LF folds nothing, but
    /// is tolerated.
    fn fold(&mut self) -> Result<(), FieldError> {
        match self.text[self.at..] {
            [b'\r', b'\n', next, ..] if is_wsp(next) => self.at += 3,
            [b'\r', b'\n'] => self.at += 2,
            _ => return Err(FieldErrorKind::Control.at(self.at)),
        }
        Ok(())
    }

    /// `comment = "(" *([FWS] ccontent) [FWS] ")"`; says whether it may pass for an address.
    pub(crate) fn comment(&mut self) -> Result<bool, FieldError> {
        let start = self.at;
        let mut depth = 0;
        let mut address = false;
        while let Some(octet) = self.peek() {
            match octet {
                b'(' if depth == NESTING => return Err(FieldErrorKind::Nesting.at(self.at)),
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => self.quoted_pair(FieldErrorKind::OpenComment, start)?,
                b'\r' => {
                    self.fold()?;
                    continue;
                }
                b'\t' => {}
                b'@' | b'<' | b'>' | b',' => address = true,
                0..=31 | 127 => return Err(FieldErrorKind::Control.at(self.at)),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(address);
            }
        }
        Err(FieldErrorKind::OpenComment.at(start))
    }

    /// `quoted-pair = "\" (VCHAR / WSP)`: goes to its last octet.
    fn quoted_pair(&mut self, open: FieldErrorKind, start: usize) -> Result<(), FieldError> {
        self.at += 1;
        match self.peek() {
            None => Err(open.at(start)),
            Some(b'\t') => Ok(()),
            Some(0..=31 | 127) => Err(FieldErrorKind::Control.at(self.at)),
            Some(_) => Ok(()),
        }
    }

    /// `quoted-string = DQUOTE *([FWS] qcontent) [FWS] DQUOTE`; gives what is between the quotes.
    pub(crate) fn quoted_string(&mut self) -> Result<&'a [u8], FieldError> {
        let start = self.at;
        self.expect(b'"')?;
        while let Some(octet) = self.peek() {
            match octet {
                b'"' => {
                    self.at += 1;
                    return Ok(self.slice(start + 1, self.at - 1));
                }
                b'\\' => self.quoted_pair(FieldErrorKind::OpenQuote, start)?,
                b'\r' => {
                    self.fold()?;
                    continue;
                }
                b'\t' => {}
                0..=31 | 127 => return Err(FieldErrorKind::Control.at(self.at)),
                _ => {}
            }
            self.at += 1;
        }
        Err(FieldErrorKind::OpenQuote.at(start))
    }
}

/// The content of a quoted string without its backslashes and folds; borrowed where it has none.
pub(crate) fn unquote(inner: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\\', b'\r', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut content = Vec::with_capacity(inner.len());
    let mut octets = inner.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            b'\\' => content.extend(octets.next()),
            b'\r' | b'\n' => {}
            _ => content.push(octet),
        }
    }
    Cow::Owned(content)
}

/// Text of which each part must be UTF-8; `at` is where `octets` began.
pub(crate) fn utf8(octets: &[u8], at: usize) -> Result<&str, FieldError> {
    std::str::from_utf8(octets).map_err(|error| FieldErrorKind::NotUtf8.at(at + error.valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str) -> Result<(usize, Between), (FieldErrorKind, usize)> {
        let mut lexer = Lexer::new(text.as_bytes());
        match lexer.skip() {
            Ok(between) => Ok((lexer.at(), between)),
            Err(error) => Err((error.kind, error.at)),
        }
    }

    #[test]
    fn white_space_and_comments() {
        let none = Between::default();
        let space = Between { any: true, ..none };
        let comment = Between { comment: true, ..space };
        let address = Between { address: true, ..comment };
        for (text, at, between) in [
            ("", 0, none),
            ("a", 0, none),
            (" \t\r\n a", 5, space),
            ("\r\n\ta", 3, space),
            ("a ", 0, none),
            (" \r\n", 3, space),
            ("\r\n", 2, space),
            ("(a)b", 3, comment),
            ("(a(b)c) (d)e", 11, comment),
            ("(\\)\\()b", 6, comment),
            ("(a\r\n b\t)c", 8, comment),
            ("(\u{fc})c", 4, comment),
            ("(a@b)c", 5, address),
            ("(a)(<)", 6, address),
            ("(>) (a)", 7, address),
            ("(,)", 3, address),
            (") ", 0, none),
        ] {
            assert_eq!(skip(text), Ok((at, between)), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_white_space() {
        use FieldErrorKind::*;
        for (text, kind, at) in [
            ("\r", Control, 0),
            ("\r\na", Control, 0),
            (" \r a", Control, 1),
            ("(\0)", Control, 1),
            ("(\u{7f})", Control, 1),
            ("(\n)", Control, 1),
            ("(\\\r)", Control, 2),
            ("(\\\u{7f})", Control, 2),
            (" (a", OpenComment, 1),
            ("(a\\)", OpenComment, 0),
            ("(a\\", OpenComment, 0),
            ("(a\r\n", OpenComment, 0),
        ] {
            assert_eq!(skip(text), Err((kind, at)), "{text:?}");
        }
        assert!(skip(&("(".repeat(32) + &")".repeat(32))).is_ok());
        assert_eq!(skip(&("(".repeat(33) + &")".repeat(33))), Err((Nesting, 32)));
    }

    #[test]
    fn quoted_strings() {
        for (text, content) in [
            (r#""""#, ""),
            (r#""a b""#, "a b"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            ("\"a\r\n b\tc\"", "a b\tc"),
            ("\"\\\t\"", "\t"),
        ] {
            let mut lexer = Lexer::new(text.as_bytes());
            let inner = lexer.quoted_string().unwrap();
            assert_eq!((lexer.at(), &*unquote(inner)), (text.len(), content.as_bytes()), "{text:?}");
        }
        use FieldErrorKind::*;
        for (text, kind, at) in [
            ("a", Unexpected, 0),
            ("", Missing, 0),
            ("\"a", OpenQuote, 0),
            ("\"a\\\"", OpenQuote, 0),
            ("\"a\\", OpenQuote, 0),
            ("\"\0\"", Control, 1),
            ("\"\r\"", Control, 1),
            ("\"\\\0\"", Control, 2),
            ("\"\n\"", Control, 1),
        ] {
            let error = Lexer::new(text.as_bytes()).quoted_string().unwrap_err();
            assert_eq!((error.kind, error.at), (kind, at), "{text:?}");
        }
    }
}
