//! Where the programs are.

use std::path::Path;
use std::process::{Command, Output};

/// A program of the system; `python3` is the system's own even where another comes first.
pub(crate) fn program(name: &str) -> Command {
    let path = Path::new("/usr/bin").join(name);
    require(&path);
    Command::new(path)
}

/// A tool of postfix, from the folder that the package is unpacked into.
pub(crate) fn postfix(name: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/postfix/usr");
    let path = folder.join("sbin").join(name);
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
