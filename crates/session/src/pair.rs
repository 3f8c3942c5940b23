//! Client and server held against each other over two buffers, with no
//! runtime: what one sends arrives at the other in pieces of any size.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::BytesMut;
use hikyaku_wire::{Body, Code, EnhancedCode, ForwardPath, Mail, Reply};
use proptest::prelude::*;

use crate::{
    Protocol,
    client::{self, Envelope, Settled},
    server::{self, Peer, Stage, Verdicts},
};

/// A message as the server's application took it.
#[derive(Clone, Debug, PartialEq)]
struct Taken {
    mail: Mail,
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

/// The server machine with an application that takes mail for everybody but
/// `no…` (550) and `later…` (450), and that refuses a message for `full…` at its end.
struct Server {
    step: Option<server::Step>,
    age: Age,
    running: Option<Taken>,
    taken: Vec<Taken>,
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
                // The wire takes all there is; `out` is only ever appended to.
                Step::Flush(flush) => flush.flushed(now),
                Step::Pause(pause) => pause.resume(now),
                Step::Authenticate(asked) => asked.answer(now, crate::sasl::Answer::Reject, [0; 18], &mut self.out),
                Step::Upgrade(upgrade) => upgrade.failed(),
                Step::Decide(decide) => {
                    let reply = self.decide(decide.stage());
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

    fn decide(&mut self, stage: Stage<'_>) -> Reply {
        match stage {
            Stage::Connect => Reply::OK_250,
            // The second hello is the HELO that follows.
            Stage::Hello(_) if self.age == Age::Old => {
                self.age = Age::Today;
                Reply::NOT_IMPLEMENTED_502
            }
            Stage::Hello(_) => Reply::OK_250,
            Stage::Mail(mail) => {
                self.running = Some(Taken { mail: mail.clone(), to: Vec::new(), content: Vec::new() });
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

/// The client machine with a caller that sends one message after the other.
struct Client {
    step: Option<client::Step>,
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
                Step::Upgrade(upgrade) => upgrade.failed(Reply::LOCAL_ERROR_451),
                Step::Ready(ready) => match self.messages.pop_front() {
                    None => ready.quit(now, &mut self.out),
                    Some(Outgoing { envelope, size, pieces }) => {
                        self.pieces = pieces.into();
                        match ready.send(&envelope, size, now, &mut self.input, &mut self.out) {
                            Ok(step) => step,
                            Err(client::Unsupported { ready, reply }) => {
                                self.unsupported.push(reply);
                                Step::Ready(*ready)
                            }
                        }
                    }
                },
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
    client: Client,
    server: Server,
    /// How many octets arrive at a time, over and over.
    chunks: Vec<usize>,
    turn: usize,
}

impl Pair {
    fn new(protocol: Protocol, age: Age, messages: Vec<Outgoing>, chunks: Vec<usize>) -> Self {
        let now = Instant::now();
        let server = Arc::new(server::Config { protocol, size: 10_000, ..server::Config::new("mx.test") });
        let hello = "relay.test".parse().expect("a name");
        let client = Arc::new(client::Config { protocol, ..client::Config::new(hello) });
        Self {
            now,
            client: Client {
                step: Some(client::start(client, now)),
                messages: messages.into(),
                pieces: VecDeque::new(),
                settled: Vec::new(),
                unsupported: Vec::new(),
                end: None,
                input: BytesMut::new(),
                out: BytesMut::new(),
            },
            server: Server {
                step: Some(server::start(server, Peer::default(), "c1", now)),
                age,
                running: None,
                taken: Vec::new(),
                input: BytesMut::new(),
                out: BytesMut::new(),
            },
            chunks,
            turn: 0,
        }
    }

    fn chunk(&mut self, available: usize) -> usize {
        self.turn += 1;
        self.chunks[self.turn % self.chunks.len()].clamp(1, available.max(1)).min(available)
    }

    /// Lets octets through, up to so many in each direction; then the
    /// connection breaks. Returns how many passed: to the server, to the client.
    fn run(&mut self, up_to: usize, down_to: usize) -> (usize, usize) {
        let (mut up, mut down) = (0, 0);
        loop {
            self.server.drive(self.now);
            self.client.drive(self.now);
            let n = self.chunk(self.client.out.len()).min(up_to - up);
            self.server.input.extend_from_slice(&self.client.out.split_to(n));
            up += n;
            let m = self.chunk(self.server.out.len()).min(down_to - down);
            self.client.input.extend_from_slice(&self.server.out.split_to(m));
            down += m;
            let writes = matches!(self.client.step, Some(client::Step::Body(_)));
            if n + m == 0 && !writes {
                self.server.drive(self.now);
                self.client.drive(self.now);
                break;
            }
        }
        if let Some(server::Step::Receive(receive)) = self.server.step.take() {
            self.server.step = Some(receive.closed());
            self.server.drive(self.now);
        }
        self.client.closed(self.now);
        (up, down)
    }

    /// The conversation to its good end.
    fn finish(mut self) -> (Client, Server) {
        self.run(usize::MAX, usize::MAX);
        let end = self.client.end.as_ref().expect("the client closes");
        assert_eq!(end.reply.code(), Code::BYE_221, "{end:?}");
        assert!(self.server.running.is_none());
        (self.client, self.server)
    }
}

fn with_line_end(mut content: Vec<u8>) -> Vec<u8> {
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    content
}

/// Content of lines that are hard on dot-stuffing.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => prop::sample::select(vec!["", ".", "..", ". ", ".x", "x.", "x", "QUIT", "\t."]).prop_map(Vec::from),
        1 => prop::collection::vec(any::<u8>().prop_filter("no line end", |b| !b"\r\n\0".contains(b)), 0..40),
    ];
    (prop::collection::vec(line, 0..20), any::<bool>()).prop_map(|(lines, ended)| {
        let end = if ended && !lines.is_empty() { &b"\r\n"[..] } else { b"" };
        [&lines.join(&b"\r\n"[..])[..], end].concat()
    })
}

/// The content cut into pieces at any place.
fn pieces(content: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = content;
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, more) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = more;
    }
    pieces.push(rest.to_vec());
    pieces
}

proptest! {
    #[test]
    fn messages_travel_byte_identical(
        contents in prop::collection::vec((content(), prop::collection::vec(0usize..12, 0..12)), 1..4),
        chunks in prop::collection::vec(prop_oneof![1usize..4, 1usize..2000], 1..8),
        lmtp in any::<bool>(),
        old in any::<bool>(),
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let age = if old && !lmtp { Age::Old } else { Age::Today };
        let outgoing = |(content, cuts): &(Vec<u8>, Vec<usize>)| Outgoing {
            pieces: pieces(content, cuts),
            ..Outgoing::new(&["one@b.test", "no@b.test", "two@b.test"], content)
        };
        let messages = contents.iter().map(outgoing).collect();
        let (client, server) = Pair::new(protocol, age, messages, chunks).finish();
        prop_assert_eq!(server.taken.len(), contents.len());
        for ((content, _), taken) in contents.into_iter().zip(&server.taken) {
            prop_assert_eq!(&taken.content, &with_line_end(content));
            prop_assert_eq!(taken.to.len(), 2);
        }
        for settled in &client.settled {
            let delivered: Vec<_> = settled.iter().map(Settled::is_delivered).collect();
            prop_assert_eq!(delivered, [true, false, true]);
            prop_assert!(matches!(&settled[1], Settled::Said(reply) if reply.code().as_u16() == 550));
        }
    }
}

#[test]
fn a_message_for_nobody_does_not_disturb_the_next() {
    for (protocol, age) in [(Protocol::Smtp, Age::Today), (Protocol::Smtp, Age::Old), (Protocol::Lmtp, Age::Today)] {
        let messages = vec![
            Outgoing::new(&["no@b.test", "later@b.test"], b"one\r\n"),
            Outgoing::new(&["yes@b.test"], b"two\r\n"),
            Outgoing::new(&["later@b.test"], b"three\r\n"),
        ];
        let (client, server) = Pair::new(protocol, age, messages, vec![1, 7]).finish();
        let contents: Vec<_> = server.taken.iter().map(|taken| &taken.content[..]).collect();
        assert_eq!(contents, [b"two\r\n"]);
        let said: Vec<Vec<_>> = client
            .settled
            .iter()
            .map(|settled| settled.iter().map(|s| s.clone().into_outcome().reply.code().as_u16()).collect())
            .collect();
        assert_eq!(said, [vec![550, 450], vec![250], vec![450]]);
    }
}

#[test]
fn lmtp_recipients_have_their_own_fates() {
    let message = Outgoing::new(&["one@b.test", "no@b.test", "full@b.test", "two@b.test"], b"x\r\n");
    let (client, server) = Pair::new(Protocol::Lmtp, Age::Today, vec![message], vec![3]).finish();
    assert_eq!(server.taken.len(), 1);
    let codes: Vec<_> = client.settled[0].iter().map(|s| s.clone().into_outcome().reply.code().as_u16()).collect();
    assert_eq!(codes, [250, 550, 452, 250]);
    assert!(client.settled[0].iter().all(|settled| matches!(settled, Settled::Said(_))));
}

#[test]
fn what_a_message_needs_travels() {
    let mut message = Outgoing::new(&["\u{fc}@b.test"], "Subject: \u{fc}\r\n".as_bytes());
    message.envelope.from = "<\"a b\"@\u{fc}.test>".parse().expect("a path");
    message.envelope.body = Body::EightBitMime;
    let envelope = message.envelope.clone();
    let (client, server) = Pair::new(Protocol::Smtp, Age::Today, vec![message.clone()], vec![5]).finish();
    assert!(client.settled[0][0].is_delivered());
    let Taken { mail, to, .. } = &server.taken[0];
    assert_eq!((&mail.from, to), (&envelope.from, &envelope.to));
    assert_eq!((mail.params.size, mail.params.body, mail.params.smtputf8), (Some(13), Some(Body::EightBitMime), true));
    // A server without extensions is not given it.
    let (client, server) = Pair::new(Protocol::Smtp, Age::Old, vec![message], vec![5]).finish();
    assert_eq!(client.unsupported.len(), 1);
    assert_eq!(server.taken, []);
}

#[test]
fn what_is_too_big_is_refused_before_and_after() {
    let content = [&b"x".repeat(70)[..], b"\r\n"].concat().repeat(200);
    let honest = Outgoing::new(&["one@b.test"], &content);
    let liar = Outgoing { size: 100, ..honest.clone() };
    let (client, server) = Pair::new(Protocol::Smtp, Age::Today, vec![honest, liar], vec![900]).finish();
    assert_eq!(client.unsupported[0].to_string(), "552 5.3.4 message is larger than the next host takes");
    let said = client.settled[0][0].clone().into_outcome();
    assert_eq!((said.reply.code(), said.by), (Code::TOO_BIG_552, client::By::Remote));
    assert_eq!(server.taken, []);
}

#[test]
fn d31_content_with_a_bare_line_end_is_never_taken() {
    for content in [&b"a\r\nb\n.\r\nc\r\n"[..], b"a\r.\r\n", b"x\r"] {
        let message = Outgoing::new(&["one@b.test"], content);
        let mut pair = Pair::new(Protocol::Smtp, Age::Today, vec![message], vec![1]);
        pair.run(usize::MAX, usize::MAX);
        assert_eq!(pair.server.taken, []);
        let why = pair.client.settled[0][0].clone().into_outcome();
        assert_eq!(why.reply.to_string(), "554 5.6.0 message holds a bare CR or LF");
        assert_eq!(pair.client.end, Some(why));
    }
}

/// Cuts the connection after each octet in each direction: what the server
/// took the client never calls untried, and what it calls delivered was taken.
#[test]
fn d69_a_cut_at_every_byte_loses_nothing() {
    let cases = [(Protocol::Smtp, Age::Today), (Protocol::Smtp, Age::Old), (Protocol::Lmtp, Age::Today)];
    for (protocol, age) in cases {
        let message = Outgoing::new(&["one@b.test", "no@b.test", "full@b.test"], b".a\r\nb\r\n");
        let whole = Pair::new(protocol, age, vec![message.clone()], vec![4096]).run(usize::MAX, usize::MAX);
        let cuts = (0..=whole.0).map(|up| (up, usize::MAX)).chain((0..=whole.1).map(|down| (usize::MAX, down)));
        let (mut delivered, mut unknown) = (0, 0);
        for (up, down) in cuts {
            let mut pair = Pair::new(protocol, age, vec![message.clone()], vec![4096]);
            pair.run(up, down);
            assert!(pair.client.end.is_some() && pair.server.running.is_none());
            let taken = pair.server.taken.len() == 1;
            let Some(settled) = pair.client.settled.first() else {
                assert!(!taken);
                continue;
            };
            let one = &settled[0];
            delivered += usize::from(one.is_delivered());
            unknown += usize::from(matches!(one, Settled::Unknown(_)));
            assert!(!one.is_delivered() || taken, "{up} {down}: {settled:?}");
            assert!(!taken || !matches!(one, Settled::NotTried(_)), "{up} {down}: {settled:?}");
            assert!(!settled[1].is_delivered() && !matches!(settled[1], Settled::Unknown(_)), "{settled:?}");
        }
        assert!(delivered > 0 && unknown > 0);
    }
}
