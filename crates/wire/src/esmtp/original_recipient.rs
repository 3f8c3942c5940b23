//! `ORCPT` (RFC 3461 §4.2, RFC 6533 §3).

use std::borrow::Cow;

use super::{ValueError, ValueErrorKind};
use crate::{Utf8Address, Xtext, grammar::is_atext, text::wire_text};

/// Octets of an original recipient at the most, encoded and with its type (RFC 3461 §4.2).
const LIMIT: usize = 500;

/// The value of `ORCPT` (RFC 3461 §4.2): the recipient as the sender named it, of up to 500
/// octets. It is kept in the encoded form and goes to the next server as it was received.
///
/// An address of type `utf-8` is a [`Utf8Address`], one of any other type is [`Xtext`].
///
/// ```
/// use hikyaku_wire::OriginalRecipient;
///
/// let original = OriginalRecipient::parse("utf-8;jürg@example.org").unwrap();
/// assert_eq!((original.address_type(), original.decode().as_ref()), ("utf-8", "jürg@example.org"));
/// assert_eq!(original.to_ascii().unwrap().to_string(), r"utf-8;j\x{FC}rg@example.org");
/// ```
///
/// # Incomplete support
/// What the address means is not looked at: it is no address to send to, and of a type that is
/// not known it need not be a mailbox. What it stands for holds no control character.
#[derive(Clone, Copy, Debug)]
pub struct OriginalRecipient<T = Box<str>> {
    text: T,
    /// Where the semicolon is.
    semicolon: usize,
}

impl<'a> OriginalRecipient<&'a str> {
    /// Reads the value; nothing is copied.
    ///
    /// ```text
    /// original-recipient-address = addr-type ";" xtext
    /// addr-type = atom
    /// ```
    ///
    /// # Errors
    /// A type that is no atom, an address that is empty or not in the encoding of its type, and
    /// more than 500 octets in all.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let semicolon = text.bytes().position(|b| !is_type_octet(b)).unwrap_or(text.len());
        if semicolon == 0 || text.as_bytes().get(semicolon) != Some(&b';') {
            return Err(ValueErrorKind::AddressType.at(semicolon));
        }
        check_length(text)?;
        let this = Self { text, semicolon };
        let (at, address) = (semicolon + 1, &text[semicolon + 1..]);
        if address.is_empty() {
            return Err(ValueErrorKind::Empty.at(at));
        }
        let checked = if this.is_utf8() { Utf8Address::parse(address).err() } else { Xtext::parse(address).err() };
        checked.map_or(Ok(this), |error| Err(ValueError::from(error).moved(at)))
    }
}

impl OriginalRecipient {
    /// Encodes an address so that any server takes it: type `utf-8` as `utf-8-addr-xtext`.
    ///
    /// # Errors
    /// A type that is no atom, an empty address, one with control characters or (in other types
    /// than `utf-8`) beyond ASCII, and more than 500 octets when it is encoded.
    pub fn encode(address_type: &str, content: &str) -> Result<Self, ValueError> {
        if address_type.eq_ignore_ascii_case("utf-8") {
            return Self::assemble(address_type, Utf8Address::encode_xtext(content)?.as_str());
        }
        Self::assemble(address_type, Xtext::encode(content)?.as_str())
    }

    /// Encodes an address of type `utf-8` for a server with SMTPUTF8, as `utf-8-addr-unitext`.
    ///
    /// # Errors
    /// An empty address, control characters, and more than 500 octets when it is encoded.
    pub fn encode_unitext(content: &str) -> Result<Self, ValueError> {
        Self::assemble("utf-8", Utf8Address::encode_unitext(content)?.as_str())
    }

    fn assemble(address_type: &str, address: &str) -> Result<Self, ValueError> {
        let text = format!("{address_type};{address}");
        let semicolon = OriginalRecipient::parse(&text)?.semicolon;
        Ok(Self { text: text.into(), semicolon })
    }
}

impl<T: AsRef<str>> OriginalRecipient<T> {
    /// The encoded form.
    pub fn as_str(&self) -> &str {
        self.text.as_ref()
    }

    /// The type of the address, as received; it is the same in any case.
    pub fn address_type(&self) -> &str {
        &self.as_str()[..self.semicolon]
    }

    /// The address, encoded.
    pub fn encoded_address(&self) -> &str {
        &self.as_str()[self.semicolon + 1..]
    }

    /// Whether the type is `utf-8`.
    pub fn is_utf8(&self) -> bool {
        self.address_type().eq_ignore_ascii_case("utf-8")
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6533 §3).
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }

    /// The address that it stands for; it allocates only if there is an escape in it.
    pub fn decode(&self) -> Cow<'_, str> {
        const CHECKED: &str = "the address was checked when this was made";
        let address = self.encoded_address();
        if self.is_utf8() {
            return Utf8Address::parse(address).expect(CHECKED).into_decoded();
        }
        Xtext::parse(address).expect(CHECKED).into_decoded()
    }

    /// The same in a form that any server takes; it is longer if the address is not ASCII.
    ///
    /// # Errors
    /// More than 500 octets in this form.
    pub fn to_ascii(&self) -> Result<OriginalRecipient, ValueError> {
        if self.is_ascii() {
            return Ok(OriginalRecipient { text: self.as_str().into(), semicolon: self.semicolon });
        }
        OriginalRecipient::encode(self.address_type(), &self.decode())
    }

    /// The same without its own text.
    pub fn borrowed(&self) -> OriginalRecipient<&str> {
        OriginalRecipient { text: self.as_str(), semicolon: self.semicolon }
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> OriginalRecipient
    where
        T: Into<Box<str>>,
    {
        OriginalRecipient { text: self.text.into(), semicolon: self.semicolon }
    }
}

wire_text!(OriginalRecipient, ValueError);

/// An octet of an atom that can stand in a parameter.
fn is_type_octet(byte: u8) -> bool {
    byte.is_ascii() && is_atext(byte) && byte != b'='
}

fn check_length(text: &str) -> Result<(), ValueError> {
    if text.len() > LIMIT { Err(ValueErrorKind::TooLong(LIMIT).at(LIMIT)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::XtextErrorKind;

    #[test]
    fn d20_original_recipient() {
        use ValueErrorKind as Kind;
        let xtext = |kind| Kind::Xtext(kind);
        let long = format!("rfc822;{}", "x".repeat(494));
        for (text, kind, at) in [
            ("rfc822;a+4", xtext(XtextErrorKind::Escape), 8),
            ("rfc822;a+4g", xtext(XtextErrorKind::Escape), 8),
            ("rfc822;+00", xtext(XtextErrorKind::Content), 7),
            ("rfc822;a+00b@x", xtext(XtextErrorKind::Content), 8),
            ("rfc822;a+0Db", xtext(XtextErrorKind::Content), 8),
            ("rfc822;a=b", xtext(XtextErrorKind::Character), 8),
            ("rfc822;ü@x", xtext(XtextErrorKind::Content), 7),
            ("utf-8;a+2Bb@x", xtext(XtextErrorKind::Character), 7),
            ("utf-8;\\x{0A}", xtext(XtextErrorKind::Escape), 6),
            ("UTF-8;\\x{41}", xtext(XtextErrorKind::Needless), 6),
            (";a", Kind::AddressType, 0),
            ("", Kind::AddressType, 0),
            ("a@x", Kind::AddressType, 1),
            ("rfc822", Kind::AddressType, 6),
            ("rfc 822;a", Kind::AddressType, 3),
            ("rfc=822;a", Kind::AddressType, 3),
            ("ü;a", Kind::AddressType, 0),
            ("rfc.822;a", Kind::AddressType, 3),
            ("rfc822;", Kind::Empty, 7),
            ("utf-8;", Kind::Empty, 6),
            (long.as_str(), Kind::TooLong(500), 500),
        ] {
            assert_eq!(text.parse::<OriginalRecipient>(), Err(kind.at(at)), "{text}");
        }
        assert_eq!(OriginalRecipient::parse(&long[..500]).map(|o| o.as_str().len()), Ok(500));
    }

    #[test]
    fn d20_d70_c1_9_what_is_received_is_relayed() {
        for (text, address_type, content) in [
            ("rfc822;a+40b", "rfc822", "a@b"),
            ("RFC822;a+2Bb@x", "RFC822", "a+b@x"),
            ("rfc822;a;b", "rfc822", "a;b"),
            ("rfc822;+41", "rfc822", "A"),
            ("utf-8;j\\x{FC}rg@x", "utf-8", "jürg@x"),
            ("UTF-8;jürg@x", "UTF-8", "jürg@x"),
            ("x+y;+2B", "x+y", "+"),
            ("unknown;anything", "unknown", "anything"),
        ] {
            let original = OriginalRecipient::parse(text).unwrap();
            assert_eq!(original.address_type(), address_type);
            assert_eq!(original.decode(), content);
            assert_eq!(original.to_string(), text);
            assert_eq!(original.into_owned(), original);
            assert_eq!(original.is_ascii(), text.is_ascii());
            if text.is_ascii() {
                assert_eq!(original.to_ascii().unwrap().as_str(), text);
            }
        }
    }

    #[test]
    fn rfc6533_both_forms_are_made() {
        let ascii = OriginalRecipient::encode("UTF-8", "jü+rg@x").unwrap();
        assert_eq!(ascii.as_str(), "UTF-8;j\\x{FC}\\x{2B}rg@x");
        let unitext = OriginalRecipient::encode_unitext("jü+rg@x").unwrap();
        assert_eq!(unitext.as_str(), "utf-8;jü\\x{2B}rg@x");
        assert_eq!(unitext.to_ascii().unwrap().as_str(), "utf-8;j\\x{FC}\\x{2B}rg@x");
        assert_eq!(ascii.to_ascii().unwrap(), ascii);
        assert_eq!(OriginalRecipient::encode("rfc822", "a+b=@x").unwrap().as_str(), "rfc822;a+2Bb+3D@x");
        assert_eq!(OriginalRecipient::encode("rfc822", "ü@x").map_err(|e| e.at), Err(0));
        assert_eq!(OriginalRecipient::encode("rfc 822", "a@x"), Err(ValueErrorKind::AddressType.at(3)));
        assert_eq!(OriginalRecipient::encode("rfc822", ""), Err(ValueErrorKind::Empty.at(7)));
        let long = OriginalRecipient::encode_unitext(&"ü".repeat(247)).unwrap();
        assert_eq!(long.as_str().len(), 500);
        assert_eq!(long.to_ascii(), Err(ValueErrorKind::TooLong(500).at(500)));
        assert!(OriginalRecipient::encode("rfc822", "a\r\nDATA").is_err());
        assert!(OriginalRecipient::encode_unitext("a\r\nDATA").is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_content_survives(content in "[ -~ü€]{1,30}", utf8: bool) {
            let made = if utf8 { OriginalRecipient::encode_unitext(&content) } else { OriginalRecipient::encode("utf-8", &content) };
            let original = made.unwrap();
            proptest::prop_assert_eq!(original.decode(), content.as_str());
            proptest::prop_assert_eq!(OriginalRecipient::parse(original.as_str()).unwrap(), original.clone());
            let ascii = original.to_ascii().unwrap();
            proptest::prop_assert_eq!(ascii.decode(), content);
        }
    }
}
