//! Version 1, a line (§2.1).

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
    str::FromStr,
};

use bytes::{BufMut, BytesMut};

use super::{ProxyAddresses, ProxyError, ProxyErrorKind, ProxyHeader, ProxyTransport, Read};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// Octets of a line at the most, CRLF included.
const LIMIT: usize = 107;

/// Reads a line at the start of `input`, of which the signature has been checked.
///
/// ```text
/// "PROXY" SP ( ( "TCP4" / "TCP6" ) SP address SP address SP port SP port / "UNKNOWN" [ SP *any ] ) CRLF
/// ```
pub(super) fn parse(input: &[u8]) -> Read<'_> {
    let Some(line) = line(input)? else { return Ok(None) };
    let mut fields = Fields { line, at: SIGNATURE.len() };
    let addresses = match fields.next() {
        (_, "UNKNOWN") => ProxyAddresses::Unknown,
        (_, "TCP4") => {
            let (from, to) = (fields.address::<Ipv4Addr>()?, fields.address::<Ipv4Addr>()?);
            let (source, destination) = (fields.port()?, fields.port()?);
            fields.end()?;
            let transport = ProxyTransport::Stream;
            let (source, destination) = (SocketAddrV4::new(from, source), SocketAddrV4::new(to, destination));
            ProxyAddresses::Inet { transport, source, destination }
        }
        (_, "TCP6") => {
            let (from, to) = (fields.address::<Ipv6Addr>()?, fields.address::<Ipv6Addr>()?);
            let (source, destination) = (fields.port()?, fields.port()?);
            fields.end()?;
            let transport = ProxyTransport::Stream;
            let endpoint = |address, port| SocketAddrV6::new(address, port, 0, 0);
            ProxyAddresses::Inet6 { transport, source: endpoint(from, source), destination: endpoint(to, destination) }
        }
        (at, _) => return Err(ProxyErrorKind::Family.at(at)),
    };
    Ok(Some((ProxyHeader { addresses, tlvs: &[] }, line.len() + 2)))
}

/// The line without its CRLF. What stands behind `UNKNOWN` may be anything, but no control
/// character: other programs would end the line there.
fn line(input: &[u8]) -> Result<Option<&str>, ProxyError> {
    let seen = &input[..input.len().min(LIMIT - 1)];
    let Some(end) = seen.iter().position(|b| !(b' '..=b'~').contains(b)) else {
        return if seen.len() == LIMIT - 1 { Err(ProxyErrorKind::TooLong.at(LIMIT - 1)) } else { Ok(None) };
    };
    match &input[end..] {
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(std::str::from_utf8(&input[..end]).ok()),
        _ => Err(ProxyErrorKind::Control.at(end)),
    }
}

/// The fields of a line, with one space between two.
struct Fields<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Fields<'a> {
    /// A field and where it stands; empty where there is none.
    fn next(&mut self) -> (usize, &'a str) {
        let at = self.at.min(self.line.len());
        let field = self.line[at..].split(' ').next().unwrap_or_default();
        self.at = at + field.len() + 1;
        (at, field)
    }

    fn address<A: FromStr>(&mut self) -> Result<A, ProxyError> {
        let (at, field) = self.next();
        field.parse().map_err(|_| ProxyErrorKind::Address.at(at))
    }

    /// A port of 0 to 65535, without a zero in front.
    fn port(&mut self) -> Result<u16, ProxyError> {
        let (at, field) = self.next();
        let form = field.bytes().all(|b| b.is_ascii_digit()) && (field == "0" || !field.starts_with('0'));
        let port = if form { field.parse().ok() } else { None };
        port.ok_or(ProxyErrorKind::Port.at(at))
    }

    fn end(&self) -> Result<(), ProxyError> {
        if self.at > self.line.len() { Ok(()) } else { Err(ProxyErrorKind::TrailingField.at(self.at - 1)) }
    }
}

/// Writes the addresses as a line.
pub(super) fn write(addresses: &ProxyAddresses, out: &mut BytesMut) {
    use ProxyTransport::Stream;
    let written = match addresses {
        ProxyAddresses::Inet { transport: Stream, source: s, destination: d } => {
            write!(out, "PROXY TCP4 {} {} {} {}\r\n", s.ip(), d.ip(), s.port(), d.port())
        }
        ProxyAddresses::Inet6 { transport: Stream, source: s, destination: d } => {
            write!(out, "PROXY TCP6 {} {} {} {}\r\n", Groups(s.ip()), Groups(d.ip()), s.port(), d.port())
        }
        _ => {
            out.put_slice(b"PROXY UNKNOWN\r\n");
            Ok(())
        }
    };
    written.expect("a BytesMut takes all that is written to it");
}

/// An IPv6 address in groups of hexadecimal digits only: the protocol knows no other form.
struct Groups<'a>(&'a Ipv6Addr);

impl std::fmt::Display for Groups<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.to_ipv4_mapped() {
            None => self.0.fmt(f),
            Some(_) => write!(f, "::ffff:{:x}:{:x}", self.0.segments()[6], self.0.segments()[7]),
        }
    }
}
