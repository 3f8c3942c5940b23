//! Which certificates of clients are believed.

use std::{path::PathBuf, sync::Arc};

use hikyaku_session::Certificate;
use ring::digest;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, TrustAnchor, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{TlsError, names, provider, read_certificates};

/// Which certificates of clients are believed.
///
/// Clients are asked for a certificate only if there are authorities or pins. Then any is taken,
/// its owner must prove to have the key, and one that is not to be believed is as none: it has
/// expired, is of another authority, is for another use, is an authority's own, or names neither
/// a host nor a mail address (the subject's common name is no name).
///
/// # Incomplete support
/// Certificates are not looked up in lists of those that were revoked: remove the pin, or the
/// authority. A change of the file of authorities needs a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM file of the authorities; the names in certificates that they have signed are believed.
    pub authorities: Option<PathBuf>,
    /// SHA-256 of the public keys (SPKI) that are believed whoever has signed them, and whatever
    /// else their certificates say.
    pub pins: Vec<[u8; 32]>,
    /// Whether a certificate is believed that is for servers only (extended key usage): public
    /// authorities no longer sign any for clients.
    pub allow_server_certificates: bool,
}

#[derive(Debug)]
pub(super) struct Clients {
    anchors: Vec<TrustAnchor<'static>>,
    pins: Vec<[u8; 32]>,
    usages: &'static [KeyUsage],
    algorithms: WebPkiSupportedAlgorithms,
}

impl Clients {
    pub(super) fn read(clients: &ClientCertificates) -> Result<Self, TlsError> {
        let mut anchors = Vec::new();
        if let Some(path) = &clients.authorities {
            for (index, certificate) in read_certificates(path)?.iter().enumerate() {
                let anchor = anchor_from_trusted_cert(certificate).map_err(|error| {
                    TlsError::new(path, format_args!("certificate {} cannot be used: {error}", index + 1))
                })?;
                anchors.push(anchor.to_owned());
            }
        }
        let usages: &[KeyUsage] = match clients.allow_server_certificates {
            true => const { &[KeyUsage::client_auth(), KeyUsage::server_auth()] },
            false => const { &[KeyUsage::client_auth()] },
        };
        let algorithms = provider().signature_verification_algorithms;
        Ok(Self { anchors, pins: clients.pins.clone(), usages, algorithms })
    }

    /// Whether clients are asked for a certificate at all.
    pub(super) fn are_asked(&self) -> bool {
        !(self.anchors.is_empty() && self.pins.is_empty())
    }

    /// What the chain of a client shows, which has proved to have the key of the first.
    pub(super) fn believe(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Option<Certificate> {
        let (own, others) = chain.split_first()?;
        let certificate = EndEntityCert::try_from(own).ok()?;
        let spki = spki(&certificate);
        let is_signed = self.usages.iter().any(|usage| {
            let path =
                certificate.verify_for_usage(self.algorithms.all, &self.anchors, others, now, *usage, None, None);
            path.is_ok()
        });
        let names = if is_signed { names::of(&certificate) } else { Vec::new() };
        let is_known = !names.is_empty() || self.pins.contains(&spki);
        is_known.then_some(Certificate { spki, names })
    }
}

/// SHA-256 of the public key of a certificate, with its algorithm (RFC 5280 §4.1.2.7).
pub(crate) fn spki(certificate: &EndEntityCert<'_>) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, &certificate.subject_public_key_info());
    digest.as_ref().try_into().expect("SHA-256 gives 32 octets")
}

/// Takes any certificate, if its owner proves to have the key; [`Clients::believe`] judges it.
#[derive(Debug)]
pub(super) struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyClient {
    pub(super) fn new(provider: &Arc<CryptoProvider>) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // Without hints every client sends what it has, and a pinned key may be of anybody.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match is_readable(certificate) {
            true => verify_tls12_signature(message, certificate, signed, &self.algorithms),
            false => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match is_readable(certificate) {
            true => verify_tls13_signature(message, certificate, signed, &self.algorithms),
            false => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A certificate that cannot be read, such as one of version 1, shows nothing and so need prove
/// nothing: [`Clients::believe`] reads it in the same way and takes it as none.
fn is_readable(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok()
}

#[cfg(test)]
mod tests;
