//! The files of the journal: their names, who has them open, and how one is laid out.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Config;
use super::format::{GROUP, GroupHead, HEAD, PAGE, SegmentHead};
use crate::spool::vfs::{Folder, Vfs, VfsFile};

impl Config {
    /// The length of a new segment, within its limits.
    pub(super) fn length(self) -> u64 {
        self.segment.clamp(4 * PAGE, 1 << 30) / PAGE * PAGE
    }

    /// The greatest length of a group with its header.
    pub(super) fn longest(self) -> u64 {
        GROUP.min(self.length() - PAGE)
    }
}

pub(super) fn name(number: u32) -> String {
    format!("{number:016x}.hkj")
}

/// The number of the segment with this name; none if it is not the name of one.
fn number(file: &str) -> Option<u32> {
    let number = u32::from_str_radix(file.strip_suffix(".hkj")?, 16).ok()?;
    (file == name(number)).then_some(number)
}

/// A segment as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) number: u32,
    pub(super) len: u64,
    /// Its header can be read and is its own.
    pub(super) headed: bool,
    /// The header of its first group.
    pub(super) first: Option<GroupHead>,
}

/// The segments that are there, oldest first.
pub(super) fn find<V: Vfs>(vfs: &V) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for number in vfs.names(Folder::Journal)?.iter().filter_map(|file| number(file)) {
        found.push(look(&vfs.open(Folder::Journal, &name(number))?, number)?);
    }
    found.sort_by_key(|found| found.number);
    Ok(found)
}

pub(super) fn look<F: VfsFile>(file: &F, number: u32) -> io::Result<Found> {
    // Places are 32 bits wide.
    let len = file.len()?.min(u64::from(u32::MAX));
    let mut head = [0; HEAD];
    if len >= PAGE {
        file.read_exact_at(&mut head, 0)?;
    }
    match SegmentHead::read(&head) {
        SegmentHead::Version(version) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "{} is of version {version} of the journal, which this program does not know: open it with the one that wrote it",
                name(number)
            ),
        )),
        said => {
            if len >= PAGE + HEAD as u64 {
                file.read_exact_at(&mut head, PAGE)?;
            }
            let first = GroupHead::read(&head).filter(|head| head.stands_at(number, PAGE));
            Ok(Found { number, len, headed: said == SegmentHead::Number(number), first })
        }
    }
}

/// Makes a new segment; nothing of it is durable yet.
pub(super) fn lay_out<V: Vfs>(vfs: &V, number: u32, len: u64) -> io::Result<V::File> {
    let file = vfs.create(Folder::Journal, &name(number))?;
    file.allocate(len)?;
    write_head(&file, number)?;
    Ok(file)
}

pub(super) fn write_head<F: VfsFile>(file: &F, number: u32) -> io::Result<()> {
    file.write_all_at(&[IoSlice::new(&SegmentHead::page(number))], 0)
}

/// So many segments are kept open for reading.
const OPEN: usize = 64;

/// The segments that are open, for reader and writer.
pub(super) struct Files<V: Vfs> {
    pub(super) vfs: Arc<V>,
    open: Mutex<Open<V::File>>,
}

struct Open<F> {
    /// Those before are gone, though a file of another name may be what they were.
    oldest: u32,
    /// The one that was used last is the last one.
    files: Vec<(u32, Arc<F>)>,
}

impl<V: Vfs> Files<V> {
    pub(super) fn new(vfs: Arc<V>) -> Self {
        Self { vfs, open: Mutex::new(Open { oldest: 0, files: Vec::new() }) }
    }

    /// # Errors
    /// `NotFound` if the segment is gone.
    pub(super) fn get(&self, number: u32) -> io::Result<Arc<V::File>> {
        if let Some(file) = self.lock().get(number)? {
            return Ok(file);
        }
        let file = Arc::new(self.vfs.open(Folder::Journal, &name(number))?);
        self.lock().put(number, Arc::clone(&file))?;
        Ok(file)
    }

    /// Closes a segment that leaves, the oldest one.
    pub(super) fn retire(&self, number: u32) {
        let mut open = self.lock();
        open.oldest = number.saturating_add(1);
        open.files.retain(|(other, _)| *other > number);
    }

    fn lock(&self) -> MutexGuard<'_, Open<V::File>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Open<F> {
    fn get(&mut self, number: u32) -> io::Result<Option<Arc<F>>> {
        if number < self.oldest {
            return Err(io::ErrorKind::NotFound.into());
        }
        let Some(at) = self.files.iter().position(|(other, _)| *other == number) else { return Ok(None) };
        self.files[at..].rotate_left(1);
        Ok(self.files.last().map(|(_, file)| Arc::clone(file)))
    }

    fn put(&mut self, number: u32, file: Arc<F>) -> io::Result<()> {
        if self.get(number)?.is_none() {
            if self.files.len() == OPEN {
                self.files.remove(0);
            }
            self.files.push((number, file));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name(0x1f), "000000000000001f.hkj");
        for number_of in [0, 1, 0x1f, u32::MAX] {
            assert_eq!(number(&name(number_of)), Some(number_of));
        }
        for other in
            ["", ".hkj", "1.hkj", "000000000000001F.hkj", "0000000100000000.hkj", "+00000000000001f.hkj", "lock"]
        {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn so_many_are_open_and_those_used_last_stay() {
        let mut open = Open { oldest: 0, files: Vec::new() };
        for number in 0..OPEN as u32 {
            open.put(number, Arc::new(number)).unwrap();
        }
        assert_eq!(open.get(0).unwrap().as_deref(), Some(&0));
        open.put(1_000, Arc::new(1_000)).unwrap();
        open.put(1_000, Arc::new(7)).unwrap();
        assert_eq!(open.files.len(), OPEN);
        assert_eq!(open.get(0).unwrap().as_deref(), Some(&0));
        assert_eq!(open.get(1).unwrap(), None, "it was used least");
        assert_eq!(open.get(1_000).unwrap().as_deref(), Some(&1_000));
    }
}
