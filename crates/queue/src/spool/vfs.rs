//! The few things that a spool does to files, so that a disk can be played in the tests.
//!
//! [`Folders`](real::Folders) is the file system; [`Played`](played::Played) is a disk in memory
//! that loses power. What is written is durable after [`VfsFile::sync_data`], what is made, linked,
//! renamed or removed after [`Vfs::sync_folder`]; until then any part of it may be there or not.

mod nameless;
#[cfg(any(fuzzing, test))]
#[cfg_attr(not(test), allow(dead_code, reason = "the fuzzers need a part of it"))]
pub(crate) mod played;
pub(crate) mod real;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};

/// The folders of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Folder {
    /// The spool itself: `lock`, `format`, the catalog.
    Root,
    /// The segments of the journal.
    Journal,
    /// Texts that are too long for the journal, by the last byte of their message's id.
    Blobs(u8),
    /// Texts in the making, where a file cannot be without a name; emptied at the start.
    Drafts,
    /// What could not be read.
    Lost,
}

/// How much room a file system has, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// What this process may still write.
    pub(crate) free: u64,
    /// All of it.
    pub(crate) total: u64,
}

/// A file system, as far as a spool needs one. Names are those of the spool, never a peer's.
pub(crate) trait Vfs: Send + Sync + 'static {
    /// An open file.
    type File: VfsFile;
    /// A file without a name; gone when it is dropped.
    type Draft: AsRef<Self::File> + Send + Sync + 'static;

    /// Makes a file that was not there, private, for reading and writing.
    fn create(&self, folder: Folder, name: &str) -> io::Result<Self::File>;

    /// Opens a regular file of our own for reading and writing; `InvalidData` says it is none, and
    /// links are not followed.
    fn open(&self, folder: Folder, name: &str) -> io::Result<Self::File>;

    /// Makes a file without a name.
    fn draft(&self) -> io::Result<Self::Draft>;

    /// Gives a draft, whose data was synced, a name. A file that has the name already goes.
    fn publish(&self, draft: Self::Draft, folder: Folder, name: &str) -> io::Result<Self::File>;

    /// Renames a file within or between folders.
    fn rename(&self, from: (Folder, &str), to: (Folder, &str)) -> io::Result<()>;

    /// Removes a file; it need not be there.
    fn remove(&self, folder: Folder, name: &str) -> io::Result<()>;

    /// The names in a folder, in order; those that are not UTF-8 are not ours and left out.
    fn names(&self, folder: Folder) -> io::Result<Vec<String>>;

    /// Makes durable what was made, published, renamed and removed in a folder.
    fn sync_folder(&self, folder: Folder) -> io::Result<()>;

    /// How much room there is.
    fn space(&self) -> io::Result<Space>;
}

/// An open file of a [`Vfs`].
pub(crate) trait VfsFile: Send + Sync + 'static {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Fills the buffer from this offset on; `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all parts one behind the other from this offset on.
    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Makes the file this long, with blocks of its own, as zeros where nothing was written; does
    /// not make it shorter. Where a file system cannot reserve blocks, zeros are written.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes the file exactly this long.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes its data durable, and what is needed to find it.
    fn sync_data(&self) -> io::Result<()>;
}
