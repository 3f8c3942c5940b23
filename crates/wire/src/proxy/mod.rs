//! The header with which a proxy begins a connection: who the real client is. HAProxy's "The PROXY
//! protocol", versions 1 (§2.1, a line) and 2 (§2.2, binary). There is no RFC.
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_wire::ProxyHeader;
//!
//! let input = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\nEHLO a.test\r\n";
//! assert_eq!(ProxyHeader::parse(&input[..40], ProxyHeader::LIMIT), Ok(None));
//! let (header, length) = ProxyHeader::parse(input, ProxyHeader::LIMIT).unwrap().unwrap();
//! assert_eq!(header.client(), Some("192.0.2.1:56324".parse().unwrap()));
//! assert_eq!(&input[length..], b"EHLO a.test\r\n");
//!
//! let mut out = BytesMut::new();
//! header.write_v1(&mut out);
//! assert_eq!(&out[..], &input[..length]);
//! ```

mod addresses;
mod crc32c;
mod tlv;
mod v1;
mod v2;

use std::net::SocketAddr;

pub use addresses::{ProxyAddresses, ProxyTransport, UnixPath};
pub use tlv::ProxyTlvs;

/// What a proxy says of a connection: its addresses, and what else it knows, as type-length-value
/// triples (only in version 2).
///
/// Whether the peer may say it is the session's decision, by the peer's own address; a header that
/// is malformed is a reason to close the connection without a word.
///
/// ```
/// # use hikyaku_wire::ProxyHeader;
/// let line = b"PROXY UNKNOWN\r\n";
/// let (header, length) = ProxyHeader::parse(line, ProxyHeader::LIMIT).unwrap().unwrap();
/// assert_eq!((header.client(), length), (None, 15));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ProxyHeader<T = Box<[u8]>> {
    addresses: ProxyAddresses,
    tlvs: T,
}

/// Why octets are not a header of the PROXY protocol, and at which octet. There is no reply for
/// it: nobody who speaks SMTP is there to read one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct ProxyError {
    /// What is wrong.
    pub kind: ProxyErrorKind,
    /// The octet, counted from 0 at the start of the connection.
    pub at: usize,
}

/// What is wrong with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyErrorKind {
    /// It begins neither with `PROXY ` nor with the signature of version 2.
    #[error("not the PROXY protocol")]
    Signature,
    /// A line of version 1 that does not end within 107 octets, or a header of version 2 beyond
    /// the caller's limit.
    #[error("header too long")]
    TooLong,
    /// A control character in a line of version 1.
    #[error("control character in the line")]
    Control,
    /// Not `TCP4`, `TCP6` or `UNKNOWN`, or a family and transport that version 2 does not know.
    #[error("unknown protocol family")]
    Family,
    /// Not an address of the family, or not in its form.
    #[error("malformed address")]
    Address,
    /// Not a port in decimal without leading zeros.
    #[error("malformed port")]
    Port,
    /// Something stands behind the last field.
    #[error("more fields than there are")]
    TrailingField,
    /// Not version 2, or a command that it does not know.
    #[error("unknown version or command")]
    Command,
    /// Fewer octets than the addresses of the family have.
    #[error("too short for its addresses")]
    TooShort,
    /// A triple that is longer than the rest of the header.
    #[error("type-length-value beyond the header")]
    Tlv,
    /// A checksum that is not that of the header, has not four octets, or comes twice.
    #[error("wrong checksum")]
    Checksum,
}

/// What reading gives: a header with its length, or that more octets are needed.
type Read<'a> = Result<Option<(ProxyHeader<&'a [u8]>, usize)>, ProxyError>;

impl ProxyErrorKind {
    fn at(self, at: usize) -> ProxyError {
        ProxyError { kind: self, at }
    }
}

impl ProxyHeader<&'static [u8]> {
    /// Octets that a header may have, if nothing else is known: more than any addresses need, and
    /// what fits into the first packet of a connection (§2.2).
    pub const LIMIT: usize = 536;
}

impl<'a> ProxyHeader<&'a [u8]> {
    /// Reads a header at the start of `input`, of at most `limit` octets in version 2 and of 107
    /// in version 1; gives it with its length. `None` if more octets are needed. Nothing is copied
    /// but addresses.
    ///
    /// Wherever the input is cut, the answer for a part of it is `None` or that for the whole.
    ///
    /// # Errors
    /// [`ProxyError`] says what is wrong and where.
    pub fn parse(input: &'a [u8], limit: usize) -> Result<Option<(Self, usize)>, ProxyError> {
        let matching = |signature: &[u8]| input.iter().zip(signature).take_while(|(a, b)| a == b).count();
        let (one, two) = (matching(v1::SIGNATURE), matching(v2::SIGNATURE));
        if one == v1::SIGNATURE.len() {
            return v1::parse(input);
        }
        if two == v2::SIGNATURE.len() {
            return v2::parse(input, limit);
        }
        let matched = one.max(two);
        if matched == input.len() { Ok(None) } else { Err(ProxyErrorKind::Signature.at(matched)) }
    }
}

impl ProxyHeader {
    /// A header with these addresses, and nothing else.
    ///
    /// Flow information and scope of an IPv6 address are dropped: the protocol cannot say them.
    pub fn new(addresses: ProxyAddresses) -> Self {
        Self { addresses: addresses.without_scope(), tlvs: Box::default() }
    }

    /// The same with one more triple, of a type other than the checksum's. `None` if it is the
    /// checksum, if there are no addresses in front of it, or if the header would be longer than
    /// the 65,535 octets that it can say.
    ///
    /// A checksum that is there already is computed anew when the header is written.
    pub fn with_tlv(self, kind: u8, value: &[u8]) -> Option<Self> {
        if kind == tlv::CRC32C { None } else { self.push(kind, value) }
    }

    /// The same with a checksum (§2.2.3), which is computed when it is written. `None` if there
    /// are no addresses, if the header would be too long, or if there is one already.
    pub fn with_checksum(self) -> Option<Self> {
        if self.tlvs().any(|(kind, _)| kind == tlv::CRC32C) { None } else { self.push(tlv::CRC32C, &[0; 4]) }
    }

    fn push(self, kind: u8, value: &[u8]) -> Option<Self> {
        let addresses = self.addresses.octets();
        let total = addresses + self.tlvs.len() + tlv::HEAD + value.len();
        if addresses == 0 || total > usize::from(u16::MAX) {
            return None;
        }
        let mut tlvs = self.tlvs.into_vec();
        tlvs.push(kind);
        tlvs.extend_from_slice(&u16::try_from(value.len()).ok()?.to_be_bytes());
        tlvs.extend_from_slice(value);
        Some(Self { addresses: self.addresses, tlvs: tlvs.into() })
    }
}

impl<T: AsRef<[u8]>> ProxyHeader<T> {
    /// The addresses of the connection that is proxied.
    pub fn addresses(&self) -> ProxyAddresses {
        self.addresses
    }

    /// The client's address and port, if the connection is TCP. `None` means that the peer itself
    /// is the client, as far as anybody knows.
    pub fn client(&self) -> Option<SocketAddr> {
        match self.addresses {
            ProxyAddresses::Inet { transport: ProxyTransport::Stream, source, .. } => Some(source.into()),
            ProxyAddresses::Inet6 { transport: ProxyTransport::Stream, source, .. } => Some(source.into()),
            _ => None,
        }
    }

    /// The triples, type and value, in order, that with the checksum among them.
    pub fn tlvs(&self) -> ProxyTlvs<'_> {
        ProxyTlvs::new(self.tlvs.as_ref())
    }

    /// The same without its own octets.
    pub fn borrowed(&self) -> ProxyHeader<&[u8]> {
        ProxyHeader { addresses: self.addresses, tlvs: self.tlvs.as_ref() }
    }

    /// The same with octets of its own.
    pub fn into_owned(self) -> ProxyHeader
    where
        T: Into<Box<[u8]>>,
    {
        ProxyHeader { addresses: self.addresses, tlvs: self.tlvs.into() }
    }

    /// Writes it in version 1, which knows TCP and `UNKNOWN` for all else, and no triples.
    pub fn write_v1(&self, out: &mut bytes::BytesMut) {
        v1::write(&self.addresses, out);
    }

    /// Writes it in version 2.
    pub fn write_v2(&self, out: &mut bytes::BytesMut) {
        v2::write(&self.addresses, self.tlvs.as_ref(), out);
    }
}

impl<T: AsRef<[u8]>, U: AsRef<[u8]>> PartialEq<ProxyHeader<U>> for ProxyHeader<T> {
    fn eq(&self, other: &ProxyHeader<U>) -> bool {
        self.addresses == other.addresses && self.tlvs.as_ref() == other.tlvs.as_ref()
    }
}

impl<T: AsRef<[u8]>> Eq for ProxyHeader<T> {}

#[cfg(test)]
mod tests;
