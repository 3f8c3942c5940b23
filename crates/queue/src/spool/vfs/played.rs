//! A disk in memory that loses power, for the tests of the spool.
//!
//! What a program sees is what it wrote; what the disk holds is what was synced, and after a loss
//! of power any part of the rest. Everything follows from a seed.

mod content;
mod entries;
mod random;
mod tests;

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::content::{Content, Inode};
use self::entries::{Change, Entries};
use self::random::Random;
use super::{Folder, Space, Vfs, VfsFile};

/// What a program asks of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Open,
    Draft,
    Publish,
    Rename,
    Remove,
    Names,
    SyncFolder,
    Space,
    Len,
    Read,
    Write,
    Allocate,
    SetLen,
    Sync,
}

impl Call {
    /// Whether it changes something, or makes a change durable.
    pub(crate) fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::Names | Self::Space | Self::Len | Self::Read)
    }

    /// Whether it makes something durable.
    pub(crate) fn syncs(self) -> bool {
        matches!(self, Self::Sync | Self::SyncFolder)
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// EIO. After a failed sync, some of what was to be synced is on the disk, and the rest never
    /// comes there although it can be read.
    Io,
    /// ENOSPC.
    NoSpace,
    /// EIO after the first part of a write was done; other calls fail as with `Io`.
    Short,
    /// The power goes while the call is under way: what it does may be done, and no call after it
    /// works. [`Played::power_off`] shows what is left.
    Power,
}

/// Which call fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// The n-th of the calls that count, from 1.
    pub(crate) at: u64,
    /// Which calls count.
    pub(crate) counts: fn(Call) -> bool,
    pub(crate) failure: Failure,
    /// All later calls that count fail too.
    pub(crate) lasting: bool,
}

impl Fault {
    /// The n-th call that changes something, or makes a change durable.
    pub(crate) fn once(at: u64, failure: Failure) -> Self {
        Self { at, counts: Call::changes, failure, lasting: false }
    }

    /// The same, and all that follow.
    pub(crate) fn from(at: u64, failure: Failure) -> Self {
        Self { lasting: true, ..Self::once(at, failure) }
    }
}

/// How much was asked of a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Calls that change something, or make a change durable.
    pub(crate) changes: u64,
    pub(crate) writes: u64,
    pub(crate) written_bytes: u64,
    pub(crate) reads: u64,
    pub(crate) read_bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) folder_syncs: u64,
}

/// A disk in memory; clones are the same disk.
#[derive(Clone)]
pub(crate) struct Played {
    disk: Arc<Mutex<Disk>>,
}

struct Disk {
    entries: Entries,
    counts: Counts,
    space: Space,
    fault: Option<Fault>,
    /// How many calls counted since the fault was set.
    counted: u64,
    off: bool,
    random: Random,
}

/// What becomes of a call.
enum Fate {
    Works,
    Fails(io::Error),
    /// A part of it is done.
    Halfway(io::Error),
    /// It is done, and nobody learns that.
    Unheard(io::Error),
}

impl Played {
    /// An empty disk.
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(Entries::default(), seed)
    }

    fn with(entries: Entries, seed: u64) -> Self {
        let space = Space { free: 1 << 40, total: 1 << 40 };
        let (counts, random) = (Counts::default(), Random::new(seed));
        let disk = Disk { entries, counts, space, fault: None, counted: 0, off: false, random };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// The power goes: all open files are lost. The result is what the disk holds when it is back.
    pub(crate) fn power_off(&self, seed: u64) -> Self {
        let mut disk = self.lock();
        disk.off = true;
        Self::with(disk.entries.after_power_loss(&mut Random::new(seed)), seed)
    }

    /// The process dies, the system does not: what was written is there, synced or not.
    pub(crate) fn kill(&self, seed: u64) -> Self {
        let mut disk = self.lock();
        disk.off = true;
        Self::with(disk.entries.as_seen(), seed)
    }

    /// A disk that holds the same, durable and not; neither sees what the other does from now on.
    pub(crate) fn copy(&self, seed: u64) -> Self {
        Self::with(self.lock().entries.copy(), seed)
    }

    /// Lets a call fail; the count begins here.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut disk = self.lock();
        disk.fault = Some(fault);
        disk.counted = 0;
    }

    /// Lets no call fail any more; says whether one did.
    pub(crate) fn heal(&self) -> bool {
        let mut disk = self.lock();
        let fault = disk.fault.take();
        fault.is_some_and(|fault| disk.counted >= fault.at)
    }

    /// Whether the power is gone.
    pub(crate) fn is_off(&self) -> bool {
        self.lock().off
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub(crate) fn set_space(&self, space: Space) {
        self.lock().space = space;
    }

    /// What stands in a file, as a program sees it.
    pub(crate) fn contents(&self, folder: Folder, name: &str) -> Option<Vec<u8>> {
        let node = self.lock().entries.get(folder, name)?;
        let inode = content::lock(&node);
        let mut bytes = vec![0; usize::try_from(inode.seen().len()).unwrap()];
        inode.seen().read(&mut bytes, 0);
        Some(bytes)
    }

    /// Changes a file behind the program's back, durably; makes it if it is not there.
    pub(crate) fn put(&self, folder: Folder, name: &str, bytes: &[u8]) {
        self.lock().entries.put((folder, name.to_owned()), Inode::durable(Content::of(bytes)));
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that either happens or does not.
    fn whole(&self, call: Call) -> io::Result<(MutexGuard<'_, Disk>, io::Result<()>)> {
        let mut disk = self.lock();
        match disk.fate(call) {
            Fate::Works => Ok((disk, Ok(()))),
            Fate::Unheard(error) => Ok((disk, Err(error))),
            Fate::Fails(error) | Fate::Halfway(error) => Err(error),
        }
    }

    fn file(&self, node: content::Node) -> PlayedFile {
        PlayedFile { on: self.clone(), node }
    }
}

impl Disk {
    fn fate(&mut self, call: Call) -> Fate {
        let error = |errno: rustix::io::Errno| io::Error::from(errno);
        if self.off {
            return Fate::Fails(error(rustix::io::Errno::IO));
        }
        let counts = &mut self.counts;
        counts.changes += u64::from(call.changes());
        match call {
            Call::Read => counts.reads += 1,
            Call::Write => counts.writes += 1,
            Call::Sync => counts.syncs += 1,
            Call::SyncFolder => counts.folder_syncs += 1,
            _ => {}
        }
        let Some(fault) = self.fault.filter(|fault| (fault.counts)(call)) else { return Fate::Works };
        self.counted += 1;
        if self.counted < fault.at || (self.counted > fault.at && !fault.lasting) {
            return Fate::Works;
        }
        match fault.failure {
            Failure::Io => Fate::Fails(error(rustix::io::Errno::IO)),
            Failure::NoSpace => Fate::Fails(error(rustix::io::Errno::NOSPC)),
            Failure::Short => Fate::Halfway(error(rustix::io::Errno::IO)),
            Failure::Power => {
                self.off = true;
                Fate::Unheard(error(rustix::io::Errno::IO))
            }
        }
    }
}

impl Vfs for Played {
    type File = PlayedFile;
    type Draft = PlayedDraft;

    fn create(&self, folder: Folder, name: &str) -> io::Result<PlayedFile> {
        let (mut disk, outcome) = self.whole(Call::Create)?;
        if disk.entries.get(folder, name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = content::node(Inode::default());
        disk.entries.change(Change::Link((folder, name.to_owned()), Arc::clone(&node)));
        outcome.map(|()| self.file(node))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<PlayedFile> {
        let (disk, outcome) = self.whole(Call::Open)?;
        let node = disk.entries.get(folder, name).ok_or(io::ErrorKind::NotFound)?;
        outcome.map(|()| self.file(node))
    }

    fn draft(&self) -> io::Result<PlayedDraft> {
        let (_disk, outcome) = self.whole(Call::Draft)?;
        outcome.map(|()| PlayedDraft { file: self.file(content::node(Inode::default())) })
    }

    fn publish(&self, draft: PlayedDraft, folder: Folder, name: &str) -> io::Result<PlayedFile> {
        let (mut disk, outcome) = self.whole(Call::Publish)?;
        let node = Arc::clone(&draft.file.node);
        disk.entries.change(Change::Link((folder, name.to_owned()), node));
        outcome.map(|()| draft.file)
    }

    fn rename(&self, from: (Folder, &str), to: (Folder, &str)) -> io::Result<()> {
        let (mut disk, outcome) = self.whole(Call::Rename)?;
        let node = disk.entries.get(from.0, from.1).ok_or(io::ErrorKind::NotFound)?;
        if from != to {
            disk.entries.change(Change::Rename((from.0, from.1.to_owned()), (to.0, to.1.to_owned()), node));
        }
        outcome
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        let (mut disk, outcome) = self.whole(Call::Remove)?;
        if disk.entries.get(folder, name).is_some() {
            disk.entries.change(Change::Unlink((folder, name.to_owned())));
        }
        outcome
    }

    fn names(&self, folder: Folder) -> io::Result<Vec<String>> {
        let (disk, outcome) = self.whole(Call::Names)?;
        outcome.map(|()| disk.entries.names(folder))
    }

    fn sync_folder(&self, folder: Folder) -> io::Result<()> {
        let (mut disk, outcome) = self.whole(Call::SyncFolder)?;
        // Where nobody hears of it, what was changed is durable or not, as it comes.
        if outcome.is_ok() {
            disk.entries.sync(folder);
        }
        outcome
    }

    fn space(&self) -> io::Result<Space> {
        let (disk, outcome) = self.whole(Call::Space)?;
        outcome.map(|()| disk.space)
    }
}

/// A file on a [`Played`] disk.
pub(crate) struct PlayedFile {
    on: Played,
    node: content::Node,
}

/// A file without a name.
pub(crate) struct PlayedDraft {
    file: PlayedFile,
}

impl AsRef<PlayedFile> for PlayedDraft {
    fn as_ref(&self) -> &PlayedFile {
        &self.file
    }
}

impl VfsFile for PlayedFile {
    fn len(&self) -> io::Result<u64> {
        let (_disk, outcome) = self.on.whole(Call::Len)?;
        outcome.map(|()| content::lock(&self.node).seen().len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (mut disk, outcome) = self.on.whole(Call::Read)?;
        outcome?;
        disk.counts.read_bytes += buffer.len() as u64;
        let inode = content::lock(&self.node);
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > inode.seen().len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        inode.seen().read(buffer, offset);
        Ok(())
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut disk = self.on.lock();
        let fate = disk.fate(Call::Write);
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let outcome = match fate {
            Fate::Works => Ok(()),
            Fate::Unheard(error) => Err(error),
            Fate::Halfway(error) => {
                bytes.truncate(usize::try_from(disk.random.below(bytes.len() as u64)).unwrap());
                Err(error)
            }
            Fate::Fails(error) => return Err(error),
        };
        disk.counts.written_bytes += bytes.len() as u64;
        content::lock(&self.node).write(offset, bytes);
        outcome
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let (_disk, outcome) = self.on.whole(Call::Allocate)?;
        content::lock(&self.node).allocate(len);
        outcome
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (_disk, outcome) = self.on.whole(Call::SetLen)?;
        content::lock(&self.node).set_len(len);
        outcome
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.on.lock();
        match disk.fate(Call::Sync) {
            Fate::Works => content::lock(&self.node).sync(),
            Fate::Unheard(error) => return Err(error),
            Fate::Fails(error) | Fate::Halfway(error) => {
                content::lock(&self.node).sync_in_part(&mut disk.random);
                return Err(error);
            }
        }
        Ok(())
    }
}
