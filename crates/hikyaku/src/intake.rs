//! What happens to a message while it streams in: limits, what is asked of a submission, and the
//! road into the queue.

pub(crate) mod forged;
mod signature;
mod submission;

use bytes::Bytes;
use hikyaku_message::{HeaderLimit, HeaderLimits, HeaderScan, Malformed, Received};
use hikyaku_queue::{Draft, Envelope, MsgId, NewUnit, Queue, SizeHint};
use hikyaku_wire::Reply;

use crate::{Arriving, SigningKeys, now, random};

use forged::{Forged, TooLong};
use signature::Signature;
use submission::Authors;
pub use submission::Submission;

/// A message on its way into the queue. Dropped before [`commit`](Self::commit), it leaves
/// nothing behind.
#[derive(Debug)]
pub struct Intake<D> {
    id: MsgId,
    draft: D,
    limits: HeaderLimits,
    scan: HeaderScan,
    forged: Forged,
    size: u64,
    submission: Option<Submission>,
    authors: Option<Authors>,
    /// What is verified while it streams by, as it came.
    pub(crate) arriving: Option<Arriving>,
    /// The fields that tell what was found, on top of all.
    pub(crate) results: String,
    /// What is signed while it streams by, as it goes into the queue.
    signature: Option<Signature>,
    /// Why the message cannot be taken, whatever follows.
    refused: Option<Refusal>,
}

/// Why a message is refused, and the limit that it has reached if that is why.
#[derive(Debug, Clone)]
struct Refusal {
    reply: Reply,
    limit: Option<&'static str>,
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Self {
        Self { reply, limit: None }
    }
}

impl<D: Draft> Intake<D> {
    /// Asks the queue for room, before the client is asked for the message. `authserv_id` is the
    /// name under which this host tells what it found: nobody else may (RFC 8601 §5), so fields of
    /// that name are taken out of the message.
    ///
    /// # Errors
    /// The reply that tells the client why there is no room, 4xx.
    pub async fn open<Q: Queue<Draft = D>>(
        queue: &Q,
        declared_size: Option<u64>,
        limits: HeaderLimits,
        authserv_id: &str,
    ) -> Result<Self, Reply> {
        let id = MsgId::new(now(), random());
        let draft = queue.draft(id, SizeHint(declared_size)).await.map_err(|error| error.reply())?;
        let (scan, forged) = (HeaderScan::new(limits), Forged::new(authserv_id, limits.octets));
        Ok(Self {
            id,
            draft,
            limits,
            scan,
            forged,
            size: 0,
            submission: None,
            authors: None,
            arriving: None,
            results: String::new(),
            signature: None,
            refused: None,
        })
    }

    /// The message comes from a user: it must have one From field whose addresses are all the
    /// user's own, and the Sender field too if there is one (550 5.7.1). A header section that two
    /// programs may read in two ways is refused (554 5.6.0). A Date or Message-ID that is missing
    /// is added (RFC 6409 §8).
    ///
    /// To be said before the first piece: else no From field will have been seen.
    pub fn submitted(&mut self, rules: Submission) {
        self.authors = rules.owns.clone().map(Authors::new);
        self.submission = Some(rules);
    }

    /// The message is looked at as it streams by: see [`Screening`](crate::Screening).
    ///
    /// To be said before the first piece.
    pub fn verified(&mut self, arriving: Option<Arriving>) {
        self.arriving = arriving;
    }

    /// The message is signed with the keys of its author's domain, if there are some.
    ///
    /// To be said before the first piece.
    pub fn signed(&mut self, keys: &SigningKeys) {
        self.signature = keys.any().map(|keys| Signature::new(keys, self.limits));
    }

    /// The id that follows the message from here on.
    pub fn id(&self) -> MsgId {
        self.id
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fields `Received` so far.
    pub fn hops(&self) -> u64 {
        self.scan.hops()
    }

    /// The name of the limit that the message has reached, after [`push`](Self::push) has failed
    /// because of one: `header_size`, `header_fields` or `hops`.
    pub fn limit(&self) -> Option<&'static str> {
        self.refused.as_ref()?.limit
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// The header section is over a limit, the message has had too many hops (554 5.4.6), it
    /// begins with a space (554 5.6.0), it is not as [`submitted`](Self::submitted) asks, or the
    /// queue cannot take it (4xx).
    pub async fn push(&mut self, piece: Bytes) -> Result<(), Reply> {
        if self.refused.is_none() && !self.scan.is_done() {
            let looked = match &mut self.authors {
                Some(authors) => authors.push(&mut self.scan, &piece),
                None => {
                    self.scan.push(&piece);
                    limits(&self.scan)
                }
            };
            self.refused = looked.err();
        }
        self.is_good()?;
        self.size += piece.len() as u64;
        if let Some(arriving) = &mut self.arriving {
            arriving.push(&piece);
        }
        if self.forged.is_done() {
            return self.write(piece).await;
        }
        let mut kept = Vec::new();
        if let Err(TooLong) = self.forged.push(&piece, |part| kept.push(part)) {
            self.refused = Some(limit(HeaderLimit::Octets));
        }
        self.is_good()?;
        for part in kept {
            self.write(part).await?;
        }
        if let Some(signature) = self.signature.as_mut().filter(|_| self.scan.is_done()) {
            signature.begin();
        }
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), Reply> {
        if let Some(signature) = &mut self.signature {
            signature.push(&piece);
        }
        self.draft.write(piece).await.map_err(|error| error.reply())
    }

    /// The message has ended: says what could not be said before. [`commit`](Self::commit) asks
    /// for it too.
    ///
    /// # Errors
    /// The header section, which has only now ended, is not as [`submitted`](Self::submitted)
    /// asks; or what [`push`](Self::push) has said already.
    pub fn finish(&mut self) -> Result<(), Reply> {
        if self.refused.is_none() && !self.scan.is_done() {
            let looked = match &mut self.authors {
                Some(authors) => authors.finish(&mut self.scan),
                None => {
                    self.scan.finish();
                    Ok(())
                }
            };
            self.refused = looked.err();
        }
        self.is_good()
    }

    /// Puts the results, the trace field, signatures, and what a submission lacks, in front and
    /// makes the message durable.
    /// Only after this may the client be told 250.
    ///
    /// # Errors
    /// The reply that tells the client to come again, 4xx, or as of [`finish`](Self::finish).
    pub async fn commit(mut self, envelope: Envelope, trace: Received<'_>, units: Vec<NewUnit>) -> Result<(), Reply> {
        self.finish()?;
        let mut last = Vec::new();
        self.forged.finish(|part| last.push(part));
        for part in last {
            self.write(part).await?;
        }
        let missing = self.submission.as_ref().map(|rules| rules.missing(&self.scan, self.id, trace.time));
        let missing = missing.unwrap_or_default();
        let signatures = match self.signature {
            Some(signature) => signature.finish(&missing, trace.time)?,
            None => String::new(),
        };
        let prepend = self.results + &trace.to_string() + &signatures + &missing;
        self.draft.commit(envelope, prepend.into(), units, None).await.map_err(|error| error.reply())?;
        Ok(())
    }

    fn is_good(&self) -> Result<(), Reply> {
        self.refused.as_ref().map_or(Ok(()), |refusal| Err(refusal.reply.clone()))
    }
}

/// What no message may be, wherever it comes from.
fn limits(scan: &HeaderScan) -> Result<(), Refusal> {
    if let Some(over) = scan.over() {
        return Err(limit(over));
    }
    // It would continue the field that we put in front of it.
    if scan.malformed() == Some(Malformed::LeadingSpace) {
        return Err(Reply::BAD_CONTENT_554.append(": it begins with a space").into());
    }
    Ok(())
}

fn limit(over: HeaderLimit) -> Refusal {
    let name = match over {
        HeaderLimit::Octets => "header_size",
        HeaderLimit::Fields => "header_fields",
        HeaderLimit::Hops => "hops",
    };
    Refusal { reply: over.reply(), limit: Some(name) }
}

#[cfg(test)]
mod tests {
    use hikyaku_queue::Memory;

    use super::*;

    async fn push(pieces: &[&str]) -> Result<(), String> {
        let mut intake = Intake::open(&Memory::new(), None, HeaderLimits::default(), "mx.test").await.unwrap();
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
        let refused = Intake::open(&full, Some(1_000), HeaderLimits::default(), "mx.test")
            .await
            .err()
            .map(|reply| reply.to_string());
        assert!(refused.is_some_and(|reply| reply.starts_with("452 4.3.1")));
    }

    #[tokio::test]
    async fn what_is_over_a_limit_is_refused_by_its_name() {
        for (text, name) in [
            ("x".repeat(300 * 1024), Some("header_size")),
            ("A: b\r\n".repeat(1001), Some("header_fields")),
            ("Received: by x\r\n".repeat(101), Some("hops")),
            (" x".to_owned(), None),
        ] {
            let mut intake = Intake::open(&Memory::new(), None, HeaderLimits::default(), "mx.test").await.unwrap();
            assert_eq!(intake.limit(), None);
            let reply = intake.push(Bytes::from(text)).await.unwrap_err();
            assert_eq!(intake.limit(), name);
            // Whatever follows, it stays refused.
            assert_eq!(intake.push(Bytes::from_static(b"\r\n\r\nbody")).await, Err(reply.clone()));
            assert_eq!(intake.finish(), Err(reply));
        }
    }
}
