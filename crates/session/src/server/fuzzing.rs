//! Moves of a peer and an application against the server machine.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hikyaku_wire::{Code, EnhancedCode, Reply};

use super::{Config, Peer, Receive, Stage, Step, Verdicts, start};
use crate::Protocol;

/// Plays a script of moves, one a line, and checks what must hold whatever
/// they are. The first octet of a line says what it is:
///
/// `C` the rest and CRLF come from the peer, `c` with LF alone, `r` without a
/// line end; `A` the next answers are 2, 3, 4, 5 or `x` for 421, one a letter;
/// `T` time passes, a second for each octet of the line squared; `L` LMTP.
pub fn server(data: &[u8]) {
    let lmtp = data.starts_with(b"L");
    let mut play = Play::new(if lmtp { Protocol::Lmtp } else { Protocol::Smtp });
    for line in data.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = line.split_first() else { continue };
        match kind {
            b'C' => play.feed(&[rest, b"\r\n"].concat()),
            b'c' => play.feed(&[rest, b"\n"].concat()),
            b'r' => play.feed(rest),
            b'A' => play.answers.extend(rest),
            b'T' => play.wait(Duration::from_secs(rest.len().pow(2) as u64)),
            _ => {}
        }
    }
}

/// No reply of the machine or of [`Play::answer`] is longer than this.
const REPLY: usize = 512;

struct Play {
    now: Instant,
    receive: Option<Receive>,
    input: BytesMut,
    out: BytesMut,
    answers: std::collections::VecDeque<u8>,
    /// Replies on the wire so far.
    replies: usize,
    /// Whether a transaction runs, as the application sees it, and its recipients.
    transaction: Option<usize>,
    body: u64,
    lmtp: bool,
    size: u64,
}

impl Play {
    fn new(protocol: Protocol) -> Self {
        let mut config = Config { protocol, size: 64, ..Config::new("mx.example.test") };
        config.limits.recipients = 3;
        config.limits.command_line = 128;
        config.limits.discarded_line = 64;
        config.limits.junk = 8;
        let size = config.size;
        let now = Instant::now();
        let mut play = Self {
            now,
            receive: None,
            input: BytesMut::new(),
            out: BytesMut::new(),
            answers: std::collections::VecDeque::new(),
            replies: 0,
            transaction: None,
            body: 0,
            lmtp: protocol == Protocol::Lmtp,
            size,
        };
        play.drive(start(Arc::new(config), Peer::default(), "c1", now));
        assert_eq!(play.replies, 1, "one greeting");
        play
    }

    fn feed(&mut self, bytes: &[u8]) {
        if let Some(receive) = self.receive.take() {
            self.input.extend_from_slice(bytes);
            self.drive(Step::Receive(receive));
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        let Some(receive) = self.receive.take() else { return };
        if self.now < receive.deadline() {
            self.receive = Some(receive);
            return;
        }
        let step = receive.timed_out(&mut self.out);
        self.drive(step);
        assert!(self.receive.is_none(), "a time-out is the end");
    }

    fn drive(&mut self, mut step: Step) {
        loop {
            let receives = matches!(step, Step::Receive(_));
            step = match step {
                Step::Receive(receive) => {
                    assert_eq!(receive.in_transaction(), self.transaction.is_some());
                    assert!(!receive.in_body() || receive.in_transaction());
                    let before = self.out.len();
                    let step = receive.process(self.now, &mut self.input, &mut self.out);
                    assert!(self.out.len() < before.max(64 << 10) + 4 * REPLY, "output is bounded");
                    step
                }
                step => self.advance(step),
            };
            if let (true, Step::Receive(_)) = (receives, &step) {
                let Step::Receive(receive) = step else { unreachable!() };
                assert!(self.input.len() <= 128, "what is not needed is consumed");
                self.write();
                self.receive = Some(receive);
                return;
            }
            if matches!(step, Step::Close) {
                assert!(self.out.is_empty(), "the last words are flushed");
                assert!(self.transaction.is_none(), "the application knows that it is over");
                return;
            }
        }
    }

    fn advance(&mut self, step: Step) -> Step {
        match step {
            Step::Flush(flush) => {
                self.write();
                flush.flushed(self.now)
            }
            Step::Pause(pause) => {
                self.now = pause.until();
                pause.resume(self.now)
            }
            Step::Authenticate(asked) => asked.answer(self.now, crate::sasl::Answer::Reject, [0; 18], &mut self.out),
            Step::Upgrade(upgrade) => upgrade.failed(),
            Step::Decide(decide) => {
                let reply = self.answer();
                let running = self.transaction;
                match decide.stage() {
                    Stage::Connect | Stage::Hello(_) => assert_eq!(running, None, "a hello ends a transaction"),
                    Stage::Mail(_) => {
                        assert_eq!(running, None, "no transaction in a transaction");
                        assert!(decide.session().hello().is_some());
                        self.transaction = reply.is_positive().then_some(0);
                    }
                    Stage::Recipient(_) => {
                        assert!(decide.session().mail().is_some());
                        let count = running.expect("a recipient has a MAIL");
                        self.transaction = Some(count + usize::from(reply.is_positive()));
                    }
                }
                let before = self.written();
                let step = decide.reply(self.now, &reply, &mut self.out);
                assert_eq!(self.written(), before + 1, "one reply for a decision");
                step
            }
            Step::Data(data) => {
                assert!(self.transaction.is_some_and(|recipients| recipients > 0));
                self.body = 0;
                let reply = self.answer();
                if reply.is_positive() {
                    data.accept(self.now, &mut self.out)
                } else {
                    data.refuse(self.now, &reply, &self.input, &mut self.out)
                }
            }
            Step::Body(body) => {
                let reply = self.answer();
                if !reply.is_positive() {
                    return body.refuse(reply);
                }
                let (piece, step) = (body.piece().clone(), body.next());
                assert!(!piece.is_empty() && !piece.contains(&0));
                self.body += piece.len() as u64;
                assert!(self.body <= self.size, "no more than the limit");
                step
            }
            Step::Message(message) => {
                let recipients = self.transaction.expect("a message has a MAIL");
                assert_eq!(message.session().recipients(), recipients);
                let verdicts = match self.answer() {
                    reply if self.answers.len().is_multiple_of(2) => Verdicts::One(reply),
                    reply => Verdicts::Each(vec![reply, self.answer()]),
                };
                let before = self.written();
                let step = message.reply(self.now, verdicts, &mut self.out);
                let expected = if self.lmtp { recipients } else { 1 };
                assert_eq!(self.written(), before + expected, "one reply, or one for each");
                assert!(matches!(step, Step::Ended(_)));
                step
            }
            Step::Ended(ended) => {
                assert!(self.transaction.take().is_some(), "what ends has begun");
                assert!(ended.session().mail().is_none());
                ended.next()
            }
            Step::Refused(refused) => {
                assert!(refused.reply().is_transient() || refused.reply().is_permanent());
                refused.next()
            }
            Step::Receive(_) | Step::Close => unreachable!("handled by the caller"),
        }
    }

    fn answer(&mut self) -> Reply {
        match self.answers.pop_front() {
            Some(b'3') => Reply::START_INPUT_354,
            Some(b'4') => Reply::LOCAL_ERROR_451,
            Some(b'5') => Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), "no\nnever"),
            Some(b'x') => Reply::SHUTTING_DOWN_421,
            _ => Reply::OK_250,
        }
    }

    /// Replies that have been given, on the wire or waiting.
    fn written(&self) -> usize {
        self.replies + count(&self.out)
    }

    fn write(&mut self) {
        let out = self.out.split();
        assert!(out.is_empty() || out.ends_with(b"\r\n"), "whole lines");
        self.replies += count(&out);
    }
}

/// How many replies these lines are.
fn count(out: &[u8]) -> usize {
    out.split(|byte| *byte == b'\n').filter(|line| line.len() > 3 && line[3] == b' ').count()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_holds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/session_server");
        let mut files = 0;
        for entry in fs::read_dir(folder).expect("the corpus") {
            server(&fs::read(entry.expect("an entry").path()).expect("a seed"));
            files += 1;
        }
        assert!(files > 0, "an empty corpus");
    }

    /// Lines that get a conversation somewhere, and lines that do not.
    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let known = prop::sample::select(vec![
            "L",
            "CEHLO a.test",
            "CLHLO a.test",
            "CHELO a.test",
            "CMAIL FROM:<a@b.test>",
            "CMAIL FROM:<> SIZE=65",
            "CMAIL FROM:<\u{fc}@b.test>",
            "CRCPT TO:<c@d.test>",
            "CRCPT TO:<postmaster>",
            "CDATA",
            "CDATA x",
            "C.",
            "C..x",
            "C",
            "Ctext",
            "c.",
            "r\r",
            "r.",
            "CRSET",
            "CNOOP",
            "CQUIT",
            "CVRFY a",
            "CBDAT 3",
            "CXYZZY",
            "A5",
            "A4",
            "A3",
            "Ax",
            "A2225",
            "A222222",
            "Txxxxx",
            "Txxxxxxxxxxxxxxxxxxxx",
        ]);
        prop_oneof![
            8 => known.prop_map(|line| line.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..200),
        ]
    }

    /// How far a conversation has come before anything may happen.
    fn openings() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "",
            "CEHLO a.test\nCMAIL FROM:<a@b.test>\nCRCPT TO:<c@d.test>\n",
            "CEHLO a.test\nCMAIL FROM:<a@b.test>\nCRCPT TO:<c@d.test>\nCDATA\n",
            "L\nCLHLO a.test\nCMAIL FROM:<>\nCRCPT TO:<c@d.test>\nCRCPT TO:<e@d.test>\nCDATA\n",
        ])
    }

    proptest! {
        #[test]
        fn any_moves_hold(opening in openings(), moves in prop::collection::vec(lines(), 0..40)) {
            server(&[opening.as_bytes(), &moves.join(&b'\n')].concat());
        }
    }
}
