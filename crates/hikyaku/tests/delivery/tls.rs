//! Delivery under TLS to hosts that have it, whoever they are.

use std::sync::{Arc, Mutex, atomic::Ordering};

use hikyaku::{
    CertificateFiles, Certificates, ClientCertificates, ServerTls, Service, Stopper,
    session::{
        Protocol,
        server::{Config, TlsMode},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::support::{DAY, Relay, Sink, service, welcome};

#[tokio::test]
async fn mail_goes_under_tls_where_the_host_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
    // For another name, and signed by nobody: it hides the mail all the same.
    let own = rcgen::generate_simple_self_signed(vec!["another.test".to_owned()]).unwrap();
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let certificates = Certificates::load(vec![CertificateFiles { names: Vec::new(), cert, key }]).unwrap();
    let tls = ServerTls::new(certificates, &ClientCertificates::default()).unwrap();
    let (sink, (stopper, stop)) = (Sink::new(welcome), Stopper::new());
    let session = Config { tls: TlsMode::StartTls, ..Config::new("sink.test") };
    let with_tls = Service { session: Arc::new(session), tls: Some(tls), ..service(Protocol::Smtp) };
    let port = sink.listen_with(with_tls, &stop).await;

    let zone = "example.test. 60 MX 10 mx.test.\nmx.test. 60 A 127.0.0.1\n".parse().unwrap();
    let smart = [("elsewhere.test", format!("127.0.0.1:{port}"))];
    let relay = Relay::new(zone, &smart, |delivery| delivery.mx_port = port);
    for to in ["<a@example.test>", "<b@elsewhere.test>", "<c@[127.0.0.1]>"] {
        relay.put(&[to], DAY).await;
    }
    relay.run();
    relay.empty().await;
    assert_eq!((sink.got(), sink.encrypted.load(Ordering::SeqCst)), (3, 3));
    assert!(relay.failures().is_empty() && relay.deferrals().is_empty());
    stopper.stop();
}

/// What a host heard in each conversation.
type Heard = Arc<Mutex<Vec<Vec<String>>>>;

/// Offers STARTTLS, and then speaks something else; without it, takes mail.
async fn broken(mut stream: BufReader<TcpStream>, heard: Heard) -> std::io::Result<()> {
    let conversation = heard.lock().unwrap().len();
    heard.lock().unwrap().push(Vec::new());
    stream.write_all(b"220 broken.test\r\n").await?;
    let mut in_content = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        heard.lock().unwrap()[conversation].push(line.trim_end().to_owned());
        let reply = match line.split_ascii_whitespace().next().unwrap_or_default() {
            "." => {
                in_content = false;
                "250 ok\r\n"
            }
            _ if in_content => continue,
            "EHLO" => "250-broken.test\r\n250 STARTTLS\r\n",
            "DATA" => {
                in_content = true;
                "354 go\r\n"
            }
            "QUIT" => "221 bye\r\n",
            "STARTTLS" => {
                stream.write_all(b"220 go\r\n").await?;
                stream.read_u8().await?;
                stream.write_all(b"500 what is that?\r\n").await?;
                return stream.shutdown().await;
            }
            _ => "250 ok\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

#[tokio::test]
async fn a_host_whose_tls_is_broken_gets_its_mail_without() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let hears = heard.clone();
    let host = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(broken(BufReader::new(stream), hears.clone()));
        }
    });
    let relay = Relay::new("".parse().unwrap(), &[("example.test", format!("127.0.0.1:{port}"))], |_| {});
    relay.put(&["<a@example.test>"], DAY).await;
    relay.run();
    relay.empty().await;
    assert!(relay.failures().is_empty() && relay.deferrals().is_empty());
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard[0], ["EHLO relay.test", "STARTTLS"]);
    let commands = ["EHLO relay.test", "MAIL FROM:<sender@local.test>", "RCPT TO:<a@example.test>", "DATA"];
    assert_eq!(heard[1][..4], commands);
    assert_eq!(heard.len(), 2);
    host.abort();
}
