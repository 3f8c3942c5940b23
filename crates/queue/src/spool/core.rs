//! What the parts of a spool share: the way of a change into the journal and from there into the
//! catalog, and who waits for it.
//!
//! A [`Request`] is a row of entries that count together. It waits in the inbox until the
//! [`Committer`](super::committer::Committer) writes it within a group, and then for the
//! [`Indexer`](super::indexer::Indexer), which applies it to the catalog and ends what was
//! reserved for it. Requests are numbered in the order in which they came, and stay in it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};

use hikyaku_wire::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::catalog::{Catalog, Op};
use super::entry::Told;
use super::journal::{Entry, Reader, Segment};
use super::runner::Runner;
use super::state::State;
use super::vfs::Vfs;
use super::{Quarantined, SpoolConfig};
use crate::unit::Acted;
use crate::waiting::Waiting;
use crate::{Gate, IdemKey, MsgId, QueueError, QueueKey, Receipt, UnitId};

type Result<T> = std::result::Result<T, QueueError>;

/// So many bytes of entries may wait to be written; who comes then waits too.
const ROOM: u32 = 16 << 20;

pub(super) struct Core<V: Vfs> {
    pub(super) vfs: Arc<V>,
    pub(super) reader: Reader<V>,
    pub(super) catalog: Catalog,
    pub(super) config: SpoolConfig,
    pub(super) runner: Runner,
    pub(super) waiting: Waiting,
    pub(super) quarantined: Vec<Quarantined>,
    state: Mutex<State>,
    inbox: Mutex<Inbox<V>>,
    /// Something came into the inbox, or was applied.
    stirred: Condvar,
    room: Arc<Semaphore>,
    progress: Progress,
    segments: Mutex<Vec<Segment>>,
    broken: OnceLock<String>,
    damaged: AtomicU64,
}

/// What waits to be written.
pub(super) struct Inbox<V: Vfs> {
    pub(super) requests: VecDeque<Request<V>>,
    /// The oldest segment, which nobody needs any more.
    pub(super) retire: Option<u32>,
    pub(super) closing: bool,
    last: u64,
}

/// How far requests came, by their numbers.
#[derive(Default)]
struct Progress {
    /// Whoever reads must see those up to this one.
    promised: AtomicU64,
    applied: AtomicU64,
    readers: Mutex<Vec<(u64, oneshot::Sender<()>)>>,
}

/// Entries that count together, and what is to be done when they do.
pub(super) struct Request<V: Vfs> {
    pub(super) entries: Vec<Entry>,
    /// What the catalog makes of each.
    pub(super) ops: Vec<Op>,
    pub(super) after: After,
    /// The messages that come with it.
    pub(super) coming: Vec<Coming<V>>,
    pub(super) reserved: Vec<Reserved<V>>,
    pub(super) done: Done,
    /// Those who wait for work were told of it.
    pub(super) heard: bool,
    number: u64,
    bytes: u64,
    _room: Option<OwnedSemaphorePermit>,
}

/// What becomes of the state when a request was applied.
pub(super) enum After {
    Nothing,
    /// The lease of the unit ends; the units of the message are numbered up to here.
    Settled(UnitId, u16),
    /// Leases go on with what a person made of their units, or end.
    Acted(Vec<(UnitId, Acted)>),
    Gate(QueueKey, Gate),
}

/// Who waits for a request, and for what.
pub(super) enum Done {
    Nobody,
    /// Until it is durable.
    Durable(oneshot::Sender<Result<()>>),
    /// Until it is applied; says whether the message of the last entry is finished.
    Applied(oneshot::Sender<Result<bool>>),
}

impl<V: Vfs> Request<V> {
    /// A request of what entries tell, in their order.
    pub(super) fn new(told: Vec<(Told, Vec<bytes::Bytes>)>) -> Result<Self> {
        let mut request = Self::of(Vec::with_capacity(told.len()), Vec::with_capacity(told.len()));
        for (told, body) in told {
            request.entries.push(told.entry(body).map_err(QueueError::Invalid)?);
            request.ops.extend(told.op());
        }
        Ok(request)
    }

    /// A request of entries and what the catalog makes of each.
    pub(super) fn of(entries: Vec<Entry>, ops: Vec<Op>) -> Self {
        Self {
            entries,
            ops,
            after: After::Nothing,
            coming: Vec::new(),
            reserved: Vec::new(),
            done: Done::Nobody,
            heard: false,
            number: 0,
            bytes: 0,
            _room: None,
        }
    }

    /// Tells those who wait for work, who will see it when they look; nobody tells them again.
    pub(super) fn tell(&mut self, core: &Core<V>) {
        self.heard = true;
        let rows = self.ops.iter().flat_map(|op| match op {
            Op::Message { row, .. } => row.units.iter().map(|(_, unit)| unit).collect(),
            Op::Units { changed, .. } => changed.iter().filter_map(|(_, unit)| unit.as_ref()).collect(),
            Op::Gate(..) | Op::Snapshot(_) => Vec::new(),
        });
        core.announce(rows.filter(|unit| !unit.held).map(|unit| unit.due).min());
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<V: Vfs> Core<V> {
    #[expect(clippy::too_many_arguments, reason = "it is what opening a spool found")]
    pub(super) fn new(
        vfs: Arc<V>,
        reader: Reader<V>,
        catalog: Catalog,
        config: SpoolConfig,
        runner: Runner,
        quarantined: Vec<Quarantined>,
        state: State,
        segments: Vec<Segment>,
    ) -> Self {
        let inbox = Inbox { requests: VecDeque::new(), retire: None, closing: false, last: 0 };
        Self {
            vfs,
            reader,
            catalog,
            config,
            runner,
            waiting: Waiting::default(),
            quarantined,
            state: Mutex::new(state),
            inbox: Mutex::new(inbox),
            stirred: Condvar::new(),
            room: Arc::new(Semaphore::new(ROOM as usize)),
            progress: Progress::default(),
            segments: Mutex::new(segments),
            broken: OnceLock::new(),
            damaged: AtomicU64::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the state")
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox<V>> {
        self.inbox.lock().expect("nothing panics while it holds the inbox")
    }

    pub(super) fn segments(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.segments.lock().expect("nothing panics while it holds the segments")
    }

    /// Why nothing may be written any more.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Refuses every write from now on.
    pub(super) fn give_up(&self, why: impl FnOnce() -> String) {
        self.broken.get_or_init(why);
        self.stirred.notify_all();
    }

    pub(super) fn writable(&self) -> Result<()> {
        if self.broken().is_some() { Err(QueueError::ReadOnly) } else { Ok(()) }
    }

    /// How many units or texts were found damaged since the spool was opened.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn note_damage(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    /// The longest request that is taken, in bytes of entries: a group must fit into a segment.
    pub(super) fn longest(&self) -> u64 {
        (self.config.segment / 2).min(u64::from(ROOM) * 3 / 4)
    }

    /// Waits for room, then hands a request to the committer.
    pub(super) async fn submit(&self, mut request: Request<V>) -> Result<()> {
        self.writable()?;
        request.bytes = request.entries.iter().map(Entry::len).sum();
        if request.bytes > self.longest() {
            return Err(QueueError::Invalid("the change is too large to be written at once"));
        }
        let bytes = u32::try_from(request.bytes).unwrap_or(ROOM).min(ROOM);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        request._room = room.ok();
        self.push(request)
    }

    /// Hands a request to the committer, whether there is room or not.
    pub(super) fn push(&self, mut request: Request<V>) -> Result<()> {
        self.writable()?;
        request.bytes = request.entries.iter().map(Entry::len).sum();
        let mut inbox = self.inbox();
        if inbox.closing {
            return Err(QueueError::ReadOnly);
        }
        inbox.last += 1;
        request.number = inbox.last;
        if matches!(request.done, Done::Nobody) {
            // Nobody waits for it, but whoever reads afterwards must see it.
            self.promise(request.number);
            request.tell(self);
        }
        inbox.requests.push_back(request);
        self.stirred.notify_all();
        Ok(())
    }

    /// Waits on this thread until the inbox has something to do; none when the spool closes.
    pub(super) fn wait_for_work(&self) -> Option<MutexGuard<'_, Inbox<V>>> {
        let mut inbox = self.inbox();
        loop {
            if !inbox.requests.is_empty() || inbox.retire.is_some() {
                return Some(inbox);
            }
            if inbox.closing {
                return None;
            }
            inbox = self.stirred.wait(inbox).expect("nothing panics while it holds the inbox");
        }
    }

    /// Waits on this thread until everything up to this request is applied, or never will be.
    pub(super) fn wait_until_applied(&self, number: u64) {
        let mut inbox = self.inbox();
        while self.progress.applied.load(Ordering::Acquire) < number && self.broken().is_none() {
            inbox = self.stirred.wait(inbox).expect("nothing panics while it holds the inbox");
        }
    }

    pub(super) fn close(&self) {
        self.inbox().closing = true;
        self.stirred.notify_all();
    }

    /// A thread is gone: nothing will be written or applied any more.
    pub(super) fn abandon(&self) {
        self.give_up(|| "a thread of the spool stopped: open it again".to_owned());
        let left = std::mem::take(&mut self.inbox().requests);
        drop(left);
        self.applied(u64::MAX);
    }

    /// Lets the committer drop the oldest segment, if it is this one.
    pub(super) fn retire(&self, segment: u32) {
        self.inbox().retire = Some(segment);
        self.stirred.notify_all();
    }

    /// From now on whoever reads must see everything up to this request.
    pub(super) fn promise(&self, number: u64) {
        self.progress.promised.fetch_max(number, Ordering::AcqRel);
    }

    /// Everything up to this request is applied, or never will be.
    pub(super) fn applied(&self, number: u64) {
        let ready = {
            let mut readers = self.progress.readers.lock().expect(READERS);
            self.progress.applied.fetch_max(number, Ordering::AcqRel);
            readers.extract_if(.., |(wanted, _)| *wanted <= number).collect::<Vec<_>>()
        };
        for (_, reader) in ready {
            let _ = reader.send(());
        }
        // Who waits on a thread looks at this while it holds the inbox.
        drop(self.inbox());
        self.stirred.notify_all();
    }

    /// Waits until a read sees all that was promised before it.
    pub(super) async fn caught_up(&self) {
        let promised = self.progress.promised.load(Ordering::Acquire);
        if self.progress.applied.load(Ordering::Acquire) >= promised {
            return;
        }
        let wait = {
            let mut readers = self.progress.readers.lock().expect(READERS);
            if self.progress.applied.load(Ordering::Acquire) >= promised {
                return;
            }
            let (reader, wait) = oneshot::channel();
            readers.push((promised, reader));
            wait
        };
        let _ = wait.await;
    }

    /// Submits a request and waits until it is applied; says whether the message of its last entry is finished.
    pub(super) async fn carry_out(&self, mut request: Request<V>) -> Result<bool> {
        let (done, wait) = oneshot::channel();
        request.done = Done::Applied(done);
        self.submit(request).await?;
        wait.await.unwrap_or(Err(QueueError::Unknown))
    }

    /// Does file work away from the runtime; it goes on to its end even if nobody waits for it.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let core = Arc::clone(self);
        self.runner.run(move || work(&core)).await
    }

    /// Tells those who wait that something is, or will be, ready then.
    pub(super) fn announce(&self, due: Option<Timestamp>) {
        if let Some(due) = due {
            self.waiting.announce(due);
        }
    }
}

const READERS: &str = "nothing panics while it holds the list of readers";

/// A message that is coming into the queue: its id is taken until this is dropped, and its blob goes
/// with it unless it is kept.
pub(super) struct Coming<V: Vfs> {
    core: Arc<Core<V>>,
    pub(super) id: MsgId,
    idem: Option<IdemKey>,
    /// A blob was published under the id.
    pub(super) blob: bool,
    outcome: Result<Receipt>,
}

impl<V: Vfs> Coming<V> {
    /// Takes an id that the state has registered.
    pub(super) fn new(core: &Arc<Core<V>>, id: MsgId, idem: Option<IdemKey>) -> Self {
        Self { core: Arc::clone(core), id, idem, blob: false, outcome: Err(QueueError::Unknown) }
    }

    /// The message is durable: its blob stays, and who waits for the same one has it.
    pub(super) fn keep(&mut self) {
        self.blob = false;
        self.outcome = Ok(Receipt { id: self.id, duplicate: true });
    }

    /// The message was not written; nobody may know whether it is there after all.
    pub(super) fn fail(&mut self, error: &QueueError) {
        if matches!(error, QueueError::ReadOnly) {
            self.blob = false;
        }
        self.outcome = Err(error.clone());
    }

    /// Whether it comes into this queue.
    pub(super) fn is_of(&self, core: &Arc<Core<V>>) -> bool {
        Arc::ptr_eq(&self.core, core)
    }
}

impl<V: Vfs> Drop for Coming<V> {
    fn drop(&mut self) {
        if self.blob {
            // Where this fails, the next start removes the file.
            let _ = super::blob::remove(&*self.core.vfs, self.id);
        }
        let waiters = self.core.state().came(self.id, self.idem);
        for waiter in waiters {
            let _ = waiter.send(self.outcome.clone());
        }
    }
}

/// Units that nobody else may change until this is dropped.
pub(super) struct Reserved<V: Vfs> {
    core: Arc<Core<V>>,
    units: Vec<UnitId>,
}

impl<V: Vfs> Reserved<V> {
    /// Takes units that the state has reserved.
    pub(super) fn new(core: &Arc<Core<V>>, units: Vec<UnitId>) -> Self {
        Self { core: Arc::clone(core), units }
    }
}

impl<V: Vfs> Drop for Reserved<V> {
    fn drop(&mut self) {
        self.core.state().free(&self.units);
    }
}
