//! The state that waits for replies, and what each reply leads to.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use hikyaku_wire::{Capabilities, Command, Reply, ReplyReader};

use super::config::Config;
use super::outcome::Outcome;
use super::pipeline::{Pipeline, Turn};
use super::step::{Body, Close, Done, Ready, Step};
use crate::Protocol;

/// Begins a conversation on a connection that has just been made.
pub fn start(config: Arc<Config>, now: Instant) -> Step {
    let deadline = now + config.timeouts.greeting;
    let link = Link { config, reader: ReplyReader::new(), capabilities: Capabilities::new() };
    link.wait(Waits::Greeting, deadline)
}

/// Waits for replies.
#[derive(Debug)]
pub struct Receive {
    link: Link,
    waits: Waits,
    deadline: Instant,
}

#[derive(Debug)]
enum Waits {
    Greeting,
    /// For the reply to EHLO or LHLO; or, not extended, to the HELO after EHLO.
    Hello {
        extended: bool,
    },
    Transaction(Pipeline),
    /// For the reply to QUIT; why the conversation ends, if not by our wish.
    Quit(Option<Outcome>),
}

impl Receive {
    /// Takes the replies that `input` holds.
    ///
    /// Returns [`Step::Receive`] only when it needs more input than there is.
    pub fn process(mut self, now: Instant, input: &mut BytesMut, out: &mut BytesMut) -> Step {
        loop {
            let reply = match self.link.reader.next(input) {
                Ok(Some(reply)) => reply,
                Ok(None) => return Step::Receive(self),
                Err(error) => return self.desync(Outcome::malformed(error)),
            };
            match self.take(now, reply, input, out) {
                Step::Receive(next) => self = next,
                step => return step,
            }
        }
    }

    /// When [`timed_out`](Self::timed_out) is due.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The reply did not come in time.
    pub fn timed_out(self) -> Step {
        let outcome = Outcome::timed_out(self.waits_for());
        match &self.waits {
            Waits::Transaction(pipeline) if pipeline.is_doubtful() => self.desync(outcome),
            _ => self.cut(outcome),
        }
    }

    /// The remote closed the connection, or it broke, after all that
    /// [`process`](Self::process) was given.
    pub fn closed(self) -> Step {
        let outcome = Outcome::lost(self.waits_for());
        self.cut(outcome)
    }

    fn waits_for(&self) -> &'static str {
        match &self.waits {
            Waits::Greeting => "the greeting",
            Waits::Hello { extended: false } => "the reply to HELO",
            Waits::Hello { extended: true } => match self.link.config.protocol {
                Protocol::Smtp => "the reply to EHLO",
                Protocol::Lmtp => "the reply to LHLO",
            },
            Waits::Transaction(pipeline) => pipeline.waits_for(),
            Waits::Quit(_) => "the reply to QUIT",
        }
    }

    fn take(self, now: Instant, reply: Reply, input: &mut BytesMut, out: &mut BytesMut) -> Step {
        let link = self.link;
        match self.waits {
            Waits::Greeting => link.greeted(now, reply, input, out),
            Waits::Hello { extended } => link.introduced(now, reply, extended, input, out),
            Waits::Transaction(mut pipeline) => match pipeline.take(reply, out) {
                Turn::Next => link.transact(pipeline, now, input, out),
                Turn::Content => Body::begin(link, pipeline, now, input),
                Turn::Cut(outcome) => pipeline.cut_off(outcome),
                Turn::Desync => pipeline.out_of_step(Outcome::desync()),
            },
            Waits::Quit(why) => Close::because(why.unwrap_or_else(|| match reply.code().as_u16() {
                221 | 400..=599 => Outcome::remote(reply),
                _ => Outcome::desync(),
            })),
        }
    }

    fn cut(self, outcome: Outcome) -> Step {
        match self.waits {
            Waits::Transaction(pipeline) => pipeline.cut_off(outcome),
            Waits::Quit(why) => Close::because(why.unwrap_or_else(Outcome::left)),
            Waits::Greeting | Waits::Hello { .. } => Close::because(outcome),
        }
    }

    fn desync(self, outcome: Outcome) -> Step {
        match self.waits {
            Waits::Transaction(pipeline) => pipeline.out_of_step(outcome),
            _ => self.cut(outcome),
        }
    }
}

/// What lives as long as the connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) config: Arc<Config>,
    pub(super) reader: ReplyReader,
    pub(super) capabilities: Capabilities,
}

impl Link {
    fn wait(self, waits: Waits, deadline: Instant) -> Step {
        Step::Receive(Receive { link: self, waits, deadline })
    }

    fn greeted(self, now: Instant, reply: Reply, input: &mut BytesMut, out: &mut BytesMut) -> Step {
        let hello = self.config.hello.clone();
        let command = match self.config.protocol {
            Protocol::Smtp => Command::Ehlo(hello),
            Protocol::Lmtp => Command::Lhlo(hello),
        };
        match reply.code().as_u16() {
            220 => self.introduce(&command, true, now, input, out),
            400..=599 => self.turned_away(reply, now, out),
            _ => Close::because(Outcome::desync()),
        }
    }

    fn introduced(
        mut self,
        now: Instant,
        reply: Reply,
        extended: bool,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Step {
        let may_fall_back = extended && self.config.protocol == Protocol::Smtp;
        match reply.code().as_u16() {
            250 => {
                if extended {
                    self.capabilities = Capabilities::parse(&reply).into_owned();
                }
                Step::Ready(Ready::new(self, false))
            }
            // RFC 5321 §3.2: a server that knows no EHLO.
            500..=599 if may_fall_back => {
                let helo = Command::Helo(self.config.hello.clone());
                self.introduce(&helo, false, now, input, out)
            }
            400..=599 => self.turned_away(reply, now, out),
            _ => Close::because(Outcome::desync()),
        }
    }

    fn introduce(
        mut self,
        command: &Command,
        extended: bool,
        now: Instant,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Step {
        if !input.is_empty() {
            let (Unasked::Goodbye(why) | Unasked::Desync(why)) = self.unasked(input);
            return Close::because(why);
        }
        command.write(out);
        let deadline = now + self.config.timeouts.hello;
        self.wait(Waits::Hello { extended }, deadline)
    }

    /// The remote wants no conversation: QUIT, unless it hangs up by itself
    /// (RFC 7504 §4.1).
    fn turned_away(self, reply: Reply, now: Instant, out: &mut BytesMut) -> Step {
        let closing = reply.code().as_u16() == 421;
        let why = Outcome::remote(reply);
        if closing {
            return Close::because(why);
        }
        self.quit(Some(why), now, out)
    }

    pub(super) fn quit(self, why: Option<Outcome>, now: Instant, out: &mut BytesMut) -> Step {
        Command::<&str>::Quit.write(out);
        let deadline = now + self.config.timeouts.quit;
        self.wait(Waits::Quit(why), deadline)
    }

    /// Sends what the transaction may send now, and waits for what it awaits.
    pub(super) fn transact(
        mut self,
        mut pipeline: Pipeline,
        now: Instant,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Step {
        if !pipeline.is_waiting() && !pipeline.is_handed_over() {
            if !input.is_empty() {
                return match self.unasked(input) {
                    Unasked::Goodbye(outcome) => pipeline.cut_off(outcome),
                    Unasked::Desync(outcome) => pipeline.out_of_step(outcome),
                };
            }
            pipeline.advance(out);
        }
        self.await_replies(pipeline, now)
    }

    pub(super) fn await_replies(self, pipeline: Pipeline, now: Instant) -> Step {
        if pipeline.is_waiting() {
            let deadline = now + pipeline.timeout(&self.config.timeouts);
            return self.wait(Waits::Transaction(pipeline), deadline);
        }
        let ready = Ready::new(self, pipeline.is_open());
        Step::Done(Done::new(pipeline.into_settled(), Step::Ready(ready)))
    }

    /// Judges bytes that came although no reply was awaited.
    pub(super) fn unasked(&mut self, input: &mut BytesMut) -> Unasked {
        match self.reader.next(input) {
            Ok(Some(reply)) if reply.code().as_u16() == 421 => Unasked::Goodbye(Outcome::remote(reply)),
            _ => Unasked::Desync(Outcome::desync()),
        }
    }
}

/// What a remote said that was not asked.
pub(super) enum Unasked {
    /// A 421, which may come at any time (RFC 5321 §3.8).
    Goodbye(Outcome),
    /// All else: replies and commands are out of step.
    Desync(Outcome),
}

impl Pipeline {
    /// Ends transaction and conversation; what the remote has said holds.
    pub(super) fn cut_off(mut self, outcome: Outcome) -> Step {
        self.cut(&outcome);
        Step::Done(Done::new(self.into_settled(), Close::because(outcome)))
    }

    /// Ends transaction and conversation, for replies cannot be told apart.
    pub(super) fn out_of_step(mut self, outcome: Outcome) -> Step {
        self.desync(&outcome);
        Step::Done(Done::new(self.into_settled(), Close::because(outcome)))
    }
}
