//! The catalog: which messages there are, where in the journal they stand, and which is due when.
//!
//! It is derived from the journal and lives in redb (`index.redb`): changes are not synced, a
//! checkpoint is made now and then, and what was lost since is read from the journal again. It may
//! be thrown away at any time. All numbers in keys are big-endian, so that their order is that of
//! the bytes. Leases are not here: they are in memory, and a crash ends them.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use hikyaku_wire::Timestamp;

use super::journal::{Mark, Place};
use super::vfs::Vfs;
use crate::{Gate, IdemKey, MsgId, QueueError, QueueKey, UnitId};

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
pub(crate) struct Catalog {
    _private: (),
}

impl Catalog {
    /// Opens the catalog in the spool's root, with so many bytes of cache. The mark is that of the
    /// last checkpoint; none if there was no catalog, or it was damaged and begun anew.
    pub(crate) fn open<V: Vfs>(vfs: &Arc<V>, cache: usize) -> io::Result<(Self, Option<Mark>)> {
        unimplemented!("owner: c")
    }

    /// Throws everything away.
    pub(crate) fn clear(&self) -> Result<(), QueueError> {
        unimplemented!("owner: c")
    }

    /// Applies changes as one batch, up to this mark; not synced. One result for each change.
    pub(crate) fn apply(&self, ops: &[Op], mark: Mark) -> Result<Vec<Applied>, QueueError> {
        unimplemented!("owner: c")
    }

    /// Makes durable what was applied.
    pub(crate) fn checkpoint(&self) -> Result<Mark, QueueError> {
        unimplemented!("owner: c")
    }

    pub(crate) fn message(&self, id: MsgId) -> Result<Option<MessageRow>, QueueError> {
        unimplemented!("owner: c")
    }

    /// The message that a commit would repeat: one that is here or finished, or one with the same
    /// key within the window before `now`.
    pub(crate) fn known(&self, id: MsgId, idem: Option<(IdemKey, Timestamp)>) -> Result<Option<MsgId>, QueueError> {
        unimplemented!("owner: c")
    }

    pub(crate) fn gates(&self) -> Result<Vec<(QueueKey, Gate)>, QueueError> {
        unimplemented!("owner: c")
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, QueueError> {
        unimplemented!("owner: c")
    }

    /// The keys that have ready units, in the order of their first due times, from this place on;
    /// gates are not looked at. Costs as much as the keys that are visited.
    pub(crate) fn due_keys(
        &self,
        from: Option<(Timestamp, QueueKey)>,
        visit: &mut dyn FnMut(Timestamp, &QueueKey, u64) -> ControlFlow<()>,
    ) -> Result<(), QueueError> {
        unimplemented!("owner: c")
    }

    /// The ready units of a key in the order (due, id).
    pub(crate) fn ready(
        &self,
        key: &QueueKey,
        visit: &mut dyn FnMut(Timestamp, UnitId) -> ControlFlow<()>,
    ) -> Result<(), QueueError> {
        unimplemented!("owner: c")
    }

    /// The messages after this one, in the order of their ids.
    pub(crate) fn messages(
        &self,
        after: Option<MsgId>,
        visit: &mut dyn FnMut(MsgId, &MessageRow) -> ControlFlow<()>,
    ) -> Result<(), QueueError> {
        unimplemented!("owner: c")
    }

    /// The units of a key after this one, held ones too, in the order of their ids.
    pub(crate) fn units_of(
        &self,
        key: &QueueKey,
        after: Option<UnitId>,
        visit: &mut dyn FnMut(UnitId) -> ControlFlow<()>,
    ) -> Result<(), QueueError> {
        unimplemented!("owner: c")
    }

    /// How many units each key has; costs as much as the keys.
    pub(crate) fn counts(&self) -> Result<Vec<KeyCount>, QueueError> {
        unimplemented!("owner: c")
    }

    /// How many bytes of entries that still matter each segment holds; segments without any are left out.
    pub(crate) fn live(&self) -> Result<Vec<(u32, u64)>, QueueError> {
        unimplemented!("owner: c")
    }
}
