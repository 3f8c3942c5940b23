use std::{
    borrow::Cow,
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use hikyaku_wire::{Capabilities, Capability, Code, Hello, Lines, Mail, Recipient, Reply, Words};

use super::{
    Authenticate, Cause, Ended, Flush, Limit, Pause, Receive, Refused, Session, Step, TlsMode, Verdicts,
    body::Incoming, session::Transaction, step::Decide,
};
use crate::{
    Protocol, Tls,
    sasl::{Mechanism, server as exchange},
};

/// The machine behind every step.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) mode: Mode,
    pub(super) lines: Lines,
    /// What every command but QUIT is answered with after a refused greeting.
    pub(super) barred: Option<Reply>,
    /// No line has been received yet.
    pub(super) fresh: bool,
    /// A transaction is over and the application does not know yet.
    ended: Option<Cause>,
    /// What the machine has refused by itself, and the application does not know yet.
    refused: VecDeque<Refusal>,
    /// The reply just written is to be held back.
    pub(super) pause: Option<Instant>,
    /// Commands since the last accepted message.
    commands: u32,
    /// Refused commands since the last accepted message.
    errors: u32,
    /// Refused recipients since the last accepted message.
    refusals: u32,
    /// Commands that lead nowhere since the last accepted message.
    junk: u32,
    /// Exchanges of AUTH that have failed.
    pub(super) failures: u32,
    /// When the current wait began.
    pub(super) since: Instant,
    /// Whether the last step was to wait for input.
    pub(super) waiting: bool,
    /// When the conversation is over in any case.
    ends: Instant,
}

/// What the next byte belongs to.
#[derive(Debug)]
pub(super) enum Mode {
    Command,
    Body(Incoming),
    Ask(Box<Question>),
    /// A line of AUTH.
    Response(exchange::Waiting),
    Authenticate(exchange::Asking),
    /// STARTTLS was accepted: TLS, once the reply is on the wire.
    StartTls,
    Closing,
}

/// What a `Decide` owns.
#[derive(Debug)]
pub(super) enum Question {
    Connect,
    Hello { hello: Hello, extended: bool },
    Mail(Mail),
    Recipient(Recipient),
}

/// What the machine refuses by itself, and the limit that the peer has reached, if that is why.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) reply: Reply,
    pub(super) limit: Option<Limit>,
}

impl Refusal {
    pub(super) fn at(limit: Limit, reply: Reply) -> Self {
        Self { limit: Some(limit), ..reply.into() }
    }
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Self {
        Self { reply, limit: None }
    }
}

/// What one look at the input came to.
pub(super) enum Turn {
    Hungry,
    Done,
    Data,
    Piece(Bytes),
    Message,
}

impl Connection {
    pub(super) fn new(session: Session, now: Instant) -> Box<Self> {
        let limits = &session.config.limits;
        Box::new(Self {
            mode: Mode::Ask(Box::new(Question::Connect)),
            lines: Lines::new(limits.command_line),
            barred: None,
            fresh: true,
            ended: None,
            refused: VecDeque::new(),
            pause: None,
            commands: 0,
            errors: 0,
            refusals: 0,
            junk: 0,
            failures: 0,
            since: now,
            waiting: false,
            ends: now + limits.session,
            session,
        })
    }

    /// The step that is due.
    pub(super) fn next(mut self: Box<Self>) -> Step {
        // What belongs to a transaction goes first, whatever else there is to say.
        if let Some(cause) = self.ended.take() {
            return Step::Ended(Ended { cause, connection: self });
        }
        if let Some(refusal) = self.refused.pop_front() {
            if self.refused.is_empty() {
                // Who has been refused once may stay for long.
                self.refused = VecDeque::new();
            }
            return Step::Refused(Refused { refusal, connection: self });
        }
        if let Some(until) = self.pause.take() {
            return Step::Pause(Pause { until, connection: self });
        }
        match std::mem::replace(&mut self.mode, Mode::Command) {
            Mode::Ask(question) => Step::Decide(Decide { question, connection: self }),
            Mode::Authenticate(asking) => Step::Authenticate(Authenticate { asking, connection: self }),
            mode @ (Mode::Closing | Mode::StartTls) => {
                self.mode = mode;
                Step::Flush(Flush(self))
            }
            mode => {
                self.mode = mode;
                Step::Receive(Receive(self))
            }
        }
    }

    pub(super) fn turn(&mut self, now: Instant, input: &mut BytesMut, out: &mut BytesMut) -> Turn {
        let turn = if self.in_body() { self.body(now, input, out) } else { self.command(now, input, out) };
        self.waiting = matches!(turn, Turn::Hungry);
        turn
    }

    /// Whether anything comes before the next look at the input.
    pub(super) fn is_interrupted(&self) -> bool {
        !self.refused.is_empty()
            || self.ended.is_some()
            || self.pause.is_some()
            || matches!(self.mode, Mode::Ask(_) | Mode::Authenticate(_) | Mode::StartTls | Mode::Closing)
    }

    pub(super) fn is_full(&self, out: &BytesMut) -> bool {
        !out.is_empty() && out.len() >= self.session.config.limits.output
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.mode, Mode::Closing)
    }

    pub(super) fn in_body(&self) -> bool {
        matches!(self.mode, Mode::Body(_))
    }

    /// A wait begins anew.
    pub(super) fn touch(&mut self, now: Instant) {
        self.since = now;
        self.waiting = false;
    }

    pub(super) fn deadline(&self) -> Instant {
        self.ends.min(self.since + self.patience().0)
    }

    /// How long the current wait may take, and the limit that this is.
    fn patience(&self) -> (Duration, Limit) {
        let limits = &self.session.config.limits;
        match &self.mode {
            Mode::Body(incoming) => incoming.patience(limits),
            Mode::StartTls => (limits.handshake_timeout, Limit::HandshakeTime),
            // Implicit TLS comes before the greeting.
            Mode::Ask(_) => (limits.handshake_timeout, Limit::HandshakeTime),
            _ if self.lines.discarding() => (limits.discard_timeout, Limit::CommandLine),
            _ => (limits.command_timeout, Limit::CommandTime),
        }
    }

    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.waiting && now >= self.deadline()
    }

    pub(super) fn time_out(&mut self, out: &mut BytesMut) {
        let (patience, limit) = self.patience();
        let limit = if self.ends <= self.since + patience { Limit::SessionTime } else { limit };
        self.say_at(limit, &Reply::TIMEOUT_421, out);
    }

    pub(super) fn shut_down(&mut self, out: &mut BytesMut) {
        self.say(&Reply::SHUTTING_DOWN_421, out);
    }

    /// Nothing more is read; a running transaction is cut.
    pub(super) fn close(&mut self) {
        self.end(Cause::Cut);
        self.mode = Mode::Closing;
    }

    /// The transaction is over, if one runs.
    pub(super) fn end(&mut self, cause: Cause) {
        if self.session.transaction.take().is_some() {
            self.ended = Some(cause);
        }
    }

    /// Writes a reply; a refusal gets the connection's id, 421 is the last word.
    pub(super) fn say(&mut self, reply: &Reply, out: &mut BytesMut) {
        if reply.is_transient() || reply.is_permanent() {
            self.say_no(reply.clone().into(), out);
        } else {
            reply.write(out);
        }
    }

    /// Writes the reply that the limit has.
    pub(super) fn say_at(&mut self, limit: Limit, reply: &Reply, out: &mut BytesMut) {
        self.say_no(Refusal::at(limit, reply.clone()), out);
    }

    pub(super) fn say_no(&mut self, refusal: Refusal, out: &mut BytesMut) {
        let reply = &refusal.reply;
        reply.clone().append(&format!(" ({})", self.session.id())).write(out);
        if reply.code().as_u16() == 421 {
            self.close();
        }
        self.refused.push_back(refusal);
    }

    /// The application knows its own words; what the machine has put in their place it does not.
    pub(super) fn known(&mut self, said: &[Reply]) {
        self.refused.retain(|refusal| refusal.limit.is_some() || !said.contains(&refusal.reply));
    }

    /// A command that failed.
    pub(super) fn refuse(&mut self, now: Instant, refusal: impl Into<Refusal>, out: &mut BytesMut) {
        self.errors += 1;
        if self.errors > self.session.config.limits.errors {
            return self.say_at(Limit::Errors, &Reply::TOO_MANY_ERRORS_421, out);
        }
        self.say_no(refusal.into(), out);
        self.slow_down(now);
    }

    /// A command that leads nowhere, with its reply.
    pub(super) fn idle(&mut self, reply: &Reply, out: &mut BytesMut) {
        self.junk += 1;
        if self.junk > self.session.config.limits.junk {
            self.say_at(Limit::Junk, &Reply::TOO_MANY_ERRORS_421, out);
        } else {
            self.say(reply, out);
        }
    }

    /// Counts a command; no: it was one too many.
    pub(super) fn count(&mut self, out: &mut BytesMut) -> bool {
        self.commands += 1;
        let fits = self.commands <= self.session.config.limits.commands;
        if !fits {
            self.say_at(Limit::Commands, &Reply::TOO_MANY_COMMANDS_421, out);
        }
        fits
    }

    /// Everything is encrypted from now on, and what was said before was said by anybody
    /// (RFC 3207 §4.2). What it has cost so far stays counted.
    pub(super) fn encrypted(&mut self, now: Instant, tls: Tls) {
        let session = &mut self.session;
        session.tls = Some(Box::new(tls));
        (session.hello, session.extended, session.user) = (None, false, None);
        self.fresh = true;
        if matches!(self.mode, Mode::StartTls) {
            self.mode = Mode::Command;
        }
        self.touch(now);
    }

    /// What the application said to a question.
    pub(super) fn decided(&mut self, now: Instant, question: Question, reply: &Reply, out: &mut BytesMut) {
        let reply = &*last_word(reply);
        if !reply.is_positive() {
            return self.declined(now, &question, reply, out);
        }
        match question {
            Question::Connect => self.say(&self.greeting(), out),
            Question::Hello { hello, extended } => {
                self.session.hello = Some(hello);
                self.session.extended = extended;
                self.idle(&self.introduction(), out);
            }
            Question::Mail(mail) => {
                self.session.transaction = Some(Transaction::new(mail));
                self.say(reply, out);
            }
            Question::Recipient(_) => {
                if let Some(transaction) = &mut self.session.transaction {
                    transaction.accepted += 1;
                }
                self.say(reply, out);
            }
        }
    }

    fn declined(&mut self, now: Instant, question: &Question, reply: &Reply, out: &mut BytesMut) {
        match question {
            Question::Connect => {
                let barred = if reply.is_permanent() { &Reply::BAD_SEQUENCE_503 } else { reply };
                self.barred = Some(barred.clone());
                self.say(reply, out);
            }
            Question::Hello { .. } | Question::Mail(_) => self.refuse(now, reply.clone(), out),
            Question::Recipient(_) => {
                if let Some(transaction) = &mut self.session.transaction {
                    transaction.refused += 1;
                }
                // A list with many dead addresses must still reach the living
                // ones: it is slowed down, not cut off.
                self.refusals += 1;
                self.say(reply, out);
                self.slow_down(now);
            }
        }
    }

    /// What the application said to the whole message.
    pub(super) fn judged(&mut self, now: Instant, verdicts: Verdicts, out: &mut BytesMut) {
        let replies = verdicts.into_replies(self.session.protocol(), self.session.recipients());
        let accepted = replies.iter().any(Reply::is_positive);
        self.end(if accepted { Cause::Accepted } else { Cause::Refused });
        if accepted {
            (self.commands, self.errors, self.refusals, self.junk) = (0, 0, 0, 0);
        }
        self.settle(now, &replies, None, out);
        self.known(&replies);
    }

    /// Writes the replies at the end of the message. Together they are one answer.
    pub(super) fn settle(&mut self, now: Instant, replies: &[Reply], limit: Option<Limit>, out: &mut BytesMut) {
        let Some((last, others)) = replies.split_last() else { return };
        let mut closing = false;
        for reply in others {
            let reply = last_word(reply);
            closing |= reply.code().as_u16() == 421;
            self.say(&reply, out);
        }
        let last = last_word(last);
        if last.is_positive() || closing {
            self.say(&last, out);
        } else {
            self.refuse(now, Refusal { limit, ..last.into_owned().into() }, out);
        }
    }

    fn slow_down(&mut self, now: Instant) {
        let limits = &self.session.config.limits;
        let over = self.errors.saturating_add(self.refusals) > limits.soft_errors;
        if over && limits.error_delay > Duration::ZERO && !self.is_closing() {
            self.pause = Some(now + limits.error_delay);
        }
    }

    fn greeting(&self) -> Reply {
        let protocol = match self.session.protocol() {
            Protocol::Smtp => "ESMTP",
            Protocol::Lmtp => "LMTP",
        };
        Reply::plain(Code::GREETING_220, format!("{} {protocol}", self.session.config.hostname))
    }

    fn introduction(&self) -> Reply {
        let config = &self.session.config;
        if !self.session.extended {
            return Reply::plain(Code::OK_250, config.hostname.clone());
        }
        let mut offered = Capabilities::new()
            .with(Capability::Pipelining)
            .with(Capability::Size(Some(config.size)))
            .with(Capability::EightBitMime);
        if config.smtputf8 {
            offered = offered.with(Capability::SmtpUtf8);
        }
        let starts_tls = matches!(config.tls, TlsMode::StartTls | TlsMode::Required);
        if starts_tls && self.session.tls.is_none() {
            offered = offered.with(Capability::StartTls);
        }
        if self.offers_auth() {
            let names = self.session.mechanisms().map(Mechanism::name).collect::<Vec<_>>().join(" ");
            offered = offered.with(Capability::Auth(Words::new(&names).expect("the seven names are short")));
        }
        offered.with(Capability::EnhancedStatusCodes).reply(&config.hostname)
    }
}

/// A reply that ends a question: 1xx and 3xx are the machine's to say.
fn last_word(reply: &Reply) -> Cow<'_, Reply> {
    if reply.is_positive() { Cow::Borrowed(reply) } else { refusal(reply) }
}

/// A reply that refuses: 2xx in the place of a refusal would lose a message.
pub(super) fn refusal(reply: &Reply) -> Cow<'_, Reply> {
    if reply.is_transient() || reply.is_permanent() { Cow::Borrowed(reply) } else { Cow::Owned(Reply::LOCAL_ERROR_451) }
}
