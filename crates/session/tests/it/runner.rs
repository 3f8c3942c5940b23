//! A driver over two buffers, with an application that answers from a list.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hikyaku_session::{
    Protocol, sasl,
    server::{self, Cause, Config, Peer, Stage, Step, Verdicts},
};
use hikyaku_wire::Reply;

/// What the application answers at a stage.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) stage: &'static str,
    pub(crate) replies: Vec<Reply>,
}

/// One conversation and all that came out of it.
#[derive(Debug)]
pub(crate) struct Runner {
    step: Option<Step>,
    pub(crate) now: Instant,
    input: BytesMut,
    out: BytesMut,
    answers: VecDeque<Answer>,
    body: Vec<u8>,
    pub(crate) said: String,
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) ended: Vec<Cause>,
    /// What the machine refused by itself, as the application was told.
    pub(crate) refused: Vec<String>,
    pub(crate) paused: Duration,
    /// How long the application takes to store a piece.
    pub(crate) storing: Duration,
    /// The most output that ever waited.
    pub(crate) most_out: usize,
    pub(crate) closed: bool,
}

impl Runner {
    pub(crate) fn new(config: Config, answers: impl IntoIterator<Item = Answer>) -> Self {
        let now = Instant::now();
        let peer = Peer { address: Some([192, 0, 2, 1].into()), port: 4711 };
        let mut runner = Self {
            step: Some(server::start(Arc::new(config), peer, "c1", now)),
            now,
            input: BytesMut::new(),
            out: BytesMut::new(),
            answers: answers.into_iter().collect(),
            body: Vec::new(),
            said: String::new(),
            bodies: Vec::new(),
            ended: Vec::new(),
            refused: Vec::new(),
            paused: Duration::ZERO,
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
        self.answers.len()
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
                self.paused += pause.until() - now;
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
            Step::Authenticate(asked) => asked.answer(now, sasl::Answer::Reject, [0; 18], &mut self.out),
            Step::Upgrade(upgrade) => upgrade.failed(),
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
                assert!(message.session().mail().is_some());
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
                refused.next()
            }
            Step::Close => return None,
        })
    }

    /// The next answer, if it is for this stage.
    fn answer(&mut self, stage: &str) -> Option<Vec<Reply>> {
        let answer = self.answers.pop_front_if(|answer| answer.stage == stage)?;
        Some(answer.replies)
    }

    fn write(&mut self) {
        let out = self.out.split();
        self.most_out = self.most_out.max(out.len());
        assert!(out.is_empty() || out.ends_with(b"\r\n"));
        self.said.push_str(std::str::from_utf8(&out).expect("replies are text"));
    }
}

pub(crate) fn config() -> Config {
    Config::new("mx.example.test")
}

pub(crate) fn lmtp() -> Config {
    Config { protocol: Protocol::Lmtp, ..config() }
}
