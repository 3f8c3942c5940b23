//! Conversations with servers, under TLS and with AUTH: against our own server, and against
//! some that no server should be.

mod tls;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use hikyaku::{
    Address, CertificateFiles, Certificates, ClientCertificates, ClientTls, Connection, Gate, GateLimits, Handler,
    Listener, OpenError, ServerTls, Service, Stopper, Target, serve,
    session::{
        Tls,
        client::{self, Envelope, Settled},
        sasl::{Answer, Mechanism, Password, Question, ScramKeys, client::Credentials},
        server::{self, Session, Verdicts},
    },
    wire::{Hello, Mail, Recipient, Reply},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

/// What a server took: who sent it, what its TLS was, and the text.
pub(crate) type Taken = (Option<Box<str>>, Option<Tls>, Vec<u8>);

/// A server that takes all mail, and knows one user.
#[derive(Clone, Default)]
pub(crate) struct Sink {
    pub(crate) mails: Arc<Mutex<Vec<Taken>>>,
}

impl Handler for Sink {
    type Mail = Taken;

    async fn connect(&mut self, _: &Session) -> Reply {
        Reply::OK_250
    }
    async fn hello(&mut self, _: &Session, _: &Hello) -> Reply {
        Reply::OK_250
    }
    async fn authenticate(&mut self, _: &Session, question: &Question<'_>) -> Answer {
        let user = Box::from("user");
        let known = match question {
            Question::ScramKeys { user: "user", .. } => {
                return Answer::Keys { user, keys: ScramKeys::derive("pencil", b"a salt of the user", 4096).unwrap() };
            }
            Question::Password { user, password, .. } => *user == "user" && password.as_str() == "pencil",
            Question::Token { token, .. } => token.as_str() == "token",
            Question::Certificate { certificate, .. } => certificate.names.iter().any(|name| &**name == "client.test"),
            _ => false,
        };
        if known { Answer::Accept(user) } else { Answer::Reject }
    }
    async fn mail(&mut self, session: &Session, _: &Mail) -> Result<Taken, Reply> {
        Ok((session.user().map(Into::into), session.tls().cloned(), Vec::new()))
    }
    async fn recipient(&mut self, _: &Session, _: &mut Taken, _: &Recipient) -> Reply {
        Reply::RECIPIENT_OK_250
    }
    async fn data(&mut self, _: &Session, _: &mut Taken) -> Result<(), Reply> {
        Ok(())
    }
    async fn body(&mut self, mail: &mut Taken, piece: Bytes) -> Result<(), Reply> {
        mail.2.extend_from_slice(&piece);
        Ok(())
    }
    async fn message(&mut self, _: &Session, mail: Taken) -> Verdicts {
        self.mails.lock().unwrap().push(mail);
        Verdicts::One(Reply::OK_250)
    }
}

/// A listener with the certificate of `mx.test`, the authority that has signed it, and what it took.
pub(crate) struct Server {
    pub(crate) target: Target,
    pub(crate) authority: PathBuf,
    pub(crate) client: CertificateFiles,
    pub(crate) sink: Sink,
    folder: TempDir,
    /// The server ends with it.
    _stopper: Stopper,
}

impl Server {
    pub(crate) async fn start(mode: server::TlsMode, mechanisms: &[Mechanism]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let signed = |name: &str, usage| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            let cert = write(&format!("{name}.cert"), &certificate.pem());
            CertificateFiles { names: Vec::new(), cert, key: write(&format!("{name}.key"), &key.serialize_pem()) }
        };
        let files = signed("mx.test", ExtendedKeyUsagePurpose::ServerAuth);
        let client = signed("client.test", ExtendedKeyUsagePurpose::ClientAuth);
        let authority = write("authority", &authority.pem());
        let believed = ClientCertificates { authorities: Some(authority.clone()), ..ClientCertificates::default() };
        let tls = ServerTls::new(Certificates::load(vec![files]).unwrap(), &believed).unwrap();

        let auth = server::Auth { mechanisms: mechanisms.to_vec(), ..server::Auth::default() };
        let config = server::Config { tls: mode, auth, ..server::Config::new("mx.test") };
        let gate = Arc::new(Gate::new(GateLimits::default()));
        let service = Service { session: Arc::new(config), tls: Some(tls), gate };
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let Address::Tcp(address) = *listener.address() else { unreachable!() };
        let (stopper, stop) = Stopper::new();
        let sink = Sink::default();
        let handler = sink.clone();
        tokio::spawn(serve(listener, service, move || handler.clone(), stop));
        Self { target: Target::Tcp(address), authority, client, sink, folder, _stopper: stopper }
    }

    /// A file with an authority that has signed nothing.
    pub(crate) fn stranger(&self) -> PathBuf {
        let path = self.folder.path().join("stranger");
        std::fs::write(&path, authority().pem()).unwrap();
        path
    }

    pub(crate) fn verified(&self) -> ClientTls {
        ClientTls::verified("mx.test", &self.authority).unwrap()
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        std::mem::take(&mut *self.sink.mails.lock().unwrap())
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn config(tls: client::TlsMode) -> Arc<client::Config> {
    Arc::new(client::Config { tls, ..client::Config::new("relay.test".parse().unwrap()) })
}

pub(crate) async fn open(
    target: &Target,
    mode: client::TlsMode,
    tls: Option<&ClientTls>,
) -> Result<Connection, OpenError> {
    Connection::open(target, config(mode), tls, Duration::from_secs(30)).await
}

pub(crate) fn password(password: &str) -> Credentials {
    Credentials::Password { user: "user".into(), password: Password::new(password) }
}

/// Sends a message and quits.
pub(crate) async fn send(connection: Connection, text: Bytes) -> Settled {
    let envelope = Envelope::new("<from@a.test>".parse().unwrap(), vec!["<to@b.test>".parse().unwrap()]);
    let (mut settled, connection) = connection.send(&envelope, &text).await;
    connection.expect("the connection can be used again").quit().await;
    settled.remove(0)
}

/// A server that says this to the first client, waits for a line after each part, and gives what
/// the client has said in all, until it closes.
pub(crate) async fn scripted(parts: &'static [&'static str]) -> (SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let talk = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            stream.write_all(part.as_bytes()).await.unwrap();
            while index + 1 < parts.len() && heard.iter().filter(|byte| **byte == b'\n').count() <= index {
                assert!(stream.read_buf(&mut heard).await.unwrap() > 0, "it closes after {part}");
            }
        }
        // A client that does not like what it heard may reset the connection.
        while stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {}
        heard
    });
    (address, talk)
}

#[tokio::test]
async fn no_final_dot_without_time_for_it() {
    let (stopper, stop) = Stopper::new();
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Address::Tcp(address) = *listener.address() else { unreachable!() };
    let sink = Sink::default();
    let mut config = server::Config::new("sink.test");
    config.protocol = hikyaku::session::Protocol::Smtp;
    let gate = Arc::new(Gate::new(GateLimits::default()));
    let (handler, service) = (sink.clone(), Service { session: Arc::new(config), tls: None, gate });
    let serving = tokio::spawn(serve(listener, service, move || handler.clone(), stop));
    let connection = open(&Target::Tcp(address), client::TlsMode::Off, None).await.unwrap();
    let to: Vec<_> = ["<a@b.test>", "<c@d.test>"].iter().map(|to| to.parse().unwrap()).collect();
    let envelope = Envelope::new("<from@a.test>".parse().unwrap(), to);
    let text = Bytes::from_static(b"Subject: x\r\n\r\n.\r\n");
    let (settled, connection) = connection.send_if(&envelope, &text, &|| false).await;
    assert!(connection.is_none(), "the conversation is cut");
    assert!(settled.len() == 2 && settled.iter().all(|settled| matches!(settled, Settled::NotTried(_))), "{settled:?}");
    stopper.stop();
    serving.await.unwrap();
    assert!(sink.mails.lock().unwrap().is_empty());
}
