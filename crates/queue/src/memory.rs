//! A queue in memory: for tests, for benches, and for mail that may be lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::Timestamp;

use crate::index::{Index, Message, Shared};
use crate::{
    Action, BodyReader, Claimed, Count, CountBy, Cursor, Draft, DueKey, Durability, Envelope, Filter, Gate, Health,
    IdemKey, KeyCursor, KeyQuota, Lease, Manage, MsgId, NewUnit, Page, Queue, QueueError, QueueKey, Receipt, Sealed,
    Settled, Settlement, SizeHint, WorkerId,
};

type Result<T> = std::result::Result<T, QueueError>;

/// The queue in memory: every promise of [`Queue`] but to outlive the process.
///
/// Cloning is cheap; all clones are the same queue. It needs no runtime.
#[derive(Debug, Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Shared,
    texts: Mutex<BTreeMap<MsgId, Arc<Text>>>,
    room: Arc<Room>,
}

/// The bytes that all texts may take.
#[derive(Debug)]
struct Room {
    capacity: u64,
    used: AtomicU64,
}

#[derive(Debug)]
struct Text {
    prepend: Bytes,
    /// Pieces by the offset of their ends.
    pieces: Vec<(u64, Bytes)>,
    taken: u64,
    room: Arc<Room>,
}

impl Memory {
    /// An empty queue that is never full.
    pub fn new() -> Self {
        Self::with_capacity(u64::MAX)
    }

    /// An empty queue that is full when the texts of messages and drafts take so many bytes.
    pub fn with_capacity(capacity: u64) -> Self {
        let room = Arc::new(Room { capacity, used: AtomicU64::new(0) });
        Self { inner: Arc::new(Inner { shared: Shared::new(Index::default()), texts: Mutex::default(), room }) }
    }

    /// How many bytes the texts of messages, drafts and open readers take now.
    pub fn used(&self) -> u64 {
        self.inner.room.used.load(Ordering::Relaxed)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn texts(&self) -> MutexGuard<'_, BTreeMap<MsgId, Arc<Text>>> {
        self.texts.lock().expect("nothing panics while it holds the texts")
    }
}

impl Room {
    fn left(&self) -> u64 {
        self.capacity.saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

impl Text {
    fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |(end, _)| *end)
    }

    fn take(&mut self, bytes: u64) -> Result<()> {
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= self.room.capacity);
        let taken = self.room.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.map_err(|_| QueueError::Full)?;
        self.taken += bytes;
        Ok(())
    }

    fn push(&mut self, piece: Bytes) -> Result<()> {
        if !piece.is_empty() {
            self.take(piece.len() as u64)?;
            self.pieces.push((self.len() + piece.len() as u64, piece));
        }
        Ok(())
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

impl Queue for Memory {
    type Draft = MemoryDraft;
    type Body = MemoryBody;

    async fn draft(&self, id: MsgId, hint: SizeHint) -> Result<MemoryDraft> {
        let room = &self.inner.room;
        if room.left() < hint.0.unwrap_or(1).max(1) {
            return Err(QueueError::Full);
        }
        let text = Text { prepend: Bytes::new(), pieces: Vec::new(), taken: 0, room: Arc::clone(room) };
        Ok(MemoryDraft { inner: Arc::clone(&self.inner), id, text, spoilt: false })
    }

    async fn due_keys(&self, now: Timestamp, after: Option<KeyCursor>, max: usize) -> Result<Vec<DueKey>> {
        Ok(self.inner.shared.with(|index| index.due_keys(now, after, max)))
    }

    async fn claim(&self, who: WorkerId, now: Timestamp, want: &[KeyQuota], lease: Duration) -> Result<Vec<Claimed>> {
        Ok(self.inner.shared.with(|index| index.claim(&who, now, want, lease)))
    }

    async fn extend(&self, lease: &Lease, by: Duration) -> Result<Lease> {
        self.inner.shared.with(|index| index.extend(lease, by))
    }

    async fn settle(&self, lease: Lease, mut settlement: Settlement, _: Durability) -> Result<Settled> {
        let mut follow_up = Vec::new();
        for sealed in settlement.follow_up.drain(..) {
            let id = sealed.id();
            let inside: MemorySealed = sealed.into_inside()?;
            follow_up.push((id, inside));
        }
        self.inner.shared.with(|index| {
            if let Some((id, _)) = follow_up.iter().find(|(id, _)| index.message(*id).is_some()) {
                return Err(QueueError::Duplicate(*id));
            }
            let plan = index.plan_settlement(&lease, &settlement)?;
            let settled = plan.settled();
            index.carry_out(plan);
            let mut texts = self.inner.texts();
            for (id, MemorySealed { message, text }) in follow_up {
                texts.insert(id, Arc::new(text));
                index.insert(id, message);
            }
            if settled.message_done {
                texts.remove(&lease.unit.msg);
            }
            Ok(settled)
        })
    }

    async fn release(&self, lease: Lease, due: Timestamp) -> Result<()> {
        self.inner.shared.with(|index| index.release(&lease, due))
    }

    async fn body(&self, msg: MsgId) -> Result<MemoryBody> {
        let text = self.inner.texts().get(&msg).cloned().ok_or(QueueError::NotFound)?;
        Ok(MemoryBody { text })
    }

    async fn wait_ready(&self, until: Timestamp) {
        self.inner.shared.wait(until).await;
    }

    fn health(&self) -> Health {
        match self.inner.room.left() {
            0 => Health::Degraded("the queue is full".to_owned()),
            _ => Health::Ok,
        }
    }
}

impl Manage for Memory {
    async fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page> {
        Ok(self.inner.shared.with(|index| index.list(filter, after, max)))
    }

    async fn counts(&self, by: CountBy) -> Result<Vec<Count>> {
        Ok(self.inner.shared.with(|index| index.counts(by)))
    }

    async fn apply(&self, filter: &Filter, action: Action) -> Result<u64> {
        Ok(self.inner.shared.with(|index| {
            let mut met = 0;
            for msg in index.matching(filter) {
                let Some((plan, units)) = index.plan_action(msg, filter, &action) else { continue };
                met += units;
                if plan.message_done {
                    self.inner.texts().remove(&msg);
                }
                index.carry_out(plan);
            }
            met
        }))
    }

    async fn gate(&self, key: &QueueKey, gate: Gate) -> Result<()> {
        self.inner.shared.with(|index| index.set_gate(key, gate));
        Ok(())
    }

    async fn gates(&self, of: Option<&QueueKey>) -> Result<Vec<(QueueKey, Gate)>> {
        Ok(self.inner.shared.with(|index| index.closed(of)))
    }
}

/// A message in the making in [`Memory`].
#[derive(Debug)]
pub struct MemoryDraft {
    inner: Arc<Inner>,
    id: MsgId,
    text: Text,
    spoilt: bool,
}

impl MemoryDraft {
    fn close(
        mut self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<(Arc<Inner>, MsgId, MemorySealed)> {
        if self.spoilt {
            return Err(QueueError::Invalid("a write to the draft failed"));
        }
        self.text.take(prepend.len() as u64)?;
        self.text.prepend = prepend;
        let message = Message::new(envelope, self.text.taken, idem, units)?;
        Ok((self.inner, self.id, MemorySealed { message, text: self.text }))
    }
}

impl Draft for MemoryDraft {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if self.spoilt {
            return Err(QueueError::Invalid("a write to the draft failed"));
        }
        self.text.push(chunk).inspect_err(|_| self.spoilt = true)
    }

    async fn commit(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<Receipt> {
        let received = envelope.received;
        let (inner, id, MemorySealed { message, text }) = self.close(envelope, prepend, units, idem)?;
        Ok(inner.shared.with(|index| {
            if let Some(id) = index.known(id, idem, received) {
                return Receipt { id, duplicate: true };
            }
            inner.texts().insert(id, Arc::new(text));
            index.insert(id, message);
            Receipt { id, duplicate: false }
        }))
    }

    async fn seal(self, envelope: Envelope, prepend: Bytes, units: Vec<NewUnit>) -> Result<Sealed> {
        let received = envelope.received;
        let (inner, id, inside) = self.close(envelope, prepend, units, None)?;
        match inner.shared.with(|index| index.known(id, None, received)) {
            Some(id) => Err(QueueError::Duplicate(id)),
            None => Ok(Sealed::new(id, inside)),
        }
    }
}

#[derive(Debug)]
struct MemorySealed {
    message: Message,
    text: Text,
}

/// A reader of one message in [`Memory`].
#[derive(Debug, Clone)]
pub struct MemoryBody {
    text: Arc<Text>,
}

impl BodyReader for MemoryBody {
    fn len(&self) -> u64 {
        self.text.len()
    }

    fn prepend(&self) -> &Bytes {
        &self.text.prepend
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let pieces = &self.text.pieces;
        let Some((end, piece)) = pieces.get(pieces.partition_point(|(end, _)| *end <= offset)) else {
            return Ok(Bytes::new());
        };
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let from = piece.len() - left;
        Ok(piece.slice(from..from + left.min(max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::InMemory;
    use crate::suite::{self, Store};
    use crate::{DynQueue, NewRcpt};

    struct Dynamic;

    impl Store for Dynamic {
        type Queue = DynQueue;

        fn fresh(&self) -> DynQueue {
            DynQueue::new(Memory::new())
        }

        fn reopen(&self, queue: DynQueue) -> std::result::Result<DynQueue, DynQueue> {
            Err(queue)
        }

        fn full(&self) -> DynQueue {
            DynQueue::new(InMemory.full())
        }
    }

    #[test]
    fn conforms() {
        suite::run(&InMemory);
    }

    #[test]
    fn is_its_model() {
        suite::model::run(&InMemory, 1, 20_000);
    }

    #[test]
    fn conforms_when_chosen_at_run_time() {
        suite::run(&Dynamic);
    }

    #[test]
    fn room_is_given_back() {
        let queue = Memory::with_capacity(10);
        let now = Timestamp::from_millis(0);
        let id = |n| MsgId::new(now, [n; 10]);
        let envelope = || Envelope::new(hikyaku_wire::ReversePath::Null, now);
        let unit = || NewUnit::new(QueueKey::new("a"), now, now).with(NewRcpt::new("<a@b.test>".parse().unwrap()));
        suite::block_on(async {
            let mut draft = queue.draft(id(1), SizeHint(Some(10))).await.unwrap();
            draft.write(Bytes::from_static(b"1234567890")).await.unwrap();
            assert_eq!(queue.used(), 10);
            assert!(matches!(queue.health(), Health::Degraded(_)));
            assert!(matches!(queue.draft(id(2), SizeHint::UNKNOWN).await, Err(QueueError::Full)));
            assert!(matches!(draft.write(Bytes::from_static(b"1")).await, Err(QueueError::Full)));
            assert!(matches!(draft.write(Bytes::new()).await, Err(QueueError::Invalid(_))));
            let commit = draft.commit(envelope(), Bytes::new(), vec![unit()], None).await;
            assert!(matches!(commit, Err(QueueError::Invalid(_))));
            assert_eq!((queue.used(), queue.health()), (0, Health::Ok));

            let mut draft = queue.draft(id(1), SizeHint(Some(5))).await.unwrap();
            draft.write(Bytes::from_static(b"12345")).await.unwrap();
            draft.commit(envelope(), Bytes::from_static(b"123"), vec![unit()], None).await.unwrap();
            assert_eq!(queue.used(), 8);
            assert!(matches!(queue.draft(id(2), SizeHint(Some(3))).await, Err(QueueError::Full)));
            let body = queue.body(id(1)).await.unwrap();
            queue.apply(&Filter::all(), Action::Remove).await.unwrap();
            assert_eq!(queue.used(), 8, "a reader still has it");
            drop(body);
            assert_eq!(queue.used(), 0);
        });
    }
}
