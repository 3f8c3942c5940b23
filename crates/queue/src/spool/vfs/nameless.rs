//! Files without a name, where there are such: `O_TMPFILE`.

use std::os::fd::{AsFd, OwnedFd};

#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// Makes a file without a name, if the file system can.
#[cfg(target_os = "linux")]
pub(super) fn nameless(folder: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(folder, ".", OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, Mode::RUSR.union(Mode::WUSR))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn nameless(_: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    Err(Errno::OPNOTSUPP)
}

/// Gives a nameless file a name, unless another has it.
#[cfg(target_os = "linux")]
pub(super) fn give_name(file: &OwnedFd, folder: impl AsFd, name: &str) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;

    let magic_link = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(rustix::fs::CWD, magic_link, &folder, name, AtFlags::SYMLINK_FOLLOW) {
        // Without /proc; this needs a privilege on older kernels.
        Err(error) if error != Errno::EXIST => {
            rustix::fs::linkat(file, "", &folder, name, AtFlags::EMPTY_PATH).map_err(|_| error)
        }
        linked => linked,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn give_name(_: &OwnedFd, _: impl AsFd, _: &str) -> rustix::io::Result<()> {
    Err(Errno::OPNOTSUPP)
}
