//! Texts that are too long for the journal, each a file of its own.
//!
//! A blob has the name of its message's id, and becomes durable before the entry that tells of it;
//! one that no entry tells of is removed at the start. The file holds the text and nothing else:
//! the checksums of its blocks stand in the entry.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::vfs::{Folder, Vfs, VfsFile};
use crate::MsgId;

/// A text has a checksum for each so many bytes.
pub(crate) const BLOCK: usize = 64 << 10;

/// The most blocks that are read at once.
const AT_ONCE: u64 = 4;

/// Where a message's blob is.
fn place(id: MsgId) -> (Folder, String) {
    let [.., last] = *id.as_bytes();
    (Folder::Blobs(last), id.to_string())
}

/// Removes a message's blob; it need not be there.
///
/// # Errors
/// The file system's.
pub(crate) fn remove(vfs: &impl Vfs, id: MsgId) -> io::Result<()> {
    let (folder, name) = place(id);
    vfs.remove(folder, &name)
}

/// Removes the blobs of messages that are not known, and says how many. Files that are no blobs stay.
///
/// # Errors
/// The file system's, and those of `is_known`.
pub(crate) fn remove_orphans<E: From<io::Error>>(
    vfs: &impl Vfs,
    mut is_known: impl FnMut(MsgId) -> Result<bool, E>,
) -> Result<u64, E> {
    let mut removed = 0;
    for folder in (0..=u8::MAX).map(Folder::Blobs) {
        for name in vfs.names(folder)? {
            let Ok(id) = name.parse::<MsgId>() else { continue };
            if place(id).0 == folder && !is_known(id)? {
                vfs.remove(folder, &name)?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// What must be known to read a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    /// How long the text is, in bytes.
    pub(crate) len: u64,
    /// The checksum (CRC-32) of each of its blocks.
    pub(crate) checks: Vec<u32>,
}

/// A blob in the making; it holds less than a block in memory, and is gone when it is dropped.
pub(crate) struct BlobWriter<V: Vfs> {
    vfs: Arc<V>,
    draft: V::Draft,
    /// The block that is not full yet.
    block: Vec<u8>,
    /// What the blocks before it hold.
    written: u64,
    checks: Vec<u32>,
}

impl<V: Vfs> BlobWriter<V> {
    /// Begins one.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn start(vfs: &Arc<V>) -> io::Result<Self> {
        let draft = vfs.draft()?;
        Ok(Self { vfs: Arc::clone(vfs), draft, block: Vec::with_capacity(BLOCK), written: 0, checks: Vec::new() })
    }

    /// How long the text is so far, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.block.len() as u64
    }

    /// Appends to the text. After an error the blob is good for nothing but to be dropped.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.block.len() + bytes.len() >= BLOCK {
            // What completes a block is not copied.
            let (end, rest) = bytes.split_at(BLOCK - self.block.len());
            self.write_block(end)?;
            bytes = rest;
        }
        self.block.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes the text durable as the blob of this message.
    ///
    /// # Errors
    /// The file system's; after one of these it is not known whether the blob is there.
    pub(crate) fn finish(mut self, id: MsgId) -> io::Result<Blob> {
        if !self.block.is_empty() {
            self.write_block(&[])?;
        }
        self.draft.as_ref().sync_data()?;
        let (folder, name) = place(id);
        self.vfs.publish(self.draft, folder, &name)?;
        self.vfs.sync_folder(folder)?;
        Ok(Blob { len: self.written, checks: self.checks })
    }

    fn write_block(&mut self, end: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(&self.block), IoSlice::new(end)];
        self.draft.as_ref().write_all_at(&parts, self.written)?;
        let mut check = crc32fast::Hasher::new();
        check.update(&self.block);
        check.update(end);
        self.checks.push(check.finalize());
        self.written += (self.block.len() + end.len()) as u64;
        self.block.clear();
        Ok(())
    }
}

/// A blob that is read; it holds at most four blocks in memory.
pub(crate) struct BlobReader<F: VfsFile> {
    file: F,
    blob: Blob,
    /// The blocks that were read last, and where they begin: small reads come one after the other.
    last: Mutex<(u64, Bytes)>,
}

impl<F: VfsFile> BlobReader<F> {
    /// Opens a message's blob.
    ///
    /// # Errors
    /// `NotFound` if it is not there, `InvalidData` if it is not as long as it was, or no regular
    /// file of our own.
    pub(crate) fn open<V: Vfs<File = F>>(vfs: &V, id: MsgId, blob: Blob) -> io::Result<Self> {
        let (folder, name) = place(id);
        let file = vfs.open(folder, &name)?;
        if blob.len.div_ceil(BLOCK as u64) != blob.checks.len() as u64 {
            return Err(damaged("the text has more or fewer checksums than blocks"));
        }
        if file.len()? != blob.len {
            return Err(damaged("the text is not as long as it was"));
        }
        Ok(Self { file, blob, last: Mutex::default() })
    }

    /// How long the text is, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.blob.len
    }

    /// Bytes of the text from `offset` on: at least one and at most `max`, or none at the end.
    ///
    /// # Errors
    /// `InvalidData` if what stands there is not what was written.
    pub(crate) fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        let end = self.blob.len.min(offset.saturating_add(max as u64));
        if offset >= end {
            return Ok(Bytes::new());
        }
        let kept = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (start, blocks) = if holds(&kept, offset) { kept } else { self.read_blocks(offset, end)? };
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX).min(blocks.len());
        let to = usize::try_from(end - start).unwrap_or(usize::MAX).min(blocks.len());
        Ok(blocks.slice(from..to))
    }

    /// Reads the block in which the offset is, and those after it up to the end.
    fn read_blocks(&self, offset: u64, end: u64) -> io::Result<(u64, Bytes)> {
        let block = BLOCK as u64;
        let first = offset / block;
        let behind = end.div_ceil(block).min(first + AT_ONCE);
        let start = first * block;
        let len = (behind * block).min(self.blob.len) - start;
        let mut blocks = BytesMut::zeroed(usize::try_from(len).unwrap_or(0));
        match self.file.read_exact_at(&mut blocks, start) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("the text is shorter than it was"));
            }
            read => read?,
        }
        let checks = self.blob.checks.iter().skip(usize::try_from(first).unwrap_or(usize::MAX));
        if blocks.chunks(BLOCK).zip(checks).any(|(block, check)| crc32fast::hash(block) != *check) {
            return Err(damaged("the text is not what it was"));
        }
        let read = (start, blocks.freeze());
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = read.clone();
        Ok(read)
    }
}

fn holds((start, blocks): &(u64, Bytes), offset: u64) -> bool {
    (*start..*start + blocks.len() as u64).contains(&offset)
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::vfs::played::{Call, Failure, Fault, Played};
    use super::super::vfs::real::Folders;
    use super::*;

    const ID: MsgId = MsgId::from_bytes([0xab; 16]);

    fn text(len: usize) -> Vec<u8> {
        (0..len as u32).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect()
    }

    fn write<V: Vfs>(vfs: &Arc<V>, id: MsgId, text: &[u8], chunk: usize) -> io::Result<Blob> {
        let mut writer = BlobWriter::start(vfs)?;
        let mut len = 0;
        for chunk in text.chunks(chunk) {
            writer.append(chunk)?;
            len += chunk.len() as u64;
            assert_eq!(writer.len(), len);
            assert!(writer.block.len() < BLOCK && writer.block.capacity() == BLOCK);
        }
        writer.finish(id)
    }

    fn read<F: VfsFile>(reader: &BlobReader<F>, chunk: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let some = reader.read_at(all.len() as u64, chunk).unwrap();
            assert!(some.len() <= chunk);
            if some.is_empty() {
                return all;
            }
            all.extend_from_slice(&some);
        }
    }

    fn reader(vfs: &Played, blob: &Blob) -> BlobReader<super::super::vfs::played::PlayedFile> {
        BlobReader::open(vfs, ID, blob.clone()).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (real, played) = (Arc::new(Folders::open(folder.path()).unwrap()), Arc::new(Played::new(1)));
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 5 * BLOCK + 7] {
            let text = text(len);
            for chunk in [1_000, BLOCK, 3 * BLOCK, BLOCK + 1] {
                let blob = write(&real, ID, &text, chunk).unwrap();
                assert_eq!(blob, write(&played, ID, &text, chunk).unwrap(), "{len} by {chunk}");
                assert_eq!((blob.len, blob.checks.len()), (len as u64, len.div_ceil(BLOCK)));
                let real = BlobReader::open(&*real, ID, blob.clone()).unwrap();
                let played = reader(&played, &blob);
                assert_eq!(played.len(), len as u64);
                for chunk in [777, BLOCK, 10 * BLOCK] {
                    assert!(read(&real, chunk) == text && read(&played, chunk) == text, "{len} by {chunk}");
                }
            }
        }
        assert!(folder.path().join("blobs/ab").join(ID.to_string()).exists());
    }

    proptest! {
        #[test]
        fn any_part_is_read(len in 0..5 * BLOCK, parts in prop::collection::vec((0..6 * BLOCK, 0..5 * BLOCK), 1..20)) {
            let (vfs, text) = (Arc::new(Played::new(1)), text(len));
            let blob = write(&vfs, ID, &text, 100_000).unwrap();
            let reader = reader(&vfs, &blob);
            for (offset, max) in parts {
                let part = reader.read_at(offset as u64, max).unwrap();
                let is = &text[offset.min(len)..offset.saturating_add(max).min(len)];
                prop_assert!(is.starts_with(&part));
                prop_assert_eq!(part.is_empty(), is.is_empty());
            }
        }
    }

    #[test]
    fn offsets_have_no_end() {
        let vfs = Arc::new(Played::new(1));
        let blob = write(&vfs, ID, b"abc", 3).unwrap();
        assert_eq!(reader(&vfs, &blob).read_at(u64::MAX, usize::MAX).unwrap(), "");
        assert_eq!(reader(&vfs, &blob).read_at(1, usize::MAX).unwrap(), "bc");
        assert_eq!(reader(&vfs, &blob).read_at(1, 0).unwrap(), "");
    }

    #[test]
    fn each_block_is_read_once_where_reads_are_in_order() {
        let vfs = Arc::new(Played::new(1));
        let text = text(10 * BLOCK + 5);
        let blob = write(&vfs, ID, &text, BLOCK).unwrap();
        let reader = reader(&vfs, &blob);
        let before = vfs.counts().read_bytes;
        assert!(read(&reader, 1_000) == text);
        assert_eq!(vfs.counts().read_bytes - before, text.len() as u64);
        let before = vfs.counts().reads;
        assert!(read(&reader, usize::MAX) == text);
        assert_eq!(vfs.counts().reads - before, 3, "four blocks at once");
    }

    #[test]
    fn a_text_is_written_once_block_by_block() {
        let vfs = Arc::new(Played::new(1));
        let text = text(10 * BLOCK + 5);
        write(&vfs, ID, &text, 4_000).unwrap();
        let counts = vfs.counts();
        assert_eq!((counts.writes, counts.written_bytes), (11, text.len() as u64));
        assert_eq!((counts.syncs, counts.folder_syncs), (1, 1));
    }

    #[test]
    fn damage_is_seen_in_its_block_only() {
        let vfs = Arc::new(Played::new(1));
        let text = text(3 * BLOCK + 9);
        let blob = write(&vfs, ID, &text, BLOCK).unwrap();
        let (folder, name) = place(ID);
        for at in [0, BLOCK - 1, BLOCK, 2 * BLOCK + 5, 3 * BLOCK, 3 * BLOCK + 8] {
            let mut changed = text.clone();
            changed[at] ^= 4;
            vfs.put(folder, &name, &changed);
            let reader = reader(&vfs, &blob);
            for block in 0..4 {
                let read = reader.read_at((block * BLOCK) as u64, BLOCK);
                match block == at / BLOCK {
                    true => assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData),
                    false => assert!(text[block * BLOCK..].starts_with(&read.unwrap())),
                }
            }
        }
        let not_so = |blob: Blob| BlobReader::open(&*vfs, ID, blob).err().unwrap().kind();
        vfs.put(folder, &name, &text[1..]);
        assert_eq!(not_so(blob.clone()), io::ErrorKind::InvalidData);
        vfs.put(folder, &name, &text);
        let longer = Blob { len: blob.len + 1, ..blob.clone() };
        assert_eq!(not_so(longer), io::ErrorKind::InvalidData);
        let fewer = Blob { checks: blob.checks[1..].to_vec(), ..blob.clone() };
        assert_eq!(not_so(fewer), io::ErrorKind::InvalidData);
        let reader = reader(&vfs, &blob);
        vfs.put(folder, &name, b"");
        assert_eq!(reader.read_at(0, 1).unwrap_err().kind(), io::ErrorKind::InvalidData);
        remove(&*vfs, ID).unwrap();
        assert_eq!(not_so(blob), io::ErrorKind::NotFound);
        remove(&*vfs, ID).unwrap();
    }

    #[test]
    fn a_finished_blob_survives_and_one_that_is_not_leaves_nothing() {
        let text = text(2 * BLOCK + 100);
        let vfs = Arc::new(Played::new(1));
        let blob = write(&vfs, ID, &text, 5_000).unwrap();
        for seed in 0..50 {
            let left = vfs.power_off(seed);
            assert!(read(&reader(&left, &blob), BLOCK) == text);
        }
        let vfs = Arc::new(Played::new(1));
        let mut writer = BlobWriter::start(&vfs).unwrap();
        writer.append(&text).unwrap();
        drop(writer);
        assert_eq!(vfs.names(place(ID).0).unwrap(), [""; 0]);
    }

    #[test]
    fn every_step_may_fail() {
        let text = text(2 * BLOCK + 100);
        for failure in [Failure::Io, Failure::NoSpace, Failure::Short, Failure::Power] {
            let mut at = 1;
            loop {
                let vfs = Arc::new(Played::new(at));
                vfs.fail(Fault::once(at, failure));
                let written = write(&vfs, ID, &text, 5_000);
                assert_eq!(written.is_err(), vfs.heal() || vfs.is_off(), "step {at}, {failure:?}");
                let Err(error) = written else { break };
                let kind = if failure == Failure::NoSpace { io::ErrorKind::StorageFull } else { error.kind() };
                assert_eq!(error.kind(), kind);
                at += 1;
            }
            // A draft, three writes, a sync, a name, and its folder.
            assert_eq!(at - 1, 7);
        }
        let vfs = Arc::new(Played::new(1));
        let blob = write(&vfs, ID, &text, 5_000).unwrap();
        let reads = |call| call == Call::Read;
        vfs.fail(Fault { counts: reads, ..Fault::once(1, Failure::Io) });
        let reader = reader(&vfs, &blob);
        assert_ne!(
            reader.read_at(0, 10).unwrap_err().kind(),
            io::ErrorKind::InvalidData,
            "no damage: it may be tried again"
        );
        assert!(read(&reader, BLOCK) == text);
    }

    #[test]
    fn orphans_go_and_nothing_else() {
        let vfs = Arc::new(Played::new(1));
        let id = |last| MsgId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, last]);
        for last in [0, 1, 2, 255] {
            write(&vfs, id(last), b"x", 1).unwrap();
        }
        vfs.put(Folder::Blobs(0), "notes.txt", b"");
        vfs.put(Folder::Blobs(0), &id(1).to_string(), b"");
        let mut asked = BTreeSet::new();
        let known = |one| {
            asked.insert(one);
            Ok::<_, io::Error>(one == id(1))
        };
        assert_eq!(remove_orphans(&*vfs, known).unwrap(), 3);
        assert_eq!(asked, [id(0), id(1), id(2), id(255)].into());
        assert_eq!(vfs.names(Folder::Blobs(0)).unwrap(), [id(1).to_string(), "notes.txt".to_owned()]);
        assert_eq!(vfs.names(Folder::Blobs(1)).unwrap(), [id(1).to_string()]);
        for last in [2, 255] {
            assert_eq!(vfs.names(Folder::Blobs(last)).unwrap(), [""; 0]);
        }
        let fails = |_| Err(io::Error::other("no catalog"));
        assert!(remove_orphans(&*vfs, fails).is_err());
        assert_eq!(vfs.names(Folder::Blobs(1)).unwrap(), [id(1).to_string()]);
    }
}
