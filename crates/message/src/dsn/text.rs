//! The texts that the fields of a delivery status hold (RFC 3464 §2.1).

use std::borrow::Cow;
use std::fmt;

use super::status::{DeliveryStatusError, DeliveryStatusErrorKind};

/// The longest text, in octets.
const TEXT_MAX: usize = 8 * 1024;
/// The longest word of a text with the spaces before it, in octets: it fits into a line of 998
/// (RFC 5322 §2.1.1).
const WORD_MAX: usize = 900;
/// The longest mailbox, in octets (RFC 5321 §4.5.3.1).
const MAILBOX_MAX: usize = 64 + 1 + 255;
/// The longest name of a field or a type, in octets.
const NAME_MAX: usize = 64;
/// The type of an address that is not ASCII (RFC 6533 §3).
const UTF_8: &str = "utf-8";

/// The text of one field, unfolded.
///
/// It holds no control character and neither begins nor ends with a space, so it can neither end
/// a field nor begin another. It has at most 8 KiB, and at most 900 octets from one space to the
/// next.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct FieldText(Box<str>);

impl FieldText {
    /// Checks `text`.
    ///
    /// # Errors
    /// If it holds a control character, begins or ends with a space, or is too long.
    pub fn new(text: &str) -> Result<Self, DeliveryStatusError> {
        let error = |kind, at| Err(DeliveryStatusError { kind, at });
        if let Some(at) = text.find(char::is_control) {
            return error(DeliveryStatusErrorKind::Control, at);
        }
        if text.starts_with(' ') {
            return error(DeliveryStatusErrorKind::Space, 0);
        }
        if text.ends_with(' ') {
            return error(DeliveryStatusErrorKind::Space, text.len() - 1);
        }
        if text.len() > TEXT_MAX {
            return error(DeliveryStatusErrorKind::TooLong, TEXT_MAX);
        }
        let mut at = 0;
        for word in words(text) {
            if word.len() > WORD_MAX {
                return error(DeliveryStatusErrorKind::TooLong, at);
            }
            at += word.len();
        }
        Ok(Self(text.into()))
    }

    /// The text of a peer: white space becomes a space, each other control character `?`, and
    /// what is too long is cut.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut kept = String::new();
        let mut word = 0;
        for c in text.trim_matches([' ', '\t', '\r', '\n']).chars() {
            let c = match c {
                '\t' | '\r' | '\n' => ' ',
                c if c.is_control() => '?',
                c => c,
            };
            if kept.len() + c.len_utf8() > TEXT_MAX {
                break;
            }
            if c == ' ' && !kept.ends_with(' ') {
                word = 0;
            }
            word += c.len_utf8();
            if word <= WORD_MAX {
                kept.push(c);
            }
        }
        kept.truncate(kept.trim_end_matches(' ').len());
        Self(kept.into())
    }

    /// The text in one line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FieldText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The words of a text, each with the spaces before it.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        let end = rest[spaces..].find(' ').map_or(rest.len(), |word| spaces + word);
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

/// A text with the type that says how to read it: `rfc822; bob@example.org`, `dns; mx.example.net`,
/// `smtp; 550 no such user` (RFC 3464 §2.1.2).
///
/// An address of the type `utf-8` (RFC 6533 §3) is held as the characters it means; a report in
/// ASCII prints them as `\x{FC}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TypedText {
    kind: Box<str>,
    text: FieldText,
}

impl TypedText {
    /// A text of the type `kind`, an atom of at most 64 octets.
    ///
    /// # Errors
    /// If `kind` is none, or `text` is empty or no [`FieldText`], or if it is an address of the
    /// type `utf-8` of more than 320 octets.
    pub fn new(kind: &str, text: &str) -> Result<Self, DeliveryStatusError> {
        if let Some(at) = kind.bytes().position(|octet| !is_atext(octet)) {
            return Err(DeliveryStatusError { kind: DeliveryStatusErrorKind::Name, at });
        }
        if kind.is_empty() || kind.len() > NAME_MAX || text.is_empty() {
            return Err(DeliveryStatusError { kind: DeliveryStatusErrorKind::Name, at: 0 });
        }
        if kind.eq_ignore_ascii_case(UTF_8) && text.len() > MAILBOX_MAX {
            return Err(DeliveryStatusError { kind: DeliveryStatusErrorKind::TooLong, at: MAILBOX_MAX });
        }
        Ok(Self { kind: kind.into(), text: FieldText::new(text)? })
    }

    /// `type ";" text`; `None` where a text has no type.
    pub(super) fn parse(text: &FieldText) -> Option<Self> {
        let (kind, text) = text.as_str().split_once(';')?;
        let (kind, text) = (kind.trim_end_matches(' '), text.trim_start_matches(' '));
        let characters = kind.eq_ignore_ascii_case(UTF_8).then(|| from_unitext(text)).flatten();
        let characters = characters.and_then(|text| Self::new(kind, &text).ok());
        characters.or_else(|| Self::new(kind, text).ok())
    }

    /// The type, as it was given; its case does not matter.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The text after the type.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Whether its form fits into a line.
    pub(super) fn fits(&self, ascii: bool) -> bool {
        let text = self.print(ascii);
        (!ascii || text.is_ascii()) && words(&text).all(|word| word.len() <= WORD_MAX)
    }

    /// The form of a field; in ASCII an address of the type `utf-8` is encoded.
    pub(super) fn print(&self, ascii: bool) -> String {
        let text = self.as_str();
        let encoded = if self.kind.eq_ignore_ascii_case(UTF_8) { unitext(text, ascii) } else { text.into() };
        format!("{}; {encoded}", self.kind)
    }
}

impl fmt::Display for TypedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print(false))
    }
}

impl fmt::Debug for TypedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {:?}", self.kind, self.text)
    }
}

/// RFC 5322 §3.2.3.
fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// `utf-8-address` or, in ASCII, `utf-8-addr-unitext` (RFC 6533 §3). What could be taken for an
/// encoded character is encoded in both.
fn unitext(text: &str, ascii: bool) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\');
    if !ascii && !text.contains("\\x{") || ascii && text.chars().all(plain) {
        return text.into();
    }
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        let is_plain = if ascii { plain(c) } else { !text[at..].starts_with("\\x{") };
        if is_plain {
            out.push(c);
        } else {
            out.push_str(&format!("\\x{{{:02X}}}", u32::from(c)));
        }
    }
    out.into()
}

/// The characters of `EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"`; `None` where one is not
/// well formed. What they make may be no text of a field.
fn from_unitext(text: &str) -> Option<Cow<'_, str>> {
    let mut parts = text.split("\\x{");
    let first = parts.next()?;
    let mut out = Cow::Borrowed(first);
    for part in parts {
        let (point, after) = part.split_once('}')?;
        let hex = (2..=6).contains(&point.len()) && point.bytes().all(|octet| octet.is_ascii_hexdigit());
        let point = if hex { u32::from_str_radix(point, 16).ok() } else { None };
        let character = point.and_then(char::from_u32)?;
        let out = out.to_mut();
        out.push(character);
        out.push_str(after);
    }
    Some(out)
}

/// A field that is not typed here, or is not in the form it should have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatusField {
    name: Box<str>,
    text: FieldText,
}

impl StatusField {
    /// A field of any name.
    ///
    /// # Errors
    /// If `name` is empty, longer than 64 octets, or not printable ASCII without a colon
    /// (RFC 5322 §2.2).
    pub fn new(name: &str, text: FieldText) -> Result<Self, DeliveryStatusError> {
        let forbidden = |octet: u8| !octet.is_ascii_graphic() || octet == b':';
        if let Some(at) = name.bytes().position(forbidden) {
            return Err(DeliveryStatusError { kind: DeliveryStatusErrorKind::Name, at });
        }
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(DeliveryStatusError { kind: DeliveryStatusErrorKind::Name, at: 0 });
        }
        Ok(Self { name: name.into(), text })
    }

    /// The name as it was given; its case does not matter.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text after the colon.
    #[must_use]
    pub fn text(&self) -> &FieldText {
        &self.text
    }
}
