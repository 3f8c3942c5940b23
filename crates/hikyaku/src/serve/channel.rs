//! A connection before, during and after its TLS handshake.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::Stream;

/// What octets go through. Once a handshake has begun nothing leads back to the stream itself:
/// what comes in clear text after it can never be read.
pub(super) enum Channel<S> {
    Plain(S),
    Tls(Box<TlsStream<S>>),
    /// The handshake has the stream, or has failed.
    Taken,
}

impl<S: Stream> Channel<S> {
    /// The stream in clear text, which this no longer has; none if there was a handshake before.
    pub(super) fn take(&mut self) -> Option<S> {
        match std::mem::replace(self, Self::Taken) {
            Self::Plain(io) => Some(io),
            Self::Tls(_) | Self::Taken => None,
        }
    }

    fn io(&mut self) -> io::Result<Pin<&mut dyn Duplex>> {
        match self {
            Self::Plain(io) => Ok(Pin::new(io)),
            Self::Tls(io) => Ok(Pin::new(io.as_mut())),
            Self::Taken => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// Both directions of either stream.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl<S: Stream> AsyncRead for Channel<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_read(cx, buf)
    }
}

impl<S: Stream> AsyncWrite for Channel<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_shutdown(cx)
    }
}
