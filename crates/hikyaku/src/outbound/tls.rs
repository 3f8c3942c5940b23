//! TLS towards a server.

use std::{path::Path, sync::Arc};

use hikyaku_session::{Certificate, Tls};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use webpki::EndEntityCert;

use crate::{Stream, TlsError};

/// How the TLS handshake with one host is done: TLS 1.2 or 1.3, with ring's cryptography.
#[derive(Clone)]
pub struct ClientTls {
    connector: TlsConnector,
    host: ServerName<'static>,
    verified: bool,
}

impl ClientTls {
    /// Takes any certificate: what is sent is hidden from who only listens, and from nobody who
    /// stands between.
    ///
    /// # Errors
    /// `host` is neither a host name nor an IP address.
    pub fn unverified(host: &str) -> Result<Self, TlsError> {
        let host = server_name(host)?;
        Ok(Self { connector: connector(Arc::new(AnyServer(provider()))), host, verified: false })
    }

    /// Takes a certificate that is for `host` and that one of the authorities in a PEM file has
    /// signed, such as Debian's `/etc/ssl/certs/ca-certificates.crt`; a certificate that signs
    /// itself is its own authority.
    ///
    /// # Errors
    /// `host` is neither a host name nor an IP address, or the file cannot be used.
    pub fn verified(host: &str, authorities: &Path) -> Result<Self, TlsError> {
        let host = server_name(host)?;
        let wrong = |what: String| TlsError { path: authorities.display().to_string(), what };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authorities).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let verifier = verifier.map_err(|_| wrong("no certificate in it".to_owned()))?;
        Ok(Self { connector: connector(verifier), host, verified: true })
    }

    /// The same for another host.
    ///
    /// # Errors
    /// `host` is neither a host name nor an IP address.
    pub fn to(&self, host: &str) -> Result<Self, TlsError> {
        Ok(Self { host: server_name(host)?, ..self.clone() })
    }

    /// Does the handshake; the error says what went wrong.
    pub(super) async fn connect<S: Stream>(&self, io: S) -> Result<(TlsStream<S>, Tls), std::io::Error> {
        let stream = self.connector.connect(self.host.clone(), io).await?;
        let tls = self.facts(&stream);
        Ok((stream, tls))
    }

    fn facts<S>(&self, stream: &TlsStream<S>) -> Tls {
        let connection = stream.get_ref().1;
        let version = connection.protocol_version();
        // Of TLS 1.2 nobody here can say whether it has the extended master secret, without
        // which its exporter binds nothing (RFC 9266 §4.2).
        let exporter = match version {
            Some(ProtocolVersion::TLSv1_3) => {
                connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
            }
            _ => None,
        };
        let own = connection.peer_certificates().and_then(<[_]>::first).filter(|_| self.verified);
        Tls {
            version: version.and_then(|version| Some(version.as_str()?.replace('_', "."))).unwrap_or_default().into(),
            cipher: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or_default()
                .into(),
            server_name: Some(self.host.to_str().into()),
            exporter,
            certificate: own.and_then(|certificate| {
                let spki = EndEntityCert::try_from(certificate).ok()?.subject_public_key_info();
                let digest = ::ring::digest::digest(&::ring::digest::SHA256, &spki);
                let spki = digest.as_ref().try_into().ok()?;
                Some(Certificate { spki, names: vec![self.host.to_str().to_ascii_lowercase().into()] })
            }),
        }
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("host", &self.host).field("verified", &self.verified).finish_non_exhaustive()
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|_| TlsError { path: host.to_owned(), what: "not a host name or IP address".to_owned() })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn connector(verifier: Arc<dyn ServerCertVerifier>) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Asks of a certificate nothing but that the server has its key.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
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
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
