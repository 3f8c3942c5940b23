//! A server that does as it is told, and a queue with its delivery.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hikyaku::{
    Address, AuditLog, Current, Delivery, DeliveryLimits, Directory, Dns, Gate, GateLimits, Handler, Intake, Listener,
    Maildirs, Route, Routes, Service, SigningKeys, Stop, Stopper,
    audit::{Entry, Event},
    dns::Zone,
    message::Received,
    now,
    queue::{CountBy, Envelope, Manage, Memory, NewRcpt, Schedule},
    serve,
    session::{
        Protocol,
        server::{Config, Session, Verdicts},
    },
    wire::{ForwardPath, Hello, Mail, Recipient, Reply},
};

/// The recipients and the text of a mail that a server took.
pub(crate) type Taken = (Vec<ForwardPath>, Vec<u8>);

/// What a server does; what it got.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) greeting: Reply,
    /// Messages that one connection takes before it says 421.
    pub(crate) patience: usize,
    pub(crate) recipient: fn(&ForwardPath) -> Reply,
    pub(crate) message: fn() -> Verdicts,
    pub(crate) connections: Arc<AtomicUsize>,
    /// Mails that came under TLS.
    pub(crate) encrypted: Arc<AtomicUsize>,
    pub(crate) mails: Arc<Mutex<Vec<Taken>>>,
}

impl Sink {
    pub(crate) fn new(recipient: fn(&ForwardPath) -> Reply) -> Self {
        let message = || Verdicts::One(Reply::OK_250);
        Self {
            greeting: Reply::OK_250,
            patience: usize::MAX,
            recipient,
            message,
            connections: Arc::default(),
            encrypted: Arc::default(),
            mails: Arc::default(),
        }
    }

    pub(crate) async fn listen(&self, protocol: Protocol, stop: &Stop) -> u16 {
        self.listen_with(service(protocol), stop).await
    }

    pub(crate) async fn listen_with(&self, service: Service, stop: &Stop) -> u16 {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let Address::Tcp(address) = *listener.address() else { unreachable!() };
        let sink = self.clone();
        tokio::spawn(serve(listener, service, move || sink.clone(), stop.clone()));
        address.port()
    }

    pub(crate) fn got(&self) -> usize {
        self.mails.lock().unwrap().len()
    }
}

impl Handler for Sink {
    type Mail = Taken;

    async fn connect(&mut self, _: &Session) -> Reply {
        self.connections.fetch_add(1, Ordering::SeqCst);
        self.greeting.clone()
    }
    async fn hello(&mut self, _: &Session, _: &Hello) -> Reply {
        Reply::OK_250
    }
    async fn mail(&mut self, session: &Session, _: &Mail) -> Result<Self::Mail, Reply> {
        self.encrypted.fetch_add(usize::from(session.tls().is_some()), Ordering::SeqCst);
        let tired = Reply::SHUTTING_DOWN_421;
        self.patience = self.patience.checked_sub(1).ok_or(tired)?;
        Ok(Default::default())
    }
    async fn recipient(&mut self, _: &Session, mail: &mut Self::Mail, to: &Recipient) -> Reply {
        let reply = (self.recipient)(&to.to);
        if reply.is_positive() {
            mail.0.push(to.to.clone());
        }
        reply
    }
    async fn data(&mut self, _: &Session, _: &mut Self::Mail) -> Result<(), Reply> {
        Ok(())
    }
    async fn body(&mut self, mail: &mut Self::Mail, piece: Bytes) -> Result<(), Reply> {
        mail.1.extend_from_slice(&piece);
        Ok(())
    }
    async fn message(&mut self, _: &Session, mail: Self::Mail) -> Verdicts {
        let verdicts = (self.message)();
        self.mails.lock().unwrap().push(mail);
        verdicts
    }
}

/// What a server's connections are served with: no TLS, no AUTH.
pub(crate) fn service(protocol: Protocol) -> Service {
    let mut config = Config::new("sink.test");
    config.protocol = protocol;
    Service { session: Arc::new(config), tls: None, gate: Arc::new(Gate::new(GateLimits::default())) }
}

/// A queue with its delivery.
pub(crate) struct Relay {
    pub(crate) delivery: Arc<Delivery<Memory, Dns>>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) stopper: Stopper,
    pub(crate) stop: Stop,
}

impl Relay {
    pub(crate) fn new(
        zone: Zone,
        transports: &[(&str, String)],
        change: impl FnOnce(&mut Delivery<Memory, Dns>),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let transports = transports.iter().map(|(domain, to)| (domain.parse().unwrap(), to.parse::<Route>().unwrap()));
        let local = "local.test".parse().unwrap();
        let routes = Routes { local, transports: transports.collect(), smarthost: None, named: Vec::new() };
        let mut delivery = Delivery {
            queue: Memory::new(),
            resolver: Dns::from(zone),
            hostname: "relay.test".to_owned(),
            helo: "relay.test".parse().unwrap(),
            keys: Arc::new(SigningKeys::load(Vec::new()).unwrap()),
            routes: Current::new(routes),
            maildirs: Maildirs::new(folder.path().join("mail")),
            directory: Directory::default(),
            schedule: Schedule::default(),
            limits: DeliveryLimits::default(),
            connect_timeout: Duration::from_secs(5),
            mx_port: 25,
            allow_private: true,
            audit: Arc::new(AuditLog::open(&folder.path().join("audit.jsonl")).unwrap()),
        };
        change(&mut delivery);
        let (stopper, stop) = Stopper::new();
        Self { delivery: Arc::new(delivery), folder, stopper, stop }
    }

    pub(crate) async fn put(&self, to: &[&str], lifetime: Duration) {
        let mut intake = Intake::open(&self.delivery.queue, None, Default::default(), "mx.test").await.unwrap();
        intake.push(Bytes::from_static(b"Subject: x\r\n\r\n.dot\r\n")).await.unwrap();
        let time = now();
        let id = intake.id().to_string();
        let trace =
            Received { helo: "x.test", peer: None, by: "relay.test", with: "ESMTP", id: &id, recipient: None, time };
        let to: Vec<ForwardPath> = to.iter().map(|to| to.parse().unwrap()).collect();
        let units = self.delivery.routes.get().units(
            to.iter().map(|to| (NewRcpt::new(to.clone()), None)),
            time,
            time.saturating_add(lifetime),
        );
        let envelope = Envelope::new("<sender@local.test>".parse().unwrap(), time);
        intake.commit(envelope, trace, units).await.unwrap();
    }

    pub(crate) fn run(&self) {
        tokio::spawn(self.delivery.clone().run(self.stop.clone()));
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let log = std::fs::read(self.folder.path().join("audit.jsonl")).unwrap();
        log.split_inclusive(|b| *b == b'\n').map(|line| Entry::parse(line).unwrap().event).collect()
    }

    pub(crate) async fn empty(&self) {
        until(async || self.delivery.queue.counts(CountBy::All).await.unwrap().iter().all(|c| c.ready + c.leased == 0))
            .await;
    }

    /// The replies with which recipients failed for good.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|e| if let Event::Failed(f) = e { Some(f.reply.to_string()) } else { None })
            .collect()
    }

    pub(crate) fn deferrals(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|e| if let Event::Deferred(d) = e { Some(d.reply.to_string()) } else { None })
            .collect()
    }

    pub(crate) fn bounces(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mail/sender/new")) else { return Vec::new() };
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }
}

/// Waits until something holds; fails after a long time.
pub(crate) async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it never came true");
}

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn welcome(_: &ForwardPath) -> Reply {
    Reply::RECIPIENT_OK_250
}
