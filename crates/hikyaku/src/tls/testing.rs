//! What the tests of this module share: certificates, and clients of rustls.

use std::{io, path::PathBuf, sync::Arc};

use hikyaku_session::Tls;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::{
    ClientConfig, Error,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio_rustls::{TlsConnector, client, server};

use crate::outbound::AnyServer;

use super::{CertificateFiles, Certificates, ClientCertificates, ServerTls, provider};

/// A certificate and its key.
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) pem: String,
    pub(super) key: KeyPair,
}

/// Somebody who signs certificates.
pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(super) fn authority(name: &str) -> Authority {
    CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap()
}

pub(super) fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

pub(super) fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.contains('@') {
            true => SanType::Rfc822Name((*name).try_into().unwrap()),
            false => SanType::DnsName((*name).try_into().unwrap()),
        })
        .collect();
    params
}

pub(super) fn client_params(names: &[&str]) -> CertificateParams {
    let mut params = params(names);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(super) fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 2, 1);
    params
}

impl Identity {
    pub(super) fn self_signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    pub(super) fn signed_by(params: CertificateParams, authority: &Authority) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        Self { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    pub(super) fn write(&self, folder: &Folder, stem: &str) -> (PathBuf, PathBuf) {
        let cert = folder.write(&format!("{stem}.cert.pem"), &self.pem);
        let key = folder.write(&format!("{stem}.key.pem"), &self.key.serialize_pem());
        (cert, key)
    }
}

/// Files that are removed at the end of the test.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A certificate for the names, in files.
    pub(super) fn certificate(&self, names: &[&str]) -> (Identity, CertificateFiles) {
        let identity = Identity::self_signed(params(names));
        let (cert, key) = identity.write(self, names.first().copied().unwrap_or("default"));
        let names = names.iter().map(|name| Box::from(*name)).collect();
        (identity, CertificateFiles { names, cert, key })
    }
}

/// A server with one certificate for everybody, and its files.
pub(super) fn server(clients: &ClientCertificates) -> ServerTls {
    let folder = Folder::new();
    let (_, mut files) = folder.certificate(&["mx.example.org"]);
    files.names.clear();
    ServerTls::new(Certificates::load(vec![files]).unwrap(), clients).unwrap()
}

/// A client without a certificate.
pub(super) fn client() -> ClientConfig {
    client_with_versions(rustls::DEFAULT_VERSIONS)
}

pub(super) fn client_with_versions(versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    builder(versions).with_no_client_auth()
}

/// A client that shows this chain, and has the key of its first.
pub(super) fn client_as(identity: &Identity, others: &[CertificateDer<'static>]) -> ClientConfig {
    let chain = [std::slice::from_ref(&identity.certificate), others].concat();
    builder(rustls::DEFAULT_VERSIONS).with_client_auth_cert(chain, identity.key()).unwrap()
}

pub(super) fn builder(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider())))
}

/// Both ends after a handshake.
pub(super) struct Connected {
    pub(super) client: client::TlsStream<DuplexStream>,
    pub(super) server: server::TlsStream<DuplexStream>,
    pub(super) tls: Tls,
}

impl Connected {
    pub(super) fn server_certificate(&self) -> &CertificateDer<'static> {
        &self.client.get_ref().1.peer_certificates().unwrap()[0]
    }
}

pub(super) async fn connect(server: &ServerTls, client: ClientConfig, name: &str) -> Connected {
    let (client, server) = handshake(server, client, name).await;
    let (client, (server, tls)) = (client.unwrap(), server.unwrap());
    Connected { client, server, tls }
}

pub(super) type ServerEnd = io::Result<(server::TlsStream<DuplexStream>, Tls)>;

pub(super) async fn handshake(
    server: &ServerTls,
    client: impl Into<Arc<ClientConfig>>,
    name: &str,
) -> (io::Result<client::TlsStream<DuplexStream>>, ServerEnd) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(client.into());
    tokio::join!(connector.connect(name, near), server.accept(far))
}

/// The error of rustls in an error of a stream.
pub(super) fn cause(error: &io::Error) -> &Error {
    error.get_ref().and_then(|error| error.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}
