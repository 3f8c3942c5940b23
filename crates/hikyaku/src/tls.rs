//! TLS for listeners: certificates, certificates of clients, ALPN, tickets.

mod certificates;
mod clients;
pub(crate) mod names;
mod pin;
mod server;

use std::{fmt::Display, path::Path, sync::Arc};

use rustls::{
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject},
};

pub use certificates::{CertificateFiles, Certificates};
pub use clients::ClientCertificates;
pub use pin::{SpkiPin, SpkiPinError};
pub use server::ServerTls;
pub(crate) use {
    certificates::read as read_certified,
    clients::spki,
    server::{cipher_name, version_name},
};

/// Why TLS cannot be set up: it names the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct TlsError {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl TlsError {
    pub(crate) fn new(path: &Path, what: impl Display) -> Self {
        Self { path: path.display().to_string(), what: what.to_string() }
    }
}

/// The cryptography of all TLS: never the default of the process, which any crate may set.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates of a PEM file, at least one.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(path).map_err(|error| TlsError::new(path, error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| TlsError::new(path, format_args!("it is no PEM file: {error}")))?;
    if certificates.is_empty() {
        return Err(TlsError::new(path, "there is no certificate in it (`-----BEGIN CERTIFICATE-----`)"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod testing;
