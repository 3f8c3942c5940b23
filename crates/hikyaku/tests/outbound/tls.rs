use hikyaku::session::client::{By, TlsMode};

use super::*;

const MAIL: &[u8] = b"Subject: x\r\n\r\n.x\r\n";

fn handshake(error: OpenError) -> String {
    let OpenError::Handshake(outcome) = error else { panic!("{error:?}") };
    assert_eq!(outcome.by, By::Us);
    outcome.reply.to_string()
}

fn refused(error: OpenError) -> String {
    let OpenError::Refused(outcome) = error else { panic!("{error:?}") };
    outcome.reply.to_string()
}

#[tokio::test]
async fn each_mechanism_sends_a_mail_under_tls() {
    for (server_mode, mode) in [
        (server::TlsMode::StartTls, TlsMode::StartTls),
        (server::TlsMode::Required, TlsMode::Required),
        (server::TlsMode::Implicit, TlsMode::Implicit),
    ] {
        for mechanism in Mechanism::ALL {
            let server = Server::start(server_mode, &[mechanism]).await;
            let credentials = match mechanism {
                Mechanism::External => Credentials::Certificate,
                Mechanism::OAuthBearer | Mechanism::XOAuth2 => {
                    Credentials::Token { user: "user".into(), token: Password::new("token") }
                }
                _ => password("pencil"),
            };
            let tls = server.verified().presenting(&server.client).unwrap();
            let connection = open(&server.target, mode, Some(&tls)).await.unwrap();
            let connection = connection.authenticate(&credentials).await.unwrap();
            let seen = connection.tls().unwrap().clone();
            assert!(send(connection, Bytes::from_static(MAIL)).await.is_delivered(), "{mechanism}");
            let taken = server.taken();
            let [(user, tls, text)] = &taken[..] else { panic!("{taken:?}") };
            assert_eq!((user.as_deref(), &text[..]), (Some("user"), MAIL), "{mechanism}");
            // Both sides have the same to bind to.
            let tls = tls.as_ref().unwrap();
            assert!(seen.exporter.is_some() && seen.exporter == tls.exporter);
            assert_eq!((&*seen.version, &seen.version, &seen.cipher), ("TLSv1.3", &tls.version, &tls.cipher));
            assert_eq!(tls.server_name.as_deref(), Some("mx.test"));
            assert_eq!(seen.certificate.unwrap().names, [Box::from("mx.test")]);
        }
    }
}

#[tokio::test]
async fn a_large_message_arrives_whole() {
    let server = Server::start(server::TlsMode::Implicit, &[]).await;
    let text: String = (0..60_000).map(|line| format!(".{line} of many lines\r\n")).collect();
    let connection = open(&server.target, TlsMode::Implicit, Some(&server.verified())).await.unwrap();
    assert!(send(connection, text.clone().into()).await.is_delivered());
    assert!(server.taken()[0].2 == text.as_bytes());
}

#[tokio::test]
async fn c1_30_a_certificate_for_another_name_is_refused() {
    for mode in [server::TlsMode::StartTls, server::TlsMode::Implicit] {
        let server = Server::start(mode, &[]).await;
        let mode = if mode == server::TlsMode::Implicit { TlsMode::Implicit } else { TlsMode::Required };
        for host in ["another.test", "x.mx.test", "127.0.0.1"] {
            let tls = server.verified().to(host).unwrap();
            let error = handshake(open(&server.target, mode, Some(&tls)).await.err().unwrap());
            assert!(error.starts_with("454 4.7.5 TLS handshake failed: "), "{error}");
            assert!(error.contains("not valid for name"), "{error}");
        }
        // The case does not matter, nor does a dot at the end.
        for host in ["MX.test", "mx.test."] {
            let tls = server.verified().to(host).unwrap();
            open(&server.target, mode, Some(&tls)).await.unwrap().quit().await;
        }
        assert!(server.taken().is_empty());
    }
}

#[tokio::test]
async fn an_authority_that_is_not_believed_is_refused() {
    let server = Server::start(server::TlsMode::StartTls, &[]).await;
    let tls = ClientTls::verified("mx.test", &server.stranger()).unwrap();
    for mode in [TlsMode::Required, TlsMode::StartTls] {
        let error = handshake(open(&server.target, mode, Some(&tls)).await.err().unwrap());
        assert!(error.contains("invalid peer certificate: "), "{error}");
    }
    // Who takes any certificate is not told that it is anybody's.
    let any = ClientTls::unverified("another.test").unwrap();
    let connection = open(&server.target, TlsMode::StartTls, Some(&any)).await.unwrap();
    assert_eq!(connection.tls().unwrap().certificate, None);
    assert!(send(connection, Bytes::from_static(MAIL)).await.is_delivered());
    assert!(server.taken()[0].1.is_some());
}

#[tokio::test]
async fn d77_no_password_goes_to_who_has_not_shown_who_it_is() {
    let server = Server::start(server::TlsMode::StartTls, &[Mechanism::Plain, Mechanism::ScramSha256Plus]).await;
    let any = ClientTls::unverified("mx.test").unwrap();
    let connection = open(&server.target, TlsMode::Required, Some(&any)).await.unwrap();
    let outcome = connection.authenticate(&password("pencil")).await.err().unwrap();
    assert!(outcome.reply.to_string().starts_with("454 4.7.5 "), "{:?}", outcome.reply);
}

#[tokio::test]
async fn without_tls_it_is_only_sent_where_that_is_allowed() {
    let server = Server::start(server::TlsMode::Off, &[Mechanism::Plain]).await;
    let tls = server.verified();
    let error = refused(open(&server.target, TlsMode::Required, Some(&tls)).await.err().unwrap());
    assert_eq!(error, "454 4.7.4 TLS is demanded, and the remote does not offer it");
    let connection = open(&server.target, TlsMode::StartTls, Some(&tls)).await.unwrap();
    assert_eq!(connection.tls(), None);
    assert!(send(connection, Bytes::from_static(MAIL)).await.is_delivered());
    // D77: but no password.
    let connection = open(&server.target, TlsMode::StartTls, Some(&tls)).await.unwrap();
    let outcome = connection.authenticate(&password("pencil")).await.err().unwrap();
    assert_eq!(outcome.reply.to_string(), "454 4.7.11 credentials are not sent without TLS");
}

#[tokio::test]
async fn a_handshake_that_nobody_has_set_up_fails() {
    let server = Server::start(server::TlsMode::StartTls, &[]).await;
    let error = handshake(open(&server.target, TlsMode::StartTls, None).await.err().unwrap());
    assert_eq!(error, "454 4.7.5 TLS handshake failed: it is not said which certificates are believed");
}

#[tokio::test]
async fn a_wrong_password_is_the_servers_word() {
    for mechanism in [Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login] {
        let server = Server::start(server::TlsMode::Implicit, &[mechanism]).await;
        let connection = open(&server.target, TlsMode::Implicit, Some(&server.verified())).await.unwrap();
        let outcome = connection.authenticate(&password("wrong")).await.err().unwrap();
        assert_eq!((outcome.by, outcome.reply.code().as_u16()), (By::Remote, 535), "{mechanism}");
    }
}

#[tokio::test]
async fn c2_plain_text_behind_the_220_is_an_attack() {
    const PARTS: &[&str] = &["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n250-AUTH PLAIN\r\n"];
    let (address, talk) = scripted(PARTS).await;
    let tls = ClientTls::unverified("mx.test").unwrap();
    let error = open(&Target::Tcp(address), TlsMode::StartTls, Some(&tls)).await.err().unwrap();
    assert_eq!(refused(error), "454 4.7.5 plain text where TLS is due");
    assert_eq!(String::from_utf8(talk.await.unwrap()).unwrap(), "EHLO relay.test\r\nSTARTTLS\r\n");
}

#[tokio::test]
async fn c2_a_banner_before_implicit_tls_is_no_handshake() {
    let (address, talk) = scripted(&["220 mx ESMTP\r\n"]).await;
    let tls = ClientTls::unverified("mx.test").unwrap();
    let error = handshake(open(&Target::Tcp(address), TlsMode::Implicit, Some(&tls)).await.err().unwrap());
    assert!(error.starts_with("454 4.7.5 TLS handshake failed: "), "{error}");
    // Nothing but TLS was said: a record of a handshake, then of an alert.
    let heard = talk.await.unwrap();
    assert!(heard.starts_with(&[22, 3]) && !heard.windows(4).any(|word| word == b"EHLO"), "{heard:?}");
}

#[tokio::test]
async fn a_handshake_that_stands_still_is_given_up() {
    let (address, talk) = scripted(&["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n"]).await;
    let tls = ClientTls::unverified("mx.test").unwrap();
    let mut config = client::Config::clone(&config(TlsMode::Required));
    config.timeouts.tls = Duration::from_millis(500);
    let target = Target::Tcp(address);
    let opened = Connection::open(&target, config.into(), Some(&tls), Duration::from_secs(30));
    let error = handshake(opened.await.err().unwrap());
    assert_eq!(error, "454 4.7.5 TLS handshake failed: it takes too long");
    talk.await.unwrap();
}

#[test]
fn files_and_names_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let text = |error: Result<ClientTls, hikyaku::TlsError>| error.unwrap_err().to_string();
    assert!(text(ClientTls::verified("mx.test", &empty)).contains("there is no certificate in it"));
    assert!(text(ClientTls::verified("mx.test", &folder.path().join("missing"))).contains("No such file"));
    for host in ["", "a b", "mx..test", "mx.test:25", "[127.0.0.1]"] {
        assert_eq!(text(ClientTls::unverified(host)), format!("{host}: not a host name or an IP address"));
    }
    let any = ClientTls::unverified("mx.test").unwrap();
    assert_eq!(text(any.to("a b")), "a b: not a host name or an IP address");
    let files = CertificateFiles { names: Vec::new(), cert: empty.clone(), key: empty };
    assert!(text(any.presenting(&files)).contains("there is no certificate in it"));
    assert_eq!(format!("{any:?}"), "ClientTls { host: DnsName(\"mx.test\"), verified: false, .. }");
}
