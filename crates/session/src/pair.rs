//! Client and server held against each other over two buffers, with no
//! runtime: what one sends arrives at the other in pieces of any size.

mod moves;
#[cfg(test)]
mod tests;

pub use moves::pair;

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::Instant,
};

use bytes::BytesMut;
use hikyaku_wire::{Code, EnhancedCode, ForwardPath, Mail, Reply};

use crate::{
    Certificate, Protocol, Tls,
    client::{self, Envelope, Settled},
    sasl::{Answer, Mechanism, Password, Question, ScramKeys, client::Credentials},
    server::{self, Peer, Stage, Verdicts},
};

/// A message as the server's application took it.
#[derive(Clone, Debug, PartialEq)]
struct Taken {
    mail: Mail,
    user: Option<Box<str>>,
    tls: bool,
    to: Vec<ForwardPath>,
    content: Vec<u8>,
}

/// Who answers EHLO: a server of today, or one that knows HELO only.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Age {
    Today,
    Old,
}

/// A message for the client to send, in pieces.
#[derive(Clone, Debug)]
struct Outgoing {
    envelope: Envelope,
    size: u64,
    pieces: Vec<Vec<u8>>,
}

impl Outgoing {
    fn new(to: &[&str], content: &[u8]) -> Self {
        let to = to.iter().map(|to| format!("<{to}>").parse().expect("a path")).collect();
        Self {
            envelope: Envelope::new("<from@a.test>".parse().expect("a path"), to),
            size: content.len() as u64,
            pieces: vec![content.to_vec()],
        }
    }
}

/// What both sides are told.
#[derive(Clone, Debug)]
struct Scenario {
    protocol: Protocol,
    age: Age,
    /// Of the client, and of the server.
    tls: (client::TlsMode, server::TlsMode),
    /// Whether the handshake succeeds, if both sides begin it.
    handshake: bool,
    /// Whether both sides have what binds an authentication to the connection.
    exporter: bool,
    /// Whose the client's certificate is, if it is one to be believed.
    certificate: Option<&'static str>,
    mechanisms: Vec<Mechanism>,
    credentials: Option<Credentials>,
    messages: Vec<Outgoing>,
    /// How many octets arrive at a time, over and over.
    chunks: Vec<usize>,
}

impl Scenario {
    fn plain(protocol: Protocol, age: Age, messages: Vec<Outgoing>, chunks: Vec<usize>) -> Self {
        Self {
            protocol,
            age,
            tls: (client::TlsMode::Off, server::TlsMode::Off),
            handshake: true,
            exporter: true,
            certificate: None,
            mechanisms: Vec::new(),
            credentials: None,
            messages,
            chunks,
        }
    }
}

/// The user that the server knows, and what proves it.
const USER: &str = "user";
const PASSWORD: &str = "pencil";
const TOKEN: &str = "tok";

fn password(password: &str) -> Credentials {
    Credentials::Password { user: USER.into(), password: Password::new(password) }
}

fn token(token: &str) -> Credentials {
    Credentials::Token { user: USER.into(), token: Password::new(token) }
}

/// The server machine with an application that takes mail for everybody but
/// `no…` (550) and `later…` (450), and that refuses a message for `full…` at its end.
struct Server {
    step: Option<server::Step>,
    age: Age,
    running: Option<Taken>,
    taken: Vec<Taken>,
    nonce: u8,
    input: BytesMut,
    out: BytesMut,
}

impl Server {
    fn drive(&mut self, now: Instant) {
        use server::Step;
        while let Some(step) = self.step.take() {
            self.step = Some(match step {
                Step::Receive(receive) => match receive.process(now, &mut self.input, &mut self.out) {
                    step @ Step::Receive(_) => {
                        self.step = Some(step);
                        return;
                    }
                    step => step,
                },
                step @ Step::Upgrade(_) => {
                    assert!(self.input.is_empty(), "plain text is left at the handshake");
                    self.step = Some(step);
                    return;
                }
                // The wire takes all there is; `out` is only ever appended to.
                Step::Flush(flush) => flush.flushed(now),
                Step::Pause(pause) => pause.resume(now),
                Step::Authenticate(asked) => {
                    let answer = answer(&asked.question());
                    self.nonce += 1;
                    asked.answer(now, answer, [self.nonce; 18], &mut self.out)
                }
                Step::Decide(decide) => {
                    let reply = self.decide(decide.stage(), decide.session());
                    decide.reply(now, &reply, &mut self.out)
                }
                Step::Data(data) => data.accept(now, &mut self.out),
                Step::Body(body) => {
                    let (piece, step) = (body.piece().clone(), body.next());
                    self.running.as_mut().expect("a transaction").content.extend_from_slice(&piece);
                    step
                }
                Step::Message(message) => {
                    let taken = self.running.take().expect("a transaction");
                    let verdicts = match message.session().protocol() {
                        Protocol::Smtp => Verdicts::One(verdict(&taken.to[0])),
                        Protocol::Lmtp => Verdicts::Each(taken.to.iter().map(verdict).collect()),
                    };
                    self.taken.push(taken);
                    message.reply(now, verdicts, &mut self.out)
                }
                Step::Ended(ended) => {
                    self.running = None;
                    ended.next()
                }
                Step::Refused(refused) => refused.next(),
                Step::Close => return,
            });
        }
    }

    fn decide(&mut self, stage: Stage<'_>, session: &server::Session) -> Reply {
        match stage {
            Stage::Connect => Reply::OK_250,
            // The second hello is the HELO that follows.
            Stage::Hello(_) if self.age == Age::Old => {
                self.age = Age::Today;
                Reply::NOT_IMPLEMENTED_502
            }
            Stage::Hello(_) => Reply::OK_250,
            Stage::Mail(mail) => {
                let (user, tls) = (session.user().map(Into::into), session.tls().is_some());
                self.running = Some(Taken { mail: mail.clone(), user, tls, to: Vec::new(), content: Vec::new() });
                Reply::SENDER_OK_250
            }
            Stage::Recipient(recipient) => match answer_for(&recipient.to) {
                Some(refusal) => refusal,
                None => {
                    self.running.as_mut().expect("a transaction").to.push(recipient.to.clone());
                    Reply::RECIPIENT_OK_250
                }
            },
        }
    }
}

fn answer_for(to: &ForwardPath) -> Option<Reply> {
    let name = to.to_string();
    let (code, enhanced) = match name {
        _ if name.starts_with("<no") => (Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 1, 1)),
        _ if name.starts_with("<later") => (Code::MAILBOX_BUSY_450, EnhancedCode::new(4, 2, 0)),
        _ => return None,
    };
    Some(Reply::new(code, enhanced, "not this one"))
}

fn verdict(to: &ForwardPath) -> Reply {
    if to.to_string().starts_with("<full") { Reply::STORAGE_FULL_452 } else { Reply::OK_250 }
}

fn answer(question: &Question<'_>) -> Answer {
    static KEYS: OnceLock<ScramKeys> = OnceLock::new();
    let known = match question {
        Question::ScramKeys { user: USER, .. } => {
            let derive = || ScramKeys::derive(PASSWORD, b"a salt of the user", 4096).expect("a password");
            let keys = KEYS.get_or_init(derive).clone();
            return Answer::Keys { user: USER.into(), keys };
        }
        Question::Password { user, password, .. } => *user == USER && password.as_str() == PASSWORD,
        Question::Token { user, token } => user.is_none_or(|user| user == USER) && token.as_str() == TOKEN,
        Question::Certificate { certificate, .. } => certificate.names.iter().any(|name| **name == *USER),
        _ => false,
    };
    if known { Answer::Accept(USER.into()) } else { Answer::Reject }
}

/// The client machine with a caller that sends one message after the other.
struct Client {
    step: Option<client::Step>,
    credentials: Option<Credentials>,
    messages: VecDeque<Outgoing>,
    pieces: VecDeque<Vec<u8>>,
    settled: Vec<Vec<Settled>>,
    unsupported: Vec<Reply>,
    end: Option<client::Outcome>,
    input: BytesMut,
    out: BytesMut,
}

impl Client {
    /// Goes on until a reply is needed, or one piece of content is written.
    fn drive(&mut self, now: Instant) {
        use client::Step;
        while let Some(step) = self.step.take() {
            self.step = Some(match step {
                Step::Receive(receive) => match receive.process(now, &mut self.input, &mut self.out) {
                    step @ Step::Receive(_) => {
                        self.step = Some(step);
                        return;
                    }
                    step => step,
                },
                step @ Step::Upgrade(_) => {
                    assert!(self.input.is_empty(), "plain text is left at the handshake");
                    self.step = Some(step);
                    return;
                }
                Step::Ready(ready) => self.ready(ready, now),
                Step::Body(body) => match body.process(&mut self.input) {
                    Step::Body(mut body) => match self.pieces.pop_front() {
                        None => body.finish(now, &mut self.out),
                        Some(piece) => {
                            // What is spoilt ends at `finish`.
                            let _ = body.write(now, &piece, &mut self.out);
                            self.step = Some(Step::Body(body));
                            return;
                        }
                    },
                    step => step,
                },
                Step::Done(done) => {
                    let (settled, step) = done.settle();
                    self.settled.push(settled);
                    step
                }
                Step::Close(close) => {
                    self.end = Some(close.outcome().clone());
                    return;
                }
            });
        }
    }

    fn ready(&mut self, ready: client::Ready, now: Instant) -> client::Step {
        if let Some(credentials) = self.credentials.take() {
            return match ready.authenticate(&credentials, [0; 18], now, &mut self.input, &mut self.out) {
                Ok(step) => step,
                Err(client::Unsupported { ready, reply }) => {
                    self.unsupported.push(reply);
                    self.messages.clear();
                    ready.quit(now, &mut self.out)
                }
            };
        }
        let Some(Outgoing { envelope, size, pieces }) = self.messages.pop_front() else {
            return ready.quit(now, &mut self.out);
        };
        self.pieces = pieces.into();
        match ready.send(&envelope, size, now, &mut self.input, &mut self.out) {
            Ok(step) => step,
            Err(client::Unsupported { ready, reply }) => {
                self.unsupported.push(reply);
                client::Step::Ready(*ready)
            }
        }
    }

    fn closed(&mut self, now: Instant) {
        use client::Step;
        self.step = match self.step.take() {
            Some(Step::Receive(receive)) => Some(receive.closed()),
            Some(Step::Body(body)) => Some(body.closed()),
            step => step,
        };
        self.drive(now);
    }
}

struct Pair {
    now: Instant,
    scenario: Scenario,
    client: Client,
    server: Server,
    encrypted: bool,
    /// Somebody stands between, with a handshake on either side.
    between: bool,
    /// All that went over the wire without TLS, to the server.
    clear: Vec<u8>,
    turn: usize,
}

impl Pair {
    #[cfg(test)]
    fn new(protocol: Protocol, age: Age, messages: Vec<Outgoing>, chunks: Vec<usize>) -> Self {
        Self::of(Scenario::plain(protocol, age, messages, chunks))
    }

    fn of(scenario: Scenario) -> Self {
        let now = Instant::now();
        let protocol = scenario.protocol;
        let auth = server::Auth { mechanisms: scenario.mechanisms.clone(), ..server::Auth::default() };
        let server =
            server::Config { protocol, size: 10_000, tls: scenario.tls.1, auth, ..server::Config::new("mx.test") };
        let hello = "relay.test".parse().expect("a name");
        let client = client::Config { protocol, tls: scenario.tls.0, ..client::Config::new(hello) };
        Self {
            now,
            client: Client {
                step: Some(client::start(Arc::new(client), now)),
                credentials: scenario.credentials.clone(),
                messages: scenario.messages.clone().into(),
                pieces: VecDeque::new(),
                settled: Vec::new(),
                unsupported: Vec::new(),
                end: None,
                input: BytesMut::new(),
                out: BytesMut::new(),
            },
            server: Server {
                step: Some(server::start(Arc::new(server), Peer::default(), "c1", now)),
                age: scenario.age,
                running: None,
                taken: Vec::new(),
                nonce: 0,
                input: BytesMut::new(),
                out: BytesMut::new(),
            },
            scenario,
            encrypted: false,
            between: false,
            clear: Vec::new(),
            turn: 0,
        }
    }

    fn chunk(&mut self, available: usize) -> usize {
        self.turn += 1;
        let chunks = &self.scenario.chunks;
        chunks[self.turn % chunks.len()].clamp(1, available.max(1)).min(available)
    }

    /// Lets octets through, up to so many in each direction; then the
    /// connection breaks. Returns how many passed: to the server, to the client.
    fn run(&mut self, up_to: usize, down_to: usize) -> (usize, usize) {
        let (mut up, mut down) = (0, 0);
        loop {
            self.server.drive(self.now);
            self.client.drive(self.now);
            // Who waits for a handshake reads nothing else.
            let server_reads = !matches!(self.server.step, Some(server::Step::Upgrade(_)));
            let client_reads = !matches!(self.client.step, Some(client::Step::Upgrade(_)));
            let n = if server_reads { self.chunk(self.client.out.len()).min(up_to - up) } else { 0 };
            let sent = self.client.out.split_to(n);
            if !self.encrypted {
                self.clear.extend_from_slice(&sent);
            }
            self.server.input.extend_from_slice(&sent);
            up += n;
            let m = if client_reads { self.chunk(self.server.out.len()).min(down_to - down) } else { 0 };
            self.client.input.extend_from_slice(&self.server.out.split_to(m));
            down += m;
            let writes = matches!(self.client.step, Some(client::Step::Body(_)));
            if n + m == 0 && !writes {
                self.server.drive(self.now);
                self.client.drive(self.now);
                if !self.shake_hands() {
                    break;
                }
            }
        }
        if let Some(server::Step::Receive(receive)) = self.server.step.take() {
            self.server.step = Some(receive.closed());
            self.server.drive(self.now);
        }
        self.client.closed(self.now);
        (up, down)
    }

    /// The handshake, if one is due; it fails if only one side is for it. Says whether the
    /// conversation goes on.
    fn shake_hands(&mut self) -> bool {
        match (self.client.step.take(), self.server.step.take()) {
            (Some(client::Step::Upgrade(client)), Some(server::Step::Upgrade(server))) if self.scenario.handshake => {
                assert!(!self.encrypted && self.client.out.is_empty() && self.server.out.is_empty());
                let exporter = self.scenario.exporter.then_some([9; 32]);
                let certificate = Some(Certificate::default());
                let tls = Tls { version: "TLSv1.3".into(), exporter, certificate, ..Tls::default() };
                let name = |name: &str| Certificate { spki: [1; 32], names: vec![name.into()] };
                let other = if self.between { Some([8; 32]) } else { exporter };
                let seen = Tls { exporter: other, certificate: self.scenario.certificate.map(name), ..tls.clone() };
                self.encrypted = true;
                self.client.step = Some(client.established(self.now, tls, &self.client.input, &mut self.client.out));
                self.server.step = Some(server.established(self.now, seen, &self.server.input));
                true
            }
            (client, server) => {
                self.client.step = match client {
                    Some(client::Step::Upgrade(upgrade)) => Some(upgrade.failed(no_handshake())),
                    client => client,
                };
                self.server.step = match server {
                    Some(server::Step::Upgrade(upgrade)) => Some(upgrade.failed()),
                    server => server,
                };
                self.client.drive(self.now);
                self.server.drive(self.now);
                false
            }
        }
    }

    /// The conversation to its good end.
    #[cfg(test)]
    fn finish(mut self) -> (Client, Server) {
        self.run(usize::MAX, usize::MAX);
        let end = self.client.end.as_ref().expect("the client closes");
        assert_eq!(end.reply.code(), Code::BYE_221, "{end:?}");
        assert!(self.server.running.is_none());
        (self.client, self.server)
    }
}

fn no_handshake() -> Reply {
    Reply::new(Code::TEMPORARY_AUTH_FAILURE_454, EnhancedCode::new(4, 7, 5), "no handshake")
}
