//! The server's side of the handshake.

use std::{fmt, io, sync::Arc};

use hikyaku_session::Tls;
use rustls::{
    CipherSuite, ProtocolVersion, ServerConfig, ServerConnection,
    crypto::ring::Ticketer,
    pki_types::UnixTime,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Certificates, ClientCertificates, TlsError,
    clients::{AnyClient, Clients},
    provider,
};
use crate::Stream;

/// The one protocol that is spoken here: no ALPN name of SMTP is registered, and this is the one
/// in use.
const ALPN: &[u8] = b"smtp";

/// Octets that wait for a client that does not read; beyond, writing waits.
const WAITING: usize = 16 * 1024;

/// TLS for one listener; tickets are good at this listener only.
///
/// TLS 1.2 and TLS 1.3 (RFC 8996), without early data and without renegotiation. A client that
/// offers protocols (ALPN, RFC 7301) must offer `smtp` among them: one that wants to speak HTTP
/// or IMAP is refused, so that nobody can pass off a session of the one as the other's. The key
/// exchanges are X25519, P-256 and P-384.
///
/// # Incomplete support
/// The exporter that binds an authentication to the connection (RFC 9266) is there with TLS 1.3
/// only: with TLS 1.2 it is safe only with the extended master secret (RFC 7627), and rustls does
/// not say whether that was agreed on.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    clients: Arc<Clients>,
}

impl ServerTls {
    /// TLS with these certificates.
    ///
    /// # Errors
    /// A file of authorities that cannot be read.
    pub fn new(certificates: Arc<Certificates>, clients: &ClientCertificates) -> Result<Self, TlsError> {
        let clients = Clients::read(clients)?;
        let provider = provider();
        let verifier = match clients.are_asked() {
            true => Arc::new(AnyClient::new(&provider)),
            false => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites of TLS 1.2 and of TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Keys of its own, so that no ticket of another listener, with other rules, is taken; and
        // nothing is kept for clients that went away.
        config.ticketer = Ticketer::new()
            .map_err(|error| TlsError { path: "TLS".to_owned(), what: format!("no random octets: {error}") })?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // One connection after the other is what mail clients need tickets for.
        config.send_tls13_tickets = 1;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), clients: Arc::new(clients) })
    }

    /// Does the handshake. A certificate of the client that is not to be believed is as none.
    ///
    /// Waits for the client as long as it takes: the caller limits that.
    ///
    /// # Errors
    /// The handshake failed; the stream is gone with it.
    pub async fn accept<S: Stream>(&self, io: S) -> io::Result<(TlsStream<S>, Tls)> {
        let limit = |connection: &mut ServerConnection| connection.set_buffer_limit(Some(WAITING));
        let stream = self.acceptor.accept_with(io, limit).await?;
        let tls = self.describe(stream.get_ref().1);
        Ok((stream, tls))
    }

    fn describe(&self, connection: &ServerConnection) -> Tls {
        let version = connection.protocol_version();
        let exporter = (version == Some(ProtocolVersion::TLSv1_3))
            .then(|| connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok())
            .flatten();
        // Of a session that is resumed, too: what was believed then need not be believed now.
        let certificate = connection.peer_certificates().and_then(|chain| self.clients.believe(chain, UnixTime::now()));
        Tls {
            version: version.map_or("", version_name).into(),
            cipher: connection.negotiated_cipher_suite().map_or_else(String::new, |s| cipher_name(s.suite())).into(),
            server_name: connection.server_name().map(Into::into),
            exporter,
            certificate,
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("clients", &self.clients).finish_non_exhaustive()
    }
}

pub(crate) fn version_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "",
    }
}

/// The registered name; rustls has names of its own for those of TLS 1.3.
pub(crate) fn cipher_name(suite: CipherSuite) -> String {
    suite.as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1)
}

#[cfg(test)]
impl ServerTls {
    /// As if all authorities and pins were gone, with the tickets still good.
    pub(super) fn forget_clients(&mut self) {
        let nobody = Clients::read(&ClientCertificates::default());
        self.clients = Arc::new(nobody.expect("nothing is read"));
    }
}

#[cfg(test)]
mod tests;
