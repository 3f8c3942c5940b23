//! The state that waits for replies, and what each reply leads to.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use hikyaku_wire::{Capabilities, Command, EhloKeyword, Reply, ReplyReader};

use super::auth::Auth;
use super::config::{Config, TlsMode};
use super::outcome::Outcome;
use super::pipeline::{Pipeline, Turn};
use super::step::{Body, Close, Done, Ready, Step};
use super::upgrade::Upgrade;
use crate::{Protocol, Tls};

/// Begins a conversation on a connection that has just been made: with
/// [`Step::Upgrade`] if TLS is [implicit](TlsMode::Implicit), or with [`Step::Receive`].
pub fn start(config: Arc<Config>, now: Instant) -> Step {
    let link =
        Link { config, reader: ReplyReader::new(), capabilities: Capabilities::new(), tls: None, authenticated: false };
    match link.config.tls {
        TlsMode::Implicit => Step::Upgrade(Upgrade::due(link, now)),
        TlsMode::Off | TlsMode::StartTls | TlsMode::Required => link.await_greeting(now),
    }
}

/// Waits for replies.
#[derive(Debug)]
pub struct Receive {
    link: Link,
    waits: Waits,
    deadline: Instant,
}

#[derive(Debug)]
pub(super) enum Waits {
    Greeting,
    /// For the reply to EHLO or LHLO; or, not extended, to the HELO after EHLO.
    Hello {
        extended: bool,
    },
    StartTls,
    /// For what follows AUTH or a response.
    Auth(Auth),
    /// For the reply to `*`; why the exchange was given up.
    Cancelled(Outcome),
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
            Waits::StartTls => "the reply to STARTTLS",
            Waits::Auth(_) | Waits::Cancelled(_) => "the reply to AUTH",
            Waits::Transaction(pipeline) => pipeline.waits_for(),
            Waits::Quit(_) => "the reply to QUIT",
        }
    }

    fn take(self, now: Instant, reply: Reply, input: &mut BytesMut, out: &mut BytesMut) -> Step {
        let link = self.link;
        match self.waits {
            Waits::Greeting => link.greeted(now, reply, input, out),
            Waits::Hello { extended } => link.introduced(now, reply, extended, input, out),
            Waits::StartTls => link.start_tls_answered(now, &reply, input, out),
            Waits::Auth(auth) => link.auth_answered(auth, now, reply, input, out),
            Waits::Cancelled(why) => link.cancel_answered(why, now, &reply, out),
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
            Waits::Cancelled(why) => Close::because(why),
            Waits::Greeting | Waits::Hello { .. } | Waits::StartTls | Waits::Auth(_) => Close::because(outcome),
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
    pub(super) tls: Option<Tls>,
    pub(super) authenticated: bool,
}

impl Link {
    pub(super) fn wait(self, waits: Waits, deadline: Instant) -> Step {
        Step::Receive(Receive { link: self, waits, deadline })
    }

    pub(super) fn await_greeting(self, now: Instant) -> Step {
        let deadline = now + self.config.timeouts.greeting;
        self.wait(Waits::Greeting, deadline)
    }

    fn greeted(mut self, now: Instant, reply: Reply, input: &mut BytesMut, out: &mut BytesMut) -> Step {
        match reply.code().as_u16() {
            220 => match self.interrupted(input) {
                Some(why) => Close::because(why),
                None => self.hello(now, out),
            },
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
                self.secure(now, input, out)
            }
            // RFC 5321 §3.2: a server that knows no EHLO.
            500..=599 if may_fall_back => {
                if let Some(why) = self.interrupted(input) {
                    return Close::because(why);
                }
                Command::Helo(self.config.hello.clone()).write(out);
                let deadline = now + self.config.timeouts.hello;
                self.wait(Waits::Hello { extended: false }, deadline)
            }
            400..=599 => self.turned_away(reply, now, out),
            _ => Close::because(Outcome::desync()),
        }
    }

    /// The remote is known: STARTTLS, or whatever the caller wants.
    fn secure(mut self, now: Instant, input: &mut BytesMut, out: &mut BytesMut) -> Step {
        let offered = self.capabilities.has(&EhloKeyword::STARTTLS);
        match self.config.tls {
            TlsMode::StartTls | TlsMode::Required if self.tls.is_none() && offered => {
                if let Some(why) = self.interrupted(input) {
                    return Close::because(why);
                }
                Command::<&str>::StartTls.write(out);
                let deadline = now + self.config.timeouts.tls;
                self.wait(Waits::StartTls, deadline)
            }
            TlsMode::Required if self.tls.is_none() => {
                let why = Outcome::no_tls("TLS is demanded, and the remote does not offer it".to_owned());
                self.quit(Some(why), now, out)
            }
            _ => Step::Ready(Ready::new(self, false)),
        }
    }

    fn start_tls_answered(self, now: Instant, reply: &Reply, input: &BytesMut, out: &mut BytesMut) -> Step {
        match (reply.code().as_u16(), self.config.tls) {
            (220, _) if !input.is_empty() => Close::because(Outcome::injected()),
            (220, _) => Step::Upgrade(Upgrade::due(self, now)),
            (421, _) => Close::because(Outcome::remote(reply.clone())),
            (400..=599, TlsMode::StartTls) => Step::Ready(Ready::new(self, false)),
            // Nobody signs this reply: it must not bounce mail, even where it says 5xx.
            (400..=599, _) => {
                let why = Outcome::no_tls(format!("TLS is demanded, and the remote refuses it: {reply}"));
                self.quit(Some(why), now, out)
            }
            _ => Close::because(Outcome::desync()),
        }
    }

    /// EHLO, or LHLO.
    pub(super) fn hello(self, now: Instant, out: &mut BytesMut) -> Step {
        let hello = self.config.hello.clone();
        match self.config.protocol {
            Protocol::Smtp => Command::Ehlo(hello).write(out),
            Protocol::Lmtp => Command::Lhlo(hello).write(out),
        }
        let deadline = now + self.config.timeouts.hello;
        self.wait(Waits::Hello { extended: true }, deadline)
    }

    /// The remote wants no conversation: QUIT, unless it hangs up by itself
    /// (RFC 7504 §4.1).
    pub(super) fn turned_away(self, reply: Reply, now: Instant, out: &mut BytesMut) -> Step {
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

    /// Why the conversation is over if the remote has spoken before it was asked.
    pub(super) fn interrupted(&mut self, input: &mut BytesMut) -> Option<Outcome> {
        if input.is_empty() {
            return None;
        }
        let (Unasked::Goodbye(why) | Unasked::Desync(why)) = self.unasked(input);
        Some(why)
    }

    /// Judges bytes that came although no reply was awaited.
    fn unasked(&mut self, input: &mut BytesMut) -> Unasked {
        match self.reader.next(input) {
            Ok(Some(reply)) if reply.code().as_u16() == 421 => Unasked::Goodbye(Outcome::remote(reply)),
            _ => Unasked::Desync(Outcome::desync()),
        }
    }
}

/// What a remote said that was not asked.
enum Unasked {
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
