use std::sync::Arc;

use rustls::{
    AlertDescription, Error, HandshakeKind, InvalidMessage, PeerIncompatible,
    client::{Resumption, Tls12Resumption},
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::tls::testing::{
    Connected, ServerEnd, cause, client, client_with_versions, connect, handshake, server as server_for,
};

const NAME: &str = "mx.example.org";

fn server() -> ServerTls {
    server_for(&ClientCertificates::default())
}

#[tokio::test]
async fn the_handshake_is_described() {
    for (version, name, cipher, binds) in [
        (&TLS13, "TLSv1.3", "TLS_AES_256_GCM_SHA384", true),
        (&TLS12, "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", false),
    ] {
        let Connected { client, server: _server, tls } =
            connect(&server(), client_with_versions(&[version]), NAME).await;
        let exporter =
            client.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
        assert_eq!(
            tls,
            Tls {
                version: name.into(),
                cipher: cipher.into(),
                server_name: Some(NAME.into()),
                exporter: binds.then_some(exporter),
                certificate: None,
            },
        );
    }
}

#[tokio::test]
async fn no_two_connections_have_the_same_exporter() {
    let server = server();
    let first = connect(&server, client(), NAME).await.tls.exporter;
    let second = connect(&server, client(), NAME).await.tls.exporter;
    assert!(first.is_some() && second.is_some() && first != second);
}

/// Reads until the tickets of TLS 1.3 are there, for the client to keep.
async fn take_tickets(connected: &mut Connected) {
    connected.server.write_all(b"220 ").await.unwrap();
    connected.server.flush().await.unwrap();
    connected.client.read_exact(&mut [0; 4]).await.unwrap();
}

#[tokio::test]
async fn c1_12_tickets_are_good_at_their_own_listener_only() {
    for version in [&TLS12, &TLS13] {
        let (one, other) = (server(), server());
        let mut config = client_with_versions(&[version]);
        config.resumption = Resumption::in_memory_sessions(8);
        let kind = |connected: &Connected| connected.server.get_ref().1.handshake_kind();
        let mut first = connect(&one, config.clone(), NAME).await;
        take_tickets(&mut first).await;
        assert_eq!(kind(&first), Some(HandshakeKind::Full));

        let mut at_other = connect(&other, config.clone(), NAME).await;
        assert_eq!(kind(&at_other), Some(HandshakeKind::Full), "{version:?}");
        take_tickets(&mut at_other).await;
        let again = connect(&other, config.clone(), NAME).await;
        assert_eq!(kind(&again), Some(HandshakeKind::Resumed), "{version:?}");
        assert_eq!(again.tls.cipher, at_other.tls.cipher);
        assert_eq!(again.tls.server_name.as_deref(), Some(NAME));
        assert!(again.tls.exporter != at_other.tls.exporter || *version == TLS12);
    }
}

#[tokio::test]
async fn one_ticket_for_a_connection() {
    let server = server();
    let mut config = client();
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let mut kinds = Vec::new();
    let (first, end) = handshake(&server, config.clone(), NAME).await;
    let mut first = Connected { client: first.unwrap(), server: end.unwrap().0, tls: Tls::default() };
    take_tickets(&mut first).await;
    for _ in 0..2 {
        let (_client, end) = handshake(&server, config.clone(), NAME).await;
        kinds.push(end.unwrap().0.get_ref().1.handshake_kind());
    }
    assert_eq!(kinds, [Some(HandshakeKind::Resumed), Some(HandshakeKind::Full)]);
}

#[tokio::test]
async fn without_a_ticket_nothing_is_resumed() {
    let server = server();
    let mut config = client_with_versions(&[&TLS12]);
    config.resumption = Resumption::in_memory_sessions(8).tls12_resumption(Tls12Resumption::SessionIdOnly);
    for _ in 0..2 {
        let mut connected = connect(&server, config.clone(), NAME).await;
        take_tickets(&mut connected).await;
        assert_eq!(connected.server.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn alpaca_other_protocols_are_refused() {
    for (offered, taken) in [
        (&["smtp"][..], true),
        (&["http/1.1", "smtp"], true),
        (&[], true),
        (&["http/1.1"], false),
        (&["h2", "http/1.1"], false),
        (&["imap"], false),
        (&["pop3"], false),
        (&["ftp"], false),
        (&["SMTP"], false),
        (&["smtp2"], false),
    ] {
        for version in [&TLS12, &TLS13] {
            let mut config = client_with_versions(&[version]);
            config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
            let (client, end) = handshake(&server(), config, NAME).await;
            assert_eq!((client.is_ok(), end.is_ok()), (taken, taken), "{offered:?}");
            match (client, end) {
                (Ok(client), Ok((server, _))) => {
                    let expected = (!offered.is_empty()).then_some(&b"smtp"[..]);
                    assert_eq!(client.get_ref().1.alpn_protocol(), expected);
                    assert_eq!(server.get_ref().1.alpn_protocol(), expected);
                }
                (client, end) => {
                    assert_eq!(cause(&end.unwrap_err()), &Error::NoApplicationProtocol);
                    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
                    assert_eq!(cause(&client.unwrap_err()), &alert);
                }
            }
        }
    }
}

/// What the server makes of these octets, and what it answers.
async fn answer(octets: &[u8]) -> (ServerEnd, Vec<u8>) {
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    near.write_all(octets).await.unwrap();
    let end = server().accept(far).await;
    let mut answer = Vec::new();
    if end.is_err() {
        near.read_to_end(&mut answer).await.unwrap();
    }
    (end, answer)
}

/// The octets of a ClientHello for this server name.
async fn hello(name: &str) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client()));
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let task = tokio::spawn(async move { connector.connect(name, near).await.map(|_| ()) });
    let mut head = [0; 5];
    far.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    far.read_exact(&mut body).await.unwrap();
    task.abort();
    [&head[..], &body].concat()
}

fn alert(description: AlertDescription) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, u8::from(description)]
}

#[tokio::test]
async fn c1_17_a_server_name_is_no_string_to_expand() {
    let good = hello("mx.example.orgx").await;
    for bad in
        [&b"mx.example.org\\"[..], b"mx.example.org\0", b"${run{/x}}.orgx", b"mx.example.org\n", b"mx.exa ple.orgx"]
    {
        let at = good.windows(15).position(|window| window == b"mx.example.orgx").unwrap();
        let mut octets = good.clone();
        octets[at..at + 15].copy_from_slice(bad);
        let (end, answer) = answer(&octets).await;
        let error = end.map(|(_, tls)| tls).unwrap_err();
        assert!(matches!(cause(&error), Error::PeerMisbehaved(_) | Error::InvalidMessage(_)), "{error:?}");
        assert!(answer.len() == 7 && answer[..5] == [21, 3, 3, 0, 2], "{answer:?}");
    }
}

#[tokio::test]
async fn versions_before_tls_1_2_are_refused() {
    for (minor, name) in [(0u8, "SSLv3"), (1, "TLSv1"), (2, "TLSv1.1")] {
        // Version, random, no session, AES_128_CBC_SHA of ECDHE_ECDSA and ECDHE_RSA, no compression,
        // and the signature algorithms that only newer clients name.
        let old = [&[3, minor][..], &[7; 32], &[0, 0, 4, 0xc0, 0x09, 0xc0, 0x13, 1, 0]].concat();
        let named = [&old[..], &[0, 8, 0, 13, 0, 4, 0, 2, 4, 3]].concat();
        for (body, reason, description) in [
            (old, PeerIncompatible::SignatureAlgorithmsExtensionRequired, AlertDescription::HandshakeFailure),
            (named, PeerIncompatible::Tls12NotOffered, AlertDescription::ProtocolVersion),
        ] {
            let length = u8::try_from(body.len()).unwrap();
            let octets = [&[22, 3, minor, 0, length + 4, 1, 0, 0, length][..], &body].concat();
            let (end, answer) = answer(&octets).await;
            let error = end.map(|(_, tls)| tls).unwrap_err();
            assert_eq!(cause(&error), &Error::PeerIncompatible(reason), "{name}");
            assert_eq!(answer, alert(description), "{name}");
        }
    }
}

#[tokio::test]
async fn opossum_plaintext_is_no_handshake() {
    for octets in [&b"EHLO client.example\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x80\x2e\x01\x00\x02"] {
        let (end, _) = answer(octets).await;
        let error = end.map(|(_, tls)| tls).unwrap_err();
        assert!(matches!(cause(&error), Error::InvalidMessage(_)), "{error:?}");
    }
    let (end, answer) = answer(b"EHLO client.example\r\n").await;
    assert_eq!(cause(&end.map(|_| ()).unwrap_err()), &Error::InvalidMessage(InvalidMessage::InvalidContentType));
    assert_eq!(answer, alert(AlertDescription::DecodeError));
}

#[tokio::test]
async fn a_client_that_goes_during_the_handshake_is_an_error() {
    let octets = hello(NAME).await;
    for cut in [0, 1, 5, octets.len() / 2, octets.len() - 1, octets.len()] {
        let (mut near, far) = tokio::io::duplex(64 * 1024);
        near.write_all(&octets[..cut]).await.unwrap();
        near.shutdown().await.unwrap();
        let error = server().accept(far).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut}");
    }
}

/// The server's end, and below TLS the client's.
async fn connect_raw() -> (TlsStream<DuplexStream>, tokio_rustls::client::TlsStream<DuplexStream>) {
    let Connected { client, server, .. } = connect(&server(), client(), NAME).await;
    (server, client)
}

#[tokio::test]
async fn c1_13_after_close_notify_nothing_is_read() {
    let (mut server, mut client) = connect_raw().await;
    client.write_all(b"Subject: half").await.unwrap();
    client.flush().await.unwrap();
    let (raw, connection) = client.get_mut();
    connection.send_close_notify();
    let mut octets = Vec::new();
    connection.write_tls(&mut octets).unwrap();
    raw.write_all(&octets).await.unwrap();
    raw.write_all(b".\r\nMAIL FROM:<a@example.org>\r\n").await.unwrap();

    let mut body = Vec::new();
    server.read_to_end(&mut body).await.unwrap();
    assert_eq!(body, b"Subject: half");
    // And not at the next try either.
    assert_eq!(server.read(&mut [0; 64]).await.unwrap(), 0);
}

#[tokio::test]
async fn c1_13_an_end_without_close_notify_is_an_error() {
    let (mut server, mut client) = connect_raw().await;
    client.write_all(b"Subject: half").await.unwrap();
    client.flush().await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    let mut body = Vec::new();
    let error = server.read_to_end(&mut body).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(body, b"Subject: half");
}

#[tokio::test]
async fn c1_13_plaintext_in_the_middle_is_an_error() {
    let (mut server, mut client) = connect_raw().await;
    client.write_all(b"Subject: half").await.unwrap();
    client.flush().await.unwrap();
    client.get_mut().0.write_all(b".\r\nMAIL FROM:<a@example.org>\r\n").await.unwrap();
    let mut body = Vec::new();
    let error = server.read_to_end(&mut body).await.unwrap_err();
    assert_eq!(cause(&error), &Error::InvalidMessage(InvalidMessage::InvalidContentType));
    // What was sent under TLS may still come, but nothing else.
    for _ in 0..4 {
        let mut more = [0; 64];
        let length = now_or_never(server.read(&mut more)).map_or(0, |read| read.unwrap_or(0));
        body.extend_from_slice(&more[..length]);
    }
    assert_eq!(body, b"Subject: half");
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_writer() {
    let (mut server, _client) = connect_raw().await;
    let mut taken = 0;
    let piece = [b'x'; 1024];
    // The pipe between the two holds 64 KiB, whoever waits for it.
    while let Some(result) = now_or_never(server.write(&piece)) {
        taken += result.unwrap();
        assert!(taken <= 64 * 1024 + WAITING, "{taken}");
    }
    assert!(taken >= 64 * 1024 / 2, "{taken}");
}

/// What the future gives at its first poll.
fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn debug_shows_no_secrets() {
    let pins = vec![[7; 32]];
    let text = format!("{:?}", server_for(&ClientCertificates { pins, ..ClientCertificates::default() }));
    assert!(text.starts_with("ServerTls { clients: Clients {") && !text.contains("key"), "{text}");
}
