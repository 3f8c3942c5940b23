//! The states that the caller acts in.

use std::time::Instant;

use bytes::BytesMut;
use hikyaku_wire::{BareLineEnd, Capabilities, Code, DotEncoder, EnhancedCode, Reply};

use super::envelope::Envelope;
use super::outcome::{Outcome, Settled};
use super::pipeline::Pipeline;
use super::receive::{Link, Receive};
use super::upgrade::Upgrade;
use crate::Tls;

/// What the conversation needs next.
#[must_use = "a step that is dropped ends the conversation"]
#[derive(Debug)]
pub enum Step {
    /// A reply: write `out`, read into `input`, then [`Receive::process`].
    Receive(Receive),
    /// The TLS handshake: [`Upgrade::established`] or [`Upgrade::failed`].
    Upgrade(Upgrade),
    /// The next message, or [`Ready::quit`].
    Ready(Ready),
    /// The content of the message.
    Body(Body),
    /// A transaction is over: [`Done::settle`].
    Done(Done),
    /// The conversation is over: write what is left in `out` and close.
    Close(Close),
}

/// The remote waits for a message or for the end.
#[derive(Debug)]
pub struct Ready {
    pub(super) link: Link,
    /// The remote still holds a transaction that ended without content.
    pub(super) stale: bool,
}

impl Ready {
    pub(super) const fn new(link: Link, stale: bool) -> Self {
        Self { link, stale }
    }

    /// What the remote offered in its last EHLO reply; nothing after HELO.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.link.capabilities
    }

    /// What the TLS handshake has come to; `None` if the conversation is not encrypted.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.link.tls.as_ref()
    }

    /// Whether the remote has accepted who this side is.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.link.authenticated
    }

    /// Begins a transaction for a message of `size` octets, CRLF line ends
    /// counted and dot-stuffing not (RFC 1870 §6.2).
    ///
    /// If the remote has spoken unasked since the last transaction, `input`
    /// holds it: then nothing is sent and the step is [`Step::Close`].
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the remote lacks what the message needs; nothing was
    /// sent, and the conversation can go on with another message. If only some
    /// recipients need what is lacking (SMTPUTF8), they alone are settled as
    /// [`NotTried`](Settled::NotTried).
    pub fn send(
        mut self,
        envelope: &Envelope,
        size: u64,
        now: Instant,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Step, Unsupported> {
        if let Some(why) = self.link.interrupted(input) {
            return Ok(Close::because(why));
        }
        if let Some(reply) = envelope.refusal(&self.link.capabilities, size) {
            let ready = Box::new(self);
            return Err(Unsupported { ready, reply });
        }
        let protocol = self.link.config.protocol;
        let capabilities = &self.link.capabilities;
        let pipeline = Pipeline::new(protocol, capabilities, envelope, size, self.stale);
        Ok(self.link.transact(pipeline, now, input, out))
    }

    /// Ends the conversation with QUIT.
    pub fn quit(self, now: Instant, out: &mut BytesMut) -> Step {
        self.link.quit(None, now, out)
    }
}

/// The remote lacks what a message or AUTH needs of it.
#[derive(Debug, thiserror::Error)]
#[error("not possible with this host: {reply}")]
pub struct Unsupported {
    /// The conversation, as it was.
    pub ready: Box<Ready>,
    /// What is said in the remote's place, of each recipient: 552 5.3.4
    /// (SIZE), 554 5.6.3 (8BITMIME) or 550 5.6.7 (SMTPUTF8); or of AUTH, see
    /// [`Ready::authenticate`].
    pub reply: Reply,
}

/// The remote waits for the content of the message.
#[derive(Debug)]
pub struct Body {
    link: Link,
    pipeline: Pipeline,
    encoder: DotEncoder,
    /// A bare line end was written: the message can no longer be completed.
    spoilt: bool,
    deadline: Instant,
}

impl Body {
    /// Takes up the 354, and what a remote may have said right behind it.
    pub(super) fn begin(link: Link, pipeline: Pipeline, now: Instant, input: &mut BytesMut) -> Step {
        let deadline = now + link.config.timeouts.block;
        let body = Self { link, pipeline, encoder: DotEncoder::default(), spoilt: false, deadline };
        body.process(input)
    }

    /// Appends the next octets of the message to `out`, dot-stuffed
    /// (RFC 5321 §4.5.2); any split will do.
    ///
    /// The caller writes `out` to the remote before it grows large.
    ///
    /// # Errors
    ///
    /// [`BareLineEnd`] if the message holds a CR or LF that is not part of a
    /// CRLF. It cannot be sent then: [`finish`](Self::finish) will end the
    /// conversation without the final dot.
    pub fn write(&mut self, now: Instant, content: &[u8], out: &mut BytesMut) -> Result<(), BareLineEnd> {
        self.deadline = now + self.link.config.timeouts.block;
        let written = self.encoder.encode(content, out);
        self.spoilt |= written.is_err();
        written
    }

    /// Ends the message with the final dot.
    pub fn finish(mut self, now: Instant, out: &mut BytesMut) -> Step {
        if self.spoilt || self.encoder.finish(out).is_err() {
            let text = "message holds a bare CR or LF";
            let reply = Reply::new(Code::TRANSACTION_FAILED_554, EnhancedCode::new(5, 6, 0), text);
            return self.pipeline.cut_off(Outcome::ours(reply));
        }
        self.pipeline.hand_over();
        self.link.await_replies(self.pipeline, now)
    }

    /// Gives the message up, for the reason that `reply` gives; the
    /// conversation ends without the final dot, so that nobody delivers half
    /// of a message.
    pub fn abandon(self, reply: Reply) -> Step {
        self.pipeline.cut_off(Outcome::ours(reply))
    }

    /// Looks at what the remote says before the end: a refusal ends message
    /// and conversation at once.
    ///
    /// Returns [`Step::Body`] if `input` holds no whole reply.
    pub fn process(mut self, input: &mut BytesMut) -> Step {
        match self.link.reader.next(input) {
            Ok(None) => Step::Body(self),
            Ok(Some(reply)) if reply.is_transient() || reply.is_permanent() => {
                self.pipeline.settle_accepted(&reply);
                self.pipeline.cut_off(Outcome::remote(reply))
            }
            Ok(Some(_)) => self.pipeline.out_of_step(Outcome::desync()),
            Err(error) => self.pipeline.out_of_step(Outcome::malformed(error)),
        }
    }

    /// When [`timed_out`](Self::timed_out) is due: the block time-out after
    /// the last [`write`](Self::write).
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The remote did not take what was written in time.
    pub fn timed_out(self) -> Step {
        let outcome = Outcome::timed_out(self.pipeline.waits_for());
        self.pipeline.cut_off(outcome)
    }

    /// The remote closed the connection, or it broke, after all that
    /// [`process`](Self::process) was given.
    pub fn closed(self) -> Step {
        let outcome = Outcome::lost(self.pipeline.waits_for());
        self.pipeline.cut_off(outcome)
    }
}

/// A transaction is over.
#[derive(Debug)]
pub struct Done {
    settled: Vec<Settled>,
    next: Box<Step>,
}

impl Done {
    pub(super) fn new(settled: Vec<Settled>, next: Step) -> Self {
        Self { settled, next: Box::new(next) }
    }

    /// What became of each recipient, in the order of the envelope, and the
    /// step that follows: [`Step::Ready`] or [`Step::Close`].
    pub fn settle(self) -> (Vec<Settled>, Step) {
        (self.settled, *self.next)
    }
}

/// The conversation is over.
#[derive(Debug)]
pub struct Close {
    outcome: Outcome,
}

impl Close {
    pub(super) const fn because(outcome: Outcome) -> Step {
        Step::Close(Self { outcome })
    }

    /// Why it ended: the 221 after QUIT, what the remote said instead, or
    /// what this side says of it (4.4.2 lost or timed out, 4.5.0 out of step).
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}
