//! The journal: the one truth of a spool.
//!
//! It is a row of segments, `journal/<number in 16 hex digits>.hkj`, laid out before they are used.
//! A segment begins with a header of one page; what follows are *groups*, each written and synced as
//! one and each beginning on a page (4 KiB), so that no byte that was ever acknowledged is written
//! again. All numbers are little-endian:
//!
//! ```text
//! segment  magic 8 | version u32 | number u32 | zeros 44 | checksum u32            then zeros to the page's end
//! group    magic 8 | lsn u64 | lsn of the group before u64 | bytes of entries u64 | entries u32 | segment u32
//!          | offset u32 | where the group before ended u32 | checksum of the entries' headers u32 | zeros 8
//!          | checksum u32                              then the entries, then zeros to the page's end
//! entry    kind u8 | zero u8 | mask u16 | record's length u32 | body's length u32 | segment u32 | offset u32
//!          | record's checksum u32 | body's checksum u32 | checksum u32
//!          then record and body, each two bytes xor the mask, then zeros to a multiple of 32
//! ```
//!
//! - A group counts whole or not at all: a crash leaves at most the last one torn. Its header has a
//!   checksum over the headers of its entries, so that what an earlier group left in the same pages
//!   is never taken for a part of it.
//! - Each group names the one before. Where the next whole group names another than the last one that
//!   was read, something is lost; where it does not, what stands between is the remains of a write
//!   that was never acknowledged.
//! - The high bits of a group's number (its `Lsn`) are those of the boot that wrote it, so that what an
//!   earlier life left behind the end is never taken for what follows.
//! - Groups are looked for at the beginning of pages, and what a message says may stand there: the
//!   mask is one with which no page of an entry begins like a group. Nobody can mail a group.
//! - Segments leave at the oldest end only, after what still lives in them was written again, so that
//!   the end of a message always outlives its beginning.

#[cfg(any(fuzzing, test))]
pub(crate) mod any_bytes;
mod format;
mod reader;
mod recover;
mod segments;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

use super::vfs::Vfs;

pub(crate) use self::format::Entry;
pub(crate) use self::reader::Reader;
pub(crate) use self::recover::open;
pub(crate) use self::writer::Writer;

/// How a journal is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    /// The length of a new segment in bytes: whole pages, at least four and at most 1 GiB. No group
    /// is longer than what it holds behind its first page.
    pub(crate) segment: u64,
}

impl Default for Config {
    /// 64 MiB.
    fn default() -> Self {
        Self { segment: 64 << 20 }
    }
}

/// The number of a group: boot << 40 | count within the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Lsn(pub(crate) u64);

impl Lsn {
    const BOOT: u32 = 40;

    /// The first group of a boot.
    const fn first(boot: u64) -> Self {
        Self(boot << Self::BOOT)
    }

    /// The life of the process that wrote the group.
    pub(crate) const fn boot(self) -> u64 {
        self.0 >> Self::BOOT
    }
}

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
    /// From which byte to which; empty where groups are missing and nothing is in their place.
    pub(crate) range: (u64, u64),
    /// The name under which a copy is in `lost+found/`; empty if the range is.
    pub(crate) copy: String,
    pub(crate) why: &'static str,
}

/// A segment as the cleaner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    /// The last group in it; none in one that is not used yet.
    pub(crate) last: Option<Lsn>,
    /// How many bytes of groups are in it, in whole pages.
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
