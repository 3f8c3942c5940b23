//! The folders of a spool on a file system.
//!
//! Everything goes through descriptors of the folders and never follows a link below the spool.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::nameless::{give_name, nameless};
use super::{Folder, Space, Vfs, VfsFile};
use crate::spool::OpenError;

/// What stands in the file `format` of a spool of this version.
const FORMAT: &[u8] = b"hikyaku spool 2\n";

/// A folder that only a spool of the version before this one has.
const OLD: &str = "messages";

const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The most parts that one call writes (`IOV_MAX`).
const PARTS: usize = 1024;

/// The folders of a spool, which is locked as long as they are open.
pub(crate) struct Folders {
    root: OwnedFd,
    journal: OwnedFd,
    blobs: OwnedFd,
    drafts: Arc<OwnedFd>,
    lost: OwnedFd,
    /// Which of the folders in `blobs` are known to be durable there.
    blob_folders: Mutex<[bool; 256]>,
    /// Whether drafts are files without names.
    pub(super) nameless: bool,
    names: AtomicU64,
    /// Held, not read: the lock lasts as long as the descriptor.
    _lock: OwnedFd,
}

impl Folders {
    /// Opens the spool in this folder and locks it; makes the folder and what belongs in it where
    /// that is not there, and removes what was left of drafts.
    ///
    /// # Errors
    /// `Locked` if it is open already, here or in another process; `Version` if another version
    /// made it, which is left as it is.
    pub(crate) fn open(root: &Path) -> Result<Self, OpenError> {
        let failed = |what| move |error: Errno| OpenError::Io { what, source: error.into() };
        make_folder(root).map_err(failed("the spool's folder cannot be made"))?;
        let root =
            rustix::fs::open(root, FOLDER, Mode::empty()).map_err(failed("the spool's folder cannot be opened"))?;
        rustix::fs::fchmod(&root, Mode::RWXU).map_err(failed("the spool's folder cannot be made private"))?;
        let lock = rustix::fs::openat(&root, "lock", FILE | OFlags::CREATE, PRIVATE)
            .map_err(failed("the lock cannot be opened"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(OpenError::Locked),
            Err(error) => return Err(failed("the lock cannot be taken")(error)),
        }
        let is_new = is_new(&root)?;
        let sub = |name| subfolder(&root, name).map_err(failed("a folder of the spool cannot be opened"));
        let (journal, blobs, drafts, lost) = (sub("journal")?, sub("blobs")?, sub("drafts")?, sub("lost+found")?);
        let mut folders = Self {
            root,
            journal,
            blobs,
            drafts: Arc::new(drafts),
            lost,
            blob_folders: Mutex::new([false; 256]),
            nameless: false,
            names: AtomicU64::new(0),
            _lock: lock,
        };
        let failed = |what| move |source| OpenError::Io { what, source };
        for name in folders.names(Folder::Drafts).map_err(failed("the folder of drafts cannot be read"))? {
            // What cannot be removed, a folder say, is no draft of ours, and in nobody's way.
            let _ = folders.remove(Folder::Drafts, &name);
        }
        folders.nameless = folders.can_be_nameless();
        if is_new {
            folders.write_format().map_err(failed("the spool's format cannot be written"))?;
        }
        folders.sync_folder(Folder::Root).map_err(failed("the spool's folder cannot be synced"))?;
        Ok(folders)
    }

    fn write_format(&self) -> io::Result<()> {
        let draft = self.draft()?;
        draft.as_ref().write_all_at(&[IoSlice::new(FORMAT)], 0)?;
        draft.as_ref().sync_data()?;
        self.publish(draft, Folder::Root, "format").map(|_| ())
    }

    /// Tries whether a file without a name can be made, and named later.
    fn can_be_nameless(&self) -> bool {
        let name = self.new_name();
        let tried = nameless(&self.drafts).and_then(|file| give_name(&file, &self.drafts, &name));
        tried.is_ok() && self.remove(Folder::Drafts, &name).is_ok()
    }

    fn new_name(&self) -> String {
        self.names.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// A folder that is there.
    fn folder(&self, folder: Folder) -> io::Result<FolderFd<'_>> {
        let kept = |fd| Ok(FolderFd::Kept(fd));
        match folder {
            Folder::Root => kept(self.root.as_fd()),
            Folder::Journal => kept(self.journal.as_fd()),
            Folder::Drafts => kept(self.drafts.as_fd()),
            Folder::Lost => kept(self.lost.as_fd()),
            Folder::Blobs(number) => {
                let flags = FOLDER | OFlags::NOFOLLOW;
                Ok(FolderFd::Opened(rustix::fs::openat(&self.blobs, blob_folder(number), flags, Mode::empty())?))
            }
        }
    }

    /// A folder in which something is about to be made: durable itself when this returns.
    fn folder_to_fill(&self, folder: Folder) -> io::Result<FolderFd<'_>> {
        if let Folder::Blobs(number) = folder {
            let mut durable = self.blob_folders.lock().unwrap_or_else(PoisonError::into_inner);
            let known = &mut durable[usize::from(number)];
            if !*known {
                // One that is there may still be known to the page cache only.
                subfolder(&self.blobs, &blob_folder(number))?;
                rustix::fs::fsync(&self.blobs)?;
                *known = true;
            }
        }
        self.folder(folder)
    }
}

impl fmt::Debug for Folders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folders").field("nameless", &self.nameless).finish_non_exhaustive()
    }
}

impl Vfs for Folders {
    type File = File;
    type Draft = Draft;

    fn create(&self, folder: Folder, name: &str) -> io::Result<File> {
        let folder = self.folder_to_fill(folder)?;
        let fd = rustix::fs::openat(folder, name, FILE | OFlags::CREATE | OFlags::EXCL, PRIVATE)?;
        Ok(File { fd })
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<File> {
        let not_ours = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let fd = match rustix::fs::openat(self.folder(folder)?, name, FILE | OFlags::NONBLOCK, Mode::empty()) {
            Err(Errno::LOOP) => return Err(not_ours("a link")),
            Err(Errno::ISDIR | Errno::NXIO) => return Err(not_ours("not a regular file")),
            opened => opened?,
        };
        match refusal(&rustix::fs::fstat(&fd)?, rustix::process::geteuid().as_raw()) {
            Some(why) => Err(not_ours(why)),
            None => Ok(File { fd }),
        }
    }

    fn draft(&self) -> io::Result<Draft> {
        if self.nameless {
            return Ok(Draft { file: File { fd: nameless(&self.drafts)? }, name: None });
        }
        loop {
            let name = self.new_name();
            match self.create(Folder::Drafts, &name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => {
                    let name = DraftName { folder: Arc::clone(&self.drafts), name };
                    return Ok(Draft { file: file?, name: Some(name) });
                }
            }
        }
    }

    fn publish(&self, draft: Draft, folder: Folder, name: &str) -> io::Result<File> {
        let folder = self.folder_to_fill(folder)?;
        let Draft { file, name: draft_name } = draft;
        let draft_name = match draft_name {
            Some(name) => name,
            None => match give_name(&file.fd, &folder, name) {
                Ok(()) => return Ok(file),
                // A link replaces nothing, a rename does.
                Err(Errno::EXIST) => {
                    let draft_name = DraftName { folder: Arc::clone(&self.drafts), name: self.new_name() };
                    give_name(&file.fd, &self.drafts, &draft_name.name)?;
                    draft_name
                }
                Err(error) => return Err(error.into()),
            },
        };
        rustix::fs::renameat(&self.drafts, draft_name.name.as_str(), folder, name)?;
        draft_name.forget();
        Ok(file)
    }

    fn rename(&self, from: (Folder, &str), to: (Folder, &str)) -> io::Result<()> {
        Ok(rustix::fs::renameat(self.folder(from.0)?, from.1, self.folder_to_fill(to.0)?, to.1)?)
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        let removed = self.folder(folder).and_then(|fd| Ok(rustix::fs::unlinkat(fd, name, AtFlags::empty())?));
        unless_absent(removed, ())
    }

    fn names(&self, folder: Folder) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let folder = match self.folder(folder) {
            Ok(folder) => folder,
            Err(error) => return unless_absent(Err(error), names),
        };
        for entry in Dir::read_from(folder)? {
            match entry?.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_folder(&self, folder: Folder) -> io::Result<()> {
        match self.folder(folder) {
            Ok(fd) => Ok(uninterrupted(|| rustix::fs::fsync(&fd))?),
            Err(error) => unless_absent(Err(error), ()),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::fstatvfs(&self.root)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct File {
    fd: OwnedFd,
}

impl VfsFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(rustix::fs::fstat(&self.fd)?.st_size).unwrap_or(0))
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match uninterrupted(|| rustix::io::pread(&self.fd, &mut *buffer, offset))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
            }
        }
        Ok(())
    }

    fn write_all_at(&self, mut parts: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        while let Some((first, rest)) = parts.split_first() {
            if first.is_empty() {
                parts = rest;
                continue;
            }
            let some = &parts[..parts.len().min(PARTS)];
            let mut written = uninterrupted(|| rustix::io::pwritev(&self.fd, some, offset))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            offset += written as u64;
            while let Some((first, rest)) = parts.split_first()
                && written >= first.len()
            {
                written -= first.len();
                parts = rest;
            }
            // The call ended within a part, whose rest goes by itself.
            if written > 0 {
                let mut left = &parts[0][written..];
                while !left.is_empty() {
                    let more = uninterrupted(|| rustix::io::pwrite(&self.fd, left, offset))?;
                    if more == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    left = &left[more..];
                    offset += more as u64;
                }
                parts = &parts[1..];
            }
        }
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let present = self.len()?;
        if present >= len {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::fs::FallocateFlags::empty();
            match uninterrupted(|| rustix::fs::fallocate(&self.fd, flags, 0, len)) {
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
                allocated => return Ok(allocated?),
            }
        }
        self.write_zeros(present, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(uninterrupted(|| rustix::fs::ftruncate(&self.fd, len))?)
    }

    fn sync_data(&self) -> io::Result<()> {
        // The plain sync of Apple's systems leaves the data in the disk's cache.
        #[cfg(target_vendor = "apple")]
        let sync = || rustix::fs::fcntl_fullfsync(&self.fd);
        #[cfg(not(target_vendor = "apple"))]
        let sync = || rustix::fs::fdatasync(&self.fd);
        Ok(uninterrupted(sync)?)
    }
}

impl File {
    fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        let zeros = [0; 64 << 10];
        let mut at = from;
        while at < to {
            let some = usize::try_from(to - at).unwrap_or(usize::MAX).min(zeros.len());
            self.write_all_at(&[IoSlice::new(&zeros[..some])], at)?;
            at += some as u64;
        }
        Ok(())
    }
}

/// A file without a name, or with one in `drafts` that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    name: Option<DraftName>,
}

impl AsRef<File> for Draft {
    fn as_ref(&self) -> &File {
        &self.file
    }
}

#[derive(Debug)]
struct DraftName {
    folder: Arc<OwnedFd>,
    name: String,
}

impl DraftName {
    /// The file has another name now.
    fn forget(mut self) {
        self.name.clear();
    }
}

impl Drop for DraftName {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // Where this fails, the next start removes the file.
            let _ = rustix::fs::unlinkat(&self.folder, self.name.as_str(), AtFlags::empty());
        }
    }
}

enum FolderFd<'a> {
    Kept(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for FolderFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Kept(fd) => *fd,
            Self::Opened(fd) => fd.as_fd(),
        }
    }
}

fn blob_folder(number: u8) -> String {
    format!("{number:02x}")
}

fn uninterrupted<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

fn unless_absent<T>(result: io::Result<T>, absent: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(absent),
        result => result,
    }
}

/// Whether nothing says yet which version made the spool.
fn is_new(root: &OwnedFd) -> Result<bool, OpenError> {
    let failed = |source| OpenError::Io { what: "the spool's format cannot be read", source };
    let fd = match rustix::fs::openat(root, "format", OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, PRIVATE) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => {
            return match rustix::fs::statat(root, OLD, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(OpenError::Version),
                Err(Errno::NOENT) => Ok(true),
                Err(error) => Err(failed(error.into())),
            };
        }
        Err(error) => return Err(failed(error.into())),
    };
    let file = File { fd };
    let mut format = [0; FORMAT.len()];
    let is_this = file.len().map_err(failed)? == FORMAT.len() as u64
        && file.read_exact_at(&mut format, 0).map(|()| format == FORMAT).map_err(failed)?;
    if is_this { Ok(false) } else { Err(OpenError::Version) }
}

/// Makes a folder, its parents too, each durable within the one above it.
fn make_folder(path: &Path) -> rustix::io::Result<()> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(Errno::NOENT) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            make_folder(parent.ok_or(Errno::NOENT)?)?;
            rustix::fs::mkdir(path, Mode::RWXU)?;
        }
        Err(error) => return Err(error),
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::fsync(rustix::fs::open(parent, FOLDER, Mode::empty())?)
}

/// Opens a folder within another, private, and makes it if it is not there.
fn subfolder(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let fd = rustix::fs::openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    rustix::fs::fchmod(&fd, Mode::RWXU)?;
    Ok(fd)
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
