//! The queue itself.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hikyaku_queue::backend::{Unit, Waiting};
use hikyaku_queue::{
    Action, Claimed, Count, CountBy, Cursor, Draft, DueKey, Durability, Envelope, Filter, Gate, Health, IdemKey,
    KeyCursor, KeyQuota, Lease, Manage, MsgId, NewUnit, Page, Queue, QueueError, QueueKey, Receipt, Sealed, Settled,
    Settlement, SizeHint, WorkerId,
};
use hikyaku_wire::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::claim::{Claim, DueKeys, Extend, Release};
use crate::commit::{self, Commit};
use crate::database::{Database, State, Work};
use crate::error::Failure;
use crate::group::gather;
use crate::manage::{self, Counts, Gates, SetGate};
use crate::settle::{self, Settle};
use crate::text::{Message, PostgresBody, Writing};
use crate::unit::{Uuid, envelope_text};
use crate::{PostgresConfig, PostgresError, schema, tidy};

type Result<T> = std::result::Result<T, QueueError>;

/// So many requests may wait to be gathered.
const WAITING: usize = 1024;

/// The queue on PostgreSQL, for any number of nodes.
///
/// Cloning is cheap; all clones are one node of the same queue, and so is every other process that
/// connects to the same schema. It needs a tokio runtime with its timers and its I/O.
///
/// What is acknowledged is on the disk of as many machines as [`Copies`](crate::Copies) says. A
/// node that dies leaves its leases to run out; a node that was stopped and goes on writes nothing
/// under a lease that another has by then.
///
/// # Incomplete support
/// [`DueKey::waiting`] counts up to 10,000 units of a key. [`Manage::counts`] reads an entry of
/// an index for each unit, and [`Manage::list`] with a filter that names neither message, key nor
/// state reads them all. [`Durability::Lazy`] is as durable as `Sync`.
#[derive(Clone)]
pub struct Postgres {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    shared: Arc<Shared>,
    commits: mpsc::Sender<Commit>,
    settles: mpsc::Sender<Settle>,
    watch: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// What all parts of a node share.
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) waiting: Waiting,
    /// How many bytes the tables take, as last seen.
    pub(crate) used: AtomicU64,
    note: Mutex<Option<String>>,
    /// Gates are set one after the other: one that nobody waits for any more must not come last.
    gating: Arc<tokio::sync::Mutex<()>>,
}

impl Shared {
    /// Whether there is no room for so many bytes.
    pub(crate) fn is_full(&self, bytes: u64) -> bool {
        self.used.load(Ordering::Relaxed).saturating_add(bytes) > self.database.config.capacity
    }

    pub(crate) fn works(&self) -> bool {
        self.database.state() == State::Works
    }

    pub(crate) fn set_note(&self, note: Option<String>) {
        *self.note.lock().expect("nothing panics while it holds the note") = note;
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("config", &self.inner.shared.database.config).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects, makes the tables or brings them up to date, and asks the server whether it keeps
    /// what it acknowledges.
    ///
    /// # Errors
    /// `Config`; `Unreachable`; `Promise` if a setting of the server breaks the promise, with the
    /// command that sets it; `Newer` if the tables are of a later version.
    pub async fn connect(config: PostgresConfig) -> std::result::Result<Self, PostgresError> {
        let database = Database::new(config)?;
        let plain = |failure: Failure| match failure {
            Failure::Again(error) | Failure::Open(error) => error,
            Failure::Refused(error) => PostgresError::Unreachable(error.to_string()),
        };
        {
            let mut client = database.client().await.map_err(plain)?;
            schema::migrate(&mut client, &database.config.schema).await?;
        }
        let shared = Arc::new(Shared {
            database,
            waiting: Waiting::default(),
            used: AtomicU64::new(0),
            note: Mutex::default(),
            gating: Arc::default(),
        });
        tidy::look(&shared).await.map_err(plain)?;
        // What was found at the start is news.
        let far = Timestamp::from_millis(i64::MAX);
        let mut first = DueKeys { shared: &shared, now: far, after: None, max: 1 };
        let first = shared.database.read(&mut first).await.map_err(|error| plain(Failure::Refused(error)))?;
        if let Some(first) = first.first() {
            shared.waiting.announce(first.due);
        }
        let (commits, asked) = mpsc::channel(WAITING);
        let node = Arc::clone(&shared);
        let weight = |commit: &Commit| commit.message.weight();
        tokio::spawn(gather(asked, weight, move |group| commit::carry_out(Arc::clone(&node), group)));
        let (settles, asked) = mpsc::channel(WAITING);
        let node = Arc::clone(&shared);
        let weight = |settle: &Settle| 1024 + settle.follow_up.iter().map(Message::weight).sum::<usize>();
        tokio::spawn(gather(asked, weight, move |group| settle::carry_out(Arc::clone(&node), group)));
        let watch = tokio::spawn(tidy::watch(Arc::clone(&shared))).abort_handle();
        Ok(Self { inner: Arc::new(Inner { shared, commits, settles, watch }) })
    }

    /// Removes now what is otherwise removed once a minute: messages that have been finished for
    /// longer than [`PostgresConfig::keep`], and texts that no message has after a day.
    ///
    /// # Errors
    /// `Backend` if the database fails.
    pub async fn clean(&self) -> Result<()> {
        tidy::clean(&self.inner.shared).await.map_err(|failure| match failure {
            Failure::Again(error) | Failure::Open(error) => error.into(),
            Failure::Refused(error) => error,
        })
    }

    /// The configuration that it was opened with.
    pub fn config(&self) -> &PostgresConfig {
        &self.inner.shared.database.config
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.inner.shared)
    }
}

/// Goes on although the caller stops waiting: what was begun is done, or is not, as a whole.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    // It ends early only with the runtime, or by a panic, which its hook reports.
    tokio::spawn(work).await.unwrap_or(Err(QueueError::Unknown))
}

async fn write<W: Work + 'static>(shared: Arc<Shared>, mut work: W) -> Result<W::Out>
where
    W::Out: 'static,
{
    to_the_end(async move { shared.database.write(&mut work).await }).await
}

/// Hands a request to those that gather them, and waits for the answer.
async fn ask<A, T>(to: &mpsc::Sender<A>, make: impl FnOnce(oneshot::Sender<Result<T>>) -> A) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    to.send(make(reply)).await.map_err(|_| QueueError::Unknown)?;
    answer.await.unwrap_or(Err(QueueError::Unknown))
}

impl Queue for Postgres {
    type Draft = PostgresDraft;
    type Body = PostgresBody;

    async fn draft(&self, id: MsgId, hint: SizeHint) -> Result<PostgresDraft> {
        let shared = self.shared();
        if let State::Trouble(why) = shared.database.state() {
            return Err(why.into());
        }
        if shared.is_full(hint.0.unwrap_or(1).max(1)) {
            return Err(QueueError::Full);
        }
        let writing = Writing::new(shared);
        Ok(PostgresDraft { inner: Arc::clone(&self.inner), id, writing, spoilt: false })
    }

    async fn due_keys(&self, now: Timestamp, after: Option<KeyCursor>, max: usize) -> Result<Vec<DueKey>> {
        let shared = &self.inner.shared;
        shared.database.read(&mut DueKeys { shared, now, after, max }).await
    }

    async fn claim(&self, who: WorkerId, now: Timestamp, want: &[KeyQuota], lease: Duration) -> Result<Vec<Claimed>> {
        let shared = self.shared();
        let claim = Claim { shared: self.shared(), who, now, want: want.to_vec(), lease };
        write(shared, claim).await
    }

    async fn extend(&self, lease: &Lease, by: Duration) -> Result<Lease> {
        write(self.shared(), Extend { shared: self.shared(), lease: *lease, by }).await
    }

    async fn settle(&self, lease: Lease, settlement: Settlement, _: Durability) -> Result<Settled> {
        let Settlement { results, next, follow_up } = settlement;
        let follow_up = follow_up.into_iter().map(Sealed::into_inside).collect::<Result<Vec<Message>>>()?;
        let make = |reply| Settle { lease, results, next, follow_up, reply };
        ask(&self.inner.settles, make).await
    }

    async fn release(&self, lease: Lease, due: Timestamp) -> Result<()> {
        let shared = self.shared();
        let due = write(Arc::clone(&shared), Release { lease, due }).await?;
        if let Some(due) = due {
            shared.waiting.announce(due);
        }
        Ok(())
    }

    async fn body(&self, msg: MsgId) -> Result<PostgresBody> {
        PostgresBody::open(self.shared(), msg).await
    }

    async fn wait_ready(&self, until: Timestamp) {
        self.inner.shared.waiting.wait(until).await;
    }

    fn health(&self) -> Health {
        let shared = &self.inner.shared;
        match shared.database.state() {
            State::Trouble(why) => Health::ReadOnly(why.to_string()),
            State::Works => match &*shared.note.lock().expect("nothing panics while it holds the note") {
                Some(note) => Health::Degraded(note.clone()),
                None if shared.is_full(1) => Health::Degraded("the queue is full".to_owned()),
                None => Health::Ok,
            },
        }
    }
}

impl Manage for Postgres {
    async fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page> {
        manage::list(&self.inner.shared, filter, after, max).await
    }

    async fn counts(&self, by: CountBy) -> Result<Vec<Count>> {
        self.inner.shared.database.read(&mut Counts(by)).await
    }

    async fn apply(&self, filter: &Filter, action: Action) -> Result<u64> {
        to_the_end(manage::apply(self.shared(), filter.clone(), action)).await
    }

    async fn gate(&self, key: &QueueKey, gate: Gate) -> Result<()> {
        let shared = self.shared();
        let turn = Arc::clone(&shared.gating).lock_owned().await;
        let (at, key) = (Arc::clone(&shared), key.clone());
        let set = async move {
            let due = at.database.write(&mut SetGate { key, gate }).await;
            drop(turn);
            due
        };
        let due = to_the_end(set).await?;
        if let Some(due) = due {
            shared.waiting.announce(due);
        }
        Ok(())
    }

    async fn gates(&self, of: Option<&QueueKey>) -> Result<Vec<(QueueKey, Gate)>> {
        self.inner.shared.database.read(&mut Gates(of.cloned())).await
    }
}

/// A message in the making in [`Postgres`].
pub struct PostgresDraft {
    inner: Arc<Inner>,
    id: MsgId,
    writing: Writing,
    spoilt: bool,
}

impl fmt::Debug for PostgresDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDraft").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PostgresDraft {
    async fn close(self, envelope: &Envelope, prepend: Bytes, units: Vec<NewUnit>) -> Result<(Arc<Inner>, Message)> {
        if self.spoilt {
            return Err(QueueError::Invalid("a write to the draft failed"));
        }
        let units = units.into_iter().map(Unit::new).collect::<Result<Vec<_>>>()?;
        if units.is_empty() {
            return Err(QueueError::Invalid("a message needs a unit"));
        }
        if units.len() > usize::from(u16::MAX) {
            return Err(QueueError::Invalid("too many units"));
        }
        let length = i64::try_from(self.writing.length).map_err(|_| QueueError::Full)?;
        let size =
            i64::try_from(prepend.len()).ok().and_then(|more| length.checked_add(more)).ok_or(QueueError::Full)?;
        let text = self.writing.close().await?;
        let envelope = envelope_text(envelope)?;
        Ok((self.inner, Message { id: self.id, envelope, size, length, prepend, text, units }))
    }
}

impl Draft for PostgresDraft {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if std::mem::replace(&mut self.spoilt, true) {
            return Err(QueueError::Invalid("a write to the draft failed"));
        }
        self.writing.write(chunk).await?;
        self.spoilt = false;
        Ok(())
    }

    async fn commit(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<Receipt> {
        let received = envelope.received;
        let (inner, message) = self.close(&envelope, prepend, units).await?;
        ask(&inner.commits, |reply| Commit { message, idem, received, reply }).await
    }

    async fn seal(self, envelope: Envelope, prepend: Bytes, units: Vec<NewUnit>) -> Result<Sealed> {
        let (inner, message) = self.close(&envelope, prepend, units).await?;
        let id = message.id;
        match inner.shared.database.read(&mut Known(id)).await? {
            true => Err(QueueError::Duplicate(id)),
            false => Ok(Sealed::new(id, message)),
        }
    }
}

/// Whether a message is, or lately was, in the queue.
struct Known(MsgId);

impl Work for Known {
    type Out = bool;

    async fn once(&mut self, client: &mut deadpool_postgres::Object, _: bool) -> std::result::Result<bool, Failure> {
        let statement = client.prepare_cached("SELECT 1 FROM message WHERE id = $1").await?;
        Ok(client.query_opt(&statement, &[&Uuid::from(self.0)]).await?.is_some())
    }
}
