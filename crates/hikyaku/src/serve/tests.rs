//! A server that is nearly full, in virtual time.

use std::{future::pending, net::IpAddr};

use hikyaku_session::server::{Session, TlsMode};
use hikyaku_wire::{Hello, Mail, Recipient};
use tokio::{
    io::{AsyncReadExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::*;
use crate::{CertificateFiles, Certificates, ClientCertificates, GateLimits, Stopper};

/// Takes everything up to DATA.
struct Clerk;

impl Handler for Clerk {
    type Mail = ();

    async fn connect(&mut self, _: &Session) -> Reply {
        Reply::OK_250
    }
    async fn hello(&mut self, _: &Session, _: &Hello) -> Reply {
        Reply::OK_250
    }
    async fn mail(&mut self, _: &Session, _: &Mail) -> Result<(), Reply> {
        Ok(())
    }
    async fn recipient(&mut self, _: &Session, (): &mut (), _: &Recipient) -> Reply {
        Reply::RECIPIENT_OK_250
    }
    async fn data(&mut self, _: &Session, (): &mut ()) -> Result<(), Reply> {
        Ok(())
    }
}

fn service(tls: TlsMode, change: impl FnOnce(&mut Config)) -> Service {
    let mut config = Config::new("mx.test");
    config.tls = tls;
    change(&mut config);
    let gate = Gate::new(GateLimits { connections: 10, ..GateLimits::default() });
    Service { session: Arc::new(config), tls: None, gate: Arc::new(gate) }
}

fn talk(service: &Service, stop: &Stop) -> (DuplexStream, JoinHandle<std::io::Result<()>>) {
    let (near, far) = duplex(1024);
    let (service, stop) = (service.clone(), stop.clone());
    (near, tokio::spawn(async move { converse(far, Peer::default(), &service, &mut Clerk, stop).await }))
}

/// How many seconds it takes until the server hangs up, and its last line.
async fn ends(mut client: DuplexStream, began: Instant) -> (u64, String) {
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    (began.elapsed().as_secs(), said.lines().last().unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_it_gets_crowded_has_ten_seconds_from_its_last_command() {
    let service = service(TlsMode::Off, |_| ());
    let (_stopper, stop) = Stopper::new();
    let began = Instant::now();
    let (client, _running) = talk(&service, &stop);
    sleep(Duration::from_secs(3)).await;
    let open: Vec<_> = (0..9).map(|_| service.gate.admit(None).unwrap()).collect();
    let (seconds, last) = ends(client, began).await;
    assert_eq!(seconds, 10);
    assert!(last.starts_with("421 4.4.2 "), "{last}");
    // Who comes later has as much.
    let began = Instant::now();
    let (client, _running) = talk(&service, &stop);
    assert_eq!(ends(client, began).await.0, 10);
    // Who has waited for longer before is cut at once.
    drop(open);
    let began = Instant::now();
    let (client, _running) = talk(&service, &stop);
    sleep(Duration::from_secs(100)).await;
    let _open: Vec<_> = (0..9).map(|_| service.gate.admit(None).unwrap()).collect();
    assert_eq!(ends(client, began).await.0, 100);
}

#[tokio::test(start_paused = true)]
async fn when_it_is_no_longer_crowded_there_is_time_again() {
    let service = service(TlsMode::Off, |_| ());
    let (_stopper, stop) = Stopper::new();
    let mut open: Vec<_> = (0..9).map(|_| service.gate.admit(None).unwrap()).collect();
    let began = Instant::now();
    let (client, _running) = talk(&service, &stop);
    sleep(Duration::from_secs(5)).await;
    open.truncate(6);
    assert_eq!(ends(client, began).await.0, 300);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_is_not_hurried() {
    use tokio::io::AsyncWriteExt;
    let service = service(TlsMode::Off, |config| config.limits.body_rate = 0);
    let (_stopper, stop) = Stopper::new();
    let _open: Vec<_> = (0..9).map(|_| service.gate.admit(None).unwrap()).collect();
    let began = Instant::now();
    let (mut client, _running) = talk(&service, &stop);
    client.write_all(b"EHLO x.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n").await.unwrap();
    assert_eq!(ends(client, began).await.0, 180);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_is_hurried_too() {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["x.test".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = (folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    let files = CertificateFiles { names: Vec::new(), cert: cert_file, key: key_file };
    let certificates = Certificates::load(vec![files]).unwrap();
    let mut service = service(TlsMode::Implicit, |_| ());
    service.tls = Some(ServerTls::new(certificates, &ClientCertificates::default()).unwrap());
    let (_stopper, stop) = Stopper::new();
    for (others, seconds) in [(8, 30), (9, 10)] {
        let _open: Vec<_> = (0..others).map(|_| service.gate.admit(None).unwrap()).collect();
        let began = Instant::now();
        let (client, _running) = talk(&service, &stop);
        assert_eq!(ends(client, began).await, (seconds, String::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_counts_until_its_conversation_is_over() {
    /// Never answers.
    struct Silent;
    impl Handler for Silent {
        type Mail = ();
        async fn connect(&mut self, _: &Session) -> Reply {
            pending().await
        }
    }
    let service = service(TlsMode::Off, |_| ());
    let (stopper, stop) = Stopper::new();
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.address().to_string();
    let mut crowded = service.gate.crowded();
    let running = tokio::spawn(serve(listener, service.clone(), || Silent, stop));
    let mut clients = Vec::new();
    for _ in 0..9 {
        clients.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    crowded.wait_for(|crowded| *crowded).await.unwrap();
    stopper.stop();
    running.await.unwrap();
    assert!(!*crowded.borrow());
    let here: IpAddr = [127, 0, 0, 1].into();
    let _all: Vec<_> = (0..10).map(|_| service.gate.admit(Some(here)).unwrap()).collect();
}

#[test]
fn a_certificate_is_nobodys_guess() {
    use hikyaku_session::{
        Certificate,
        sasl::{Password, Question},
    };
    let (certificate, secret) = (Certificate::default(), Password::new("x"));
    let of = |question| super::converse::guessed(&question);
    assert_eq!(of(Question::Certificate { certificate: &certificate, authzid: Some("alice") }), None);
    assert_eq!(of(Question::Password { user: "alice", authzid: None, password: &secret }), Some("alice"));
    assert_eq!(of(Question::Token { user: Some("alice"), token: &secret }), Some("alice"));
}
