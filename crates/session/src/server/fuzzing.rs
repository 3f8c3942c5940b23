//! Moves of a peer and an application against the server machine.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hikyaku_wire::{Code, EnhancedCode, Reply};

use super::{
    Auth, Authenticate, Cause, Config, Decide, Peer, Receive, Session, Stage, Step, TlsMode, Upgrade, Verdicts, start,
};
use crate::{
    Certificate, Protocol, Tls,
    sasl::{Answer, Mechanism, Question, ScramKeys, Secret},
};

/// Plays a script of moves, one a line, and checks what must hold whatever
/// they are. The first octet of a line says what it is:
///
/// `C` the rest and CRLF come from the peer, `c` with LF alone, `r` without a
/// line end, `G` the rest and CRLF in one piece with what comes next; `A` the next answers are 2, 3, 4, 5 or `x` for 421, one a letter;
/// `S` the next answers to AUTH: `a` accept, `k` the keys of `secret`, `w` other
/// keys, `t` 454, `x` 421, else reject; `H` the next handshakes: `e` with an
/// exporter, `c` with a certificate, `b` with both, `n` with nothing, `p` after
/// clear text was read, `f` fails; `T` time passes, a second for each octet of
/// the line squared; `E` the peer hangs up; `Z` the server stops.
///
/// In the first line `L` begins LMTP, and `K` settings, one a letter: `l` LMTP, `s`
/// STARTTLS, `q` required, `i` implicit TLS, `a` AUTH, `d` delegation.
pub fn server(data: &[u8]) {
    play(data);
}

fn play(data: &[u8]) -> Play {
    let first = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut play = Play::new(
        settings(match first {
            [b'L', ..] => b"l",
            [b'K', letters @ ..] => letters,
            _ => b"",
        }),
        data,
    );
    for line in data.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = line.split_first() else { continue };
        match kind {
            b'C' => play.feed(&[rest, b"\r\n"].concat()),
            b'c' => play.feed(&[rest, b"\n"].concat()),
            b'r' => play.feed(rest),
            b'G' => play.glue(&[rest, b"\r\n"].concat()),
            b'A' => play.answers.extend(rest),
            b'S' => play.sasl.extend(rest),
            b'T' => play.wait(Duration::from_secs(rest.len().pow(2) as u64)),
            b'E' => play.end(|receive, _| receive.closed()),
            b'Z' => play.end(Receive::shut_down),
            _ => {}
        }
    }
    play
}

fn settings(letters: &[u8]) -> Config {
    let has = |letter| letters.contains(&letter);
    let mut config = Config { size: 64, ..Config::new("mx.example.test") };
    if has(b'l') {
        config.protocol = Protocol::Lmtp;
    }
    config.tls = match () {
        () if has(b'i') => TlsMode::Implicit,
        () if has(b'q') => TlsMode::Required,
        () if has(b's') => TlsMode::StartTls,
        () => TlsMode::Off,
    };
    if has(b'a') {
        let (secret, mechanisms) = (Secret::new([3; 32]), Mechanism::ALL.to_vec());
        config.auth = Auth { secret, mechanisms, delegation: has(b'd'), ..Auth::default() };
    }
    config.limits.recipients = 3;
    config.limits.command_line = 128;
    config.limits.discarded_line = 64;
    config.limits.junk = 8;
    config.limits.commands = 100;
    config
}

/// No reply of the machine or of [`Play::answer`] is longer than this.
const REPLY: usize = 512;
/// Octets of a line of AUTH (RFC 4954 §4).
const AUTH_LINE: usize = 12_288;
const SALT: &[u8] = b"0123456789abcdef";

static KEYS: LazyLock<ScramKeys> = LazyLock::new(|| ScramKeys::derive("secret", SALT, 4096).expect("a password"));
static OTHERS: LazyLock<ScramKeys> = LazyLock::new(|| ScramKeys::derive("unknown", SALT, 4096).expect("a password"));

struct Play {
    now: Instant,
    config: Arc<Config>,
    receive: Option<Receive>,
    input: BytesMut,
    out: BytesMut,
    answers: VecDeque<u8>,
    sasl: VecDeque<u8>,
    handshakes: VecDeque<u8>,
    /// Replies on the wire so far.
    replies: usize,
    /// Whether a transaction runs, as the application sees it, and its recipients.
    transaction: Option<usize>,
    body: u64,
    tls: bool,
    /// Whether the answer to the last question of AUTH lets somebody in.
    accepts: bool,
    /// Whether 235 was said since the last handshake.
    known: bool,
    /// What the machine has refused since the last accepted message, and logins that failed.
    refused: u32,
    failed: u32,
    /// 221 or 421 was said.
    over: bool,
}

impl Play {
    fn new(config: Config, data: &[u8]) -> Self {
        let now = Instant::now();
        // The first handshake may come before the first move.
        let handshakes = data.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"H"));
        let mut play = Self {
            now,
            config: Arc::new(config),
            receive: None,
            input: BytesMut::new(),
            out: BytesMut::new(),
            answers: VecDeque::new(),
            sasl: VecDeque::new(),
            handshakes: handshakes.flatten().copied().collect(),
            replies: 0,
            transaction: None,
            body: 0,
            tls: false,
            accepts: false,
            known: false,
            refused: 0,
            failed: 0,
            over: false,
        };
        play.drive(start(Arc::clone(&play.config), Peer::default(), "c1", now));
        let greeted = play.receive.is_some() || play.tls;
        assert_eq!(play.replies, usize::from(greeted), "one greeting, and none before TLS");
        play
    }

    fn lmtp(&self) -> bool {
        self.config.protocol == Protocol::Lmtp
    }

    fn feed(&mut self, bytes: &[u8]) {
        if let Some(receive) = self.receive.take() {
            self.input.extend_from_slice(bytes);
            self.drive(Step::Receive(receive));
        }
    }

    fn glue(&mut self, bytes: &[u8]) {
        if self.receive.is_some() {
            self.input.extend_from_slice(bytes);
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        if self.receive.as_ref().is_some_and(|receive| self.now >= receive.deadline()) {
            self.end(Receive::timed_out);
        }
    }

    /// The conversation comes to its end.
    fn end(&mut self, how: impl FnOnce(Receive, &mut BytesMut) -> Step) {
        let Some(receive) = self.receive.take() else { return };
        let step = how(receive, &mut self.out);
        self.drive(step);
        assert!(self.receive.is_none(), "this is the end");
    }

    fn drive(&mut self, mut step: Step) {
        loop {
            let receives = matches!(step, Step::Receive(_));
            step = match step {
                Step::Receive(receive) => {
                    assert!(!self.over, "nothing is read after 221 and 421");
                    assert_eq!(receive.in_transaction(), self.transaction.is_some());
                    assert!(!receive.in_body() || receive.in_transaction());
                    self.check(receive.session());
                    let before = self.out.len();
                    let step = receive.process(self.now, &mut self.input, &mut self.out);
                    assert!(self.out.len() < before.max(64 << 10) + 4 * REPLY, "output is bounded");
                    step
                }
                step => self.advance(step),
            };
            if let (true, Step::Receive(_)) = (receives, &step) {
                let Step::Receive(receive) = step else { unreachable!() };
                let most = if self.tls && !self.config.auth.mechanisms.is_empty() { AUTH_LINE } else { 128 };
                assert!(self.input.len() <= most, "what is not needed is consumed");
                self.write();
                self.check(receive.session());
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

    /// Who the peer is, and how it is connected.
    fn check(&self, session: &Session) {
        assert_eq!(session.tls().is_some(), self.tls);
        assert!(session.user().is_none() || (self.accepts && self.tls), "nobody gets in by itself");
        assert!(session.user().is_none_or(|user| user == "alice"), "the application says who it is");
        let with = session.with_protocol();
        assert_eq!(with.ends_with('A'), session.user().is_some() && with != "SMTP", "{with}");
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
            Step::Authenticate(asked) => self.authenticate(asked),
            Step::Upgrade(upgrade) => self.upgrade(upgrade),
            Step::Decide(decide) => self.decide(decide),
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
                assert!(self.body <= self.config.size, "no more than the limit");
                step
            }
            Step::Message(message) => {
                let recipients = self.transaction.expect("a message has a MAIL");
                assert_eq!(message.session().recipients(), recipients);
                self.check(message.session());
                let verdicts = match self.answer() {
                    reply if self.answers.len().is_multiple_of(2) => Verdicts::One(reply),
                    reply => Verdicts::Each(vec![reply, self.answer()]),
                };
                let before = self.written();
                let step = message.reply(self.now, verdicts, &mut self.out);
                let expected = if self.lmtp() { recipients } else { 1 };
                assert_eq!(self.written(), before + expected, "one reply, or one for each");
                assert!(matches!(step, Step::Ended(_)));
                step
            }
            Step::Ended(ended) => {
                assert!(self.transaction.take().is_some(), "what ends has begun");
                assert!(ended.session().mail().is_none());
                if ended.cause() == Cause::Accepted {
                    self.refused = 0;
                }
                ended.next()
            }
            Step::Refused(refused) => {
                let reply = refused.reply();
                assert!(reply.is_transient() || reply.is_permanent());
                assert!(refused.limit().is_none_or(|limit| !limit.name().is_empty()));
                // LMTP refuses a message once for each recipient, and recipients have their own limit,
                // also where a reply of the application was none.
                let recipient = reply.code() == Code::INSUFFICIENT_STORAGE_452 || *reply == Reply::LOCAL_ERROR_451;
                if !self.lmtp() && !recipient {
                    self.refused += 1;
                    assert!(self.refused <= self.config.limits.errors + 2, "few errors, and two last words");
                }
                refused.next()
            }
            Step::Receive(_) | Step::Close => unreachable!("handled by the caller"),
        }
    }

    fn decide(&mut self, decide: Decide) -> Step {
        assert!(!self.over, "nothing is asked after 221 and 421");
        self.check(decide.session());
        let reply = self.answer();
        let running = self.transaction;
        match decide.stage() {
            Stage::Connect | Stage::Hello(_) => assert_eq!(running, None, "a hello ends a transaction"),
            Stage::Mail(_) => {
                assert_eq!(running, None, "no transaction in a transaction");
                assert!(decide.session().hello().is_some());
                assert!(self.tls || self.config.tls != TlsMode::Required, "TLS first");
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

    fn authenticate(&mut self, asked: Authenticate) -> Step {
        assert!(self.tls && !self.over && self.transaction.is_none());
        let session = asked.session();
        assert!(session.extended() && session.user().is_none());
        let letter = self.sasl.pop_front();
        let scram = match asked.question() {
            Question::Password { user, password, .. } => {
                assert!((1..=255).contains(&user.len()) && (1..=255).contains(&password.as_str().len()));
                false
            }
            Question::ScramKeys { .. } => true,
            Question::Token { token, .. } => {
                assert!(!token.as_str().is_empty());
                false
            }
            Question::Certificate { certificate, .. } => {
                assert_eq!(session.tls().and_then(|tls| tls.certificate.as_ref()), Some(certificate));
                false
            }
        };
        self.accepts = letter == Some(if scram { b'k' } else { b'a' });
        let keys = |keys: &ScramKeys| Answer::Keys { user: "alice".into(), keys: keys.clone() };
        let answer = match letter {
            Some(b'a') => Answer::Accept("alice".into()),
            Some(b'k') => keys(&KEYS),
            Some(b'w') => keys(&OTHERS),
            Some(b't') => Answer::Refuse(Reply::TEMPORARY_AUTHENTICATION_FAILURE_454),
            Some(b'x') => Answer::Refuse(Reply::TOO_MANY_FAILURES_421),
            Some(b'2') => Answer::Refuse(Reply::OK_250),
            _ => Answer::Reject,
        };
        let before = self.written();
        let step = asked.answer(self.now, answer, [7; 18], &mut self.out);
        assert_eq!(self.written(), before + 1, "one challenge or reply for an answer");
        step
    }

    fn upgrade(&mut self, upgrade: Upgrade) -> Step {
        assert!(self.input.is_empty() && self.out.is_empty(), "nothing is between clear text and TLS");
        assert!(!self.tls && self.transaction.is_none() && upgrade.deadline() > self.now);
        let letter = self.handshakes.pop_front().unwrap_or(b'e');
        let tls = Tls {
            exporter: matches!(letter, b'e' | b'b').then_some([9; 32]),
            certificate: matches!(letter, b'c' | b'b').then(Certificate::default),
            ..Tls::default()
        };
        match letter {
            b'f' => upgrade.failed(),
            b'p' => {
                let step = upgrade.established(self.now, tls, &BytesMut::from("EHLO a.test\r\n"));
                assert!(matches!(step, Step::Close), "clear text is not run under TLS");
                step
            }
            _ => {
                self.tls = true;
                (self.accepts, self.known) = (false, false);
                let step = upgrade.established(self.now, tls, &self.input);
                if let Step::Receive(receive) = &step {
                    let session = receive.session();
                    assert!(session.hello().is_none() && session.user().is_none() && !session.extended());
                }
                step
            }
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
        let before = self.over;
        for line in out[..].split(|byte| *byte == b'\n').filter(|line| line.len() > 3) {
            // The replies of LMTP to one message are one answer: 421 for one recipient does not
            // leave the others without theirs.
            assert!(!self.over || (self.lmtp() && !before), "221 and 421 are the last words");
            self.over |= line[3] == b' ' && matches!(&line[..3], b"221" | b"421");
            self.failed += u32::from(line.starts_with(b"535"));
            assert!(self.failed <= self.config.limits.auth_attempts, "few guesses");
            if line.starts_with(b"235") {
                assert!(self.tls && self.accepts && !self.known);
                self.known = true;
            }
            let offers = |words: &[u8]| line[4..].starts_with(words) && line.starts_with(b"250");
            assert!(!offers(b"AUTH") || (self.tls && !self.known), "AUTH is for TLS, and once");
            assert!(!offers(b"STARTTLS") || !self.tls);
        }
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

    #[test]
    fn the_corpus_gets_somewhere() {
        let played = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/session_server");
            play(&fs::read(folder.join(name)).expect("a seed"))
        };
        for name in ["auth_plain", "auth_login", "auth_external", "auth_bearer", "auth_scram", "auth_scram_plus"] {
            assert!(played(name).known, "{name}");
        }
        for name in ["auth_in_clear", "auth_scram_other_keys", "auth_scram_no_such_user", "auth_cancelled"] {
            assert!(!played(name).known, "{name}");
        }
        assert_eq!(played("auth_guesses").failed, 3);
        let injected = played("starttls_injection");
        assert!(!injected.tls && injected.receive.is_none());
        for name in ["starttls_handshake_fails", "implicit_tls_fails", "starttls_clear_text_read"] {
            assert!(played(name).receive.is_none() && !played(name).tls, "{name}");
        }
        for name in ["starttls", "implicit_tls", "starttls_required"] {
            assert!(played(name).tls, "{name}");
        }
        assert!(played("many_commands").over);
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
            "E",
            "Z",
            "CSTARTTLS",
            "CSTARTTLS x",
            "GSTARTTLS",
            "GNOOP",
            "Hf",
            "Hp",
            "Hnb",
            "Sa",
            "Skw",
            "Stx2",
            "CAUTH PLAIN AGFsaWNlAHNlY3JldA==",
            "CAUTH PLAIN",
            "CAUTH LOGIN",
            "CAUTH EXTERNAL =",
            "CAUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB0b2tlbgEB",
            "CAUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXJPcHJOR2Z3RWJlUldnYk5Fa3FP",
            "CAGFsaWNlAHNlY3JldA==",
            "CYWxpY2U=",
            "C*",
            "C!",
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
            "Ksa\nCSTARTTLS\nCEHLO a.test\n",
            "Kia\nHb\nCEHLO a.test\nSa\nCAUTH PLAIN AGFsaWNlAHNlY3JldA==\n",
            "Kqad\nCEHLO a.test\n",
            "Kila\nCLHLO a.test\n",
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
