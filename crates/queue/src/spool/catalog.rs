//! The catalog: which messages there are, where in the journal they stand, and which is due when.
//!
//! It is derived from the journal and lives in redb (`index.redb`): changes are not synced, a
//! checkpoint is made now and then, and what was lost since is read from the journal again. It may
//! be thrown away at any time. All numbers in keys are big-endian, so that their order is that of
//! the bytes. Leases are not here: they are in memory, and a crash ends them.

mod apply;
mod backend;
mod error;
mod keys;
mod late;
mod read;
mod recent;
mod tables;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hikyaku_wire::Timestamp;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase};

use self::backend::Backend;
use self::error::CatalogError;
use self::late::Late;
use self::recent::{Finished, Idem, Recent};
use super::journal::{Mark, Place};
use super::vfs::{Folder, Vfs, VfsFile};
use crate::{Gate, IdemKey, MsgId, QueueError, QueueKey};

/// What the catalog knows of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitRow {
    pub(crate) key: QueueKey,
    pub(crate) due: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) held: bool,
    pub(crate) attempts: u32,
    /// The entry whose record holds the unit as it is now: the message's own, or the last change.
    pub(crate) place: Place,
}

/// What the catalog knows of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageRow {
    /// The entry with the envelope and, if it is not a blob, the text.
    pub(crate) place: Place,
    /// The text is a file of its own.
    pub(crate) blob: bool,
    /// The length of the message in bytes, with what was put before the text.
    pub(crate) size: u64,
    pub(crate) next_unit: u16,
    /// Its units, in order of their numbers; never empty.
    pub(crate) units: Vec<(u16, UnitRow)>,
}

/// A change, in the order of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// A message came, or was written again elsewhere: it replaces whatever is known of this id.
    Message { id: MsgId, row: MessageRow, idem: Option<(IdemKey, Timestamp)> },
    /// Units became this, or are gone. A message that is not known, or without units left, is
    /// finished. `next_unit` never goes down.
    Units { id: MsgId, next_unit: u16, changed: Vec<(u16, Option<UnitRow>)> },
    /// A key's gate.
    Gate(QueueKey, Gate),
    /// Gates, ids of finished messages and idempotence keys that an earlier part of the journal, which may be gone, told of.
    Snapshot(Snapshot),
}

/// What is not told by messages and must be known after the journal's beginning is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The gates that are not open.
    pub(crate) gates: Vec<(QueueKey, Gate)>,
    /// Ids of finished messages, oldest first, at most [`FINISHED`].
    pub(crate) finished: Vec<MsgId>,
    /// Idempotence keys with their messages and when they were received, oldest first, at most [`FINISHED`].
    pub(crate) idem: Vec<(IdemKey, MsgId, Timestamp)>,
}

/// So many ids of finished messages are remembered, for commits that are tried again.
pub(crate) const FINISHED: usize = 16_384;

/// What a change did, for whoever waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Applied {
    /// A message is gone by it; so is its blob, if it had one.
    pub(crate) finished: Option<(MsgId, bool)>,
    /// The earliest due time of a unit that is ready since.
    pub(crate) ready: Option<Timestamp>,
}

/// Units of a key, or of all, by state. Leased ones count as ready here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyCount {
    pub(crate) key: QueueKey,
    pub(crate) ready: u64,
    pub(crate) held: u64,
    /// The least id of a message with a unit of this key.
    pub(crate) oldest: MsgId,
}

/// The catalog. All methods may be called from any thread; reads see the last applied batch.
///
/// After an error of any of them it may be behind the journal, or say nothing true: then
/// [`Catalog::clear`], and the journal from its beginning.
pub(crate) struct Catalog {
    store: RwLock<Arc<Store>>,
    begin: Box<dyn Fn() -> io::Result<Store> + Send + Sync>,
}

/// The file, and what of it is in memory too.
struct Store {
    db: Database,
    late: Mutex<Late>,
    memory: Mutex<Memory>,
    /// A change could not be written: what is here is not whole, and says nothing any more.
    failed: AtomicBool,
}

#[derive(Default)]
struct Memory {
    finished: Recent<Finished>,
    idem: Recent<Idem>,
}

/// The catalog's file in the spool's root.
pub(crate) const FILE: &str = "index.redb";

impl Catalog {
    /// Opens the catalog in the spool's root, with so many bytes of cache. The mark is that of the
    /// last checkpoint; none if there was no catalog, or it was damaged and begun anew.
    ///
    /// # Errors
    /// If there is no usable catalog and no file can be made for another.
    pub(crate) fn open<V: Vfs>(vfs: &Arc<V>, cache: usize) -> io::Result<(Self, Option<Mark>)> {
        let begin = {
            let vfs = vfs.clone();
            move || {
                vfs.remove(Folder::Root, FILE)?;
                let file = vfs.create(Folder::Root, FILE)?;
                vfs.sync_folder(Folder::Root)?;
                Ok(Store::begin(file, cache).map_err(io::Error::other)?.0)
            }
        };
        let known = vfs.open(Folder::Root, FILE).ok().and_then(|file| Store::begin(file, cache).ok());
        let (store, mark) = match known {
            Some((store, Some(mark))) => (store, Some(mark)),
            _ => (begin()?, None),
        };
        Ok((Self { store: RwLock::new(Arc::new(store)), begin: Box::new(begin) }, mark))
    }

    /// Throws everything away and begins a new file.
    pub(crate) fn clear(&self) -> Result<(), QueueError> {
        let store = Arc::new((self.begin)()?);
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = store;
        Ok(())
    }

    /// Applies changes as one batch, up to this mark; not synced. One result for each change.
    ///
    /// Whatever the changes are, they are applied: of units with one number the last counts, a
    /// message without units is finished, and a snapshot is the truth at its place in the journal.
    pub(crate) fn apply(&self, ops: &[Op], mark: Mark) -> Result<Vec<Applied>, QueueError> {
        let store = self.store();
        Ok(store.change(|store| apply::apply(store, ops, mark))?)
    }

    /// Makes durable what was applied.
    ///
    /// # Errors
    /// `Invalid` if nothing was applied yet.
    pub(crate) fn checkpoint(&self) -> Result<Mark, QueueError> {
        let mark = self.store().checkpoint()?;
        mark.ok_or(QueueError::Invalid("nothing was applied that could be made durable"))
    }

    fn store(&self) -> Arc<Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Store {
    /// Opens a file, or makes the tables in an empty one.
    fn begin<F: VfsFile>(file: F, cache: usize) -> Result<(Self, Option<Mark>), CatalogError> {
        let db = Database::builder().set_cache_size(cache).create_with_backend(Backend::open(file)?)?;
        let mut write = db.begin_write()?;
        write.set_durability(Durability::None)?;
        let (late, memory) = {
            write.open_table(tables::MESSAGE)?;
            write.open_table(tables::READY)?;
            write.open_table(tables::UNIT)?;
            write.open_table(tables::KEY)?;
            write.open_table(tables::NAME)?;
            write.open_table(tables::DUE)?;
            write.open_table(tables::GATE)?;
            let finished = Recent::load(&write.open_table(tables::FINISHED)?)?;
            let idem = Recent::load(&write.open_table(tables::IDEM)?)?;
            (Late::load(&write)?, Memory { finished, idem })
        };
        write.commit()?;
        let mark = late.state.mark;
        let (late, memory, failed) = (Mutex::new(late), Mutex::new(memory), AtomicBool::new(false));
        Ok((Self { db, late, memory, failed }, mark))
    }

    fn checkpoint(&self) -> Result<Option<Mark>, CatalogError> {
        self.change(|store| {
            let mut late = lock(&store.late);
            let mut write = store.db.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            write.set_quick_repair(true);
            late.flush(&write, &store.memory)?;
            write.commit()?;
            Ok(late.state.mark)
        })
    }

    /// Whether what is here can be believed.
    fn is_good(&self) -> Result<(), CatalogError> {
        match self.failed.load(Ordering::Acquire) {
            true => Err(CatalogError::Damaged("an earlier change could not be written")),
            false => Ok(()),
        }
    }

    /// Makes a change. If it fails, a part of it may be forgotten: then there are no more.
    fn change<T>(&self, change: impl FnOnce(&Self) -> Result<T, CatalogError>) -> Result<T, CatalogError> {
        self.is_good()?;
        change(self).inspect_err(|_| self.failed.store(true, Ordering::Release))
    }

    /// All tables as they are now, those too that are written late.
    fn whole(&self) -> Result<ReadTransaction, CatalogError> {
        self.change(|store| {
            let mut late = lock(&store.late);
            if !late.is_whole() {
                let mut write = store.db.begin_write()?;
                write.set_durability(Durability::None)?;
                late.flush(&write, &store.memory)?;
                write.commit()?;
            }
            Ok(store.db.begin_read()?)
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // redb makes durable what was applied. What fails here leaves it without a mark.
        let _ = self.whole();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
