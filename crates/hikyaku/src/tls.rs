//! TLS for listeners: certificates, client certificates, ALPN, tickets.

use std::{io, path::PathBuf, sync::Arc};

use hikyaku_session::Tls;

use crate::Stream;

/// A certificate chain and its key, as PEM files; without names it is the one for clients that
/// name no host, or one that is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The host names (RFC 6066 §3) that it is for.
    pub names: Vec<Box<str>>,
    /// The chain, the host's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The certificates of all listeners; they can be read anew while connections run.
#[derive(Debug)]
pub struct Certificates {}

/// Which certificates of clients are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM file of the authorities; the names in certificates that they have signed are believed.
    pub authorities: Option<PathBuf>,
    /// SHA-256 of the public keys (SPKI) that are believed whoever has signed them.
    pub pins: Vec<[u8; 32]>,
    /// Whether a certificate is believed that is for servers only (extended key usage).
    pub allow_server_certificates: bool,
}

/// Why TLS cannot be set up: it names the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct TlsError {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

/// TLS for one listener; tickets are good at this listener only.
#[derive(Clone, Debug)]
pub struct ServerTls {}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Arc<Self>, TlsError> {
        let _ = files;
        unimplemented!()
    }

    /// Reads the files anew; what runs keeps what it has, and if a file is wrong everything stays.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn reload(&self) -> Result<(), TlsError> {
        unimplemented!()
    }
}

impl ServerTls {
    /// TLS with these certificates.
    ///
    /// # Errors
    /// A file of authorities that cannot be read.
    pub fn new(certificates: Arc<Certificates>, clients: &ClientCertificates) -> Result<Self, TlsError> {
        let _ = (certificates, clients);
        unimplemented!()
    }

    /// Does the handshake.
    ///
    /// # Errors
    /// The handshake failed; the stream is gone with it.
    pub async fn accept<S: Stream>(&self, io: S) -> io::Result<(tokio_rustls::server::TlsStream<S>, Tls)> {
        let _ = io;
        unimplemented!()
    }
}
