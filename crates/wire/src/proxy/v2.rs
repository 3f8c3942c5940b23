//! Version 2, binary (§2.2).

use std::net::{SocketAddrV4, SocketAddrV6};

use bytes::{BufMut, BytesMut};

use super::{
    ProxyAddresses, ProxyError, ProxyErrorKind, ProxyHeader, ProxyTlvs, ProxyTransport, Read, UnixPath,
    crc32c::checksum,
    tlv::{self, CRC32C},
};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Octets in front of the addresses: signature, version and command, family and transport, length.
const HEAD: usize = 16;
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const INET: u8 = 0x10;
const INET6: u8 = 0x20;
const UNIX: u8 = 0x30;
const STREAM: u8 = 0x01;
const DATAGRAM: u8 = 0x02;

/// Reads a header at the start of `input`, of which the signature has been checked.
pub(super) fn parse(input: &[u8], limit: usize) -> Read<'_> {
    let Some(&command) = input.get(12) else { return Ok(None) };
    if command != LOCAL && command != PROXY {
        return Err(ProxyErrorKind::Command.at(12));
    }
    let Some(&protocol) = input.get(13) else { return Ok(None) };
    // The family of LOCAL is ignored, whatever it is.
    let needed = if command == LOCAL { 0 } else { octets(protocol).ok_or(ProxyErrorKind::Family.at(13))? };
    let Some(&[high, low]) = input.get(14..HEAD) else { return Ok(None) };
    let end = HEAD + usize::from(u16::from_be_bytes([high, low]));
    if end > limit {
        return Err(ProxyErrorKind::TooLong.at(14));
    }
    if end < HEAD + needed {
        return Err(ProxyErrorKind::TooShort.at(14));
    }
    let Some(header) = input.get(..end) else { return Ok(None) };
    let none: &[u8] = &[];
    // Nobody can say where the triples begin behind addresses of no family.
    let (addresses, tlvs) = match (command, protocol) {
        (LOCAL, _) => (ProxyAddresses::Local, none),
        (_, UNSPECIFIED) => (ProxyAddresses::Unknown, none),
        _ => {
            let (block, tlvs) = header[HEAD..].split_at(needed);
            (addresses(protocol, block).ok_or(ProxyErrorKind::TooShort.at(14))?, tlvs)
        }
    };
    check(header, tlvs)?;
    Ok(Some((ProxyHeader { addresses, tlvs }, end)))
}

/// How many octets the addresses of a family and transport have; `None` if it is none.
fn octets(protocol: u8) -> Option<usize> {
    match (protocol & 0xF0, protocol & 0x0F) {
        (UNSPECIFIED, 0) => Some(0),
        (INET, STREAM | DATAGRAM) => Some(12),
        (INET6, STREAM | DATAGRAM) => Some(36),
        (UNIX, STREAM | DATAGRAM) => Some(2 * UnixPath::OCTETS),
        _ => None,
    }
}

/// The addresses in a block of the length that belongs to the family.
fn addresses(protocol: u8, block: &[u8]) -> Option<ProxyAddresses> {
    let transport = if protocol & 0x0F == STREAM { ProxyTransport::Stream } else { ProxyTransport::Datagram };
    match protocol & 0xF0 {
        INET => {
            let (from, rest) = block.split_first_chunk::<4>()?;
            let (to, rest) = rest.split_first_chunk::<4>()?;
            let (source, destination) = ports(rest)?;
            let (source, destination) =
                (SocketAddrV4::new((*from).into(), source), SocketAddrV4::new((*to).into(), destination));
            Some(ProxyAddresses::Inet { transport, source, destination })
        }
        INET6 => {
            let (from, rest) = block.split_first_chunk::<16>()?;
            let (to, rest) = rest.split_first_chunk::<16>()?;
            let (source, destination) = ports(rest)?;
            let (source, destination) =
                (SocketAddrV6::new((*from).into(), source, 0, 0), SocketAddrV6::new((*to).into(), destination, 0, 0));
            Some(ProxyAddresses::Inet6 { transport, source, destination })
        }
        _ => {
            let (source, destination) = block.split_at_checked(UnixPath::OCTETS)?;
            let (source, destination) = (UnixPath::new(source)?, UnixPath::new(destination)?);
            Some(ProxyAddresses::Unix { transport, source, destination })
        }
    }
}

fn ports(block: &[u8]) -> Option<(u16, u16)> {
    let &[a, b, c, d] = block else { return None };
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Checks that the triples fill the end of the header, and its checksum, if it has one.
fn check(header: &[u8], tlvs: &[u8]) -> Result<(), ProxyError> {
    let start = header.len() - tlvs.len();
    let mut iterator = ProxyTlvs::new(tlvs);
    let mut checksum_at = None;
    let mut at = start;
    while let Some((kind, value)) = iterator.next() {
        if kind == CRC32C {
            if value.len() != 4 || checksum_at.is_some() {
                return Err(ProxyErrorKind::Checksum.at(at));
            }
            checksum_at = Some(at + tlv::HEAD);
        }
        at = header.len() - iterator.left();
    }
    if at != header.len() {
        return Err(ProxyErrorKind::Tlv.at(at));
    }
    match checksum_at {
        Some(at) if header[at..at + 4] != of(header, at) => Err(ProxyErrorKind::Checksum.at(at)),
        _ => Ok(()),
    }
}

/// The checksum of a header that stands at an octet of it, where it counts as zeros.
fn of(header: &[u8], at: usize) -> [u8; 4] {
    checksum(&[&header[..at], &[0; 4], &header[at + 4..]]).to_be_bytes()
}

/// Writes a header.
pub(super) fn write(addresses: &ProxyAddresses, tlvs: &[u8], out: &mut BytesMut) {
    let start = out.len();
    let transport = |transport: &ProxyTransport| match transport {
        ProxyTransport::Stream => STREAM,
        ProxyTransport::Datagram => DATAGRAM,
    };
    let (command, protocol) = match addresses {
        ProxyAddresses::Local => (LOCAL, UNSPECIFIED),
        ProxyAddresses::Unknown => (PROXY, UNSPECIFIED),
        ProxyAddresses::Inet { transport: t, .. } => (PROXY, INET | transport(t)),
        ProxyAddresses::Inet6 { transport: t, .. } => (PROXY, INET6 | transport(t)),
        ProxyAddresses::Unix { transport: t, .. } => (PROXY, UNIX | transport(t)),
    };
    let length = u16::try_from(addresses.octets() + tlvs.len());
    out.put_slice(SIGNATURE);
    out.put_slice(&[command, protocol]);
    out.put_u16(length.expect("a header is never made longer than its length can say"));
    match addresses {
        ProxyAddresses::Local | ProxyAddresses::Unknown => {}
        ProxyAddresses::Inet { source, destination, .. } => {
            out.put_slice(&source.ip().octets());
            out.put_slice(&destination.ip().octets());
            out.put_u16(source.port());
            out.put_u16(destination.port());
        }
        ProxyAddresses::Inet6 { source, destination, .. } => {
            out.put_slice(&source.ip().octets());
            out.put_slice(&destination.ip().octets());
            out.put_u16(source.port());
            out.put_u16(destination.port());
        }
        ProxyAddresses::Unix { source, destination, .. } => {
            out.put_slice(source.octets());
            out.put_slice(destination.octets());
        }
    }
    let mut at = out.len() - start;
    out.put_slice(tlvs);
    for (kind, value) in ProxyTlvs::new(tlvs) {
        at += tlv::HEAD;
        if kind == CRC32C {
            let checksum = of(&out[start..], at);
            out[start + at..start + at + 4].copy_from_slice(&checksum);
        }
        at += value.len();
    }
}
