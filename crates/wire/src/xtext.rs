//! `xtext`: printable ASCII in a form that can stand in a parameter (RFC 3461 §4).
//!
//! ```
//! use hikyaku_wire::Xtext;
//!
//! let xtext = Xtext::parse("a+2Bb@example.org").unwrap();
//! assert_eq!(xtext.decode(), "a+b@example.org");
//! assert_eq!(xtext.to_string(), "a+2Bb@example.org");
//! assert_eq!(Xtext::encode("a+b@example.org").unwrap(), xtext);
//! assert!(Xtext::parse("a+0D+0Ab").is_err());
//! ```

use std::borrow::Cow;

use crate::{Code, EnhancedCode, Reply, grammar::all, text::wire_text};

/// `xtext = *( xchar / hexchar )` (RFC 3461 §4), in the encoded form, as received.
///
/// It never stands for anything but printable ASCII, octets 32 to 126: what is decoded cannot end
/// a line. Two are equal if they are written the same; compare [`decode`](Self::decode) to compare
/// what they stand for. There is no limit but that of the value it is part of.
///
/// ```
/// # use hikyaku_wire::Xtext;
/// assert_eq!(Xtext::parse("a+2Bb").unwrap().decode(), "a+b");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Xtext<T = Box<str>>(T);

/// Why a text is not `xtext` or cannot be written as such, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct XtextError {
    /// What is wrong.
    pub kind: XtextErrorKind,
    /// The octet, counted from 0 within the text that was parsed or was to be encoded.
    pub at: usize,
}

/// What is wrong with a text that should be `xtext` or an encoded UTF-8 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XtextErrorKind {
    /// A character that must not stand for itself.
    #[error("character that has to be written as an escape")]
    Character,
    /// An escape that is not complete, has lower-case digits where they are not allowed, or
    /// leading zeros.
    #[error("malformed escape: it is `+` and two upper-case hexadecimal digits, in utf-8 addresses `\\x{{...}}`")]
    Escape,
    /// A character that cannot be said at all: a control character, or one that is not ASCII in
    /// `xtext`.
    #[error("character that is not allowed, not even as an escape")]
    Content,
    /// An escape for a character that needs none (RFC 6533 §3).
    #[error("escape for a character that has to stand for itself")]
    Needless,
}

impl XtextErrorKind {
    pub(crate) fn at(self, at: usize) -> XtextError {
        XtextError { kind: self, at }
    }
}

impl XtextError {
    /// The reply that belongs to this error: 501 5.5.4.
    pub fn reply(&self) -> Reply {
        Reply::new(Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 4), self.to_string())
    }
}

impl Xtext<&'static str> {
    /// `<>`, the value of `AUTH=` when nobody knows who submitted the message.
    pub(crate) const UNKNOWN: Self = Self("<>");
}

impl<'a> Xtext<&'a str> {
    /// Checks the encoded form; nothing is copied.
    ///
    /// ```text
    /// xtext = *( xchar / hexchar )
    /// xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
    /// hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits
    /// ```
    ///
    /// # Errors
    /// Whatever is neither, and escapes that stand for something else than octets 32 to 126.
    pub fn parse(text: &'a str) -> Result<Self, XtextError> {
        let mut rest = text.as_bytes();
        if all(rest, is_xchar) {
            return Ok(Self(text));
        }
        loop {
            let run = rest.iter().position(|b| !is_xchar(*b)).unwrap_or(rest.len());
            let at = text.len() - rest.len() + run;
            let escape = match &rest[run..] {
                [] => return Ok(Self(text)),
                [b'+', escape @ ..] => escape,
                [b'=' | b' ', ..] => return Err(XtextErrorKind::Character.at(at)),
                _ => return Err(XtextErrorKind::Content.at(at)),
            };
            let Some((high, low, after)) = hex_pair(escape) else { return Err(XtextErrorKind::Escape.at(at)) };
            if !is_printable(high << 4 | low) {
                return Err(XtextErrorKind::Content.at(at));
            }
            rest = after;
        }
    }

    /// What it stands for, character by character.
    pub(crate) fn chars(self) -> impl Iterator<Item = char> {
        let mut rest = self.0.as_bytes();
        std::iter::from_fn(move || match rest {
            [b'+', escape @ ..] => {
                let (high, low, after) = hex_pair(escape)?;
                rest = after;
                Some(char::from(high << 4 | low))
            }
            [byte, after @ ..] => {
                rest = after;
                Some(char::from(*byte))
            }
            [] => None,
        })
    }

    /// What it stands for, in a buffer of the caller's; `None` if it is longer.
    pub(crate) fn decode_into(self, buffer: &mut [u8]) -> Option<&str> {
        let mut length = 0;
        for c in self.chars() {
            *buffer.get_mut(length)? = u8::try_from(c).ok()?;
            length += 1;
        }
        std::str::from_utf8(&buffer[..length]).ok()
    }

    /// What it stands for; a copy only if there is an escape in it.
    pub(crate) fn into_decoded(self) -> Cow<'a, str> {
        if self.0.contains('+') { Cow::Owned(self.chars().collect()) } else { Cow::Borrowed(self.0) }
    }

    pub(crate) fn into_str(self) -> &'a str {
        self.0
    }
}

impl Xtext {
    /// Writes `content` as `xtext`; `+`, `=` and the space become escapes. It allocates once.
    ///
    /// # Errors
    /// Characters beyond printable ASCII, octets 32 to 126.
    pub fn encode(content: &str) -> Result<Self, XtextError> {
        if let Some(at) = content.bytes().position(|b| !is_printable(b)) {
            return Err(XtextErrorKind::Content.at(at));
        }
        let escapes = content.bytes().filter(|b| !is_xchar(*b)).count();
        let mut encoded = String::with_capacity(content.len() + 2 * escapes);
        for c in content.chars() {
            match c {
                '+' => encoded.push_str("+2B"),
                '=' => encoded.push_str("+3D"),
                ' ' => encoded.push_str("+20"),
                c => encoded.push(c),
            }
        }
        Ok(Self(encoded.into()))
    }
}

impl<T: AsRef<str>> Xtext<T> {
    /// The encoded form.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The same without its own text.
    pub fn borrowed(&self) -> Xtext<&str> {
        Xtext(self.as_str())
    }

    /// What it stands for; it allocates only if there is an escape in it.
    pub fn decode(&self) -> Cow<'_, str> {
        self.borrowed().into_decoded()
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> Xtext
    where
        T: Into<Box<str>>,
    {
        Xtext(self.0.into())
    }
}

wire_text!(Xtext, XtextError);

fn is_xchar(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'+' && byte != b'='
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 32..=126)
}

/// Two upper-case hexadecimal digits and what follows them.
fn hex_pair(input: &[u8]) -> Option<(u8, u8, &[u8])> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let [high, low, rest @ ..] = input else { return None };
    Some((digit(*high)?, digit(*low)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d20_c1_9_what_is_no_xtext() {
        use XtextErrorKind::*;
        for (text, kind, at) in [
            ("a+00b", Content, 1),
            ("a+0D", Content, 1),
            ("a+0A", Content, 1),
            ("+1F", Content, 0),
            ("+7F", Content, 0),
            ("+80", Content, 0),
            ("+FF", Content, 0),
            ("ab+0ab", Escape, 2),
            ("+2b", Escape, 0),
            ("+", Escape, 0),
            ("a+", Escape, 1),
            ("a+4", Escape, 1),
            ("a+4g", Escape, 1),
            ("a+zzb", Escape, 1),
            ("++2B", Escape, 0),
            ("+2B+", Escape, 3),
            ("+é", Escape, 0),
            ("a=b", Character, 1),
            ("a b", Character, 1),
            ("+41 ", Character, 3),
            ("a\rb", Content, 1),
            ("a\nb", Content, 1),
            ("a\0", Content, 1),
            ("\t", Content, 0),
            ("\u{7f}", Content, 0),
            ("aü", Content, 1),
        ] {
            assert_eq!(Xtext::parse(text).map(Xtext::into_owned), Err(kind.at(at)), "{text:?}");
        }
    }

    #[test]
    fn c1_9_an_escape_stays_one() {
        for (text, content) in [
            ("", ""),
            ("a+2Bb", "a+b"),
            ("a+40b", "a@b"),
            ("+20", " "),
            ("+7E", "~"),
            ("!~", "!~"),
            ("+2B+3D", "+="),
            ("rfc822;x", "rfc822;x"),
        ] {
            let xtext = Xtext::parse(text).unwrap();
            assert_eq!(xtext.decode(), content);
            assert_eq!(xtext.to_string(), text);
            assert_eq!(matches!(xtext.decode(), Cow::Owned(_)), text.contains('+'));
        }
        assert_eq!(Xtext::encode("a+b= ~!").unwrap().as_str(), "a+2Bb+3D+20~!");
    }

    #[test]
    fn two_are_equal_if_they_are_written_the_same() {
        let parse = |text| Xtext::parse(text).unwrap();
        assert_eq!(parse("+41b"), parse("+41b").into_owned());
        assert_ne!(parse("+41b"), parse("+41c"));
        assert_ne!(parse("+41"), parse("A"));
        let set = std::collections::HashSet::from([parse("+41"), parse("A"), parse("A")]);
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn a_buffer_that_is_too_small() {
        let mut buffer = [0; 3];
        assert_eq!(Xtext::parse("a+2Bb").unwrap().decode_into(&mut buffer), Some("a+b"));
        assert_eq!(Xtext::parse("a+2Bbc").unwrap().decode_into(&mut buffer), None);
    }

    #[test]
    fn what_cannot_be_encoded() {
        for (content, at) in [("a\r\nb", 1), ("\0", 0), ("ab\u{7f}", 2), ("ü", 0), ("\t", 0)] {
            assert_eq!(Xtext::encode(content), Err(XtextErrorKind::Content.at(at)), "{content:?}");
        }
        let error = XtextErrorKind::Escape.at(3);
        assert_eq!(
            error.to_string(),
            "malformed escape: it is `+` and two upper-case hexadecimal digits, in utf-8 addresses `\\x{...}` at octet 3"
        );
        assert!(error.reply().to_string().starts_with("501 5.5.4 "));
    }

    proptest::proptest! {
        #[test]
        fn every_printable_content_survives(content in "[ -~]{0,40}") {
            let xtext = Xtext::encode(&content).unwrap();
            proptest::prop_assert_eq!(xtext.decode(), content.as_str());
            proptest::prop_assert_eq!(Xtext::parse(xtext.as_str()).unwrap(), xtext.clone());
            proptest::prop_assert!(xtext.as_str().bytes().all(|b| b.is_ascii_graphic() && b != b'='));
        }

        #[test]
        fn what_parses_prints_the_same(text in "([!-~]|\\+[0-9A-F]{2}){0,20}") {
            if let Ok(xtext) = Xtext::parse(&text) {
                proptest::prop_assert_eq!(xtext.to_string(), text.clone());
                let again = Xtext::encode(&xtext.decode()).unwrap();
                proptest::prop_assert_eq!(again.decode(), xtext.decode());
            }
        }
    }
}
