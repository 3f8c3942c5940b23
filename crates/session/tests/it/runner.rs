//! A driver over two buffers, with an application that answers from a list.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hikyaku_session::{
    Certificate, Protocol, Tls,
    sasl::{self, Question},
    server::{self, Cause, Config, Peer, Stage, Step, Verdicts},
};
use hikyaku_wire::Reply;

/// What the application answers at a stage.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) stage: &'static str,
    pub(crate) replies: Vec<Reply>,
}

/// What happens beside the two streams of octets, in this order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    pub(crate) answers: VecDeque<Answer>,
    /// How handshakes end; none: it fails.
    pub(crate) handshakes: VecDeque<Option<Tls>>,
    /// What is said to the questions of AUTH.
    pub(crate) sasl: VecDeque<sasl::Answer>,
}

impl<I: IntoIterator<Item = Answer>> From<I> for Events {
    fn from(answers: I) -> Self {
        Self { answers: answers.into_iter().collect(), ..Self::default() }
    }
}

/// One conversation and all that came out of it.
#[derive(Debug)]
pub(crate) struct Runner {
    step: Option<Step>,
    pub(crate) now: Instant,
    input: BytesMut,
    out: BytesMut,
    pub(crate) events: Events,
    body: Vec<u8>,
    pub(crate) said: String,
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) ended: Vec<Cause>,
    /// What the machine refused by itself, as the application was told.
    pub(crate) refused: Vec<String>,
    /// The limits that the peer has reached.
    pub(crate) limits: Vec<String>,
    /// The questions of AUTH.
    pub(crate) questions: Vec<String>,
    /// How and by whom each message came that came with TLS.
    pub(crate) with: Vec<String>,
    pub(crate) pauses: Vec<Duration>,
    /// How long the application takes to store a piece.
    pub(crate) storing: Duration,
    /// The most output that ever waited.
    pub(crate) most_out: usize,
    pub(crate) closed: bool,
}

impl Runner {
    pub(crate) fn new(config: Config, events: impl Into<Events>) -> Self {
        let now = Instant::now();
        let peer = Peer { address: Some([192, 0, 2, 1].into()), port: 4711 };
        let mut runner = Self {
            step: Some(server::start(Arc::new(config), peer, "c1", now)),
            now,
            input: BytesMut::new(),
            out: BytesMut::new(),
            events: events.into(),
            body: Vec::new(),
            said: String::new(),
            bodies: Vec::new(),
            ended: Vec::new(),
            refused: Vec::new(),
            limits: Vec::new(),
            questions: Vec::new(),
            with: Vec::new(),
            pauses: Vec::new(),
            storing: Duration::ZERO,
            most_out: 0,
            closed: false,
        };
        runner.drive();
        runner
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.input.extend_from_slice(bytes);
            self.drive();
        }
    }

    /// Time passes without input.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.step = match self.step.take() {
            Some(Step::Receive(receive)) if self.now >= receive.deadline() => Some(receive.timed_out(&mut self.out)),
            step => step,
        };
        self.drive();
    }

    /// The server is stopped.
    pub(crate) fn shut_down(&mut self) {
        let Some(Step::Receive(receive)) = self.step.take() else { panic!("the machine does not wait") };
        self.step = Some(receive.shut_down(&mut self.out));
        self.drive();
    }

    /// The peer is gone.
    pub(crate) fn hang_up(&mut self) {
        let Some(Step::Receive(receive)) = self.step.take() else { panic!("the machine does not wait") };
        self.step = Some(receive.closed());
        self.drive();
    }

    pub(crate) fn left(&self) -> usize {
        let Events { answers, handshakes, sasl } = &self.events;
        answers.len() + handshakes.len() + sasl.len()
    }

    pub(crate) fn receive(&self) -> &server::Receive {
        let Some(Step::Receive(receive)) = &self.step else { panic!("the machine does not wait: {:?}", self.step) };
        receive
    }

    /// What has been said since the last call.
    pub(crate) fn take_said(&mut self) -> String {
        std::mem::take(&mut self.said)
    }

    fn drive(&mut self) {
        let mut step = self.step.take();
        while let Some(current) = step {
            let was_receive = matches!(current, Step::Receive(_));
            let next = self.advance(current);
            match next {
                Some(next) if was_receive && matches!(next, Step::Receive(_)) => {
                    self.step = Some(next);
                    self.write();
                    return;
                }
                next => step = next,
            }
        }
        self.closed = true;
    }

    fn advance(&mut self, step: Step) -> Option<Step> {
        let now = self.now;
        Some(match step {
            Step::Receive(receive) => receive.process(now, &mut self.input, &mut self.out),
            Step::Flush(flush) => {
                self.write();
                flush.flushed(now)
            }
            Step::Pause(pause) => {
                self.pauses.push(pause.until() - now);
                self.now = pause.until();
                pause.resume(self.now)
            }
            Step::Decide(decide) => {
                let (stage, default) = match decide.stage() {
                    Stage::Connect => ("connect", Reply::OK_250),
                    Stage::Hello(_) => ("hello", Reply::OK_250),
                    Stage::Mail(_) => ("mail", Reply::SENDER_OK_250),
                    Stage::Recipient(_) => ("rcpt", Reply::RECIPIENT_OK_250),
                };
                let reply = self.answer(stage).map_or(default, |mut replies| replies.remove(0));
                decide.reply(now, &reply, &mut self.out)
            }
            Step::Authenticate(asked) => {
                self.questions.push(question(asked.question()));
                let answer = self.events.sasl.pop_front().unwrap_or(sasl::Answer::Reject);
                asked.answer(now, answer, NONCE, &mut self.out)
            }
            Step::Upgrade(upgrade) => {
                assert!(self.input.is_empty() && self.out.is_empty());
                assert!(upgrade.deadline() <= now + Duration::from_secs(30));
                match self.events.handshakes.pop_front().expect("a handshake") {
                    Some(tls) => upgrade.established(now, tls, &self.input),
                    None => upgrade.failed(),
                }
            }
            Step::Data(data) => match self.answer("data") {
                Some(replies) => data.refuse(now, &replies[0], &self.input, &mut self.out),
                None => data.accept(now, &mut self.out),
            },
            Step::Body(body) => match self.answer("body") {
                Some(mut replies) => body.refuse(replies.remove(0)),
                None => {
                    let (piece, step) = (body.piece().clone(), body.next());
                    assert!(!piece.is_empty());
                    self.body.extend_from_slice(&piece);
                    self.now += self.storing;
                    step
                }
            },
            Step::Message(message) => {
                let session = message.session();
                assert!(session.mail().is_some());
                if session.tls().is_some() {
                    let user = session.user().unwrap_or("nobody");
                    self.with.push(format!("{} {user}", session.with_protocol()));
                }
                self.bodies.push(std::mem::take(&mut self.body));
                let verdicts = match self.answer("message") {
                    None => Verdicts::One(Reply::OK_250),
                    Some(mut replies) if replies.len() == 1 => Verdicts::One(replies.remove(0)),
                    Some(replies) => Verdicts::Each(replies),
                };
                message.reply(now, verdicts, &mut self.out)
            }
            Step::Ended(ended) => {
                assert!(ended.session().mail().is_none());
                self.body.clear();
                self.ended.push(ended.cause());
                ended.next()
            }
            Step::Refused(refused) => {
                self.refused.push(refused.reply().code().to_string());
                self.limits.extend(refused.limit().map(|limit| limit.to_string()));
                refused.next()
            }
            Step::Close => return None,
        })
    }

    /// The next answer, if it is for this stage.
    fn answer(&mut self, stage: &str) -> Option<Vec<Reply>> {
        let answer = self.events.answers.pop_front_if(|answer| answer.stage == stage)?;
        Some(answer.replies)
    }

    fn write(&mut self) {
        let out = self.out.split();
        self.most_out = self.most_out.max(out.len());
        assert!(out.is_empty() || out.ends_with(b"\r\n"));
        self.said.push_str(std::str::from_utf8(&out).expect("replies are text"));
    }
}

/// The random octets of every answer.
pub(crate) const NONCE: [u8; 18] = [7; 18];

fn question(question: Question<'_>) -> String {
    let (mut text, authzid) = match question {
        Question::Password { user, authzid, password } => (format!("password {user} {}", password.as_str()), authzid),
        Question::ScramKeys { user, authzid } => (format!("keys {user}"), authzid),
        Question::Token { user, token } => (format!("token {} {}", user.unwrap_or("-"), token.as_str()), None),
        Question::Certificate { certificate, authzid } => (format!("certificate {:?}", certificate.names), authzid),
        _ => panic!("what is {question:?}?"),
    };
    if let Some(authzid) = authzid {
        text = format!("{text} for {authzid}");
    }
    text
}

/// TLS 1.3 with whatever these words say: `exporter`, `certificate`.
pub(crate) fn tls(words: &str) -> Tls {
    let has = |word| words.split(' ').any(|known| known == word);
    Tls {
        version: "TLSv1.3".into(),
        cipher: "TLS13_AES_128_GCM_SHA256".into(),
        server_name: None,
        exporter: has("exporter").then_some([9; 32]),
        certificate: has("certificate")
            .then(|| Certificate { spki: [1; 32], names: vec!["client.example.test".into()] }),
    }
}

pub(crate) fn config() -> Config {
    Config::new("mx.example.test")
}

pub(crate) fn lmtp() -> Config {
    Config { protocol: Protocol::Lmtp, ..config() }
}
