//! The writing end.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use crc32fast::Hasher;

use super::format::{Entry, GroupHead, HEAD, PAGE, chained};
use super::segments::{Files, lay_out, name, write_head};
use super::{Config, Lsn, Mark, Place, Segment};
use crate::QueueError;
use crate::spool::vfs::{Folder, Vfs, VfsFile};

/// So many segments are kept laid out behind the one that is written to.
const SPARE: usize = 2;

/// The segments of a journal that is opened.
#[derive(Default)]
pub(super) struct Row {
    /// Oldest first, with their lengths.
    pub(super) segments: VecDeque<(Segment, u64)>,
    /// The one that is written to; those behind it wait.
    pub(super) current: Option<usize>,
    /// Where the next group goes in it.
    pub(super) end: u64,
    /// Where the last group ends, in its segment.
    pub(super) before: u64,
    /// The number of the next segment, unless there are higher ones.
    pub(super) next: u32,
}

/// The writing end; one thread has it.
pub(crate) struct Writer<V: Vfs> {
    files: Arc<Files<V>>,
    config: Config,
    row: Row,
    /// The segment that is written to.
    current: Option<Arc<V::File>>,
    boot: u64,
    last: Option<Lsn>,
    /// What stands at the end may look like a group, and none was acknowledged there.
    dirty: bool,
    /// A sync failed.
    broken: bool,
}

impl<V: Vfs> Writer<V> {
    pub(super) fn new(
        files: Arc<Files<V>>,
        config: Config,
        mut row: Row,
        boot: u64,
        last: Option<Lsn>,
    ) -> io::Result<Self> {
        let highest = row.segments.back().map_or(1, |(segment, _)| segment.number.saturating_add(1));
        row.next = row.next.max(highest);
        let mut writer = Self { files, config, row, current: None, boot, last, dirty: true, broken: false };
        match writer.row.current {
            Some(at) => writer.current = Some(writer.files.get(writer.row.segments[at].0.number)?),
            None => writer.advance().map_err(|error| match error {
                QueueError::Full => io::ErrorKind::StorageFull.into(),
                error => io::Error::other(error),
            })?,
        }
        Ok(writer)
    }

    /// Whether a group of so many bytes of entries begins a new segment: then a snapshot belongs in
    /// front of it.
    pub(crate) fn begins_segment(&self, bytes: u64) -> bool {
        self.row.end == PAGE || !self.has_room(bytes.saturating_add(HEAD as u64))
    }

    /// Writes entries as one group and syncs it; says where each is.
    ///
    /// # Errors
    /// `Full` or `Backend` if nothing of it counts and the next append may be tried; only if the process
    /// dies before that, it may be found there. `ReadOnly` if a sync failed: nobody knows what the disk
    /// holds, and this writer writes no more. `Invalid` if it is longer than a group can be, or empty.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<(Mark, Vec<Place>), QueueError> {
        self.writable()?;
        let length = entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.len()));
        let total = length.saturating_add(HEAD as u64);
        if entries.is_empty() || total > self.config.longest() {
            return Err(QueueError::Invalid("a group of the journal is empty or too long"));
        }
        if !self.has_room(total) {
            self.clean()?;
            self.advance()?;
        }
        let (at, segment) = (self.row.end, self.segment().number);
        let lsn = match self.last {
            Some(last) if last.boot() == self.boot => Lsn(last.0 + 1),
            _ => Lsn::first(self.boot),
        };
        let prev = self.last.unwrap_or_default();
        let mut head = GroupHead {
            lsn,
            prev,
            length,
            entries: entries.len() as u32,
            segment,
            offset: at as u32,
            before: self.row.before as u32,
            chain: 0,
        };
        let places = self.write(&mut head, entries).inspect_err(|_| self.wipe())?;
        self.sync()?;

        let end = (at + total).next_multiple_of(PAGE);
        (self.last, self.row.before, self.row.end, self.dirty) = (Some(lsn), end, end, false);
        let segment = self.segment();
        (segment.last, segment.used) = (Some(lsn), end - PAGE);
        Ok((head.mark(), places))
    }

    /// The segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        self.row.segments.iter().map(|(segment, _)| *segment).collect()
    }

    /// Lets the oldest segment go: it is laid out anew for later use, or removed if enough wait.
    /// The catalog must have been made durable behind its last group.
    ///
    /// # Errors
    /// As [`Writer::append`], and it may be gone then all the same; `Invalid` if it is the one that is
    /// written to.
    pub(crate) fn retire_oldest(&mut self) -> Result<(), QueueError> {
        self.writable()?;
        if self.row.current.is_none_or(|current| current == 0) {
            return Err(QueueError::Invalid("the journal's only segment is in use"));
        }
        let (oldest, len) = self.row.segments[0];
        let vfs = Arc::clone(&self.files.vfs);
        let again = match self.spare() < SPARE && len == self.config.length() {
            true => Some(self.number()?),
            false => None,
        };
        match again {
            Some(number) => vfs.rename((Folder::Journal, &name(oldest.number)), (Folder::Journal, &name(number)))?,
            None => vfs.remove(Folder::Journal, &name(oldest.number))?,
        }
        self.files.retire(oldest.number);
        self.row.segments.pop_front();
        self.row.current = self.row.current.map(|current| current - 1);
        // None that left before may come back once a later one is overwritten.
        self.sync_folder()?;
        if let Some(number) = again {
            let name = name(number);
            let file = vfs.open(Folder::Journal, &name)?;
            // Without its header it is of no use, and the next start removes it if this does not.
            write_head(&file, number).inspect_err(|_| _ = vfs.remove(Folder::Journal, &name))?;
            self.synced(file.sync_data())?;
            self.wait(number);
        }
        Ok(())
    }

    /// Lays out the next segment if it is not there yet; may be called at leisure, by the cleaner.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub(crate) fn prepare(&mut self) -> Result<(), QueueError> {
        self.writable()?;
        if self.spare() > 0 {
            return Ok(());
        }
        let number = self.number()?;
        let vfs = Arc::clone(&self.files.vfs);
        let file = lay_out(&*vfs, number, self.config.length()).inspect_err(|_| {
            // It holds nothing; the next start removes it if this does not.
            let _ = vfs.remove(Folder::Journal, &name(number));
        })?;
        self.synced(file.sync_data())?;
        self.sync_folder()?;
        self.wait(number);
        Ok(())
    }

    /// Puts an empty segment behind the others.
    fn wait(&mut self, number: u32) {
        self.row.segments.push_back((Segment { number, last: None, used: 0 }, self.config.length()));
    }

    /// How many segments wait.
    fn spare(&self) -> usize {
        self.row.segments.len() - self.row.current.map_or(0, |current| current + 1)
    }

    /// The number of a new segment. It is used once: what could not be laid out may still be there.
    fn number(&mut self) -> Result<u32, QueueError> {
        let number = self.row.next;
        self.row.next = number.checked_add(1).ok_or(QueueError::Full)?;
        Ok(number)
    }

    fn segment(&mut self) -> &mut Segment {
        let current = self.row.current.expect("a writer has a segment since it was made");
        &mut self.row.segments[current].0
    }

    fn has_room(&self, total: u64) -> bool {
        let len = self.row.current.map_or(0, |current| self.row.segments[current].1);
        self.row.end.checked_add(total).is_some_and(|end| end.next_multiple_of(PAGE) <= len)
    }

    /// Goes to the next segment.
    fn advance(&mut self) -> Result<(), QueueError> {
        self.prepare()?;
        let next = self.row.current.map_or(0, |current| current + 1);
        self.current = Some(self.files.get(self.row.segments[next].0.number)?);
        (self.row.current, self.row.end, self.dirty) = (Some(next), PAGE, false);
        Ok(())
    }

    /// Makes sure that what was not acknowledged is not taken for what was, before another group is
    /// written elsewhere.
    fn clean(&mut self) -> Result<(), QueueError> {
        let len = self.row.current.map_or(0, |current| self.row.segments[current].1);
        if self.dirty && self.row.end + PAGE <= len {
            self.zero()?;
            self.sync()?;
        }
        self.dirty = false;
        Ok(())
    }

    /// The same after a failed write, as far as it can be done.
    fn wipe(&mut self) {
        self.dirty = true;
        // If this fails too, the next group overwrites it, or `clean` tries again.
        let _ = self.zero();
    }

    fn zero(&self) -> io::Result<()> {
        self.file().write_all_at(&[IoSlice::new(&[0; PAGE as usize])], self.row.end)
    }

    fn file(&self) -> &V::File {
        self.current.as_ref().expect("a writer has a segment since it was made")
    }

    /// Writes a group, whose header is finished here, and zeros to the end of its last page.
    fn write(&self, head: &mut GroupHead, entries: &[Entry]) -> io::Result<Vec<Place>> {
        // What is not the entries' own: headers and zeros, and masked content.
        let mut own = vec![0; HEAD];
        let (mut chain, mut places, mut cuts) = (Hasher::new(), Vec::new(), Vec::new());
        let mut offset = head.offset + HEAD as u32;
        for entry in entries {
            let (bytes, mask) = entry.head(head.segment, offset);
            chain.update(chained(&bytes));
            own.extend_from_slice(&bytes);
            cuts.push((own.len(), mask));
            if mask != 0 {
                own.extend_from_slice(&entry.masked(mask));
            }
            own.resize(own.len() + entry.padding(), 0);
            let bytes = entry.len() as u32;
            places.push(Place { segment: head.segment, offset, bytes });
            offset += bytes;
        }
        own.resize(own.len() + (u64::from(offset).next_multiple_of(PAGE) - u64::from(offset)) as usize, 0);
        head.chain = chain.finalize();
        own[..HEAD].copy_from_slice(&head.bytes());

        let (mut parts, mut from) = (Vec::with_capacity(entries.len() * 4 + 1), 0);
        for (entry, (cut, mask)) in entries.iter().zip(cuts) {
            parts.push(IoSlice::new(&own[from..cut]));
            from = cut;
            if mask == 0 {
                let content = std::iter::once(&entry.record).chain(&entry.body).filter(|part| !part.is_empty());
                parts.extend(content.map(|part| IoSlice::new(part)));
            }
        }
        parts.push(IoSlice::new(&own[from..]));
        self.file().write_all_at(&parts, u64::from(head.offset))?;
        Ok(places)
    }

    fn writable(&self) -> Result<(), QueueError> {
        if self.broken { Err(QueueError::ReadOnly) } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), QueueError> {
        let synced = self.file().sync_data();
        self.synced(synced)
    }

    fn sync_folder(&mut self) -> Result<(), QueueError> {
        let synced = self.files.vfs.sync_folder(Folder::Journal);
        self.synced(synced)
    }

    fn synced(&mut self, synced: io::Result<()>) -> Result<(), QueueError> {
        self.broken |= synced.is_err();
        self.writable()
    }
}
