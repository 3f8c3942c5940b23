//! What macros expand to (RFC 7208 §7.3).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use hikyaku_dns::Name;
use hikyaku_wire::Timestamp;

use super::{DELIMITERS, Letter, MAX_NAME, Macro, MacroString, Piece, name_of};

/// Longest explanation, in octets.
const MAX_EXPLANATION: usize = 400;

/// What the letters stand for.
#[derive(Clone, Debug)]
pub(in crate::spf) struct Values<'a> {
    pub(in crate::spf) local_part: &'a str,
    pub(in crate::spf) sender_domain: String,
    pub(in crate::spf) sender: String,
    pub(in crate::spf) domain: String,
    pub(in crate::spf) client: IpAddr,
    pub(in crate::spf) hello: Cow<'a, str>,
    pub(in crate::spf) validated: String,
    pub(in crate::spf) receiver: &'a str,
    pub(in crate::spf) now: Timestamp,
}

impl MacroString {
    /// Whether the macro `p` is in it, whose value must be looked up.
    pub(in crate::spf) fn asks_for_validated(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Macro(Macro { letter: Letter::Validated, .. })))
    }

    /// The name that comes out; `None` where it is none.
    ///
    /// It is put together from its end, and no further than a name can be long: what a record
    /// repeats a thousand times costs nothing.
    pub(in crate::spf) fn name(&self, values: &Values<'_>) -> Option<Name> {
        if self.asks_for_more_than_ascii(values) {
            return None;
        }
        let mut pieces = Vec::new();
        let mut length = 0;
        // One octet more than a name with its final dot says whether the name begins there.
        for piece in self.pieces.iter().rev() {
            if length > MAX_NAME + 2 {
                break;
            }
            let value = piece.value(values);
            if !value.is_ascii() {
                return None;
            }
            length += value.len();
            pieces.push(value);
        }
        pieces.reverse();
        name_of(pieces.concat().as_bytes()).ok()
    }

    /// Whether a value is asked for that no name can hold: a local part outside ASCII, whatever of it
    /// is kept, matches nothing (RFC 8616 §4).
    fn asks_for_more_than_ascii(&self, values: &Values<'_>) -> bool {
        let (local_part, hello) = (!values.local_part.is_ascii(), !values.hello.is_ascii());
        (local_part || hello)
            && self.pieces.iter().any(|piece| match piece {
                Piece::Macro(Macro { letter: Letter::Sender | Letter::LocalPart, .. }) => local_part,
                Piece::Macro(Macro { letter: Letter::Hello, .. }) => hello,
                _ => false,
            })
    }

    /// The text of an explanation: printable ASCII, at most 400 octets.
    pub(in crate::spf) fn explanation(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            for character in piece.value(values).chars().filter(|character| !character.is_control()) {
                if text.len() == MAX_EXPLANATION {
                    return text;
                }
                text.push(if character.is_ascii() { character } else { '?' });
            }
        }
        text
    }
}

impl Macro {
    fn value<'a>(&self, values: &'a Values<'_>) -> Cow<'a, str> {
        let value: Cow<'a, str> = match self.letter {
            Letter::Sender => Cow::Borrowed(&values.sender),
            Letter::LocalPart => Cow::Borrowed(values.local_part),
            Letter::SenderDomain => Cow::Borrowed(&values.sender_domain),
            Letter::Domain => Cow::Borrowed(&values.domain),
            Letter::Address => Cow::Owned(dotted(values.client)),
            Letter::Validated => Cow::Borrowed(&values.validated),
            Letter::Version => Cow::Borrowed(if values.client.is_ipv4() { "in-addr" } else { "ip6" }),
            Letter::Hello => Cow::Borrowed(&values.hello),
            Letter::ReadableAddress => Cow::Owned(values.client.to_string()),
            Letter::Receiver if values.receiver.is_empty() => Cow::Borrowed("unknown"),
            Letter::Receiver => Cow::Borrowed(values.receiver),
            Letter::Time => Cow::Owned(values.now.as_millis().div_euclid(1000).to_string()),
        };
        let value = self.transformed(value);
        if self.escaped { escape(value) } else { value }
    }

    fn is_delimiter(&self, character: char) -> bool {
        let set = if self.delimiters == 0 { 1 } else { self.delimiters };
        DELIMITERS.iter().enumerate().any(|(at, known)| set & (1 << at) != 0 && char::from(*known) == character)
    }

    /// The parts that are kept, in their order, with dots between them (RFC 7208 §7.3); costs no
    /// more than what it gives.
    fn transformed<'a>(&self, value: Cow<'a, str>) -> Cow<'a, str> {
        if self.keep == 0 && !self.reversed && self.delimiters <= 1 {
            return value;
        }
        let keep = if self.keep == 0 { usize::MAX } else { usize::from(self.keep) };
        let delimiter = |character| self.is_delimiter(character);
        let parts: Vec<&str> = if self.reversed {
            // The rightmost of the reversed parts are the leftmost ones.
            let mut parts: Vec<&str> = value.split(delimiter).take(keep).collect();
            parts.reverse();
            parts
        } else {
            let mut parts: Vec<&str> = value.rsplit(delimiter).take(keep).collect();
            parts.reverse();
            parts
        };
        Cow::Owned(parts.join("."))
    }
}

impl Piece {
    fn value<'a>(&'a self, values: &'a Values<'_>) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Percent => Cow::Borrowed("%"),
            Self::Space => Cow::Borrowed(" "),
            Self::EscapedSpace => Cow::Borrowed("%20"),
            Self::Macro(found) => found.value(values),
        }
    }
}

/// The macro `i`: an IPv6 address as its nibbles with dots between them (RFC 7208 §7.3).
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let mut text = String::with_capacity(63);
            for octet in address.octets() {
                let _ = write!(text, "{:x}.{:x}.", octet >> 4, octet & 15);
            }
            text.pop();
            text
        }
    }
}

/// Escapes all but unreserved characters (RFC 7208 §7.3, RFC 3986 §2.3).
fn escape(value: Cow<'_, str>) -> Cow<'_, str> {
    let unreserved = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    if value.bytes().all(unreserved) {
        return value;
    }
    let mut text = String::with_capacity(value.len() + 8);
    for octet in value.bytes() {
        if unreserved(octet) {
            text.push(char::from(octet));
        } else {
            let _ = write!(text, "%{octet:02X}");
        }
    }
    Cow::Owned(text)
}
