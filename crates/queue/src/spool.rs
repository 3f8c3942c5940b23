//! The durable queue in a directory: a journal, and a catalog that is derived from it.

mod blob;
mod body;
mod catalog;
mod clean;
mod committer;
mod core;
mod draft;
mod entry;
mod flow;
mod indexer;
mod journal;
mod manage;
mod open;
mod read;
mod runner;
mod state;
#[cfg(test)]
mod tests;
mod threads;
mod vfs;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::Timestamp;
use tokio::runtime::Handle;

#[cfg(any(fuzzing, test))]
pub(crate) use self::entry::round_trip;
#[cfg(any(fuzzing, test))]
pub(crate) use self::journal::any_bytes::opens as any_segments;

use self::core::Core;
use self::open::Engine;
use self::runner::Runner;
use self::threads::Threads;
use self::vfs::Vfs;
use self::vfs::real::Folders;
use crate::{
    Action, BodyReader, Claimed, Count, CountBy, Cursor, Draft, DueKey, Durability, Envelope, Filter, Gate, Health,
    IdemKey, KeyCursor, KeyQuota, Lease, Manage, MsgId, NewUnit, Page, Queue, QueueError, QueueKey, Receipt, Sealed,
    Settled, Settlement, SizeHint, WorkerId,
};

type Result<T> = std::result::Result<T, QueueError>;

/// The durable queue in a directory.
///
/// Everything is told to a journal first: envelopes, short texts and each change of a unit. What
/// waits at the same time is written as one group and synced once, and a call returns after that.
/// A longer text is a file of its own, durable before the journal tells of it. The catalog of what
/// is due when is derived from the journal and caught up, or made again, when the spool is opened.
/// A settlement and its follow-up messages are in one group, so that both happen or neither.
/// Leases are in memory only: a crash ends all of them, and the tokens of the next life are
/// greater than all before.
///
/// When a sync fails, nobody knows what the disk holds: the spool takes no more writes until it is
/// opened again. What cannot be read is copied to `lost+found/` and reported, the rest runs; a unit
/// whose record is damaged is held.
///
/// Cloning is cheap; all clones are the same queue. It has two threads of its own; other file work
/// is done by [`tokio::task::spawn_blocking`] of the runtime in which the spool was opened. The
/// last clone, dropped, waits until what was begun is durable.
///
/// # Incomplete support
/// Unix only.
#[derive(Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("directory", &self.inner.root).finish_non_exhaustive()
    }
}

struct Inner {
    core: Arc<Core<Folders>>,
    root: PathBuf,
    /// Held, not read: they work as long as there is somebody to work for.
    _threads: Threads<Folders>,
}

/// The settings of a [`Spool`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolConfig {
    /// So many bytes of the file system are kept free, for settlements of what is queued ...
    pub reserve_bytes: u64,
    /// ... or so many per cent of it, if that is less.
    pub reserve_percent: u8,
    /// So many bytes of the catalog are kept in memory.
    pub cache: usize,
    /// How long a file of the journal is, in bytes, from 64 KiB to 1 GiB, in whole pages of 4 KiB;
    /// those that exist keep their length.
    pub segment: u64,
}

impl Default for SpoolConfig {
    /// 256 MiB or 5 % of reserve, 48 MiB of cache, files of 64 MiB.
    fn default() -> Self {
        Self { reserve_bytes: 256 << 20, reserve_percent: 5, cache: 48 << 20, segment: 64 << 20 }
    }
}

impl SpoolConfig {
    fn leaves_reserve(&self, free: u64, total: u64) -> bool {
        let percent = u128::from(total) * u128::from(self.reserve_percent) / 100;
        u128::from(free) >= percent.min(u128::from(self.reserve_bytes))
    }

    /// The settings with a length of segments that the journal can have.
    fn within_bounds(mut self) -> Self {
        self.segment = (self.segment & !0xfff).clamp(64 << 10, 1 << 30);
        self
    }
}

/// Why a spool could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error("the spool is in use by another process")]
    Locked,
    /// It was written by a version that this one does not know.
    #[error("the spool was written by another version")]
    Version,
    /// The file system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl From<QueueError> for OpenError {
    fn from(error: QueueError) -> Self {
        Self::Io { what: "the spool cannot be read", source: io::Error::other(error) }
    }
}

/// A part of a spool that could not be read when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it is, below the spool's directory, and which bytes of it.
    pub file: String,
    /// The name under which a copy is in `lost+found/`; empty if there is nothing to copy.
    pub now: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Spool {
    /// Opens the spool in this directory, which is made if it is not there; call it within a tokio
    /// runtime.
    ///
    /// # Errors
    /// `Locked` if another process, or this one, has it open.
    pub async fn open(root: impl Into<PathBuf>, config: SpoolConfig) -> std::result::Result<Self, OpenError> {
        let (root, runner) = (root.into(), Runner::Pool(Handle::current()));
        let open = move || {
            let folders = Folders::open(&root)?;
            let engine = Engine::open(Arc::new(folders), config.within_bounds(), runner)?;
            let core = Arc::clone(&engine.core);
            let threads = Threads::start(engine)
                .map_err(|source| OpenError::Io { what: "the spool's threads cannot be started", source })?;
            Ok(Self { inner: Arc::new(Inner { core, root, _threads: threads }) })
        };
        let opened = Handle::current().spawn_blocking(open).await;
        opened.map_err(|error| OpenError::Io { what: "the spool cannot be read", source: io::Error::other(error) })?
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.inner.root
    }

    /// What could not be read when the spool was opened.
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.inner.core.quarantined
    }
}

impl<V: Vfs> Core<V> {
    fn open_draft(self: &Arc<Self>, id: MsgId, hint: SizeHint) -> Result<draft::Draft<V>> {
        self.writable()?;
        let space = self.vfs.space()?;
        match self.config.leaves_reserve(space.free.saturating_sub(hint.0.unwrap_or(0)), space.total) {
            true => Ok(draft::Draft::new(Arc::clone(self), id)),
            false => Err(QueueError::Full),
        }
    }

    fn health(&self) -> Health {
        match (self.broken(), self.quarantined.len() as u64 + self.damaged()) {
            (Some(why), _) => Health::ReadOnly(why.to_owned()),
            (None, 0) => Health::Ok,
            (None, parts) => Health::Degraded(format!("{parts} parts of the spool cannot be read")),
        }
    }
}

impl Queue for Spool {
    type Draft = SpoolDraft;
    type Body = SpoolBody;

    async fn draft(&self, id: MsgId, hint: SizeHint) -> Result<SpoolDraft> {
        Ok(SpoolDraft { draft: self.inner.core.open_draft(id, hint)?, open: Arc::clone(&self.inner) })
    }

    async fn due_keys(&self, now: Timestamp, after: Option<KeyCursor>, max: usize) -> Result<Vec<DueKey>> {
        self.inner.core.due_keys(now, after, max).await
    }

    async fn claim(&self, who: WorkerId, now: Timestamp, want: &[KeyQuota], lease: Duration) -> Result<Vec<Claimed>> {
        self.inner.core.claim(who, now, want, lease).await
    }

    async fn extend(&self, lease: &Lease, by: Duration) -> Result<Lease> {
        self.inner.core.extend(lease, by).await
    }

    async fn settle(&self, lease: Lease, settlement: Settlement, durability: Durability) -> Result<Settled> {
        self.inner.core.settle(lease, settlement, durability).await
    }

    async fn release(&self, lease: Lease, due: Timestamp) -> Result<()> {
        self.inner.core.release(lease, due).await
    }

    async fn body(&self, msg: MsgId) -> Result<SpoolBody> {
        Ok(SpoolBody { body: self.inner.core.body(msg).await? })
    }

    async fn wait_ready(&self, until: Timestamp) {
        self.inner.core.waiting.wait(until).await;
    }

    fn health(&self) -> Health {
        self.inner.core.health()
    }
}

impl Manage for Spool {
    async fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page> {
        self.inner.core.list(filter, after, max).await
    }

    async fn counts(&self, by: CountBy) -> Result<Vec<Count>> {
        self.inner.core.counts(by).await
    }

    async fn apply(&self, filter: &Filter, action: Action) -> Result<u64> {
        self.inner.core.act(filter, action).await
    }

    async fn gate(&self, key: &QueueKey, gate: Gate) -> Result<()> {
        self.inner.core.gate(key, gate).await
    }

    async fn gates(&self, of: Option<&QueueKey>) -> Result<Vec<(QueueKey, Gate)>> {
        self.inner.core.caught_up().await;
        Ok(self.inner.core.state().closed(of))
    }
}

/// A message in the making in a [`Spool`]: at most 64 KiB of it are in memory.
pub struct SpoolDraft {
    draft: draft::Draft<Folders>,
    open: Arc<Inner>,
}

impl fmt::Debug for SpoolDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolDraft").finish_non_exhaustive()
    }
}

impl Draft for SpoolDraft {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.draft.write(chunk).await
    }

    async fn commit(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<Receipt> {
        let Self { draft, open: _open } = self;
        draft.commit(envelope, prepend, units, idem).await
    }

    async fn seal(self, envelope: Envelope, prepend: Bytes, units: Vec<NewUnit>) -> Result<Sealed> {
        let Self { draft, open: _open } = self;
        draft.seal(envelope, prepend, units).await
    }
}

/// A reader of one message in a [`Spool`].
pub struct SpoolBody {
    body: body::Body<Folders>,
}

impl fmt::Debug for SpoolBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolBody").field("len", &self.body.len()).finish_non_exhaustive()
    }
}

impl BodyReader for SpoolBody {
    fn len(&self) -> u64 {
        self.body.len()
    }

    fn prepend(&self) -> &Bytes {
        self.body.prepend()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.body.read_at(offset, max).await
    }
}
