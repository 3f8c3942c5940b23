//! Where connections come from: TCP and Unix sockets.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr};

use hikyaku_session::server::Peer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
};

/// What a conversation needs of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// Where to listen: `ip:port`, `[::]:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port on an address.
    Tcp(SocketAddr),
    /// A Unix socket at a path.
    Unix(PathBuf),
}

/// The text is no address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address of the form `ip:port`, `[::]:port` or `unix:/path`")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(AddressError),
            None => text.parse().map(Self::Tcp).map_err(|_| AddressError),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens on `address`. A Unix socket that a process left behind is replaced.
    ///
    /// # Errors
    /// What the operating system says, such as that the port is in use.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let (socket, address) = match address {
            Address::Tcp(wanted) => {
                let socket = TcpListener::bind(wanted).await?;
                let address = Address::Tcp(socket.local_addr()?);
                (Socket::Tcp(socket), address)
            }
            Address::Unix(path) => {
                let socket = match UnixListener::bind(path) {
                    Err(e) if e.kind() == io::ErrorKind::AddrInUse && UnixStream::connect(path).await.is_err() => {
                        tokio::fs::remove_file(path).await?;
                        UnixListener::bind(path)?
                    }
                    other => other?,
                };
                (Socket::Unix(socket), Address::Unix(path.clone()))
            }
        };
        Ok(Self { socket, address })
    }

    /// The address, with the port that was chosen if 0 was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection.
    ///
    /// # Errors
    /// There cannot be one now: the process or the system has no file descriptor left, or no
    /// memory. What is wrong with one connection is no error.
    pub async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        loop {
            match self.try_accept().await {
                Err(error) if is_of_one_connection(&error) => {}
                other => return other,
            }
        }
    }

    async fn try_accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                // A reply is one write; waiting for more to come only delays it. Where it fails
                // the peer has gone, which the conversation will find out.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Peer { address: Some(address.ip().to_canonical()), port: address.port() }))
            }
            Socket::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Box::new(stream), Peer::default()))
            }
        }
    }
}

/// What is wrong with the connection that was to be accepted, and not with the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // Nobody listens any more; if it cannot be removed, the next start replaces it.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_one_connection() {
        // ECONNABORTED, ECONNRESET and EINTR; EMFILE, ENFILE, ENOBUFS and ENOMEM.
        for (number, of_one) in
            [(103, true), (104, true), (4, true), (24, false), (23, false), (105, false), (12, false)]
        {
            assert_eq!(is_of_one_connection(&io::Error::from_raw_os_error(number)), of_one, "{number}");
        }
    }

    #[test]
    fn addresses_print_what_they_parse() {
        for text in ["127.0.0.1:2525", "[::]:25", "unix:/run/relay.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "25", "localhost:25", "127.0.0.1", "unix:", "unix:relative", "127.0.0.1:65536"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
        }
    }
}
