//! What the application says of a TLS handshake that it has done.

use std::fmt;

/// What a TLS handshake has come to (RFC 8446, RFC 5246).
///
/// The machine neither encrypts nor decrypts: at an `Upgrade` step the
/// application does the handshake and hands this over.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The version, such as `TLSv1.3`.
    pub version: Box<str>,
    /// The cipher suite by its registered name, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: Box<str>,
    /// The name that the client asked for (RFC 6066 §3).
    pub server_name: Option<Box<str>>,
    /// What binds an authentication to this connection: the exporter
    /// `EXPORTER-Channel-Binding` without a context, which is only unique since TLS 1.3, or with
    /// the extended master secret (RFC 9266 §3). Without it nothing that binds is offered.
    pub exporter: Option<[u8; 32]>,
    /// The other side's certificate, if it is one to be believed.
    pub certificate: Option<Certificate>,
}

/// A certificate whose owner has proved to have its key, and which is trusted: a
/// trusted authority has signed it, or its key is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the subject public key info (RFC 5280 §4.1.2.7).
    pub spki: [u8; 32],
    /// The DNS names and mail addresses that a trusted authority vouches for, in
    /// lower case; none if only the key is known.
    pub names: Vec<Box<str>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("version", &self.version)
            .field("cipher", &self.cipher)
            .field("server_name", &self.server_name)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}
