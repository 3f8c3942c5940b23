use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::Name;

/// The type of a record: an open number with names for those known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

impl RecordType {
    /// IPv4 address (RFC 1035 §3.4.1).
    pub const A: Self = Self(1);
    /// Name server (RFC 1035 §3.3.11).
    pub const NS: Self = Self(2);
    /// Alias (RFC 1035 §3.3.1).
    pub const CNAME: Self = Self(5);
    /// Start of a zone of authority (RFC 1035 §3.3.13).
    pub const SOA: Self = Self(6);
    /// Name of an address (RFC 1035 §3.3.12).
    pub const PTR: Self = Self(12);
    /// Mail exchange (RFC 1035 §3.3.9).
    pub const MX: Self = Self(15);
    /// Text (RFC 1035 §3.3.14).
    pub const TXT: Self = Self(16);
    /// IPv6 address (RFC 3596 §2.1).
    pub const AAAA: Self = Self(28);
    /// Association of a TLS certificate (RFC 6698 §2).
    pub const TLSA: Self = Self(52);
    /// Text of a sender policy, given up for TXT (RFC 7208 §3.1).
    pub const SPF: Self = Self(99);
    /// No type of records but a question for all of them (`*`, RFC 1035 §3.2.3).
    pub const ANY: Self = Self(255);

    const NAMED: [(&'static str, Self); 10] = [
        ("A", Self::A),
        ("NS", Self::NS),
        ("CNAME", Self::CNAME),
        ("SOA", Self::SOA),
        ("PTR", Self::PTR),
        ("MX", Self::MX),
        ("TXT", Self::TXT),
        ("AAAA", Self::AAAA),
        ("TLSA", Self::TLSA),
        ("SPF", Self::SPF),
    ];
}

impl fmt::Display for RecordType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, known)| known == self) {
            Some((text, _)) => out.write_str(text),
            None => write!(out, "TYPE{}", self.0),
        }
    }
}

/// A record type that has no name here and is not written `TYPEnnn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record type not known here; any type can be written as TYPEnnn (RFC 3597 §5)")]
pub struct RecordTypeError;

impl FromStr for RecordType {
    type Err = RecordTypeError;

    fn from_str(text: &str) -> Result<Self, RecordTypeError> {
        let named = Self::NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        if let Some((_, known)) = named {
            return Ok(*known);
        }
        let (prefix, number) = text.split_at_checked(4).ok_or(RecordTypeError)?;
        let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
        if !prefix.eq_ignore_ascii_case("TYPE") || !digits {
            return Err(RecordTypeError);
        }
        number.parse().map(Self).map_err(|_| RecordTypeError)
    }
}

/// A mail exchange (RFC 1035 §3.3.9): lower preferences are tried first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mx {
    /// The lower, the better.
    pub preference: u16,
    /// The host; the root says that no mail is accepted (RFC 7505).
    pub exchange: Name,
}

/// A text record (RFC 1035 §3.3.14): strings of octets, each at most 255 long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Txt {
    /// The strings as they stand in the record.
    pub strings: Vec<Vec<u8>>,
}

impl Txt {
    /// The strings put together without anything between them, as SPF
    /// (RFC 7208 §3.3), DKIM (RFC 6376 §3.6.2.2) and the like read them.
    pub fn concat(&self) -> Vec<u8> {
        self.strings.concat()
    }
}

impl From<&str> for Txt {
    /// Cuts a text into strings of at most 255 octets.
    fn from(text: &str) -> Self {
        Self { strings: cut(text.as_bytes()).collect() }
    }
}

/// The strings that a text needs.
pub(crate) fn cut(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    text.chunks(MAX_STRING).map(<[u8]>::to_vec)
}

/// Longest string of a TXT record, in octets (RFC 1035 §3.3).
pub(crate) const MAX_STRING: usize = 255;

/// The association of a TLS certificate with a name (RFC 6698 §2.1), as it
/// stands in the DNS: that it is usable is for the reader to decide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// Certificate usage; mail uses 2 (DANE-TA) and 3 (DANE-EE) only.
    pub usage: u8,
    /// 0 for the whole certificate, 1 for its public key.
    pub selector: u8,
    /// 0 for the data itself, 1 for its SHA-256, 2 for its SHA-512.
    pub matching: u8,
    /// What is compared; may have any length.
    pub data: Vec<u8>,
}

/// The start of a zone of authority (RFC 1035 §3.3.13); times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Soa {
    /// The primary name server.
    pub primary: Name,
    /// The mailbox of who is responsible, its local part as the first label.
    pub mailbox: Name,
    /// The version of the zone.
    pub serial: u32,
    /// Seconds between two looks of a secondary server at the primary.
    pub refresh: u32,
    /// Seconds before a failed look is repeated.
    pub retry: u32,
    /// Seconds after which a secondary server stops answering.
    pub expire: u32,
    /// Seconds that a negative answer may be kept (RFC 2308 §4).
    pub minimum: u32,
}

/// The data of a record; a type without a variant keeps its octets
/// (RFC 3597).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name that the owner is an alias of.
    Cname(Name),
    /// A mail exchange.
    Mx(Mx),
    /// A name server.
    Ns(Name),
    /// The name of an address.
    Ptr(Name),
    /// The start of a zone.
    Soa(Soa),
    /// The text of a sender policy in the type of its own, which nobody asks for any more
    /// (RFC 7208 §3.1).
    Spf(Txt),
    /// The association of a certificate.
    Tlsa(Tlsa),
    /// A text.
    Txt(Txt),
    /// A record of another type.
    Unknown {
        /// The type, never one that has a variant of its own.
        record_type: RecordType,
        /// The data as on the wire.
        octets: Vec<u8>,
    },
}

impl Data {
    /// The type that this data belongs to.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::AAAA,
            Self::Cname(_) => RecordType::CNAME,
            Self::Mx(_) => RecordType::MX,
            Self::Ns(_) => RecordType::NS,
            Self::Ptr(_) => RecordType::PTR,
            Self::Soa(_) => RecordType::SOA,
            Self::Spf(_) => RecordType::SPF,
            Self::Tlsa(_) => RecordType::TLSA,
            Self::Txt(_) => RecordType::TXT,
            Self::Unknown { record_type, .. } => *record_type,
        }
    }

    /// Octets of the uncompressed wire form.
    pub(crate) fn wire_len(&self) -> usize {
        match self {
            Self::A(_) => 4,
            Self::Aaaa(_) => 16,
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => name.wire_len(),
            Self::Mx(mx) => 2 + mx.exchange.wire_len(),
            Self::Soa(soa) => soa.primary.wire_len() + soa.mailbox.wire_len() + 20,
            Self::Tlsa(tlsa) => 3 + tlsa.data.len(),
            Self::Spf(txt) | Self::Txt(txt) => txt.strings.iter().map(|string| 1 + string.len()).sum(),
            Self::Unknown { octets, .. } => octets.len(),
        }
    }
}

/// The form of a master file, with names that end in a dot.
impl fmt::Display for Data {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(out),
            Self::Aaaa(address) => address.fmt(out),
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => Absolute(name).fmt(out),
            Self::Mx(mx) => write!(out, "{} {}", mx.preference, Absolute(&mx.exchange)),
            Self::Soa(soa) => {
                write!(out, "{} {} ", Absolute(&soa.primary), Absolute(&soa.mailbox))?;
                write!(out, "{} {} {} ", soa.serial, soa.refresh, soa.retry)?;
                write!(out, "{} {}", soa.expire, soa.minimum)
            }
            Self::Tlsa(tlsa) => {
                write!(out, "{} {} {} ", tlsa.usage, tlsa.selector, tlsa.matching)?;
                write_hex(out, &tlsa.data)
            }
            Self::Spf(txt) | Self::Txt(txt) => {
                for (at, string) in txt.strings.iter().enumerate() {
                    if at > 0 {
                        out.write_str(" ")?;
                    }
                    write_string(out, string)?;
                }
                Ok(())
            }
            Self::Unknown { octets, .. } => {
                write!(out, "\\# {} ", octets.len())?;
                write_hex(out, octets)
            }
        }
    }
}

/// A name as it stands in a master file: with its final dot.
pub(crate) struct Absolute<'a>(pub(crate) &'a Name);

impl fmt::Display for Absolute<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)?;
        out.write_str(if self.0.is_root() { "" } else { "." })
    }
}

fn write_hex(out: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
}

fn write_string(out: &mut fmt::Formatter<'_>, string: &[u8]) -> fmt::Result {
    out.write_str("\"")?;
    for octet in string {
        match octet {
            b'"' | b'\\' => write!(out, "\\{}", char::from(*octet))?,
            b' '..=b'~' => write!(out, "{}", char::from(*octet))?,
            octet => write!(out, "\\{octet:03}")?,
        }
    }
    out.write_str("\"")
}

/// A record type that a [`Resolver`](crate::Resolver) is asked for.
pub(crate) trait Typed: Sized {
    const TYPE: RecordType;
    fn from_data(data: Data) -> Option<Self>;
    fn into_data(self) -> Data;
}

macro_rules! typed {
    ($($value:ty, $number:ident, $variant:ident;)*) => {
        $(impl Typed for $value {
            const TYPE: RecordType = RecordType::$number;
            fn from_data(data: Data) -> Option<Self> {
                match data {
                    Data::$variant(value) => Some(value),
                    _ => None,
                }
            }
            fn into_data(self) -> Data {
                Data::$variant(self)
            }
        })*
    };
}

typed! {
    Ipv4Addr, A, A;
    Ipv6Addr, AAAA, Aaaa;
    Mx, MX, Mx;
    Name, PTR, Ptr;
    Tlsa, TLSA, Tlsa;
    Txt, TXT, Txt;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names_or_numbers() {
        for (text, record_type) in [
            ("MX", RecordType::MX),
            ("aaaa", RecordType::AAAA),
            ("TYPE65280", RecordType(65280)),
            ("spf", RecordType(99)),
            ("type15", RecordType::MX),
        ] {
            assert_eq!(text.parse(), Ok(record_type), "{text}");
            assert_eq!(record_type.to_string().parse(), Ok(record_type));
        }
        for text in ["", "MXX", "TYPE", "TYPE65536", "TYPE+1", "TYPE1x", "t\u{fc}p1"] {
            assert_eq!(text.parse::<RecordType>(), Err(RecordTypeError), "{text}");
        }
    }

    #[test]
    fn long_texts_are_cut_and_joined() {
        let text = "k".repeat(600);
        let txt = Txt::from(&*text);
        assert_eq!(txt.strings.iter().map(Vec::len).collect::<Vec<_>>(), [255, 255, 90]);
        assert_eq!(txt.concat(), text.as_bytes());
    }
}
