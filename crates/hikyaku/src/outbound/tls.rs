//! TLS towards a server.

use std::{fmt, io, path::Path, sync::Arc};

use hikyaku_session::{Certificate, Tls};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::SingleCertAndKey,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use webpki::EndEntityCert;

use crate::{
    CertificateFiles, Stream, TlsError,
    tls::{cipher_name, provider, read_certificates, read_certified, spki, version_name},
};

/// How the TLS handshake with one host is done: TLS 1.2 or 1.3, with ring's cryptography.
///
/// # Incomplete support
/// Certificates are not looked up in lists of those that were revoked. Neither DANE (RFC 7672)
/// nor MTA-STS (RFC 8461) is asked. As at a listener, an authentication is bound to the
/// connection with TLS 1.3 only.
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
        Self::new(host, Arc::new(AnyServer(provider())), false)
    }

    /// Takes a certificate that is for `host` and that one of the authorities in a PEM file has
    /// signed, such as Debian's `/etc/ssl/certs/ca-certificates.crt`; a certificate that nobody
    /// else has signed can be its own authority.
    ///
    /// # Errors
    /// `host` is neither a host name nor an IP address, or the file cannot be used.
    pub fn verified(host: &str, authorities: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(authorities)? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::new(authorities, format_args!("a certificate cannot be read: {error}")))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        Self::new(host, verifier.build().expect("there is an authority, and no list of revoked certificates"), true)
    }

    fn new(host: &str, verifier: Arc<dyn ServerCertVerifier>, verified: bool) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites of TLS 1.2 and of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), host: server_name(host)?, verified })
    }

    /// The same for another host.
    ///
    /// # Errors
    /// `host` is neither a host name nor an IP address.
    pub fn to(&self, host: &str) -> Result<Self, TlsError> {
        Ok(Self { host: server_name(host)?, ..self.clone() })
    }

    /// The same with a certificate of ours for servers that ask for one; the names of the files
    /// mean nothing here.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn presenting(&self, own: &CertificateFiles) -> Result<Self, TlsError> {
        let certified = read_certified(own, &provider())?;
        let mut config = ClientConfig::clone(self.connector.config());
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        // What another identity has begun is not to be resumed.
        config.resumption = Resumption::default();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), ..self.clone() })
    }

    pub(super) async fn connect<S: Stream>(&self, io: S) -> io::Result<(TlsStream<S>, Tls)> {
        let stream = self.connector.connect(self.host.clone(), io).await?;
        let tls = self.describe(&stream);
        Ok((stream, tls))
    }

    fn describe<S>(&self, stream: &TlsStream<S>) -> Tls {
        let connection = stream.get_ref().1;
        let version = connection.protocol_version();
        let exporter = (version == Some(ProtocolVersion::TLSv1_3))
            .then(|| connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok())
            .flatten();
        let host = self.host.to_str();
        let first = connection.peer_certificates().and_then(<[_]>::first).filter(|_| self.verified);
        let certificate = first.and_then(|certificate| {
            let spki = spki(&EndEntityCert::try_from(certificate).ok()?);
            Some(Certificate { spki, names: vec![host.to_ascii_lowercase().into()] })
        });
        Tls {
            version: version.map_or("", version_name).into(),
            cipher: connection.negotiated_cipher_suite().map_or_else(String::new, |s| cipher_name(s.suite())).into(),
            server_name: matches!(self.host, ServerName::DnsName(_)).then(|| host.as_ref().into()),
            exporter,
            certificate,
        }
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("host", &self.host).field("verified", &self.verified).finish_non_exhaustive()
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|_| TlsError::new(Path::new(host), "not a host name or an IP address"))
}

/// Asks of a certificate nothing but that the server has its key.
#[derive(Debug)]
pub(crate) struct AnyServer(pub(crate) Arc<CryptoProvider>);

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
