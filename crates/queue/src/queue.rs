//! The mail flow: [`Queue`] and what goes through it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::Timestamp;

use crate::{
    Envelope, FenceToken, HoldReason, IdemKey, MsgId, NewUnit, QueueError, QueueKey, Rcpt, RcptNo, RcptState, UnitId,
    WorkerId,
};

type Result<T> = std::result::Result<T, QueueError>;

/// The queue as the mail flow sees it.
///
/// Delivery is at least once for each recipient: a second one is possible only when the process
/// dies between the remote's 250 and the settlement, or when a lease is overrun. A holder that
/// lost its lease cannot write (fencing).
///
/// Every future may be dropped at any await: either nothing happened, or all of it.
pub trait Queue: Send + Sync + 'static {
    /// A message in the making.
    type Draft: Draft;
    /// A reader of one message's text.
    type Body: BodyReader;

    /// Opens a message in the making.
    ///
    /// # Errors
    /// `Full` or `ReadOnly` before DATA, so that no text is read in vain.
    fn draft(&self, id: MsgId, hint: SizeHint) -> impl Future<Output = Result<Self::Draft>> + Send;

    /// The keys with work at `now` that no gate closes, oldest first, at most `max`, after the
    /// cursor; costs as much as the keys it returns, not as the messages they have.
    ///
    /// Work is a due unit or a lease that expired. `now` may lie in the future: [`DueKey::due`] of
    /// the first is then the time to wait for.
    fn due_keys(
        &self,
        now: Timestamp,
        after: Option<KeyCursor>,
        max: usize,
    ) -> impl Future<Output = Result<Vec<DueKey>>> + Send;

    /// Leases units that are due at `now`, for each key at most its quota, in the order (due, id).
    ///
    /// A unit whose lease expired is leased again with a higher token. Held units are never
    /// leased; units past their expiry are, with [`Claimed::expired`] set, so that the worker
    /// writes the bounce.
    fn claim(
        &self,
        who: WorkerId,
        now: Timestamp,
        want: &[KeyQuota],
        lease: Duration,
    ) -> impl Future<Output = Result<Vec<Claimed>>> + Send;

    /// Makes a lease longer by `by`; the token stays.
    ///
    /// # Errors
    /// `LeaseLost` if the token is not the current one.
    fn extend(&self, lease: &Lease, by: Duration) -> impl Future<Output = Result<Lease>> + Send;

    /// Ends a lease with what became of it: results, what is next, and the follow-up messages
    /// (bounces), all of it or nothing. An attempt is counted here if there is any result.
    ///
    /// A unit without open recipients is finished whatever is next. Durable when it returns,
    /// or, with [`Durability::Lazy`], sooner or later (only if no recipient became final and
    /// nothing follows; otherwise it is as `Sync`).
    ///
    /// # Errors
    /// `LeaseLost` if the token is not the current one, `Invalid` if a recipient would be lost
    /// ([`Next::Finish`] with open ones, [`Next::Split`] without them) or one that is unknown or
    /// final already is named, `Duplicate` if a message that follows is in the queue by now: nothing
    /// is written.
    fn settle(
        &self,
        lease: Lease,
        settlement: Settlement,
        durability: Durability,
    ) -> impl Future<Output = Result<Settled>> + Send;

    /// Ends a lease under which nothing was tried (shutdown, throttle); due again at `due`.
    ///
    /// # Errors
    /// `LeaseLost` if the token is not the current one.
    fn release(&self, lease: Lease, due: Timestamp) -> impl Future<Output = Result<()>> + Send;

    /// Opens the text of a message; it stays readable while the reader lives.
    ///
    /// # Errors
    /// `NotFound` if the message is gone.
    fn body(&self, msg: MsgId) -> impl Future<Output = Result<Self::Body>> + Send;

    /// Waits until something becomes ready that is due no later than `until`; a hint, which may
    /// come for nothing.
    ///
    /// What becomes ready while nobody waits ends the next wait at once. The queue has no clock:
    /// the caller races this with a timer of its own.
    fn wait_ready(&self, until: Timestamp) -> impl Future<Output = ()> + Send;

    /// How the store is; no I/O.
    fn health(&self) -> Health;
}

/// A message in the making; dropped without commit, nothing of it stays.
pub trait Draft: Send + 'static {
    /// Appends to the text; waits while the store is slow. The text is never whole in memory in a
    /// durable store.
    ///
    /// # Errors
    /// `Full` when the room ran out. A write that failed or was dropped half-way spoils the draft:
    /// later calls say `Invalid`.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<()>> + Send;

    /// Makes the message part of the queue; durable when it returns, so that the 250 may be sent.
    ///
    /// `prepend` goes before the text (trace fields). If the future is dropped or says `Unknown`,
    /// a second commit with the same id, or the same `idem` within the window, finds out:
    /// [`Receipt::duplicate`] is set instead of a second message made.
    ///
    /// # Errors
    /// `Full`, `ReadOnly`; `Invalid` for a message without units or a unit without recipients;
    /// `Duplicate` if a message of this id is sealed and waits for its settlement.
    fn commit(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> impl Future<Output = Result<Receipt>> + Send;

    /// Makes the message durable but not yet part of the queue: it becomes that with the
    /// settlement it follows.
    ///
    /// # Errors
    /// As [`Draft::commit`], and `Duplicate` if the id is in the queue already.
    fn seal(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
    ) -> impl Future<Output = Result<Sealed>> + Send;
}

/// A reader of one message's text; one reader serves many connections.
pub trait BodyReader: Send + Sync + 'static {
    /// How long the text is, in bytes, without what was put before it.
    fn len(&self) -> u64;

    /// Whether the text is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was put before the text at the commit.
    fn prepend(&self) -> &Bytes;

    /// Bytes of the text from `offset` on: at least one and at most `max`, or none at the end.
    fn read_at(&self, offset: u64, max: usize) -> impl Future<Output = Result<Bytes>> + Send;
}

/// A text in memory, with nothing before it.
impl BodyReader for Bytes {
    fn len(&self) -> u64 {
        Self::len(self) as u64
    }

    fn prepend(&self) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        &NOTHING
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Self> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(Self::len(self));
        Ok(self.slice(from..Self::len(self).min(from.saturating_add(max))))
    }
}

/// How long a message will be, as far as known before it is read (`SIZE=`, RFC 1870).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeHint(pub Option<u64>);

impl SizeHint {
    /// Nothing was declared.
    pub const UNKNOWN: Self = Self(None);
}

/// The right to work on one unit for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The unit.
    pub unit: UnitId,
    /// What makes this lease the current one.
    pub token: FenceToken,
    /// From when on another worker may get the unit.
    pub expires: Timestamp,
}

/// A key with work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueKey {
    /// The key.
    pub key: QueueKey,
    /// Since when, or from when on, it has work.
    pub due: Timestamp,
    /// How many units wait, due or not yet due, without held and leased ones.
    pub waiting: u64,
}

impl DueKey {
    /// The place after this key, for the next page.
    pub fn cursor(&self) -> KeyCursor {
        KeyCursor { due: self.due, key: self.key.clone() }
    }
}

/// A place in the list of keys with work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyCursor {
    pub(crate) due: Timestamp,
    pub(crate) key: QueueKey,
}

impl KeyCursor {
    /// The due time and the key that it stands after; for back-ends.
    pub fn place(&self) -> (Timestamp, &QueueKey) {
        (self.due, &self.key)
    }
}

/// How many units of a key are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyQuota {
    /// The key.
    pub key: QueueKey,
    /// At most so many.
    pub max: u32,
}

/// A leased unit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claimed {
    /// The lease.
    pub lease: Lease,
    /// The key it was claimed under.
    pub key: QueueKey,
    /// The envelope of the message.
    pub envelope: Arc<Envelope>,
    /// The recipients that are still open.
    pub rcpts: Vec<Rcpt>,
    /// How many attempts were settled.
    pub attempts: u32,
    /// When the first of them was.
    pub first_attempt: Option<Timestamp>,
    /// Past its time: to be given up, not tried.
    pub expired: bool,
    /// The length of the message in bytes, with what was put before the text.
    pub size: u64,
}

impl Claimed {
    /// A leased unit before any attempt; for back-ends.
    pub fn new(lease: Lease, key: QueueKey, envelope: Arc<Envelope>, rcpts: Vec<Rcpt>, size: u64) -> Self {
        Self { lease, key, envelope, rcpts, attempts: 0, first_attempt: None, expired: false, size }
    }
}

/// What became of a leased unit.
#[derive(Debug)]
pub struct Settlement {
    /// Results of recipients; those not named stay as they are.
    pub results: Vec<(RcptNo, RcptState)>,
    /// What is next for the unit.
    pub next: Next,
    /// Messages that enter the queue with this settlement.
    pub follow_up: Vec<Sealed>,
}

impl Settlement {
    /// A settlement without results and follow-ups.
    pub fn new(next: Next) -> Self {
        Self { results: Vec::new(), next, follow_up: Vec::new() }
    }
}

/// What is next for a settled unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: all its recipients are final.
    Finish,
    /// The open recipients are tried again then, or at the unit's expiry if that is earlier.
    RetryAt(Timestamp),
    /// A person must look at it.
    Hold(HoldReason),
    /// The open recipients go on in these units; each must be in one of them, by its address, and
    /// takes its last state, `notify` and `orcpt` along.
    Split(Vec<NewUnit>),
}

/// How soon a settlement must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the call returns.
    Sync,
    /// Later; a crash before that means an earlier retry, never a loss.
    Lazy,
}

/// What a settlement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The unit is gone.
    pub unit_done: bool,
    /// The message is gone: this was its last unit.
    pub message_done: bool,
}

/// The answer to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The id under which the message is, or was, in the queue.
    pub id: MsgId,
    /// It was there before; the draft was dropped.
    pub duplicate: bool,
}

/// A message that is durable and waits for the settlement it follows; dropped, nothing of it stays.
pub struct Sealed {
    id: MsgId,
    inside: Box<dyn Any + Send + Sync>,
}

impl Sealed {
    /// Wraps what a back-end keeps of a sealed message and cleans up when dropped; for back-ends.
    pub fn new(id: MsgId, inside: impl Any + Send + Sync) -> Self {
        Self { id, inside: Box::new(inside) }
    }

    /// The id of the message.
    pub fn id(&self) -> MsgId {
        self.id
    }

    /// Unwraps what [`Sealed::new`] was given; for back-ends.
    ///
    /// # Errors
    /// `Invalid` if another kind of back-end made it.
    pub fn into_inside<T: Any>(self) -> Result<T> {
        let inside: Box<dyn Any> = self.inside;
        inside
            .downcast()
            .map(|inside| *inside)
            .map_err(|_| QueueError::Invalid("the follow-up message was sealed by another queue"))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealed").field(&self.id).finish()
    }
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Nothing to report.
    Ok,
    /// It works, but somebody should look.
    Degraded(String),
    /// It takes no writes.
    ReadOnly(String),
    /// It does not work.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    #[test]
    fn a_text_in_memory_is_read_in_pieces() {
        let text = Bytes::from_static(b"0123456789");
        let read = |offset, max| match pin!(text.read_at(offset, max)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(piece) => piece.expect("memory"),
            Poll::Pending => panic!("there is nothing to wait for"),
        };
        assert_eq!((BodyReader::len(&text), text.prepend().len()), (10, 0));
        for (offset, max, piece) in
            [(0, 4, "0123"), (4, 100, "456789"), (9, 1, "9"), (10, 1, ""), (11, 1, ""), (u64::MAX, usize::MAX, "")]
        {
            assert_eq!(read(offset, max), piece, "{max} from {offset}");
        }
    }
}
