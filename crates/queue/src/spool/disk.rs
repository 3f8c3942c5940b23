//! The folders of a spool and the few things done to files in them.
//!
//! Everything goes through descriptors of the folders and never follows a link. When a sync
//! fails nobody knows what the disk holds, so from then on every write is refused.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::path::Arg;

use super::{OpenError, SpoolConfig};
use crate::QueueError;

/// The folders of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    /// The spool itself.
    Root,
    /// Drafts and files about to be renamed; emptied at the start.
    Tmp,
    /// One file for each queued message, never changed.
    Messages,
    /// One small file for each message whose units changed since its commit.
    States,
    /// Messages that wait for the settlement they follow.
    Sealed,
    /// What could not be read.
    Corrupt,
}

impl Folder {
    pub(super) const ALL: [Self; 6] =
        [Self::Root, Self::Tmp, Self::Messages, Self::States, Self::Sealed, Self::Corrupt];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Root => ".",
            Self::Tmp => "tmp",
            Self::Messages => "messages",
            Self::States => "states",
            Self::Sealed => "sealed",
            Self::Corrupt => "corrupt",
        }
    }
}

#[derive(Debug)]
pub(super) struct Disk {
    folders: [OwnedFd; Folder::ALL.len()],
    /// Held, not read: the lock lasts as long as the descriptor.
    _lock: OwnedFd,
    config: SpoolConfig,
    broken: OnceLock<String>,
    names: AtomicU64,
    #[cfg(test)]
    pub(super) fault: super::fault::Fault,
}

const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Disk {
    pub(super) fn open(root: &Path, config: SpoolConfig) -> Result<Self, OpenError> {
        let failed = |what| move |error: rustix::io::Errno| OpenError::Io { what, source: error.into() };
        make_folder(root).map_err(failed("the spool's folder cannot be made"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::open(root, flags, Mode::empty()).map_err(failed("the spool's folder cannot be opened"))?;
        rustix::fs::fchmod(&root, Mode::RWXU).map_err(failed("the spool's folder cannot be made private"))?;
        let lock_flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock =
            rustix::fs::openat(&root, "lock", lock_flags, PRIVATE_FILE).map_err(failed("the lock cannot be opened"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked),
            Err(error) => return Err(failed("the lock cannot be taken")(error)),
        }
        let open = |folder: Folder| {
            match rustix::fs::mkdirat(&root, folder.name(), Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            let fd = rustix::fs::openat(&root, folder.name(), flags | OFlags::NOFOLLOW, Mode::empty())?;
            rustix::fs::fchmod(&fd, Mode::RWXU)?;
            Ok(fd)
        };
        let open = |folder| open(folder).map_err(failed("a folder of the spool cannot be opened"));
        let [a, b, c, d, e, f] = Folder::ALL;
        let folders = [open(a)?, open(b)?, open(c)?, open(d)?, open(e)?, open(f)?];
        rustix::fs::fsync(&root).map_err(failed("the spool's folder cannot be synced"))?;
        Ok(Self {
            folders,
            _lock: lock,
            config,
            broken: OnceLock::new(),
            names: AtomicU64::new(0),
            #[cfg(test)]
            fault: super::fault::Fault::default(),
        })
    }

    /// Why nothing may be written any more.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Refuses every write from now on.
    pub(super) fn give_up(&self, why: impl FnOnce() -> String) {
        self.broken.get_or_init(why);
    }

    pub(super) fn writable(&self) -> Result<(), QueueError> {
        if self.broken().is_some() { Err(QueueError::ReadOnly) } else { Ok(()) }
    }

    /// Says whether a message of this length leaves the reserve free.
    pub(super) fn has_room(&self, bytes: u64) -> io::Result<bool> {
        let stat = rustix::fs::fstatvfs(self.fd(Folder::Root))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let total = stat.f_blocks.saturating_mul(stat.f_frsize);
        Ok(self.config.leaves_reserve(free.saturating_sub(bytes), total))
    }

    pub(super) fn create(self: &std::sync::Arc<Self>, prefix: &str) -> io::Result<Draft> {
        self.step("create")?;
        let name = format!("{prefix}.{}", self.names.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.fd(Folder::Tmp), name.as_str(), flags, PRIVATE_FILE)?;
        Ok(Draft { file: OpenFile { fd }, place: Place::new(self, Folder::Tmp, name) })
    }

    /// Opens a file for reading; whatever is not a regular file of our own is an error.
    pub(super) fn open_file(&self, folder: Folder, name: &str) -> io::Result<OpenFile> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let not_ours = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let fd = match rustix::fs::openat(self.fd(folder), name, flags, Mode::empty()) {
            Err(rustix::io::Errno::LOOP) => return Err(not_ours("a link")),
            opened => opened?,
        };
        match refusal(&rustix::fs::fstat(&fd)?, rustix::process::geteuid().as_raw()) {
            Some(why) => Err(not_ours(why)),
            None => Ok(OpenFile { fd }),
        }
    }

    pub(super) fn sync(&self, file: &OpenFile) -> Result<(), QueueError> {
        let synced = self.step("sync").and_then(|()| Ok(rustix::fs::fdatasync(&file.fd)?));
        self.or_give_up(synced, || "a file could not be synced".to_owned())
    }

    pub(super) fn sync_folder(&self, folder: Folder) -> Result<(), QueueError> {
        let synced = self.step("sync folder").and_then(|()| Ok(rustix::fs::fsync(self.fd(folder))?));
        self.or_give_up(synced, || format!("folder {} could not be synced", folder.name()))
    }

    pub(super) fn rename(&self, from: Folder, name: impl Arg, to: Folder, new_name: &str) -> io::Result<()> {
        self.step("rename")?;
        Ok(rustix::fs::renameat(self.fd(from), name, self.fd(to), new_name)?)
    }

    /// Removes a file; it need not be there.
    pub(super) fn remove(&self, folder: Folder, name: impl Arg) -> io::Result<()> {
        self.step("remove")?;
        match rustix::fs::unlinkat(self.fd(folder), name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn holds(&self, folder: Folder, name: &str) -> bool {
        rustix::fs::statat(self.fd(folder), name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// The names in a folder.
    pub(super) fn names(&self, folder: Folder) -> io::Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(self.fd(folder))? {
            let name = entry?.file_name().to_owned();
            if !matches!(name.as_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn fd(&self, folder: Folder) -> &OwnedFd {
        &self.folders[folder as usize]
    }

    fn or_give_up(&self, synced: io::Result<()>, what: impl FnOnce() -> String) -> Result<(), QueueError> {
        synced.map_err(|error| {
            self.give_up(|| format!("{}: {error}", what()));
            QueueError::ReadOnly
        })
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the tests let any step fail")]
    fn step(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&self, what: &'static str) -> io::Result<()> {
        self.fault.step(what)
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    fd: OwnedFd,
}

impl OpenFile {
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(rustix::fs::fstat(&self.fd)?.st_size).unwrap_or(0))
    }

    /// Fills the buffer from this offset on.
    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match rustix::io::pread(&self.fd, &mut buffer[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => done += read,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.fd, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A file in the making: gone when dropped, unless it was put in its place.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) file: OpenFile,
    place: Place,
}

impl Draft {
    pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Err(error) = self.place.disk.step("write") {
            // A crash may leave half of a write.
            self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        self.file.write_all_at(bytes, offset)
    }

    /// Makes the file durable under this name in this folder, for as long as the place is kept.
    pub(super) fn put(self, folder: Folder, name: &str) -> Result<Place, QueueError> {
        let disk = std::sync::Arc::clone(&self.place.disk);
        disk.sync(&self.file)?;
        disk.rename(Folder::Tmp, self.place.name.as_str(), folder, name)?;
        self.place.kept.store(true, Ordering::Relaxed);
        let place = Place::new(&disk, folder, name.to_owned());
        // If this fails, the file may be there after a crash or not: whoever comes then decides.
        disk.sync_folder(folder).inspect_err(|_| place.keep())?;
        Ok(place)
    }
}

/// Where a file is; it goes with this value unless it is kept.
#[derive(Debug)]
pub(super) struct Place {
    disk: std::sync::Arc<Disk>,
    folder: Folder,
    name: String,
    kept: AtomicBool,
}

impl Place {
    fn new(disk: &std::sync::Arc<Disk>, folder: Folder, name: String) -> Self {
        Self { disk: std::sync::Arc::clone(disk), folder, name, kept: AtomicBool::new(false) }
    }

    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Relaxed) {
            // Where this fails, the next start removes the file.
            let _ = self.disk.remove(self.folder, &self.name);
        }
    }
}

/// Makes a folder, its parents too, each durable within the one above it.
fn make_folder(path: &Path) -> rustix::io::Result<()> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Ok(()),
        Err(rustix::io::Errno::NOENT) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            make_folder(parent.ok_or(rustix::io::Errno::NOENT)?)?;
            rustix::fs::mkdir(path, Mode::RWXU)?;
        }
        Err(error) => return Err(error),
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::fsync(rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Why a file is not taken for one of ours.
fn refusal(stat: &Stat, me: u32) -> Option<&'static str> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        Some("not a regular file")
    } else if stat.st_uid != me {
        Some("owned by somebody else")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // D67: not owned.
    #[test]
    fn only_regular_files_of_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let mut stat = rustix::fs::stat(&path).unwrap();
        let me = stat.st_uid;
        assert_eq!(refusal(&stat, me), None);
        assert_eq!(refusal(&stat, me + 1), Some("owned by somebody else"));
        stat = rustix::fs::stat(folder.path()).unwrap();
        assert_eq!(refusal(&stat, me), Some("not a regular file"));
    }
}
