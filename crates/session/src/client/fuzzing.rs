//! Moves of a remote and a caller against the client machine.

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use hikyaku_wire::{Decoded, DotDecoder, EhloKeyword, Reply};

use super::{Body, By, Close, Config, Envelope, Ready, Receive, Settled, Step, TlsMode, Unsupported, start};
use crate::{
    Certificate, Protocol, Tls,
    sasl::{Password, client::Credentials},
};

/// Plays a script of moves, one a line, and checks what must hold whatever
/// they are. The first octet of a line says what it is:
///
/// `S` the remote says the rest and CRLF, `s` with LF alone, `r` without a
/// line end; `W` the rest and CRLF are content, `w` without a line end; `F`
/// the content ends, `A` it is abandoned; `E` the connection closes, `T` the
/// deadline passes; `H` the TLS handshake is done, `h` it has failed. Three
/// messages are sent, then QUIT.
///
/// A first line that begins with `O` or `L` says what is played: `L` LMTP; `t`
/// STARTTLS if it is offered, `R` always, `I` TLS from the beginning; AUTH with
/// `P` a password, `K` a token, `X` a certificate.
pub fn client(data: &[u8]) {
    let options = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut play = Play::new(if options.starts_with(b"O") || options.starts_with(b"L") { options } else { b"" });
    for line in data.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = line.split_first() else { continue };
        match kind {
            b'S' => play.hear(&[rest, b"\r\n"].concat()),
            b's' => play.hear(&[rest, b"\n"].concat()),
            b'r' => play.hear(rest),
            b'W' => play.write(&[rest, b"\r\n"].concat()),
            b'w' => play.write(rest),
            b'F' => play.finish(),
            b'H' => play.shake_hands(),
            b'h' => play.end(Receive::closed, Body::closed),
            b'A' => play.end(Receive::closed, |body| body.abandon(Reply::LOCAL_ERROR_451)),
            b'E' => play.end(Receive::closed, Body::closed),
            b'T' => play.end(Receive::timed_out, Body::timed_out),
            _ => {}
        }
    }
}

/// The longest reply that is read, and a line of the next one.
const INPUT: usize = (64 << 10) + 4096;

/// The message that is being sent, as the caller sees it.
#[derive(Default)]
struct Message {
    /// Which recipients have an address that only SMTPUTF8 carries.
    utf8: Vec<bool>,
    content: Vec<u8>,
    /// What went over the wire since the 354.
    stuffed: BytesMut,
    dotted: bool,
}

struct Play {
    now: Instant,
    /// [`Step::Receive`] or [`Step::Body`]; none when the conversation is over.
    step: Option<Step>,
    input: BytesMut,
    out: BytesMut,
    tls: TlsMode,
    encrypted: bool,
    credentials: Option<Credentials>,
    together: bool,
    utf8: bool,
    sent: usize,
    message: Message,
}

impl Play {
    fn new(options: &[u8]) -> Self {
        let hello = "relay.test".parse().expect("a name");
        let has = |option: u8| options.contains(&option);
        let tls = match () {
            () if has(b't') => TlsMode::StartTls,
            () if has(b'R') => TlsMode::Required,
            () if has(b'I') => TlsMode::Implicit,
            () => TlsMode::Off,
        };
        let (user, secret) = (Box::from("user"), Password::new("pencil"));
        let credentials = match () {
            () if has(b'P') => Some(Credentials::Password { user, password: secret }),
            () if has(b'K') => Some(Credentials::Token { user, token: secret }),
            () if has(b'X') => Some(Credentials::Certificate),
            () => None,
        };
        let protocol = if has(b'L') { Protocol::Lmtp } else { Protocol::Smtp };
        let now = Instant::now();
        let mut play = Self {
            now,
            step: None,
            input: BytesMut::new(),
            out: BytesMut::new(),
            tls,
            encrypted: false,
            credentials,
            together: false,
            utf8: false,
            sent: 0,
            message: Message::default(),
        };
        play.drive(start(Arc::new(Config { protocol, tls, ..Config::new(hello) }), now));
        play
    }

    fn hear(&mut self, bytes: &[u8]) {
        let Some(step) = self.step.take() else { return };
        if matches!(step, Step::Upgrade(_)) {
            // A caller that reads although there is a handshake to do.
            self.input.extend_from_slice(bytes);
            self.step = Some(step);
            return;
        }
        self.input.extend_from_slice(bytes);
        self.drive(step);
    }

    fn write(&mut self, content: &[u8]) {
        let Some(Step::Body(body)) = &mut self.step else { return };
        if body.write(self.now, content, &mut self.out).is_ok() {
            self.message.content.extend_from_slice(content);
        }
        assert!(body.deadline() > self.now);
        self.message.stuffed.extend_from_slice(&self.out.split());
    }

    fn finish(&mut self) {
        match self.step.take() {
            Some(Step::Body(body)) => {
                let step = body.finish(self.now, &mut self.out);
                self.message.dotted = !self.out.is_empty();
                self.message.stuffed.extend_from_slice(&self.out.split());
                assert_eq!(self.message.dotted, !matches!(step, Step::Done(_)));
                if self.message.dotted {
                    self.message.check_content();
                }
                self.drive(step);
            }
            step => self.step = step,
        }
    }

    fn shake_hands(&mut self) {
        match self.step.take() {
            Some(Step::Upgrade(upgrade)) => {
                self.encrypted = true;
                let tls = Tls { exporter: Some([7; 32]), certificate: Some(Certificate::default()), ..Tls::default() };
                let step = upgrade.established(self.now, tls, &self.input, &mut self.out);
                assert!(self.input.is_empty() || matches!(step, Step::Close(_)), "plain text is not read");
                self.drive(step);
            }
            step => self.step = step,
        }
    }

    /// An event after which nothing can be sent or heard any more.
    fn end(&mut self, receive: impl Fn(Receive) -> Step, body: impl Fn(Body) -> Step) {
        let step = match self.step.take() {
            Some(Step::Receive(step)) => receive(step),
            Some(Step::Upgrade(step)) => step.failed(Reply::LOCAL_ERROR_451),
            Some(Step::Body(step)) => body(step),
            _ => return,
        };
        self.drive(step);
        assert!(self.step.is_none(), "the conversation is over");
        assert!(self.out.is_empty(), "nothing is sent to nobody");
    }

    fn drive(&mut self, mut step: Step) {
        loop {
            step = match step {
                Step::Receive(receive) => {
                    let next = receive.process(self.now, &mut self.input, &mut self.out);
                    self.write_commands();
                    if let Step::Receive(receive) = &next {
                        assert!(self.input.len() <= INPUT, "what is not needed is consumed");
                        assert!(receive.deadline() > self.now);
                        self.step = Some(next);
                        return;
                    }
                    next
                }
                Step::Upgrade(upgrade) => {
                    assert!(!self.encrypted && self.tls != TlsMode::Off && upgrade.deadline() > self.now);
                    self.step = Some(Step::Upgrade(upgrade));
                    return;
                }
                Step::Ready(ready) => self.next_message(ready),
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
                    std::mem::take(&mut self.message).check_settled(&settled);
                    assert!(matches!(next, Step::Ready(_) | Step::Close(_)));
                    next
                }
                Step::Close(close) => return self.over(&close),
            };
        }
    }

    fn next_message(&mut self, ready: Ready) -> Step {
        assert_eq!(ready.tls().is_some(), self.encrypted);
        assert!(self.encrypted || matches!(self.tls, TlsMode::Off | TlsMode::StartTls));
        if let Some(credentials) = self.credentials.take() {
            return match ready.authenticate(&credentials, [1; 18], self.now, &mut self.input, &mut self.out) {
                Ok(step) => step,
                Err(Unsupported { ready, reply }) => {
                    assert!(reply.is_transient() && self.out.is_empty());
                    Step::Ready(*ready)
                }
            };
        }
        self.together = ready.capabilities().has(&EhloKeyword::PIPELINING);
        self.utf8 = ready.capabilities().has(&EhloKeyword::SMTPUTF8);
        self.sent += 1;
        let to: &[&str] = match self.sent {
            1 => &["<one@b.test>", "<two@b.test>"],
            2 => &["<one@b.test>", "<\u{fc}@b.test>", "<three@b.test>"],
            3 => &["<postmaster>"],
            _ => return ready.quit(self.now, &mut self.out),
        };
        self.message.utf8 = to.iter().map(|to| !to.is_ascii() && !self.utf8).collect();
        let to = to.iter().map(|to| to.parse().expect("a path")).collect();
        let envelope = Envelope::new("<from@a.test>".parse().expect("a path"), to);
        match ready.send(&envelope, 1000, self.now, &mut self.input, &mut self.out) {
            Ok(Step::Close(close)) => {
                assert!(self.out.is_empty(), "nothing is sent");
                self.message = Message::default();
                Step::Close(close)
            }
            Ok(step) => step,
            Err(Unsupported { ready, reply }) => {
                assert!(reply.is_permanent() && self.out.is_empty());
                self.message = Message::default();
                Step::Ready(*ready)
            }
        }
    }

    /// Commands are whole lines of ASCII (or of UTF-8, where that was
    /// offered), and without PIPELINING one at a time.
    fn write_commands(&mut self) {
        let out = self.out.split();
        let text = std::str::from_utf8(&out).expect("commands are UTF-8");
        assert!(text.is_empty() || text.ends_with("\r\n"), "whole lines");
        assert!(text.is_ascii() || self.utf8);
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        assert!(lines.iter().all(|line| !line.contains(char::is_control)));
        assert!(self.together || lines.len() <= 1, "{lines:?}");
        if !self.encrypted {
            let demanded = matches!(self.tls, TlsMode::Required | TlsMode::Implicit);
            let leads_to_tls =
                |line: &str| ["EHLO ", "LHLO ", "HELO ", "STARTTLS", "QUIT"].iter().any(|c| line.starts_with(c));
            assert!(
                lines.iter().all(|line| !line.starts_with("AUTH") && (!demanded || leads_to_tls(line))),
                "{lines:?}"
            );
        }
    }

    fn over(&mut self, close: &Close) {
        self.write_commands();
        let outcome = close.outcome();
        assert!(!outcome.reply.is_intermediate());
        assert!(outcome.by == By::Remote || !outcome.reply.is_permanent() || self.sent > 0);
        assert!(self.message.utf8.is_empty(), "a message that was begun is settled first");
    }
}

impl Message {
    /// What went over the wire is the content, for a reader that knows nothing of us.
    fn check_content(&mut self) {
        let (mut decoder, mut read) = (DotDecoder::default(), Vec::new());
        loop {
            match decoder.decode(&mut self.stuffed) {
                Decoded::Data(piece) => read.extend_from_slice(&piece),
                Decoded::More => panic!("the content does not end"),
                Decoded::End(verdict) => break assert_eq!(verdict, Ok(())),
            }
        }
        assert!(self.stuffed.is_empty(), "one message, not more");
        if !self.content.is_empty() && !self.content.ends_with(b"\r\n") {
            self.content.extend_from_slice(b"\r\n");
        }
        assert_eq!(read, self.content);
    }

    fn check_settled(self, settled: &[Settled]) {
        assert_eq!(settled.len(), self.utf8.len(), "one for each recipient");
        for (settled, utf8) in settled.iter().zip(self.utf8) {
            match settled {
                Settled::Said(reply) => {
                    assert!(!utf8);
                    assert!(reply.is_positive() || reply.is_transient() || reply.is_permanent());
                    assert!(self.dotted || !reply.is_positive(), "delivered without a final dot");
                }
                Settled::NotTried(outcome) => {
                    assert!(utf8 || !self.dotted, "tried");
                    assert!(!outcome.reply.is_positive());
                    assert!(outcome.by == By::Us || outcome.reply.code().as_u16() == 421 || !self.dotted);
                }
                Settled::Unknown(outcome) => {
                    assert!(self.dotted && !utf8, "nothing can have been delivered");
                    assert!(!outcome.reply.is_positive());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_holds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/session_client");
        let mut files = 0;
        for entry in fs::read_dir(folder).expect("the corpus") {
            client(&fs::read(entry.expect("an entry").path()).expect("a seed"));
            files += 1;
        }
        assert!(files > 0, "an empty corpus");
    }

    /// Moves that get a conversation somewhere, and moves that do not.
    fn moves() -> impl Strategy<Value = Vec<u8>> {
        let known = prop::sample::select(vec![
            "S250 ok",
            "S250 ok\nS250 ok",
            "S250 ok\nS250 ok\nS250 ok\nS354 go",
            "S354 go",
            "S550 5.1.1 no",
            "S450 no",
            "S421 4.3.2 down",
            "S221 bye",
            "S250-x",
            "S250-PIPELINING",
            "S250-AUTH PLAIN LOGIN",
            "S250 STARTTLS",
            "S220 go",
            "H",
            "h",
            "S334",
            "S334 VXNlcm5hbWU6",
            "S235 ok",
            "S535 5.7.8 no",
            "s250 ok",
            "r2",
            "r5",
            "r50 x\r",
            "S",
            "Wx",
            "W",
            "W.",
            "w.",
            "w\r",
            "wx",
            "F",
            "F",
            "A",
            "E",
            "T",
        ]);
        let message = "S250 ok\nS250 ok\nS250 ok\nS354 go\nW.x\nF\nS250 ok";
        prop_oneof![
            20 => known.prop_map(|moves| moves.as_bytes().to_vec()),
            5 => Just(message.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..100),
        ]
    }

    /// How conversations begin.
    fn openings() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "",
            "L\nS220 mx\nS250-mx\nS250 PIPELINING\n",
            "S220 mx\nS250 mx\n",
            "S220 mx\nS502 no\nS250 mx\n",
            "S220 mx\nS250-mx\nS250-SMTPUTF8\nS250 PIPELINING\n",
            "S220 mx\nS250-mx\nS250-SIZE 999\nS250 PIPELINING\n",
            "Ot\nS220 mx\nS250-mx\nS250 STARTTLS\n",
            "OR\nS220 mx\nS250-mx\nS250 STARTTLS\nS220 go\n",
            "ORP\nS220 mx\nS250-mx\nS250 STARTTLS\nS220 go\nH\nS250-mx\nS250 AUTH PLAIN\n",
            "OIP\nH\nS220 mx\nS250-mx\nS250 AUTH SCRAM-SHA-256-PLUS\n",
            "LOIP\nH\nS220 mx\nS250-mx\nS250 AUTH LOGIN\n",
            "OIK\nH\nS220 mx\nS250-mx\nS250 AUTH XOAUTH2\n",
            "OIX\nH\nS220 mx\nS250-mx\nS250 AUTH EXTERNAL\n",
            "OtP\nS220 mx\nS250-mx\nS250 AUTH PLAIN\n",
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn any_moves_hold(opening in openings(), moves in prop::collection::vec(moves(), 0..30)) {
            client(&[opening.as_bytes(), &moves.join(&b'\n')].concat());
        }
    }
}
