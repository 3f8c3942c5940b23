//! A queue chosen at run time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::Timestamp;

use crate::{
    Action, BodyReader, Claimed, Count, CountBy, Cursor, Draft, DueKey, Durability, Envelope, Filter, Gate, Health,
    IdemKey, KeyCursor, KeyQuota, Lease, Manage, MsgId, NewUnit, Page, Queue, QueueError, QueueKey, Receipt, Sealed,
    Settled, Settlement, SizeHint, WorkerId,
};

type Result<T> = std::result::Result<T, QueueError>;
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Any queue, chosen at run time; each call allocates its future. Cloning is cheap.
///
/// ```
/// use hikyaku_queue::{DynQueue, Health, Memory, Queue};
///
/// let queue = DynQueue::new(Memory::new());
/// assert_eq!(queue.health(), Health::Ok);
/// ```
#[derive(Clone)]
pub struct DynQueue(Arc<dyn AnyQueue>);

impl DynQueue {
    /// Hides what kind of queue it is.
    pub fn new(queue: impl Queue + Manage) -> Self {
        Self(Arc::new(queue))
    }
}

impl fmt::Debug for DynQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynQueue").finish_non_exhaustive()
    }
}

trait AnyQueue: Send + Sync {
    fn draft(&self, id: MsgId, hint: SizeHint) -> Boxed<'_, Result<DynDraft>>;
    fn due_keys(&self, now: Timestamp, after: Option<KeyCursor>, max: usize) -> Boxed<'_, Result<Vec<DueKey>>>;
    fn claim<'a>(
        &'a self,
        who: WorkerId,
        now: Timestamp,
        want: &'a [KeyQuota],
        lease: Duration,
    ) -> Boxed<'a, Result<Vec<Claimed>>>;
    fn extend<'a>(&'a self, lease: &'a Lease, by: Duration) -> Boxed<'a, Result<Lease>>;
    fn settle(&self, lease: Lease, settlement: Settlement, durability: Durability) -> Boxed<'_, Result<Settled>>;
    fn release(&self, lease: Lease, due: Timestamp) -> Boxed<'_, Result<()>>;
    fn body(&self, msg: MsgId) -> Boxed<'_, Result<DynBody>>;
    fn wait_ready(&self, until: Timestamp) -> Boxed<'_, ()>;
    fn health(&self) -> Health;
    fn list<'a>(&'a self, filter: &'a Filter, after: Option<Cursor>, max: usize) -> Boxed<'a, Result<Page>>;
    fn counts(&self, by: CountBy) -> Boxed<'_, Result<Vec<Count>>>;
    fn apply<'a>(&'a self, filter: &'a Filter, action: Action) -> Boxed<'a, Result<u64>>;
    fn gate<'a>(&'a self, key: &'a QueueKey, gate: Gate) -> Boxed<'a, Result<()>>;
    fn gates<'a>(&'a self, of: Option<&'a QueueKey>) -> Boxed<'a, Result<Vec<(QueueKey, Gate)>>>;
}

impl<Q: Queue + Manage> AnyQueue for Q {
    fn draft(&self, id: MsgId, hint: SizeHint) -> Boxed<'_, Result<DynDraft>> {
        Box::pin(async move { Ok(DynDraft(Box::new(Queue::draft(self, id, hint).await?))) })
    }

    fn due_keys(&self, now: Timestamp, after: Option<KeyCursor>, max: usize) -> Boxed<'_, Result<Vec<DueKey>>> {
        Box::pin(Queue::due_keys(self, now, after, max))
    }

    fn claim<'a>(
        &'a self,
        who: WorkerId,
        now: Timestamp,
        want: &'a [KeyQuota],
        lease: Duration,
    ) -> Boxed<'a, Result<Vec<Claimed>>> {
        Box::pin(Queue::claim(self, who, now, want, lease))
    }

    fn extend<'a>(&'a self, lease: &'a Lease, by: Duration) -> Boxed<'a, Result<Lease>> {
        Box::pin(Queue::extend(self, lease, by))
    }

    fn settle(&self, lease: Lease, settlement: Settlement, durability: Durability) -> Boxed<'_, Result<Settled>> {
        Box::pin(Queue::settle(self, lease, settlement, durability))
    }

    fn release(&self, lease: Lease, due: Timestamp) -> Boxed<'_, Result<()>> {
        Box::pin(Queue::release(self, lease, due))
    }

    fn body(&self, msg: MsgId) -> Boxed<'_, Result<DynBody>> {
        Box::pin(async move { Ok(DynBody(Box::new(Queue::body(self, msg).await?))) })
    }

    fn wait_ready(&self, until: Timestamp) -> Boxed<'_, ()> {
        Box::pin(Queue::wait_ready(self, until))
    }

    fn health(&self) -> Health {
        Queue::health(self)
    }

    fn list<'a>(&'a self, filter: &'a Filter, after: Option<Cursor>, max: usize) -> Boxed<'a, Result<Page>> {
        Box::pin(Manage::list(self, filter, after, max))
    }

    fn counts(&self, by: CountBy) -> Boxed<'_, Result<Vec<Count>>> {
        Box::pin(Manage::counts(self, by))
    }

    fn apply<'a>(&'a self, filter: &'a Filter, action: Action) -> Boxed<'a, Result<u64>> {
        Box::pin(Manage::apply(self, filter, action))
    }

    fn gate<'a>(&'a self, key: &'a QueueKey, gate: Gate) -> Boxed<'a, Result<()>> {
        Box::pin(Manage::gate(self, key, gate))
    }

    fn gates<'a>(&'a self, of: Option<&'a QueueKey>) -> Boxed<'a, Result<Vec<(QueueKey, Gate)>>> {
        Box::pin(Manage::gates(self, of))
    }
}

impl Queue for DynQueue {
    type Draft = DynDraft;
    type Body = DynBody;

    async fn draft(&self, id: MsgId, hint: SizeHint) -> Result<DynDraft> {
        self.0.draft(id, hint).await
    }

    async fn due_keys(&self, now: Timestamp, after: Option<KeyCursor>, max: usize) -> Result<Vec<DueKey>> {
        self.0.due_keys(now, after, max).await
    }

    async fn claim(&self, who: WorkerId, now: Timestamp, want: &[KeyQuota], lease: Duration) -> Result<Vec<Claimed>> {
        self.0.claim(who, now, want, lease).await
    }

    async fn extend(&self, lease: &Lease, by: Duration) -> Result<Lease> {
        self.0.extend(lease, by).await
    }

    async fn settle(&self, lease: Lease, settlement: Settlement, durability: Durability) -> Result<Settled> {
        self.0.settle(lease, settlement, durability).await
    }

    async fn release(&self, lease: Lease, due: Timestamp) -> Result<()> {
        self.0.release(lease, due).await
    }

    async fn body(&self, msg: MsgId) -> Result<DynBody> {
        self.0.body(msg).await
    }

    async fn wait_ready(&self, until: Timestamp) {
        self.0.wait_ready(until).await;
    }

    fn health(&self) -> Health {
        self.0.health()
    }
}

impl Manage for DynQueue {
    async fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page> {
        self.0.list(filter, after, max).await
    }

    async fn counts(&self, by: CountBy) -> Result<Vec<Count>> {
        self.0.counts(by).await
    }

    async fn apply(&self, filter: &Filter, action: Action) -> Result<u64> {
        self.0.apply(filter, action).await
    }

    async fn gate(&self, key: &QueueKey, gate: Gate) -> Result<()> {
        self.0.gate(key, gate).await
    }

    async fn gates(&self, of: Option<&QueueKey>) -> Result<Vec<(QueueKey, Gate)>> {
        self.0.gates(of).await
    }
}

/// A message in the making in a [`DynQueue`].
pub struct DynDraft(Box<dyn AnyDraft>);

trait AnyDraft: Send {
    fn write(&mut self, chunk: Bytes) -> Boxed<'_, Result<()>>;
    fn commit(
        self: Box<Self>,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Boxed<'static, Result<Receipt>>;
    fn seal(self: Box<Self>, envelope: Envelope, prepend: Bytes, units: Vec<NewUnit>)
    -> Boxed<'static, Result<Sealed>>;
}

impl<D: Draft> AnyDraft for D {
    fn write(&mut self, chunk: Bytes) -> Boxed<'_, Result<()>> {
        Box::pin(Draft::write(self, chunk))
    }

    fn commit(
        self: Box<Self>,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Boxed<'static, Result<Receipt>> {
        Box::pin(Draft::commit(*self, envelope, prepend, units, idem))
    }

    fn seal(
        self: Box<Self>,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
    ) -> Boxed<'static, Result<Sealed>> {
        Box::pin(Draft::seal(*self, envelope, prepend, units))
    }
}

impl Draft for DynDraft {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.0.write(chunk).await
    }

    async fn commit(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<Receipt> {
        self.0.commit(envelope, prepend, units, idem).await
    }

    async fn seal(self, envelope: Envelope, prepend: Bytes, units: Vec<NewUnit>) -> Result<Sealed> {
        self.0.seal(envelope, prepend, units).await
    }
}

/// A reader of one message in a [`DynQueue`].
pub struct DynBody(Box<dyn AnyBody>);

trait AnyBody: Send + Sync {
    fn len(&self) -> u64;
    fn prepend(&self) -> &Bytes;
    fn read_at(&self, offset: u64, max: usize) -> Boxed<'_, Result<Bytes>>;
}

impl<B: BodyReader> AnyBody for B {
    fn len(&self) -> u64 {
        BodyReader::len(self)
    }

    fn prepend(&self) -> &Bytes {
        BodyReader::prepend(self)
    }

    fn read_at(&self, offset: u64, max: usize) -> Boxed<'_, Result<Bytes>> {
        Box::pin(BodyReader::read_at(self, offset, max))
    }
}

impl BodyReader for DynBody {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn prepend(&self) -> &Bytes {
        self.0.prepend()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.0.read_at(offset, max).await
    }
}
