//! Delivery from a queue in memory to servers in this process, by routes that the DNS or a
//! transport names.

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
    Address, AuditLog, Delivery, DeliveryLimits, Directory, Dns, Handler, Intake, Listener, Maildirs, Route, Routes,
    Stop, Stopper,
    audit::{Entry, Event},
    converse,
    dns::{Error, Name, RecordType, Zone},
    message::Received,
    now,
    queue::{CountBy, Envelope, Filter, KeyQuota, Manage, Memory, Queue, Schedule, WorkerId},
    serve,
    session::{
        Protocol,
        server::{Config, Peer, Session, Verdicts, start},
    },
    wire::{ForwardPath, Hello, Mail, Recipient, Reply},
};
use tokio::net::TcpListener;

/// The recipients and the text of a mail that a server took.
type Taken = (Vec<ForwardPath>, Vec<u8>);

/// What a server does; what it got.
#[derive(Clone)]
struct Sink {
    greeting: Reply,
    /// Messages that one connection takes before it says 421.
    patience: usize,
    recipient: fn(&ForwardPath) -> Reply,
    message: fn() -> Verdicts,
    connections: Arc<AtomicUsize>,
    mails: Arc<Mutex<Vec<Taken>>>,
}

impl Sink {
    fn new(recipient: fn(&ForwardPath) -> Reply) -> Self {
        let message = || Verdicts::One(Reply::OK_250);
        Self {
            greeting: Reply::OK_250,
            patience: usize::MAX,
            recipient,
            message,
            connections: Arc::default(),
            mails: Arc::default(),
        }
    }

    async fn listen(&self, protocol: Protocol, stop: &Stop) -> u16 {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let Address::Tcp(address) = *listener.address() else { unreachable!() };
        let mut config = Config::new("sink.test");
        config.protocol = protocol;
        let sink = self.clone();
        tokio::spawn(serve(listener, Arc::new(config), move || sink.clone(), stop.clone()));
        address.port()
    }

    fn got(&self) -> usize {
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
    async fn mail(&mut self, _: &Session, _: &Mail) -> Result<Self::Mail, Reply> {
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

/// A queue with its delivery.
struct Relay {
    delivery: Arc<Delivery<Memory, Dns>>,
    folder: tempfile::TempDir,
    stopper: Stopper,
    stop: Stop,
}

impl Relay {
    fn new(zone: Zone, transports: &[(&str, String)], change: impl FnOnce(&mut Delivery<Memory, Dns>)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let transports = transports.iter().map(|(domain, to)| (domain.parse().unwrap(), to.parse::<Route>().unwrap()));
        let routes = Routes { local: "local.test".parse().unwrap(), transports: transports.collect(), smarthost: None };
        let mut delivery = Delivery {
            queue: Memory::new(),
            resolver: Dns::from(zone),
            hostname: "relay.test".to_owned(),
            helo: "relay.test".parse().unwrap(),
            routes,
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

    async fn put(&self, to: &[&str], lifetime: Duration) {
        let mut intake = Intake::open(&self.delivery.queue, None).await.unwrap();
        intake.push(Bytes::from_static(b"Subject: x\r\n\r\n.dot\r\n")).await.unwrap();
        let time = now();
        let id = intake.id().to_string();
        let trace =
            Received { helo: "x.test", peer: None, by: "relay.test", with: "ESMTP", id: &id, recipient: None, time };
        let to: Vec<ForwardPath> = to.iter().map(|to| to.parse().unwrap()).collect();
        let units = self.delivery.routes.units(&to, time, time.saturating_add(lifetime));
        let envelope = Envelope::new("<sender@local.test>".parse().unwrap(), time);
        intake.commit(envelope, trace, units).await.unwrap();
    }

    fn run(&self) {
        tokio::spawn(self.delivery.clone().run(self.stop.clone()));
    }

    fn events(&self) -> Vec<Event> {
        let log = std::fs::read(self.folder.path().join("audit.jsonl")).unwrap();
        log.split_inclusive(|b| *b == b'\n').map(|line| Entry::parse(line).unwrap().event).collect()
    }

    async fn empty(&self) {
        until(async || self.delivery.queue.counts(CountBy::All).await.unwrap().iter().all(|c| c.ready + c.leased == 0))
            .await;
    }

    /// The replies with which recipients failed for good.
    fn failures(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|e| if let Event::Failed(f) = e { Some(f.reply.to_string()) } else { None })
            .collect()
    }

    fn deferrals(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|e| if let Event::Deferred(d) = e { Some(d.reply.to_string()) } else { None })
            .collect()
    }

    fn bounces(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mail/sender/new")) else { return Vec::new() };
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }
}

/// Waits until something holds; fails after a long time.
async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it never came true");
}

const DAY: Duration = Duration::from_secs(86_400);

fn welcome(_: &ForwardPath) -> Reply {
    Reply::RECIPIENT_OK_250
}

#[tokio::test]
async fn mail_goes_to_the_first_host_of_the_domain_that_answers() {
    let sink = Sink::new(welcome);
    let zone = "example.test. 60 MX 10 dead.test.\nexample.test. 60 MX 20 alive.test.\n\
                dead.test. 60 A 127.0.0.2\nalive.test. 60 A 127.0.0.1\n";
    let (stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(zone.parse().unwrap(), &[], |d| d.mx_port = port);
    relay.put(&["<a@example.test>", "<b@EXAMPLE.test>"], DAY).await;
    relay.run();
    relay.empty().await;
    let mails = sink.mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 1, "both recipients in one transaction");
    assert_eq!(mails[0].0.len(), 2);
    let text = String::from_utf8(mails[0].1.clone()).unwrap();
    assert!(text.starts_with("Received: from x.test") && text.ends_with("\r\nSubject: x\r\n\r\n.dot\r\n"), "{text}");
    let hosts: Vec<_> = relay
        .events()
        .into_iter()
        .filter_map(|e| if let Event::Attempt(a) = e { Some(a.host) } else { None })
        .collect();
    assert_eq!(hosts, ["dead.test", "alive.test"]);
    assert!(relay.failures().is_empty() && relay.deferrals().is_empty());
    stopper.stop();
}

#[tokio::test]
async fn d71_d72_domains_that_take_no_mail_are_bounced_and_failed_lookups_are_not() {
    let mut zone: Zone = "null.test. 60 MX 0 .\nself.test. 60 MX 10 relay.test.\nrelay.test. 60 A 192.0.2.1\n\
                inside.test. 60 MX 10 lo.test.\nlo.test. 60 A 127.0.0.1\nlo.test. 60 AAAA ::1\n\
                link.test. 60 A 169.254.169.254\nfails.test. 60 A 192.0.2.1\n"
        .parse()
        .unwrap();
    zone.failures.insert(("fails.test".parse::<Name>().unwrap(), RecordType::MX), Error::ServerFailure);
    let relay = Relay::new(zone, &[], |d| d.allow_private = false);
    for to in [
        "<a@null.test>",
        "<a@self.test>",
        "<a@nowhere.test>",
        "<a@inside.test>",
        "<a@link.test>",
        "<a@[127.0.0.1]>",
        "<a@[IPv6:::ffff:127.0.0.1]>",
        "<a@fails.test>",
    ] {
        relay.put(&[to], DAY).await;
    }
    relay.run();
    until(async || relay.bounces().len() == 7 && relay.deferrals().len() == 1).await;
    let mut failures = relay.failures();
    failures.sort();
    let codes: Vec<_> = failures.iter().map(|f| f.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(codes, ["550 5.1.2", "550 5.4.4", "550 5.4.4", "550 5.4.4", "550 5.4.4", "554 5.4.6", "556 5.1.10"]);
    assert!(relay.deferrals()[0].starts_with("451 4.4.3"), "{:?}", relay.deferrals());
}

#[tokio::test]
async fn a_recipient_that_is_refused_bounces_one_that_is_put_off_waits_and_the_rest_is_delivered() {
    let sink = Sink::new(|to| match to.to_string().as_str() {
        "<later@far.test>" => "450 4.2.1 busy".parse().unwrap(),
        "<never@far.test>" => "550 5.1.1 no such user\u{1b}[2J".parse().unwrap(),
        _ => Reply::RECIPIENT_OK_250,
    });
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    relay.put(&["<now@far.test>", "<later@far.test>", "<never@far.test>"], DAY).await;
    relay.run();
    until(async || relay.bounces().len() == 1).await;
    assert_eq!(sink.mails.lock().unwrap()[0].0, ["<now@far.test>".parse().unwrap()]);
    let bounce = &relay.bounces()[0];
    assert!(
        bounce.contains("never@far.test") && !bounce.contains("later@far.test") && !bounce.contains('\u{1b}'),
        "{bounce}"
    );
    let Some(Event::Deferred(deferred)) = relay.events().into_iter().find(|e| matches!(e, Event::Deferred(_))) else {
        panic!("nothing was put off")
    };
    let wait = deferred.next.saturating_since(now()).as_secs();
    assert!((4 * 60..6 * 60).contains(&wait), "five minutes with jitter, not {wait} s");
}

#[tokio::test]
async fn what_was_not_delivered_in_time_is_bounced() {
    let sink = Sink::new(|_| "450 4.2.1 busy".parse().unwrap());
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    relay.put(&["<a@far.test>"], Duration::ZERO).await;
    relay.run();
    relay.empty().await;
    let bounces = relay.bounces();
    assert_eq!(bounces.len(), 1);
    assert!(bounces[0].contains("Status: 5.4.7") && bounces[0].contains("Action: failed"), "{}", bounces[0]);
}

#[tokio::test]
async fn connections_are_used_again() {
    let sink = Sink::new(welcome);
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    for _ in 0..200 {
        relay.put(&["<a@far.test>"], DAY).await;
    }
    relay.run();
    relay.empty().await;
    assert_eq!(sink.got(), 200);
    let connections = sink.connections.load(Ordering::SeqCst);
    assert!((2..=20).contains(&connections), "several at once, each for many: {connections}");
}

#[tokio::test]
async fn a_destination_that_does_not_answer_holds_back_no_other() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let sink = Sink::new(welcome);
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let transports = [("silent.test", format!("127.0.0.1:{silent_port}")), ("far.test", format!("127.0.0.1:{port}"))];
    let relay = Relay::new(Zone::default(), &transports, |_| ());
    for _ in 0..200 {
        relay.put(&["<a@silent.test>"], DAY).await;
    }
    relay.put(&["<a@far.test>"], DAY).await;
    relay.run();
    until(async || sink.got() == 1).await;
    assert!(relay.deferrals().is_empty(), "nobody waited for the silent one");
    relay.stopper.stop();
}

#[tokio::test]
async fn lmtp_gives_each_recipient_its_own_answer() {
    let mut sink = Sink::new(welcome);
    sink.message = || Verdicts::Each(vec![Reply::OK_250, "552 5.2.2 mailbox full".parse().unwrap()]);
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Lmtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("lmtp:127.0.0.1:{port}"))], |_| ());
    relay.put(&["<a@far.test>", "<full@far.test>"], DAY).await;
    relay.run();
    relay.empty().await;
    assert_eq!(relay.failures().len(), 1);
    assert!(relay.bounces()[0].contains("full@far.test") && !relay.bounces()[0].contains("<a@far.test>"));
}

#[tokio::test]
async fn a_panic_in_a_handler_ends_one_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let sink =
        Sink::new(|to| if to.to_string().contains("panic") { panic!("on purpose") } else { Reply::RECIPIENT_OK_250 });
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let talk = async |to: &str, end: &str| {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let script = format!("EHLO x.test\r\nMAIL FROM:<>\r\nRCPT TO:<{to}@far.test>\r\n{end}");
        stream.write_all(script.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        // The connection that dies may be reset: what was read before counts.
        let _ = stream.read_to_end(&mut said).await;
        String::from_utf8(said).unwrap()
    };
    assert!(!talk("panic", "QUIT\r\n").await.contains("\r\n221 "));
    assert!(talk("fine", "QUIT\r\n").await.ends_with("221 2.0.0 bye\r\n"));
}

#[tokio::test]
async fn a_mail_that_is_slow_does_not_hold_back_the_next_to_the_same_host() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = Sink::new(welcome);
    let (_stopper, stop) = Stopper::new();
    let (mut handler, server_stop) = (sink.clone(), stop.clone());
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    relay.put(&["<a@far.test>"], DAY).await;
    relay.run();
    // The first connection is never greeted.
    let (_silent, _) = listener.accept().await.unwrap();
    relay.put(&["<b@far.test>"], DAY).await;
    let (second, _) = listener.accept().await.unwrap();
    tokio::spawn(async move {
        let first = start(Arc::new(Config::new("sink.test")), Peer::default(), "c", std::time::Instant::now());
        converse(second, first, &mut handler, server_stop).await
    });
    until(async || sink.got() == 1).await;
}

#[tokio::test]
async fn many_silent_destinations_hold_back_neither_local_mail_nor_the_stop() {
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let name = |n: usize| format!("s{n}.test");
    let names: Vec<_> = (0..silent.len()).map(name).collect();
    let transports: Vec<_> = names
        .iter()
        .zip(&silent)
        .map(|(name, listener)| (name.as_str(), format!("127.0.0.1:{}", listener.local_addr().unwrap().port())))
        .collect();
    let relay = Relay::new(Zone::default(), &transports, |d| d.limits.workers = 60);
    for name in &names {
        for _ in 0..4 {
            relay.put(&[&format!("<a@{name}>")], DAY).await;
        }
    }
    relay.put(&["<sender@local.test>"], DAY).await;
    let running = tokio::spawn(relay.delivery.clone().run(relay.stop.clone()));
    until(async || relay.bounces().len() == 1).await;
    relay.stopper.stop();
    tokio::time::timeout(Duration::from_secs(20), running).await.expect("what was not greeted is given back").unwrap();
    let counts = relay.delivery.queue.counts(CountBy::All).await.unwrap();
    assert_eq!((counts[0].ready, counts[0].leased), (160, 0));
    assert!(relay.deferrals().is_empty(), "no attempt is counted");
}

#[tokio::test]
async fn a_unit_of_a_worker_that_died_is_delivered_by_another() {
    let relay = Relay::new(Zone::default(), &[], |_| ());
    relay.put(&["<sender@local.test>"], DAY).await;
    let want = [KeyQuota { key: Route::Maildir.key(), max: 1 }];
    let lost = relay.delivery.queue.claim(WorkerId::new("dead"), now(), &want, Duration::from_millis(1)).await.unwrap();
    assert_eq!(lost.len(), 1);
    until(async || now() > lost[0].lease.expires).await;
    relay.run();
    until(async || relay.bounces().len() == 1).await;
}

#[tokio::test]
async fn a_bounce_for_which_there_is_no_room_costs_nobody_a_second_copy() {
    let sink =
        Sink::new(
            |to| if to.to_string().contains("never") { Reply::UNKNOWN_USER_550 } else { Reply::RECIPIENT_OK_250 },
        );
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let transports = [("far.test", format!("127.0.0.1:{port}"))];
    // Room for the message, not for its bounce.
    let relay = Relay::new(Zone::default(), &transports, |d| d.queue = Memory::with_capacity(300));
    relay.put(&["<now@far.test>", "<never@far.test>"], DAY).await;
    relay.run();
    until(async || relay.deferrals().len() == 1).await;
    assert_eq!(sink.got(), 1);
    assert!(relay.failures().is_empty() && relay.bounces().is_empty());
    until(async || relay.delivery.queue.counts(CountBy::All).await.unwrap()[0].ready == 1).await;
    let page = relay.delivery.queue.list(&Filter::all(), None, 10).await.unwrap();
    let open: Vec<_> =
        page.entries[0].rcpts.iter().filter(|r| !r.state.is_final()).map(|r| r.addr.to_string()).collect();
    assert_eq!(open, ["<never@far.test>"]);
}

#[tokio::test]
async fn d69_it_is_no_for_good_only_if_every_host_says_so() {
    let mut sink = Sink::new(welcome);
    sink.greeting = "554 5.7.1 not you".parse().unwrap();
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let mut zone: Zone = "down.test. 60 MX 10 dead.test.\ndown.test. 60 MX 20 no.test.\n\
                half.test. 60 MX 10 fails.test.\nhalf.test. 60 MX 20 lo.test.\n\
                dead.test. 60 A 127.0.0.2\nno.test. 60 A 127.0.0.1\nlo.test. 60 A 169.254.0.1\n\
                only.test. 60 MX 10 no.test.\n"
        .parse()
        .unwrap();
    for kind in [RecordType::A, RecordType::AAAA] {
        zone.failures.insert(("fails.test".parse::<Name>().unwrap(), kind), Error::ServerFailure);
    }
    let relay = Relay::new(zone.clone(), &[], |d| d.mx_port = port);
    relay.put(&["<a@down.test>"], DAY).await;
    relay.put(&["<a@only.test>"], DAY).await;
    relay.run();
    until(async || relay.deferrals().len() == 1 && relay.failures().len() == 1).await;
    assert!(relay.deferrals()[0].starts_with("451 4.4.1"), "{:?}", relay.deferrals());
    assert!(relay.failures()[0].starts_with("554 5.7.1 not you"), "{:?}", relay.failures());
    let strict = Relay::new(zone, &[], |d| d.allow_private = false);
    strict.put(&["<a@half.test>"], DAY).await;
    strict.run();
    until(async || strict.deferrals().len() == 1).await;
    assert!(strict.deferrals()[0].starts_with("451 4.4.3"), "{:?}", strict.deferrals());
}

#[tokio::test]
async fn a_server_that_takes_one_message_a_connection_gets_them_all() {
    let mut sink = Sink::new(welcome);
    sink.patience = 1;
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    for _ in 0..40 {
        relay.put(&["<a@far.test>"], DAY).await;
    }
    relay.run();
    relay.empty().await;
    assert_eq!((sink.got(), relay.deferrals()), (40, Vec::new()));
}

#[tokio::test]
async fn d69_silence_after_the_final_dot_is_no_reason_for_a_bounce() {
    let mut sink = Sink::new(welcome);
    sink.message = || panic!("on purpose");
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    relay.put(&["<a@far.test>"], DAY).await;
    relay.run();
    until(async || relay.deferrals().len() == 1).await;
    assert!(relay.deferrals()[0].starts_with("451 4.4.2") && relay.bounces().is_empty(), "{:?}", relay.deferrals());
}
