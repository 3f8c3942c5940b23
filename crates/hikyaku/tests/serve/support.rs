//! A handler that takes everything and remembers, and a client that says what it is told.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use hikyaku::{
    Address, CertificateFiles, Certificates, ClientCertificates, Gate, GateLimits, Handler, Listener, ServerTls,
    Service, Stop, Stopper, converse, serve,
    session::{
        sasl::{Answer, Mechanism, Question, ScramKeys, Secret},
        server::{Config, Limit, Peer, Session, TlsMode, Verdicts},
    },
    wire::{Hello, Mail, Recipient, Reply},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    },
};

/// Takes everything, and knows alice, whose password is `secret`.
#[derive(Clone, Default)]
pub(crate) struct Clerk(pub(crate) Arc<Notes>);

/// What has happened.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) connects: AtomicUsize,
    /// Questions that were asked.
    pub(crate) questions: AtomicUsize,
    /// Logins that have succeeded.
    pub(crate) users: Mutex<Vec<String>>,
    /// How many those were at each MAIL of a user.
    pub(crate) known: Mutex<Vec<usize>>,
    /// Transactions that have begun, and those that are over.
    pub(crate) begun: AtomicUsize,
    pub(crate) over: AtomicUsize,
    pub(crate) mails: Mutex<Vec<Vec<u8>>>,
    refusals: Mutex<Vec<(String, Option<Limit>)>>,
    /// What AUTH answers in place of the truth.
    pub(crate) answer: Mutex<Option<Answer>>,
}

/// One transaction.
pub(crate) struct Transaction {
    notes: Arc<Notes>,
    content: Vec<u8>,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.notes.over.fetch_add(1, Ordering::SeqCst);
    }
}

impl Notes {
    /// The limits that were reached.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        self.refusals.lock().unwrap().iter().filter_map(|(_, limit)| *limit).collect()
    }

    /// What was refused without asking.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap().iter().map(|(reply, _)| reply.clone()).collect()
    }
}

impl Handler for Clerk {
    type Mail = Transaction;

    async fn connect(&mut self, _: &Session) -> Reply {
        self.0.connects.fetch_add(1, Ordering::SeqCst);
        Reply::OK_250
    }
    async fn hello(&mut self, _: &Session, _: &Hello) -> Reply {
        Reply::OK_250
    }
    async fn authenticate(&mut self, _: &Session, question: &Question<'_>) -> Answer {
        self.0.questions.fetch_add(1, Ordering::SeqCst);
        if let Some(answer) = &*self.0.answer.lock().unwrap() {
            return answer.clone();
        }
        match question {
            Question::Password { user: "alice", password, .. } if password.as_str() == "secret" => {
                Answer::Accept("alice".into())
            }
            Question::ScramKeys { user: "alice", .. } => Answer::Keys {
                user: "alice".into(),
                keys: ScramKeys::derive("secret", b"salt of sixteen.", 4096).unwrap(),
            },
            _ => Answer::Reject,
        }
    }
    fn authenticated(&mut self, session: &Session) {
        self.0.users.lock().unwrap().push(session.user().unwrap().to_owned());
    }
    async fn mail(&mut self, session: &Session, _: &Mail) -> Result<Transaction, Reply> {
        if session.user().is_some() {
            self.0.known.lock().unwrap().push(self.0.users.lock().unwrap().len());
        }
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        Ok(Transaction { notes: self.0.clone(), content: Vec::new() })
    }
    async fn recipient(&mut self, _: &Session, _: &mut Transaction, _: &Recipient) -> Reply {
        Reply::RECIPIENT_OK_250
    }
    async fn data(&mut self, _: &Session, _: &mut Transaction) -> Result<(), Reply> {
        Ok(())
    }
    async fn body(&mut self, mail: &mut Transaction, piece: Bytes) -> Result<(), Reply> {
        mail.content.extend_from_slice(&piece);
        Ok(())
    }
    fn refused(&mut self, session: &Session, reply: &Reply, limit: Option<Limit>) {
        assert!(!session.id().is_empty());
        self.0.refusals.lock().unwrap().push((reply.to_string(), limit));
    }
    async fn message(&mut self, _: &Session, mut mail: Transaction) -> Verdicts {
        self.0.mails.lock().unwrap().push(std::mem::take(&mut mail.content));
        Verdicts::One(Reply::OK_250)
    }
}

/// A service and the means to talk to it.
pub(crate) struct House {
    pub(crate) service: Service,
    pub(crate) clerk: Clerk,
    pub(crate) stopper: Stopper,
    pub(crate) stop: Stop,
    connector: TlsConnector,
}

impl House {
    pub(crate) fn new(tls: TlsMode, change: impl FnOnce(&mut Config, &mut GateLimits)) -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["mx.test".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles {
            names: Vec::new(),
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        std::fs::write(&files.cert, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        let certificates = Certificates::load(vec![files]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();

        let mut config = Config::new("mx.test");
        config.tls = tls;
        config.auth.mechanisms = vec![Mechanism::ScramSha256, Mechanism::Plain];
        config.auth.secret = Secret::new([7; 32]);
        let mut limits = GateLimits { loopback: true, ..GateLimits::default() };
        change(&mut config, &mut limits);
        let (stopper, stop) = Stopper::new();
        Self {
            service: Service {
                session: Arc::new(config),
                tls: Some(ServerTls::new(certificates, &ClientCertificates::default()).unwrap()),
                gate: Arc::new(Gate::new(limits)),
            },
            clerk: Clerk::default(),
            stopper,
            stop,
            connector: TlsConnector::from(Arc::new(client)),
        }
    }

    pub(crate) fn plain() -> Self {
        Self::new(TlsMode::Off, |_, _| ())
    }

    /// A conversation over a pipe that holds so many octets in each direction.
    pub(crate) fn talk(&self, holds: usize, from: [u8; 4]) -> (Client<DuplexStream>, JoinHandle<io::Result<()>>) {
        let (near, far) = tokio::io::duplex(holds);
        let (service, mut clerk, stop) = (self.service.clone(), self.clerk.clone(), self.stop.clone());
        let peer = Peer { address: Some(from.into()), port: 4242 };
        let running = tokio::spawn(async move { converse(far, peer, &service, &mut clerk, stop).await });
        (Client::new(near), running)
    }

    /// Listens on a port of its own.
    pub(crate) async fn listen(&self, address: &str) -> (Address, JoinHandle<()>) {
        let listener = Listener::bind(&address.parse().unwrap()).await.unwrap();
        let (address, clerk) = (listener.address().clone(), self.clerk.clone());
        let running = tokio::spawn(serve(listener, self.service.clone(), move || clerk.clone(), self.stop.clone()));
        (address, running)
    }

    /// The handshake, on what was a conversation in clear text.
    pub(crate) async fn tls<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: Client<S>,
    ) -> io::Result<Client<TlsStream<S>>> {
        assert!(client.heard.is_empty(), "{:?}", String::from_utf8_lossy(&client.heard));
        Ok(Client::new(self.connector.connect("mx.test".try_into().unwrap(), client.io).await?))
    }

    /// A conversation up to EHLO under TLS.
    pub(crate) async fn encrypted(
        &self,
        holds: usize,
        from: [u8; 4],
    ) -> (Client<TlsStream<DuplexStream>>, JoinHandle<io::Result<()>>) {
        let (mut client, running) = self.talk(holds, from);
        client.hear().await;
        assert!(client.ask("EHLO x.test\r\n").await.contains("STARTTLS"));
        assert!(client.ask("STARTTLS\r\n").await.starts_with("220 "));
        let mut client = self.tls(client).await.unwrap();
        assert!(client.ask("EHLO x.test\r\n").await.contains("AUTH SCRAM-SHA-256 PLAIN"));
        (client, running)
    }
}

/// One side of a conversation.
pub(crate) struct Client<S> {
    pub(crate) io: S,
    heard: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, heard: Vec::new() }
    }

    pub(crate) async fn say(&mut self, words: &str) {
        self.io.write_all(words.as_bytes()).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// The next reply with all its lines; what there is, if the connection ends in it.
    pub(crate) async fn hear(&mut self) -> String {
        let mut reply = String::new();
        loop {
            while let Some(end) = self.heard.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.heard.drain(..end + 2).collect();
                reply.push_str(std::str::from_utf8(&line).unwrap());
                if line.get(3) != Some(&b'-') {
                    return reply;
                }
            }
            match self.io.read_buf(&mut self.heard).await {
                Ok(read) if read > 0 => {}
                _ => return reply,
            }
        }
    }

    pub(crate) async fn ask(&mut self, words: &str) -> String {
        self.say(words).await;
        self.hear().await
    }

    /// All that comes until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        // The end may be a reset: what was read before counts.
        let _ = self.io.read_to_end(&mut self.heard).await;
        String::from_utf8(std::mem::take(&mut self.heard)).unwrap()
    }

    /// A transaction up to the 354.
    pub(crate) async fn begin(&mut self) {
        self.say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n").await;
        self.hear().await;
        self.hear().await;
        assert!(self.hear().await.starts_with("354 "));
    }
}
