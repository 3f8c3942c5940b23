//! The journal: the one truth of a spool.
//!
//! It is a row of segments, `journal/<number in 16 hex digits>.hkj`, each `SEGMENT` long and laid
//! out before it is used. A segment begins with a header of one page; what follows are *groups*,
//! each written and synced as one and each beginning on a page (4 KiB), so that no byte that was
//! ever acknowledged is written again:
//!
//! ```text
//! group   magic | lsn u64 | entries u32 | length u64 | checksum      then the entries
//! entry   kind u8 | record length u32 | body length u32 | checksums of record, body and this header
//!         then record and body, padded to 8 bytes
//! ```
//!
//! A group counts whole or not at all: a crash leaves at most the last one torn. The high bits of a
//! group's number (its `Lsn`) are those of the boot that wrote it, so that what an earlier life left
//! behind the end is never taken for what follows. Segments leave at the oldest end only, after what
//! still lives in them was written again, so that the end of a message always outlives its beginning.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::vfs::Vfs;
use crate::QueueError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) segment: u64,
}

/// The number of a group: boot << 40 | count within the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Lsn(pub(crate) u64);

/// Where an entry stands, and how many bytes it takes there with header and padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

/// How far the journal was read: behind this group. The checksum tells whether it is the same journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) lsn: Lsn,
    pub(crate) segment: u32,
    /// Where the group begins.
    pub(crate) offset: u32,
    /// The checksum of the group's header.
    pub(crate) check: u32,
}

/// What an entry is. What stands in its record is the business of [`entry`](super::entry).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A message with its units and, if it is short, its text; also one that was written again.
    Message = 1,
    /// Units of one message that changed or ended.
    Units = 2,
    /// A key's gate.
    Gate = 3,
    /// The first entry of a life of the process.
    Boot = 4,
    /// What is not told by messages, written at the beginning of each segment.
    Snapshot = 5,
}

/// An entry to be written; its checksums are made where it is made, not where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    kind: Kind,
    record: Bytes,
    body: Vec<Bytes>,
    record_check: u32,
    body_check: u32,
}

impl Entry {
    pub(crate) fn new(kind: Kind, record: impl Into<Bytes>, body: Vec<Bytes>) -> Self {
        unimplemented!("owner: b")
    }

    /// How many bytes it takes in the journal, with header and padding.
    pub(crate) fn len(&self) -> u64 {
        unimplemented!("owner: b")
    }
}

/// An entry as it is replayed.
#[derive(Debug)]
pub(crate) struct Replayed<'a> {
    pub(crate) kind: Kind,
    pub(crate) record: &'a [u8],
    pub(crate) place: Place,
}

/// A part of the journal that could not be read. What stood there was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The segment's file name.
    pub(crate) file: String,
    /// From which byte to which.
    pub(crate) range: (u64, u64),
    /// The name under which a copy is in `lost+found/`.
    pub(crate) copy: String,
    pub(crate) why: &'static str,
}

/// A segment as the cleaner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    /// The last group in it; none in one that is not used yet.
    pub(crate) last: Option<Lsn>,
    /// How many bytes of groups are in it.
    pub(crate) used: u64,
}

/// A journal that was opened.
pub(crate) struct Opened<V: Vfs> {
    pub(crate) writer: Writer<V>,
    pub(crate) reader: Reader<V>,
    pub(crate) damaged: Vec<Damage>,
    /// The number of this life: greater than that of every group in the journal.
    pub(crate) boot: u64,
}

/// Opens the journal in these folders, or begins one. Each whole group behind the mark, or each at
/// all without one, is given to `replay` in order, with its mark.
///
/// A torn group at the end is dropped. Where whole groups follow damage, the damage is copied to
/// `lost+found/`, reported and passed over. If there is no group with this mark, that is `None`:
/// whoever has the mark must forget what it knows and begin without one.
///
/// `boot` of the result is not written yet: the first append of the owner must be a `Kind::Boot`.
///
/// # Errors
/// The file system's, and those of `replay`.
pub(crate) fn open<V: Vfs>(
    vfs: &Arc<V>,
    config: Config,
    after: Option<Mark>,
    replay: &mut dyn FnMut(Mark, &[Replayed<'_>]) -> Result<(), QueueError>,
) -> io::Result<Option<Opened<V>>> {
    unimplemented!("owner: b")
}

/// The writing end; one thread has it.
pub(crate) struct Writer<V: Vfs> {
    vfs: Arc<V>,
}

impl<V: Vfs> Writer<V> {
    /// Whether a group of so many bytes of entries begins a new segment: then a snapshot belongs in
    /// front of it.
    pub(crate) fn begins_segment(&self, bytes: u64) -> bool {
        unimplemented!("owner: b")
    }

    /// Writes entries as one group and syncs it; says where each is.
    ///
    /// # Errors
    /// `Full` or `Backend` if nothing of it counts and the next append may be tried; `ReadOnly` if a
    /// sync failed: nobody knows what the disk holds, and this writer writes no more.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<(Mark, Vec<Place>), QueueError> {
        unimplemented!("owner: b")
    }

    /// The segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        unimplemented!("owner: b")
    }

    /// Lets the oldest segment go: it is laid out anew for later use, or removed if enough wait.
    /// The catalog must have been made durable behind its last group.
    pub(crate) fn retire_oldest(&mut self) -> Result<(), QueueError> {
        unimplemented!("owner: b")
    }

    /// Lays out the next segment if it is not there yet; may be called at leisure, by the cleaner.
    pub(crate) fn prepare(&mut self) -> Result<(), QueueError> {
        unimplemented!("owner: b")
    }
}

/// The reading end; clones share it.
pub(crate) struct Reader<V: Vfs> {
    vfs: Arc<V>,
}

impl<V: Vfs> Reader<V> {
    /// The record of the entry at this place.
    ///
    /// # Errors
    /// `InvalidData` if what stands there is not what was written there: the caller looks up the
    /// place once more, for the entry may have moved, before it calls that damage.
    pub(crate) fn record(&self, place: Place) -> io::Result<(Kind, Bytes)> {
        unimplemented!("owner: b")
    }

    /// Record and body of the entry at this place.
    ///
    /// # Errors
    /// As [`Reader::record`].
    pub(crate) fn whole(&self, place: Place) -> io::Result<(Kind, Bytes, Bytes)> {
        unimplemented!("owner: b")
    }

    /// The entries of a segment, for the cleaner, in order; ends at the first damage.
    pub(crate) fn entries(
        &self,
        segment: u32,
        visit: &mut dyn FnMut(&Replayed<'_>) -> Result<(), QueueError>,
    ) -> Result<(), QueueError> {
        unimplemented!("owner: b")
    }
}

impl<V: Vfs> Clone for Reader<V> {
    fn clone(&self) -> Self {
        unimplemented!("owner: b")
    }
}
