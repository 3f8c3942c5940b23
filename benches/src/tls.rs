//! Clients that speak TLS, and believe any certificate: what is measured is not who it is.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

/// What all clients share.
///
/// # Panics
/// The provider lacks a version of TLS.
pub fn config() -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring has TLS 1.2 and 1.3");
    let any = Arc::new(AnyCertificate(provider));
    Arc::new(config.dangerous().with_custom_certificate_verifier(any).with_no_client_auth())
}

/// Connects and does the handshake.
///
/// # Errors
/// As the system or TLS says.
///
/// # Panics
/// `localhost` is no name.
pub fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Reads one reply whole, and nothing behind it; the code.
///
/// # Errors
/// The stream ended or failed, or it was no reply.
pub fn reply(stream: &mut impl Read) -> io::Result<u16> {
    let (mut line, mut octet) = (Vec::new(), [0]);
    loop {
        stream.read_exact(&mut octet)?;
        line.extend_from_slice(&octet);
        if octet[0] == b'\n' {
            let text = String::from_utf8_lossy(&line);
            let code = text.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| io::Error::other(format!("not a reply: {text:?}")))?;
            if line.get(3) != Some(&b'-') {
                return Ok(code);
            }
            line.clear();
        }
    }
}

/// Sends a line and reads the reply; it must have this code.
///
/// # Errors
/// As of [`reply`], or another code.
pub fn command(stream: &mut (impl Read + Write), line: &str, code: u16) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    stream.flush()?;
    expect(stream, code)
}

/// Reads a reply, which must have this code.
///
/// # Errors
/// As of [`reply`], or another code.
pub fn expect(stream: &mut impl Read, code: u16) -> io::Result<()> {
    match reply(stream)? {
        said if said == code => Ok(()),
        said => Err(io::Error::other(format!("{said} in the place of {code}"))),
    }
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
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
