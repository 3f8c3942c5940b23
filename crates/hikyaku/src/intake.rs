//! What happens to a message while it streams in: limits, and the road into the queue.

use std::sync::Arc;

use bytes::Bytes;
use hikyaku_message::{HeaderLimits, HeaderScan, Malformed, Received};
use hikyaku_queue::{Draft, Envelope, MsgId, NewUnit, Queue, SizeHint};
use hikyaku_wire::{Mailbox, Reply};

use crate::{now, random};

/// A message on its way into the queue. Dropped before [`commit`](Self::commit), it leaves
/// nothing behind.
#[derive(Debug)]
pub struct Intake<D> {
    id: MsgId,
    draft: D,
    scan: HeaderScan,
    size: u64,
}

/// What is asked of a message that a user submits (RFC 6409 §8), and done for it.
#[derive(Clone)]
pub struct Submission {
    /// The name behind the `@` of a Message-ID that is added.
    pub hostname: String,
    /// Whether the user may send as this address; none: no address is looked at.
    pub owns: Option<Arc<dyn Fn(&Mailbox) -> bool + Send + Sync>>,
}

impl<D: Draft> Intake<D> {
    /// The message comes from a user: its From field must be the user's own (550 5.7.1), and a
    /// Date or Message-ID that is missing is added.
    pub fn submitted(&mut self, rules: Submission) {
        let _ = rules;
        unimplemented!()
    }

    /// The name of the limit that the message has reached, after [`push`](Self::push) has failed
    /// because of one: `header_size`, `header_fields` or `hops`.
    pub fn limit(&self) -> Option<&'static str> {
        None
    }

    /// Asks the queue for room, before the client is asked for the message.
    ///
    /// # Errors
    /// The reply that tells the client why there is no room, 4xx.
    pub async fn open<Q: Queue<Draft = D>>(queue: &Q, declared_size: Option<u64>) -> Result<Self, Reply> {
        let id = MsgId::new(now(), random());
        let draft = queue.draft(id, SizeHint(declared_size)).await.map_err(|error| error.reply())?;
        Ok(Self { id, draft, scan: HeaderScan::new(HeaderLimits::default()), size: 0 })
    }

    /// The id that follows the message from here on.
    pub fn id(&self) -> MsgId {
        self.id
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// The header section is over a limit, the message has had too many hops (554 5.4.6), it
    /// begins with a space (554 5.6.0), or the queue cannot take it (4xx).
    pub async fn push(&mut self, piece: Bytes) -> Result<(), Reply> {
        if !self.scan.is_done() {
            self.scan.push(&piece);
            if let Some(limit) = self.scan.over() {
                return Err(limit.reply());
            }
            // It would continue the trace field that we put in front of it.
            if self.scan.malformed() == Some(Malformed::LeadingSpace) {
                return Err(Reply::BAD_CONTENT_554.append(": it begins with a space"));
            }
        }
        self.size += piece.len() as u64;
        self.draft.write(piece).await.map_err(|error| error.reply())
    }

    /// Puts the trace field in front and makes the message durable. Only after this may the
    /// client be told 250.
    ///
    /// # Errors
    /// The reply that tells the client to come again, 4xx.
    pub async fn commit(self, envelope: Envelope, trace: Received<'_>, units: Vec<NewUnit>) -> Result<(), Reply> {
        let prepend = Bytes::from(trace.to_string());
        self.draft.commit(envelope, prepend, units, None).await.map_err(|error| error.reply())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_queue::Memory;

    use super::*;

    async fn push(pieces: &[&str]) -> Result<(), String> {
        let mut intake = Intake::open(&Memory::new(), None).await.unwrap();
        for piece in pieces {
            intake.push(Bytes::from(piece.to_string())).await.map_err(|reply| reply.to_string())?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn d52_a_loop_is_noticed_while_the_header_streams_in() {
        let hops = |n: usize| "Received: by x\r\n".repeat(n) + "\r\n";
        assert_eq!(push(&[&hops(100), "body"]).await, Ok(()));
        assert!(push(&[&hops(101)]).await.unwrap_err().starts_with("554 5.4.6"));
        assert_eq!(push(&["\r\n", &hops(200)]).await, Ok(()), "hops in the body are none");
    }

    #[tokio::test]
    async fn d52_nothing_can_continue_our_trace_field() {
        for text in [" for <forged@bank.test>", "\tx\r\n\r\n"] {
            assert!(push(&[text]).await.unwrap_err().starts_with("554 5.6.0"), "{text:?}");
        }
        assert_eq!(push(&["Subject: x\r\n folded\r\n\r\n"]).await, Ok(()));
    }

    #[tokio::test]
    async fn d68_a_full_queue_says_so_before_the_message_is_sent() {
        let full = Memory::with_capacity(10);
        let refused = Intake::open(&full, Some(1_000)).await.err().map(|reply| reply.to_string());
        assert!(refused.is_some_and(|reply| reply.starts_with("452 4.3.1")));
    }

    #[tokio::test]
    async fn a_header_without_end_is_refused() {
        assert!(push(&[&"x".repeat(300 * 1024)]).await.is_err());
    }
}
