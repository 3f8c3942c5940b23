//! The durable queue in a directory: one file a message.

#[allow(unused, reason = "the parts of the next spool")]
mod blob;
mod busy;
#[allow(unused, clippy::unimplemented, reason = "the parts of the next spool")]
mod catalog;
mod disk;
mod draft;
#[cfg(test)]
mod fault;
#[allow(unused, reason = "the parts of the next spool")]
mod journal;
mod record;
mod recover;
#[cfg(any(fuzzing, test))]
pub(crate) mod round_trip;
#[cfg(test)]
mod tests;
#[allow(unused, reason = "the parts of the next spool")]
mod vfs;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::Timestamp;
use tokio::runtime::Handle;

use self::busy::{Busy, BusyList};
use self::disk::{Disk, Folder};
use self::draft::{SpoolBody, SpoolDraft, SpoolSealed};
use self::record::{GatesRecord, StateRecord};
use self::recover::{read_end, recover, write_small};
use crate::index::{Plan, Shared};
use crate::{
    Action, Claimed, Count, CountBy, Cursor, DueKey, Durability, Filter, Gate, Health, KeyCursor, KeyQuota, Lease,
    Manage, MsgId, Page, Queue, QueueError, QueueKey, Settled, Settlement, SizeHint, WorkerId,
};

type Result<T> = std::result::Result<T, QueueError>;

/// The durable queue in a directory: the index is in memory, each message is one file.
///
/// A commit is synced, the directory too, before it returns. A change of units rewrites a small
/// file beside the message's; its rename is the moment of a settlement, and the follow-up
/// messages are named in it, so that both happen or neither. Leases are in memory only: a crash
/// ends all of them, and the tokens of the next life are greater than all before.
///
/// When a sync fails, nobody knows what the disk holds: the spool takes no more writes until it
/// is opened again. Files that cannot be read at the start are moved to `corrupt/` and reported,
/// the rest runs.
///
/// Cloning is cheap; all clones are the same queue. File work is done by
/// [`tokio::task::spawn_blocking`] of the runtime in which the spool was opened.
///
/// # Incomplete support
/// The text of a message has no checksum. An [`IdemKey`](crate::IdemKey) outlives the spool's
/// reopening only while its message is queued. Every sync is the message's own: they are not
/// grouped. Unix only.
#[derive(Debug, Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

/// The settings of a [`Spool`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolConfig {
    /// So many bytes of the file system are kept free, for settlements of what is queued ...
    pub reserve_bytes: u64,
    /// ... or so many per cent of it, if that is less.
    pub reserve_percent: u8,
}

impl Default for SpoolConfig {
    /// 256 MiB or 5 %.
    fn default() -> Self {
        Self { reserve_bytes: 256 << 20, reserve_percent: 5 }
    }
}

impl SpoolConfig {
    fn leaves_reserve(&self, free: u64, total: u64) -> bool {
        let percent = u128::from(total) * u128::from(self.reserve_percent) / 100;
        u128::from(free) >= percent.min(u128::from(self.reserve_bytes))
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

/// A file that was put aside at the start, because it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it was, below the spool's directory.
    pub file: String,
    /// Its name in `corrupt/` now.
    pub now: String,
    /// What is wrong with it.
    pub why: &'static str,
}

#[derive(Debug)]
struct Inner {
    shared: Shared,
    disk: Arc<Disk>,
    busy: BusyList,
    runtime: Handle,
    root: PathBuf,
    quarantined: Vec<Quarantined>,
}

impl Spool {
    /// Opens the spool in this directory, which is made if it is not there, and reads the
    /// envelopes in it; call it within a tokio runtime.
    ///
    /// # Errors
    /// `Locked` if another process, or this one, has it open.
    pub async fn open(root: impl Into<PathBuf>, config: SpoolConfig) -> std::result::Result<Self, OpenError> {
        let (root, runtime) = (root.into(), Handle::current());
        let open = move || {
            let disk = Arc::new(Disk::open(&root, config)?);
            let (index, quarantined) = recover(&disk)?;
            let shared = Shared::new(index);
            Ok(Self { inner: Arc::new(Inner { shared, disk, busy: BusyList::default(), runtime, root, quarantined }) })
        };
        let opened = Handle::current().spawn_blocking(open).await;
        opened.map_err(|error| OpenError::Io { what: "the spool cannot be read", source: io::Error::other(error) })?
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.inner.root
    }

    /// What was put aside when the spool was opened.
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.inner.quarantined
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Inner>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        blocking(&self.inner.runtime, move || work(&inner)).await
    }
}

/// Does file work away from the runtime; it goes on to its end even if nobody waits for it.
async fn blocking<T: Send + 'static>(runtime: &Handle, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    runtime.spawn_blocking(work).await.unwrap_or(Err(QueueError::Unknown))
}

impl Queue for Spool {
    type Draft = SpoolDraft;
    type Body = SpoolBody;

    async fn draft(&self, id: MsgId, hint: SizeHint) -> Result<SpoolDraft> {
        let has_room = move |inner: &Arc<Inner>| {
            inner.disk.writable()?;
            Ok(inner.disk.has_room(hint.0.unwrap_or(0))?)
        };
        match self.blocking(has_room).await? {
            true => Ok(SpoolDraft::new(Arc::clone(&self.inner), id)),
            false => Err(QueueError::Full),
        }
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

    async fn settle(&self, lease: Lease, settlement: Settlement, durability: Durability) -> Result<Settled> {
        self.blocking(move |inner| inner.settle(&lease, settlement, durability)).await
    }

    async fn release(&self, lease: Lease, due: Timestamp) -> Result<()> {
        self.inner.shared.with(|index| index.release(&lease, due))
    }

    async fn body(&self, msg: MsgId) -> Result<SpoolBody> {
        self.blocking(move |inner| inner.body(msg)).await
    }

    async fn wait_ready(&self, until: Timestamp) {
        self.inner.shared.wait(until).await;
    }

    fn health(&self) -> Health {
        match (self.inner.disk.broken(), self.inner.quarantined.len()) {
            (Some(why), _) => Health::ReadOnly(why.to_owned()),
            (None, 0) => Health::Ok,
            (None, files) => Health::Degraded(format!("{files} damaged files were put aside")),
        }
    }
}

impl Manage for Spool {
    async fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page> {
        Ok(self.inner.shared.with(|index| index.list(filter, after, max)))
    }

    async fn counts(&self, by: CountBy) -> Result<Vec<Count>> {
        Ok(self.inner.shared.with(|index| index.counts(by)))
    }

    async fn apply(&self, filter: &Filter, action: Action) -> Result<u64> {
        let filter = filter.clone();
        self.blocking(move |inner| {
            let mut met = 0;
            for msg in inner.shared.with(|index| index.matching(&filter)) {
                let _msg = inner.busy.enter(Busy::Message(msg));
                if let Some((plan, units)) = inner.shared.with(|index| index.plan_action(msg, &filter, &action)) {
                    inner.write_down(&plan, &[])?;
                    inner.shared.with(|index| index.carry_out(plan));
                    met += units;
                }
            }
            Ok(met)
        })
        .await
    }

    async fn gate(&self, key: &QueueKey, gate: Gate) -> Result<()> {
        let key = key.clone();
        self.blocking(move |inner| {
            let _gates = inner.busy.enter(Busy::Gates);
            inner.disk.writable()?;
            let mut gates = inner.shared.with(|index| index.gates().clone());
            gates.insert(key.clone(), gate);
            write_small(&inner.disk, Folder::Root, "gates", &GatesRecord::new(&gates))?;
            inner.shared.with(|index| index.set_gate(&key, gate));
            Ok(())
        })
        .await
    }

    async fn gates(&self, of: Option<&QueueKey>) -> Result<Vec<(QueueKey, Gate)>> {
        Ok(self.inner.shared.with(|index| index.closed(of)))
    }
}

impl Inner {
    fn settle(&self, lease: &Lease, mut settlement: Settlement, durability: Durability) -> Result<Settled> {
        let mut follow_up = Vec::new();
        for sealed in settlement.follow_up.drain(..) {
            let id = sealed.id();
            let inside: SpoolSealed = sealed.into_inside()?;
            follow_up.push((id, inside));
        }
        let _msg = self.busy.enter(Busy::Message(lease.unit.msg));
        let plan = self.shared.with(|index| {
            if let Some((id, _)) = follow_up.iter().find(|(id, _)| index.message(*id).is_some()) {
                return Err(QueueError::Duplicate(*id));
            }
            index.plan_settlement(lease, &settlement)
        })?;
        let settled = plan.settled();
        let must_sync = plan.must_sync || durability == Durability::Sync || !follow_up.is_empty();
        if must_sync && let Err(error) = self.write_down(&plan, &follow_up) {
            self.shared.with(|index| index.give_up(&plan));
            return Err(error);
        }
        self.shared.with(|index| {
            index.carry_out(plan);
            if self.disk.broken().is_none() {
                for (id, sealed) in follow_up {
                    index.insert(id, sealed.message);
                }
            }
        });
        Ok(settled)
    }

    /// Makes a plan durable. What goes wrong after the moment it is, the next start puts right.
    fn write_down(&self, plan: &Plan, follow_up: &[(MsgId, SpoolSealed)]) -> Result<()> {
        self.disk.writable()?;
        let name = plan.msg.to_string();
        if plan.message_done && follow_up.is_empty() {
            self.disk.remove(Folder::Messages, &name)?;
            self.disk.sync_folder(Folder::Messages)?;
            // A state without its message says nothing; the next start removes it.
            let _ = self.disk.remove(Folder::States, &name);
            return Ok(());
        }
        let ids: Vec<_> = follow_up.iter().map(|(id, _)| *id).collect();
        let units = self.shared.with(|index| index.outcome(plan));
        // From here on it is the state that decides over the sealed files.
        let written = write_small(&self.disk, Folder::States, &name, &StateRecord::new(plan.msg, units, &ids));
        if written.is_ok() || self.disk.broken().is_some() {
            follow_up.iter().for_each(|(_, sealed)| sealed.place.keep());
        }
        written?;
        if let Err(error) = self.publish(plan, &ids) {
            self.disk.give_up(|| format!("a settled message could not be moved: {error}"));
        }
        Ok(())
    }

    fn publish(&self, plan: &Plan, follow_up: &[MsgId]) -> Result<()> {
        for id in follow_up {
            let name = id.to_string();
            self.disk.rename(Folder::Sealed, name.as_str(), Folder::Messages, &name)?;
        }
        if !follow_up.is_empty() {
            self.disk.sync_folder(Folder::Messages)?;
        }
        if plan.message_done {
            let name = plan.msg.to_string();
            self.disk.remove(Folder::Messages, &name)?;
            self.disk.sync_folder(Folder::Messages)?;
            self.disk.remove(Folder::States, &name)?;
        }
        Ok(())
    }

    fn body(&self, id: MsgId) -> Result<SpoolBody> {
        if self.shared.with(|index| index.message(id).is_none()) {
            return Err(QueueError::NotFound);
        }
        let damaged = |why| QueueError::Corrupt { id, why };
        let file = self.disk.open_file(Folder::Messages, &id.to_string()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => QueueError::NotFound,
            io::ErrorKind::InvalidData => damaged("not a regular file of our own"),
            _ => error.into(),
        })?;
        let (lengths, record) = read_end(&file).map_err(damaged)?;
        if record.id != id.to_string() {
            return Err(damaged("it is named as another message"));
        }
        let mut prepend = vec![0; lengths.prepend as usize];
        file.read_exact_at(&mut prepend, lengths.text)?;
        let (prepend, len) = (Bytes::from(prepend), lengths.text);
        Ok(SpoolBody { runtime: self.runtime.clone(), id, file: Arc::new(file), prepend, len })
    }
}
