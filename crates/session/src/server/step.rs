use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use hikyaku_wire::{Hello, Mail, Recipient, Reply};

use super::{
    Cause, Config, Limit, Peer, Session, TlsMode, Verdicts,
    connection::{Connection, Mode, Question as Decision, Refusal, Turn, refusal},
};
use crate::{
    Tls,
    sasl::{self, Answer, Question},
};

/// Begins a conversation at the moment the peer has connected.
///
/// `id` names the connection in refusals; the first step is a [`Decide`] at
/// [`Stage::Connect`], with [`TlsMode::Implicit`] behind an [`Upgrade`].
pub fn start(config: Arc<Config>, peer: Peer, id: impl Into<Box<str>>, now: Instant) -> Step {
    let implicit = config.tls == TlsMode::Implicit;
    let connection = Connection::new(Session::new(config, peer, id.into()), now);
    if implicit { Step::Upgrade(Upgrade(connection)) } else { connection.next() }
}

/// What happens next.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
#[allow(missing_docs, reason = "each variant is its type")]
pub enum Step {
    Receive(Receive),
    Flush(Flush),
    Pause(Pause),
    Decide(Decide),
    Authenticate(Authenticate),
    Upgrade(Upgrade),
    Data(Data),
    Body(Body),
    Message(Message),
    Ended(Ended),
    Refused(Refused),
    /// The conversation is over and all output is on its way.
    Close,
}

/// More input is needed: write what is in `out`, then read.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Receive(pub(super) Box<Connection>);

impl Receive {
    /// Takes what it can from `input` and appends replies to `out`.
    ///
    /// [`Step::Receive`] comes back only when `input` holds no whole command
    /// and no piece of a message.
    pub fn process(self, now: Instant, input: &mut BytesMut, out: &mut BytesMut) -> Step {
        let mut connection = self.0;
        if connection.is_late(now) {
            connection.time_out(out);
            return connection.next();
        }
        loop {
            if connection.is_full(out) {
                return Step::Flush(Flush(connection));
            }
            match connection.turn(now, input, out) {
                Turn::Hungry => return Step::Receive(Self(connection)),
                Turn::Done if connection.is_interrupted() => return connection.next(),
                Turn::Done => {}
                Turn::Data => return Step::Data(Data(connection)),
                Turn::Piece(piece) => return Step::Body(Body { piece, connection }),
                Turn::Message => return Step::Message(Message(connection)),
            }
        }
    }

    /// When to stop waiting and call [`timed_out`](Self::timed_out).
    pub fn deadline(&self) -> Instant {
        self.0.deadline()
    }

    /// The same for a server that is nearly full: at most this long after the wait began.
    pub fn deadline_within(&self, most: Duration) -> Instant {
        self.deadline().min(self.0.since + most)
    }

    /// Whether a transaction is running.
    pub fn in_transaction(&self) -> bool {
        self.0.session.transaction.is_some()
    }

    /// Whether it is the message itself that is being received.
    pub fn in_body(&self) -> bool {
        self.0.in_body()
    }

    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// Ends the conversation with 421 4.4.2.
    pub fn timed_out(mut self, out: &mut BytesMut) -> Step {
        self.0.time_out(out);
        self.0.next()
    }

    /// Ends the conversation with 421 4.3.2; a running transaction is cut.
    pub fn shut_down(mut self, out: &mut BytesMut) -> Step {
        self.0.shut_down(out);
        self.0.next()
    }

    /// The peer is gone: a running transaction is cut.
    pub fn closed(mut self) -> Step {
        self.0.close();
        self.0.next()
    }
}

/// `out` has to be on the wire before what follows.
///
/// It holds 64 KiB ([`Limits::output`](super::Limits::output)), or the last words before
/// [`Step::Close`] or before the TLS handshake.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Flush(pub(super) Box<Connection>);

impl Flush {
    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// `out` has been written and is empty.
    pub fn flushed(mut self, now: Instant) -> Step {
        self.0.touch(now);
        match self.0.mode {
            Mode::Closing => Step::Close,
            Mode::StartTls => Step::Upgrade(Upgrade(self.0)),
            _ => self.0.next(),
        }
    }
}

/// The reply that `out` ends in is delayed: wait before writing it.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Pause {
    pub(super) until: Instant,
    pub(super) connection: Box<Connection>,
}

impl Pause {
    /// When to go on.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.connection.session
    }

    /// The time has come.
    pub fn resume(mut self, now: Instant) -> Step {
        self.connection.touch(now);
        self.connection.next()
    }
}

/// What a [`Decide`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// The peer has connected and waits for the greeting.
    Connect,
    /// HELO, EHLO or LHLO.
    Hello(&'a Hello),
    /// MAIL: whether a transaction may begin.
    Mail(&'a Mail),
    /// RCPT: whether the transaction gets this recipient.
    Recipient(&'a Recipient),
}

/// The application decides, by a reply.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Decide {
    pub(super) question: Box<Decision>,
    pub(super) connection: Box<Connection>,
}

impl Decide {
    /// What is to be decided.
    pub fn stage(&self) -> Stage<'_> {
        match &*self.question {
            Decision::Connect => Stage::Connect,
            Decision::Hello { hello, .. } => Stage::Hello(hello),
            Decision::Mail(mail) => Stage::Mail(mail),
            Decision::Recipient(recipient) => Stage::Recipient(recipient),
        }
    }

    /// What is known of the conversation; the command that is being decided
    /// is not part of it yet.
    pub fn session(&self) -> &Session {
        &self.connection.session
    }

    /// Decides. 2xx is yes, 4xx and 5xx are no, 421 also ends the conversation;
    /// any other reply is ours to give and counts as 451 4.3.0.
    ///
    /// The text of a positive reply is used for MAIL and RCPT; the greeting and
    /// the reply to a hello are the machine's own. A greeting that is refused
    /// leaves the peer nothing but QUIT (RFC 5321 §3.1).
    pub fn reply(mut self, now: Instant, reply: &Reply, out: &mut BytesMut) -> Step {
        self.connection.touch(now);
        self.connection.decided(now, *self.question, reply, out);
        self.connection.known(std::slice::from_ref(reply));
        self.connection.next()
    }
}

/// AUTH: the application says what the exchange asks. 334, 235 and 535 are the machine's.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Authenticate {
    pub(super) asking: sasl::server::Asking,
    pub(super) connection: Box<Connection>,
}

impl Authenticate {
    /// What is asked.
    pub fn question(&self) -> Question<'_> {
        self.asking.question()
    }

    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.connection.session
    }

    /// Takes the answer; the nonce is 18 octets that nobody can guess, new for each answer.
    ///
    /// Whether the exchange succeeds may be known only after more of the client's lines: then
    /// [`Session::user`] has the user. A failure is a [`Refused`], whatever has led to it, but for
    /// [`Answer::Refuse`], of which the application knows.
    pub fn answer(self, now: Instant, answer: Answer, nonce: [u8; 18], out: &mut BytesMut) -> Step {
        let mut connection = self.connection;
        let said = if let Answer::Refuse(reply) = &answer { Some(refusal(reply).into_owned()) } else { None };
        connection.touch(now);
        connection.exchanged(now, self.asking.answer(answer, nonce), out);
        connection.known(said.as_slice());
        connection.next()
    }
}

/// The TLS handshake is due: all output is on the wire, and no input is left.
///
/// Whatever the peer sends from here on belongs to the handshake: read it there, and not into
/// `input`.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Upgrade(pub(super) Box<Connection>);

impl Upgrade {
    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// When the handshake has failed because it took too long.
    pub fn deadline(&self) -> Instant {
        self.0.deadline()
    }

    /// The handshake is done: everything that was said before it is forgotten (RFC 3207 §4.2).
    ///
    /// `input` is what has been read so far. If anything is in it, it came in clear text and would
    /// run as if it had been encrypted: the conversation is over.
    pub fn established(mut self, now: Instant, tls: Tls, input: &BytesMut) -> Step {
        if !input.is_empty() {
            return Step::Close;
        }
        self.0.encrypted(now, tls);
        self.0.next()
    }

    /// The handshake has failed: the conversation is over, nothing more is read or written.
    pub fn failed(self) -> Step {
        Step::Close
    }
}

/// DATA, with at least one recipient.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Data(pub(super) Box<Connection>);

impl Data {
    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// Asks the peer for the message with 354.
    pub fn accept(mut self, now: Instant, out: &mut BytesMut) -> Step {
        self.0.touch(now);
        self.0.open_body(out);
        self.0.next()
    }

    /// Refuses, which ends the transaction.
    ///
    /// DATA is the last command of its group (RFC 2920 §3.1), so what `input`
    /// already holds can only be a message that must not run as commands: it
    /// is answered with 421.
    pub fn refuse(mut self, now: Instant, reply: &Reply, input: &BytesMut, out: &mut BytesMut) -> Step {
        self.0.touch(now);
        self.0.end(Cause::Refused);
        self.0.refuse(now, refusal(reply).into_owned(), out);
        self.0.known(std::slice::from_ref(reply));
        self.0.after_refused_data(input, out);
        self.0.next()
    }
}

/// A piece of the message, without dot-stuffing.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Body {
    pub(super) piece: Bytes,
    pub(super) connection: Box<Connection>,
}

impl Body {
    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.connection.session
    }

    /// The piece; it is never empty. A clone of it is free.
    pub fn piece(&self) -> &Bytes {
        &self.piece
    }

    /// The piece has been taken: goes on.
    pub fn next(self) -> Step {
        self.connection.next()
    }

    /// Drops the piece and reads the rest of the message without giving it
    /// out; the reply is given after its end.
    pub fn refuse(mut self, reply: Reply) -> Step {
        self.connection.refuse_body(reply);
        self.connection.next()
    }
}

/// The message has been received whole.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Message(pub(super) Box<Connection>);

impl Message {
    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// Answers for the message, which ends the transaction.
    pub fn reply(mut self, now: Instant, verdicts: Verdicts, out: &mut BytesMut) -> Step {
        self.0.touch(now);
        self.0.judged(now, verdicts, out);
        self.0.next()
    }
}

/// The machine has refused something by itself: for the log.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Refused {
    pub(super) refusal: Refusal,
    pub(super) connection: Box<Connection>,
}

impl Refused {
    /// The limit that the peer has reached, if that is why.
    pub fn limit(&self) -> Option<Limit> {
        self.refusal.limit
    }

    /// What the peer was told, without the connection's id.
    pub fn reply(&self) -> &Reply {
        &self.refusal.reply
    }

    /// What is known of the conversation.
    pub fn session(&self) -> &Session {
        &self.connection.session
    }

    /// Goes on.
    pub fn next(self) -> Step {
        self.connection.next()
    }
}

/// The transaction is over: drop what belongs to it.
#[derive(Debug)]
#[must_use = "a step that is dropped ends the conversation"]
pub struct Ended {
    pub(super) cause: Cause,
    pub(super) connection: Box<Connection>,
}

impl Ended {
    /// Why.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// What is known of the conversation; the transaction is no longer part of it.
    pub fn session(&self) -> &Session {
        &self.connection.session
    }

    /// Goes on.
    pub fn next(self) -> Step {
        self.connection.next()
    }
}
