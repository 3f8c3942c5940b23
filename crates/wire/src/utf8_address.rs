//! Addresses beyond ASCII in parameters and reports (RFC 6533 §3).
//!
//! ```
//! use hikyaku_wire::Utf8Address;
//!
//! let address = Utf8Address::parse(r"j\x{FC}rg@example.org").unwrap();
//! assert_eq!(address.decode(), "jürg@example.org");
//! assert!(address.is_xtext());
//! assert_eq!(Utf8Address::encode_xtext("jürg@example.org").unwrap(), address);
//! assert_eq!(Utf8Address::encode_unitext("jürg@example.org").unwrap().to_string(), "jürg@example.org");
//! ```

use std::borrow::Cow;

use crate::{XtextError, XtextErrorKind, text::wire_text};

/// `utf-8-addr-unitext`, of which `utf-8-addr-xtext` is the part that is ASCII (RFC 6533 §3), in
/// the encoded form, as received.
///
/// It never stands for a control character, because a mailbox holds none: what is decoded cannot
/// end a line. Two are equal if they are written the same; compare [`decode`](Self::decode) to
/// compare what they stand for. There is no limit but that of the value it is part of.
///
/// ```
/// # use hikyaku_wire::Utf8Address;
/// assert_eq!(Utf8Address::parse(r"j\x{FC}rg@x.test").unwrap().decode(), "jürg@x.test");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Utf8Address<T = Box<str>>(T);

impl<'a> Utf8Address<&'a str> {
    /// Checks the encoded form; nothing is copied.
    ///
    /// ```text
    /// utf-8-addr-xtext    = 1*(QCHAR / EmbeddedUnicodeChar)
    /// utf-8-addr-unitext  = 1*(QUCHAR / EmbeddedUnicodeChar)
    /// QCHAR               = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e
    /// QUCHAR              = QCHAR / UTF8-2 / UTF8-3 / UTF8-4
    /// EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"
    /// ```
    ///
    /// `HEXPOINT` is the number of the character in two to six digits of either case, without
    /// leading zeros: 20, 2B, 3D and 5C, and those beyond ASCII.
    ///
    /// # Errors
    /// An empty text, a raw `+`, `=`, space or lone `\`, an escape that is not a `HEXPOINT`, and
    /// control characters in either form: the grammar has numbers for some of them, but the
    /// mailbox that this must be has no place for them.
    pub fn parse(text: &'a str) -> Result<Self, XtextError> {
        if text.is_empty() {
            return Err(XtextErrorKind::Content.at(0));
        }
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let at = text.len() - rest.len();
            rest = match c {
                '\\' => embedded(rest).map_err(|kind| kind.at(at))?.1,
                '+' | '=' | ' ' => return Err(XtextErrorKind::Character.at(at)),
                c if c.is_control() => return Err(XtextErrorKind::Content.at(at)),
                c => &rest[c.len_utf8()..],
            };
        }
        Ok(Self(text))
    }

    fn chars(self) -> impl Iterator<Item = char> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let c = rest.chars().next()?;
            let (c, after) = if c == '\\' { embedded(rest).ok()? } else { (c, &rest[c.len_utf8()..]) };
            rest = after;
            Some(c)
        })
    }

    /// What it stands for; a copy only if there is an escape in it.
    pub(crate) fn into_decoded(self) -> Cow<'a, str> {
        if self.0.contains('\\') { Cow::Owned(self.chars().collect()) } else { Cow::Borrowed(self.0) }
    }
}

impl Utf8Address {
    /// Writes `content` as `utf-8-addr-xtext`, which any server takes: whatever is not ASCII, and
    /// `+`, `=`, `\` and the space, become escapes.
    ///
    /// # Errors
    /// An empty content and control characters.
    pub fn encode_xtext(content: &str) -> Result<Self, XtextError> {
        encode(content, |c| needs_escape(c) || !c.is_ascii())
    }

    /// Writes `content` as `utf-8-addr-unitext`, which only a server with SMTPUTF8 takes: only
    /// `+`, `=`, `\` and the space become escapes.
    ///
    /// # Errors
    /// An empty content and control characters.
    pub fn encode_unitext(content: &str) -> Result<Self, XtextError> {
        encode(content, needs_escape)
    }
}

impl<T: AsRef<str>> Utf8Address<T> {
    /// The encoded form.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The same without its own text.
    pub fn borrowed(&self) -> Utf8Address<&str> {
        Utf8Address(self.as_str())
    }

    /// Whether it is `utf-8-addr-xtext`, which can be sent without SMTPUTF8.
    pub fn is_xtext(&self) -> bool {
        self.as_str().is_ascii()
    }

    /// What it stands for; it allocates only if there is an escape in it.
    pub fn decode(&self) -> Cow<'_, str> {
        self.borrowed().into_decoded()
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> Utf8Address
    where
        T: Into<Box<str>>,
    {
        Utf8Address(self.0.into())
    }
}

wire_text!(Utf8Address, XtextError);

fn needs_escape(c: char) -> bool {
    matches!(c, ' ' | '+' | '=' | '\\')
}

fn encode(content: &str, escape: impl Fn(char) -> bool) -> Result<Utf8Address, XtextError> {
    use std::fmt::Write;
    if let Some(at) = content.find(char::is_control).or(content.is_empty().then_some(0)) {
        return Err(XtextErrorKind::Content.at(at));
    }
    let mut encoded = String::with_capacity(content.len());
    for c in content.chars() {
        if escape(c) {
            write!(encoded, "\\x{{{:X}}}", u32::from(c)).expect("a String takes all that is written to it");
        } else {
            encoded.push(c);
        }
    }
    Ok(Utf8Address(encoded.into()))
}

/// `EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"` at the start of `text`: the character and
/// what follows.
fn embedded(text: &str) -> Result<(char, &str), XtextErrorKind> {
    let (digits, rest) = text.strip_prefix("\\x{").and_then(|t| t.split_once('}')).ok_or(XtextErrorKind::Escape)?;
    let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !hexadecimal || !(2..=6).contains(&digits.len()) || digits.starts_with('0') {
        return Err(XtextErrorKind::Escape);
    }
    let number = u32::from_str_radix(digits, 16).map_err(|_| XtextErrorKind::Escape)?;
    let c = char::from_u32(number).ok_or(XtextErrorKind::Content)?;
    if c.is_control() {
        return Err(XtextErrorKind::Content);
    }
    if c.is_ascii() && !needs_escape(c) { Err(XtextErrorKind::Needless) } else { Ok((c, rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6533_what_is_no_encoded_address() {
        use XtextErrorKind::*;
        for (text, kind, at) in [
            ("", Content, 0),
            ("a+b", Character, 1),
            ("a=b", Character, 1),
            ("a b", Character, 1),
            ("a+2Bb", Character, 1),
            ("a\\", Escape, 1),
            ("a\\b", Escape, 1),
            ("\\x", Escape, 0),
            ("\\x{", Escape, 0),
            ("\\x{}", Escape, 0),
            ("\\x{FC", Escape, 0),
            ("\\X{FC}", Escape, 0),
            ("\\x{F}", Escape, 0),
            ("\\x{0FC}", Escape, 0),
            ("\\x{00FC}", Escape, 0),
            ("\\x{0A}", Escape, 0),
            ("\\x{0D}", Escape, 0),
            ("\\x{00}", Escape, 0),
            ("\\x{+FC}", Escape, 0),
            ("\\x{1000000}", Escape, 0),
            ("\\x{FG}", Escape, 0),
            ("\\x{ü}", Escape, 0),
            ("\\x{10}", Content, 0),
            ("\\x{1F}", Content, 0),
            ("\\x{7F}", Content, 0),
            ("\\x{85}", Content, 0),
            ("\\x{9F}", Content, 0),
            ("\\x{D800}", Content, 0),
            ("\\x{DFFF}", Content, 0),
            ("\\x{110000}", Content, 0),
            ("ab\\x{41}", Needless, 2),
            ("\\x{21}", Needless, 0),
            ("\\x{7E}", Needless, 0),
            ("a\r\nb", Content, 1),
            ("ü\0", Content, 2),
            ("\u{85}", Content, 0),
            ("\u{7f}", Content, 0),
        ] {
            assert_eq!(Utf8Address::parse(text).map(Utf8Address::into_owned), Err(kind.at(at)), "{text:?}");
        }
    }

    #[test]
    fn rfc6533_both_forms() {
        for (text, content) in [
            ("\\x{20}\\x{2B}\\x{3D}\\x{5C}", " +=\\"),
            ("\\x{A0}\\x{FF}", "\u{a0}ÿ"),
            ("\\x{fc}", "ü"),
            ("\\x{100}\\x{FFF}", "\u{100}\u{fff}"),
            ("\\x{1000}\\x{CFFF}\\x{D7FF}\\x{E000}\\x{FFFF}", "\u{1000}\u{cfff}\u{d7ff}\u{e000}\u{ffff}"),
            ("\\x{10000}\\x{FFFFF}\\x{100000}\\x{10FFFF}", "\u{10000}\u{fffff}\u{100000}\u{10ffff}"),
            ("a@ü.test", "a@ü.test"),
            ("!~{}", "!~{}"),
        ] {
            let address = Utf8Address::parse(text).unwrap();
            assert_eq!(address.decode(), content);
            assert_eq!(address.to_string(), text);
            assert_eq!(address.is_xtext(), text.is_ascii());
            assert_eq!(matches!(address.decode(), Cow::Owned(_)), text.contains('\\'));
        }
        assert_eq!(Utf8Address::encode_xtext("a+ü= \\@x").unwrap().as_str(), "a\\x{2B}\\x{FC}\\x{3D}\\x{20}\\x{5C}@x");
        assert_eq!(Utf8Address::encode_unitext("a+ü= \\@x").unwrap().as_str(), "a\\x{2B}ü\\x{3D}\\x{20}\\x{5C}@x");
    }

    #[test]
    fn what_cannot_be_encoded() {
        for (content, at) in [("", 0), ("a\n", 1), ("ü\u{85}", 2), ("\0", 0), ("\u{7f}", 0)] {
            assert_eq!(Utf8Address::encode_xtext(content), Err(XtextErrorKind::Content.at(at)), "{content:?}");
            assert_eq!(Utf8Address::encode_unitext(content), Err(XtextErrorKind::Content.at(at)), "{content:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_content_survives_in_both_forms(content in "[^\\p{Cc}]{1,20}") {
            for encoded in [Utf8Address::encode_xtext(&content).unwrap(), Utf8Address::encode_unitext(&content).unwrap()] {
                proptest::prop_assert_eq!(encoded.decode(), content.as_str());
                proptest::prop_assert_eq!(Utf8Address::parse(encoded.as_str()).unwrap(), encoded.clone());
            }
            proptest::prop_assert!(Utf8Address::encode_xtext(&content).unwrap().is_xtext());
        }

        #[test]
        fn what_parses_prints_the_same(text in "([!-~ü]|\\\\x\\{[0-9A-Fa-f]{1,6}\\}){1,8}") {
            if let Ok(address) = Utf8Address::parse(&text) {
                proptest::prop_assert_eq!(address.to_string(), text.clone());
                let again = Utf8Address::encode_unitext(&address.decode()).unwrap();
                proptest::prop_assert_eq!(again.decode(), address.decode());
            }
        }
    }
}
