//! TLS for the client, which trusts one certificate and may have one.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Whom a client trusts, and who it is.
#[derive(Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

/// A certificate for a client that nobody has signed but itself, and its key.
pub(crate) struct Identity {
    pub(crate) pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Identity {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), der: certificate.der().clone(), key }
    }
}

impl Trust {
    /// Trusts the certificate of this file, for `localhost`.
    pub(crate) fn file(path: &Path, identity: Option<&Identity>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(path).expect("a certificate")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("the versions that ring has").with_root_certificates(roots);
        let config = match identity {
            Some(identity) => {
                let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
                builder.with_client_auth_cert(vec![identity.der.clone()], key).expect("a certificate and its key")
            }
            None => builder.with_no_client_auth(),
        };
        Self(Arc::new(config))
    }

    /// The handshake, and the exporter for channel bindings (RFC 9266).
    pub(crate) fn handshake(
        &self,
        mut socket: TcpStream,
    ) -> io::Result<(StreamOwned<ClientConnection, TcpStream>, [u8; 32])> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut connection = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        let exporter = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        Ok((StreamOwned::new(connection, socket), exporter.map_err(io::Error::other)?))
    }
}
