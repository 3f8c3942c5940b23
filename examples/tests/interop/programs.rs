//! Where the programs are.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program of the system; `python3` is the system's own even where another comes first.
pub(crate) fn program(name: &str) -> Command {
    let path = Path::new("/usr/bin").join(name);
    require(&path);
    Command::new(path)
}

/// A file or folder of a package that is unpacked and not installed.
pub(crate) fn unpacked(package: &str, path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop").join(package).join(path);
    require(&path);
    path.canonicalize().unwrap()
}

/// Where the package of postfix is unpacked.
pub(crate) fn postfix_folder() -> PathBuf {
    unpacked("postfix", "usr")
}

/// A program of postfix, by its path in the folder that the package is unpacked into.
pub(crate) fn postfix(name: &str) -> Command {
    let folder = postfix_folder();
    let path = folder.join(name);
    require(&path);
    let mut command = Command::new(path);
    command.env("LD_LIBRARY_PATH", folder.join("lib/postfix"));
    command
}

fn require(path: &Path) {
    assert!(path.exists(), "{} is missing: `cargo xtask test --setup` installs it", path.display());
}

/// Runs to the end: exit code, and everything that was said.
pub(crate) fn run(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code().unwrap_or(-1), said)
}
