//! TLS to the database, by rustls with ring.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::{PostgresConfig, PostgresError, TlsMode};

/// What TLS is done with; unused where the mode is `disable`.
pub(crate) fn client(config: &PostgresConfig) -> Result<ClientConfig, PostgresError> {
    let refused = |why: &str| PostgresError::Config(format!("TLS to the database: {why}"));
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error.to_string()))?;
    if config.tls != TlsMode::VerifyFull {
        let verifier = Arc::new(Unverified(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(config.ca.as_deref().unwrap_or_default()) {
        let certificate = certificate.map_err(|_| refused("`ca` holds no certificates in PEM form"))?;
        roots.add(certificate).map_err(|error| refused(&format!("a certificate of `ca`: {error}")))?;
    }
    if roots.is_empty() {
        return Err(refused("`ca` holds no certificates in PEM form"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// For `sslmode=require`: it stops who listens, not who stands in the middle.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_must_be_certificates() {
        let mut config = PostgresConfig::new("postgres://u@a.test/x?sslmode=verify-full").unwrap();
        for text in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            config.ca = Some(text.into());
            assert!(client(&config).is_err(), "{text}");
        }
        let key = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        config.ca = Some(key.cert.pem().into_bytes());
        assert!(client(&config).is_ok());
    }
}
