//! redb's file as a file of the spool, so that a played disk tears it too, with a checksum for each page.
//!
//! redb believes what it reads, and a page that is not its own may end in a panic. Therefore no
//! page reaches it that is not what it wrote. In front of each 1,024 pages stands a page of their
//! checksums; they are in memory too, and written before each sync. The first page has none: redb
//! writes it in place and checks it itself. No other page that a checkpoint needs is written
//! again before the next, so that what tears is never needed.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::spool::vfs::VfsFile;

const PAGE: u64 = 4096;
/// So many pages have their checksums in one.
const BLOCK: u64 = PAGE / 4;

pub(super) struct Backend<F> {
    file: F,
    checks: Mutex<Checks>,
}

struct Checks {
    /// Of each page.
    values: Vec<u32>,
    /// The blocks whose checksums are to be written.
    changed: BTreeSet<u64>,
}

impl<F: VfsFile> Backend<F> {
    pub(super) fn open(file: F) -> io::Result<Self> {
        let pages = file.len()? / PAGE;
        let pages = pages - pages.div_ceil(BLOCK + 1);
        let mut values = Vec::new();
        let mut buffer = [0; PAGE as usize];
        for block in 0..pages.div_ceil(BLOCK) {
            file.read_exact_at(&mut buffer, block * (BLOCK + 1) * PAGE)?;
            let (checks, _) = buffer.as_chunks();
            values.extend(checks.iter().map(|check| u32::from_le_bytes(*check)));
        }
        values.truncate(index(pages)?);
        Ok(Self { file, checks: Mutex::new(Checks { values, changed: BTreeSet::new() }) })
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_checks(&self) -> io::Result<()> {
        let mut checks = self.checks();
        while let Some(&block) = checks.changed.first() {
            let from = index(block * BLOCK)?.min(checks.values.len());
            let to = checks.values.len().min(from + BLOCK as usize);
            let bytes: Vec<u8> = checks.values[from..to].iter().flat_map(|check| check.to_le_bytes()).collect();
            self.file.write_all_at(&[IoSlice::new(&bytes)], block * (BLOCK + 1) * PAGE)?;
            checks.changed.remove(&block);
        }
        Ok(())
    }
}

impl<F: VfsFile> StorageBackend for Backend<F> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.checks().values.len() as u64 * PAGE)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset < PAGE {
            return self.file.read_exact_at(out, place(offset));
        }
        let mut page = page(offset, out.len())?;
        let mut rest = out;
        while !rest.is_empty() {
            let (run, behind) = rest.split_at_mut(rest.len().min(to_end_of_block(page)));
            self.file.read_exact_at(run, place(page * PAGE))?;
            let checks = self.checks();
            for bytes in run.chunks(PAGE as usize) {
                if checks.values.get(index(page)?) != Some(&check(page, bytes)) {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a page is not what was written"));
                }
                page += 1;
            }
            rest = behind;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let pages = page(len, 0)?;
        self.file.set_len((pages + pages.div_ceil(BLOCK)) * PAGE)?;
        let mut checks = self.checks();
        let before = checks.values.len() as u64;
        checks.values.truncate(index(pages)?);
        for page in before..pages {
            checks.values.push(check(page, &[0; PAGE as usize]));
            checks.changed.insert(page / BLOCK);
        }
        checks.changed.retain(|block| block * BLOCK < pages);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.write_checks()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset < PAGE {
            return self.file.write_all_at(&[IoSlice::new(data)], place(offset));
        }
        let mut page = page(offset, data.len())?;
        let mut rest = data;
        while !rest.is_empty() {
            let (run, behind) = rest.split_at(rest.len().min(to_end_of_block(page)));
            self.file.write_all_at(&[IoSlice::new(run)], place(page * PAGE))?;
            let mut checks = self.checks();
            checks.changed.insert(page / BLOCK);
            for bytes in run.chunks(PAGE as usize) {
                let value = checks.values.get_mut(index(page)?).ok_or(io::ErrorKind::InvalidInput)?;
                *value = check(page, bytes);
                page += 1;
            }
            rest = behind;
        }
        Ok(())
    }
}

impl<F> fmt::Debug for Backend<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backend")
    }
}

/// Where in the file the byte is that redb knows by this offset.
fn place(offset: u64) -> u64 {
    offset + (offset / PAGE / BLOCK + 1) * PAGE
}

/// The page that begins at this offset, of data that are whole pages, as all but the first are.
fn page(offset: u64, len: usize) -> io::Result<u64> {
    if offset % PAGE != 0 || len as u64 % PAGE != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a part of a page"));
    }
    Ok(offset / PAGE)
}

/// How many bytes there are from the beginning of a page to the next page of checksums.
fn to_end_of_block(page: u64) -> usize {
    ((BLOCK - page % BLOCK) * PAGE) as usize
}

/// The checksum of a page, which is not that of the same bytes elsewhere.
fn check(page: u64, bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes) ^ (page as u32).wrapping_mul(0x9e37_79b1)
}

fn index(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| io::ErrorKind::InvalidData.into())
}
