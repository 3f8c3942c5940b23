//! The reading end.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{self, EntryHead, GROUP, PAGE, STEP};
use super::segments::{Files, look};
use super::walk::Walk;
use super::{Kind, Place, Replayed};
use crate::QueueError;
use crate::spool::vfs::{Vfs, VfsFile};

/// The reading end; clones share it.
pub(crate) struct Reader<V: Vfs> {
    files: Arc<Files<V>>,
}

impl<V: Vfs> Clone for Reader<V> {
    fn clone(&self) -> Self {
        Self { files: Arc::clone(&self.files) }
    }
}

/// A record is hardly ever longer; so much is read at first.
const FIRST: usize = 4096;

impl<V: Vfs> Reader<V> {
    pub(super) fn new(files: Arc<Files<V>>) -> Self {
        Self { files }
    }

    /// The record of the entry at this place.
    ///
    /// # Errors
    /// `InvalidData` or, if its segment is gone, `NotFound`, if what stands there is not what was
    /// written there: the caller looks up the place once more, for the entry may have moved, before it
    /// calls that damage.
    pub(crate) fn record(&self, place: Place) -> io::Result<(Kind, Bytes)> {
        let (file, len) = self.find(place)?;
        let mut bytes = read(&*file, place.offset, len.min(FIRST))?;
        let end = STEP + head(&bytes, place)?.record as usize;
        if end > bytes.len() {
            bytes = read(&*file, place.offset, end)?;
        }
        // Once more: it may have changed between.
        let head = head(&bytes, place)?;
        let record = bytes.get(STEP..end).filter(|record| record.len() == head.record as usize);
        let record = record.and_then(|record| head.record(record));
        let record = match record.ok_or_else(|| damaged("the record has another checksum"))? {
            Cow::Owned(record) => record.into(),
            Cow::Borrowed(_) => Bytes::from(bytes).slice(STEP..end),
        };
        Ok((head.kind, record))
    }

    /// Record and body of the entry at this place.
    ///
    /// # Errors
    /// As [`Reader::record`].
    pub(crate) fn whole(&self, place: Place) -> io::Result<(Kind, Bytes, Bytes)> {
        let (file, len) = self.find(place)?;
        let bytes = read(&*file, place.offset, len)?;
        let head = head(&bytes, place)?;
        let whole = format::whole(&head, &bytes[STEP..]);
        let (record, body) = whole.ok_or_else(|| damaged("record or body have another checksum"))?;
        let (middle, end) = (STEP + record.len(), STEP + record.len() + body.len());
        let masked = match (record, body) {
            (Cow::Borrowed(_), Cow::Borrowed(_)) => None,
            (record, body) => Some((record.into_owned(), body.into_owned())),
        };
        Ok(match masked {
            Some((record, body)) => (head.kind, record.into(), body.into()),
            None => {
                let bytes = Bytes::from(bytes);
                (head.kind, bytes.slice(STEP..middle), bytes.slice(middle..end))
            }
        })
    }

    /// The entries of a segment, for the cleaner, in order. What is damaged is passed over: whether all
    /// that lives in it was seen, the catalog knows.
    ///
    /// # Errors
    /// The file system's, and those of `visit`.
    pub(crate) fn entries(
        &self,
        segment: u32,
        visit: &mut dyn FnMut(&Replayed<'_>) -> Result<(), QueueError>,
    ) -> Result<(), QueueError> {
        let found = [look(&*self.files.get(segment)?, segment)?];
        let mut refused = None;
        let walked = Walk::new(&*self.files.vfs, &found).run(&mut |_, entries| {
            entries.iter().try_for_each(&mut *visit).inspect_err(|error| refused = Some(error.clone()))
        });
        match refused {
            Some(error) => Err(error),
            None => Ok(walked?),
        }
    }

    /// The file of a place, and its length, if an entry can be there.
    fn find(&self, place: Place) -> io::Result<(Arc<V::File>, usize)> {
        let bytes = u64::from(place.bytes);
        if bytes < STEP as u64 || bytes > GROUP || u64::from(place.offset) < PAGE {
            return Err(damaged("no entry of the journal can be there"));
        }
        Ok((self.files.get(place.segment)?, bytes as usize))
    }
}

fn read<F: VfsFile>(file: &F, offset: u32, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    match file.read_exact_at(&mut bytes, u64::from(offset)) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged("the segment ends before")),
        read => read.map(|()| bytes),
    }
}

/// The header of the entry that is to stand at this place.
fn head(bytes: &[u8], place: Place) -> io::Result<EntryHead> {
    let head = bytes.get(..STEP).and_then(EntryHead::read);
    head.filter(|head| head.place() == Some(place)).ok_or_else(|| damaged("another entry, or none, is there"))
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
