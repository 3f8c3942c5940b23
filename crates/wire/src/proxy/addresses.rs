//! The addresses of a proxied connection.

use std::{
    fmt,
    net::{SocketAddrV4, SocketAddrV6},
};

/// Where a proxied connection comes from and where it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyAddresses {
    /// The proxy speaks for itself, for example to see whether the server lives; whatever else the
    /// header says is ignored. Only in version 2; in version 1 it is written as `UNKNOWN`.
    Local,
    /// The proxy does not know, or cannot say. The peer's own address is what counts; whatever
    /// else the header says is ignored.
    Unknown,
    /// IPv4.
    Inet {
        /// How the client is connected.
        transport: ProxyTransport,
        /// The client.
        source: SocketAddrV4,
        /// What it connected to.
        destination: SocketAddrV4,
    },
    /// IPv6.
    Inet6 {
        /// How the client is connected.
        transport: ProxyTransport,
        /// The client.
        source: SocketAddrV6,
        /// What it connected to.
        destination: SocketAddrV6,
    },
    /// A UNIX socket. Only in version 2.
    Unix {
        /// How the client is connected.
        transport: ProxyTransport,
        /// The client.
        source: UnixPath,
        /// What it connected to.
        destination: UnixPath,
    },
}

/// How a client is connected to the proxy. SMTP only ever comes by a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyTransport {
    /// TCP, or a stream by a UNIX socket.
    Stream,
    /// UDP, or datagrams by a UNIX socket. Only in version 2.
    Datagram,
}

/// The path of a UNIX socket: 108 octets, of which those of value 0 at the end do not count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnixPath([u8; Self::OCTETS]);

impl UnixPath {
    pub(super) const OCTETS: usize = 108;

    /// A path; `None` if it has more than 108 octets.
    pub fn new(path: &[u8]) -> Option<Self> {
        let mut octets = [0; Self::OCTETS];
        octets.get_mut(..path.len())?.copy_from_slice(path);
        Some(Self(octets))
    }

    /// The path, without what fills it up.
    pub fn as_bytes(&self) -> &[u8] {
        let filling = self.0.iter().rev().take_while(|b| **b == 0).count();
        &self.0[..Self::OCTETS - filling]
    }

    pub(super) fn octets(&self) -> &[u8; Self::OCTETS] {
        &self.0
    }
}

impl fmt::Debug for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl ProxyAddresses {
    /// How many octets they have in version 2.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Local | Self::Unknown => 0,
            Self::Inet { .. } => 12,
            Self::Inet6 { .. } => 36,
            Self::Unix { .. } => 2 * UnixPath::OCTETS,
        }
    }

    pub(super) fn without_scope(self) -> Self {
        let plain = |address: SocketAddrV6| SocketAddrV6::new(*address.ip(), address.port(), 0, 0);
        match self {
            Self::Inet6 { transport, source, destination } => {
                Self::Inet6 { transport, source: plain(source), destination: plain(destination) }
            }
            other => other,
        }
    }
}
