//! The client machine held against scripts that read like those of an RFC.
//!
//! `S:` the remote says a line, `C:` the client must have said it, `W:` the
//! caller writes a line of content, `F:` it ends the content, `T:` nothing
//! comes until the deadline, `E:` the connection closes, `H:` the TLS
//! handshake is done (or, with a reply, has failed), `D:` what must have
//! become of each recipient, `X:` why the conversation must have ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use super::*;
use crate::{Certificate, Protocol, Tls, sasl::client::Credentials};

/// Cuts what the remote says in one go into the pieces that arrive.
type Chunking = fn(&[u8], usize) -> Vec<Vec<u8>>;

fn whole(said: &[u8], _: usize) -> Vec<Vec<u8>> {
    vec![said.to_vec()]
}

fn by_bytes(said: &[u8], _: usize) -> Vec<Vec<u8>> {
    said.iter().map(|&byte| vec![byte]).collect()
}

fn split_at(said: &[u8], at: usize) -> Vec<Vec<u8>> {
    let (left, right) = said.split_at(at.min(said.len()));
    vec![left.to_vec(), right.to_vec()]
}

struct Talk {
    step: Option<Step>,
    now: Instant,
    messages: VecDeque<(Envelope, u64)>,
    credentials: Option<Credentials>,
    input: BytesMut,
    out: BytesMut,
    log: Vec<String>,
}

impl Talk {
    fn new(config: Config, messages: Vec<(Envelope, u64)>) -> Self {
        Self::with(config, messages, None)
    }

    fn with(config: Config, messages: Vec<(Envelope, u64)>, credentials: Option<Credentials>) -> Self {
        let now = Instant::now();
        let mut talk = Self {
            step: Some(start(Arc::new(config), now)),
            now,
            messages: messages.into(),
            credentials,
            input: BytesMut::new(),
            out: BytesMut::new(),
            log: Vec::new(),
        };
        talk.drive();
        talk
    }

    /// Does what the machine asks for until only an event can go on.
    fn drive(&mut self) {
        while let Some(step) = self.step.take() {
            let next = match step {
                Step::Receive(receive) => {
                    let next = receive.process(self.now, &mut self.input, &mut self.out);
                    self.note_commands();
                    if matches!(next, Step::Receive(_)) {
                        self.step = Some(next);
                        return;
                    }
                    next
                }
                Step::Ready(ready) if self.credentials.is_some() => {
                    let credentials = self.credentials.take().expect("credentials");
                    match ready.authenticate(&credentials, [0; 18], self.now, &mut self.input, &mut self.out) {
                        Ok(next) => next,
                        Err(Unsupported { ready, reply }) => {
                            self.log.push(format!("D: no AUTH, {reply}"));
                            Step::Ready(*ready)
                        }
                    }
                }
                Step::Ready(ready) => match self.messages.pop_front() {
                    Some((envelope, size)) => {
                        match ready.send(&envelope, size, self.now, &mut self.input, &mut self.out) {
                            Ok(next) => next,
                            Err(Unsupported { ready, reply }) => {
                                self.log.push(format!("D: unsupported {reply}"));
                                Step::Ready(*ready)
                            }
                        }
                    }
                    None => ready.quit(self.now, &mut self.out),
                },
                Step::Upgrade(upgrade) => {
                    assert!(self.input.is_empty(), "plain text is left at the handshake");
                    self.step = Some(Step::Upgrade(upgrade));
                    return;
                }
                Step::Body(body) => {
                    let next = body.process(&mut self.input);
                    if matches!(next, Step::Body(_)) {
                        self.step = Some(next);
                        return;
                    }
                    next
                }
                Step::Done(done) => {
                    let (settled, next) = done.settle();
                    self.log.extend(settled.iter().map(show));
                    next
                }
                Step::Close(close) => {
                    self.log.push(format!("X: {}", attributed(close.outcome())));
                    return;
                }
            };
            self.note_commands();
            self.step = Some(next);
        }
    }

    fn note_commands(&mut self) {
        let said = String::from_utf8(self.out.split().to_vec()).expect("UTF-8");
        assert!(said.is_empty() || said.ends_with("\r\n"), "{said:?}");
        self.log.extend(said.split_terminator("\r\n").map(|line| format!("C: {line}").trim_end().to_owned()));
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.drive();
    }

    fn write(&mut self, content: &[u8]) {
        let Some(Step::Body(body)) = &mut self.step else {
            panic!("no content is wanted: {:?} after {:#?}", self.step, self.log);
        };
        body.write(self.now, content, &mut self.out).expect("clean content");
        self.note_commands();
    }

    fn act(&mut self, on_receive: fn(Receive) -> Step, on_body: fn(Body) -> Step) {
        self.step = Some(match self.step.take() {
            Some(Step::Receive(receive)) => on_receive(receive),
            Some(Step::Body(body)) => on_body(body),
            other => panic!("neither Receive nor Body: {other:?} after {:#?}", self.log),
        });
        self.drive();
    }

    fn shake_hands(&mut self, failure: &str) {
        let Some(Step::Upgrade(upgrade)) = self.step.take() else {
            panic!("no handshake is due after {:#?}", self.log);
        };
        self.step = Some(match failure {
            "" => upgrade.established(self.now, tls(), &self.input, &mut self.out),
            reply => upgrade.failed(reply.parse().expect("a reply")),
        });
        self.note_commands();
        self.drive();
    }

    fn finish(&mut self) {
        let Some(Step::Body(body)) = self.step.take() else {
            panic!("no content to finish after {:#?}", self.log);
        };
        self.step = Some(body.finish(self.now, &mut self.out));
        self.note_commands();
        self.drive();
    }
}

fn attributed(outcome: &Outcome) -> String {
    let by = match outcome.by {
        By::Us => "us",
        By::Remote => "remote",
    };
    format!("{by} {}", outcome.reply)
}

fn show(settled: &Settled) -> String {
    match settled {
        Settled::Said(reply) => format!("D: said {reply}"),
        Settled::NotTried(outcome) => format!("D: not tried, {}", attributed(outcome)),
        Settled::Unknown(outcome) => format!("D: unknown, {}", attributed(outcome)),
    }
}

#[derive(Clone)]
struct Case {
    config: Config,
    credentials: Option<Credentials>,
    messages: Vec<(Envelope, u64)>,
}

impl Case {
    /// One conversation that sends one message of 100 octets to these recipients.
    fn to(recipients: &[&str]) -> Self {
        let config = Config::new("relay.test".parse().expect("a name"));
        Self { config, credentials: None, messages: vec![(envelope(recipients), 100)] }
    }

    fn lmtp(mut self) -> Self {
        self.config.protocol = Protocol::Lmtp;
        self
    }

    fn tls(mut self, mode: TlsMode) -> Self {
        self.config.tls = mode;
        self
    }

    /// AUTH at the first opportunity.
    fn auth(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    fn then(mut self, recipients: &[&str]) -> Self {
        self.messages.push((envelope(recipients), 100));
        self
    }

    fn with(mut self, change: impl Fn(&mut Envelope)) -> Self {
        self.messages.iter_mut().for_each(|(envelope, _)| change(envelope));
        self
    }

    /// Runs the script with what the remote says arriving whole.
    fn run(&self, script: &str) {
        self.run_in_pieces(script, whole, 0);
    }

    /// Runs the script whole, byte by byte, and with each reply split at each byte.
    fn run_every_way(&self, script: &str) {
        self.run(script);
        self.run_in_pieces(script, by_bytes, 0);
        // No more is ever said in one go.
        let lines: Vec<_> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let goes = lines.split(|line| !line.starts_with("S:"));
        let longest = goes.map(|said| said.iter().map(|line| line.len()).sum()).max().unwrap_or_default();
        for at in 1..longest {
            self.run_in_pieces(script, split_at, at);
        }
    }

    fn run_in_pieces(&self, script: &str, chunking: Chunking, at: usize) {
        let mut talk = Talk::with(self.config.clone(), self.messages.clone(), self.credentials.clone());
        let mut said = Vec::new();
        let mut expected = Vec::new();
        let mut lines = script.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
        while let Some(line) = lines.next() {
            let (kind, text) = line.split_at(2);
            let text = text.strip_prefix(' ').unwrap_or(text);
            match kind {
                "S:" => {
                    said.extend_from_slice(text.as_bytes());
                    said.extend_from_slice(b"\r\n");
                    if lines.peek().is_some_and(|next| next.starts_with("S:")) {
                        continue;
                    }
                    for piece in chunking(&std::mem::take(&mut said), at) {
                        talk.hear(&piece);
                    }
                }
                "W:" => talk.write(format!("{text}\r\n").as_bytes()),
                "F:" => talk.finish(),
                "H:" => talk.shake_hands(text),
                "T:" => talk.act(Receive::timed_out, Body::timed_out),
                "E:" => talk.act(Receive::closed, Body::closed),
                "C:" | "D:" | "X:" => {
                    expected.push(line.to_owned());
                    continue;
                }
                _ => panic!("what is {line:?}?"),
            }
            let so_far = lines.clone().take_while(|next| matches!(&next[..2], "C:" | "D:" | "X:")).map(str::to_owned);
            let wanted: Vec<_> = expected.iter().cloned().chain(so_far).collect();
            assert_eq!(talk.log, wanted, "after {line:?}, split at {at}");
        }
        let open = talk.step.is_some();
        assert!(!open, "the script ends, the conversation does not: {:#?}", talk.log);
    }
}

fn tls() -> Tls {
    let certificate = Some(Certificate::default());
    Tls { version: "TLSv1.3".into(), exporter: Some([7; 32]), certificate, ..Tls::default() }
}

fn envelope(recipients: &[&str]) -> Envelope {
    let to = recipients.iter().map(|to| format!("<{to}>").parse().expect("a path"));
    Envelope::new("<from@a.test>".parse().expect("a path"), to.collect())
}

/// A message of 100 octets, after whatever made the client ready.
const MESSAGE: &str = "
    C: MAIL FROM:<from@a.test>
    S: 250 ok
    C: RCPT TO:<one@b.test>
    S: 250 ok
    C: DATA
    S: 354 go
    F:
    C: .
    S: 250 queued
    D: said 250 queued
    C: QUIT
    S: 221 bye
    X: remote 221 bye
    ";

mod auth;
mod desync;
mod needs;
mod plain;
mod time;
mod tls;
