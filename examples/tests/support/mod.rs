//! What the end-to-end tests share: a relay in a process of its own, an SMTP
//! client that says exactly what it is told, and a sink that takes mail.

// Each test binary uses its own part of it.
#![allow(dead_code, reason = "several test binaries share this module")]

pub(crate) mod battery;
pub(crate) mod client;
pub(crate) mod message;
pub(crate) mod relay;
pub(crate) mod sink;
pub(crate) mod tls;
pub(crate) mod users;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a test waits for another process before it says what is missing.
/// Nothing is asserted about time: a pass never depends on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until there is an answer; panics with `what` when patience ends.
pub(crate) fn eventually<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < end, "still waiting for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The messages of all Maildirs below `root`: where each lies and what it holds.
pub(crate) fn maildir(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for path in files(root) {
        if path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "new") {
            // A file that has gone in the meantime is no message.
            if let Ok(content) = std::fs::read(&path) {
                found.push((path, content));
            }
        }
    }
    found
}

/// Waits until the Maildirs below `root` hold `count` messages, and returns what they hold.
pub(crate) fn delivered(root: &Path, count: usize) -> Vec<Vec<u8>> {
    eventually(&format!("{count} messages below {}", root.display()), || {
        let found = maildir(root);
        (found.len() >= count).then(|| found.into_iter().map(|(_, content)| content).collect())
    })
}

/// All plain files below `root`, in order; none when it does not exist.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

/// The folder of conformance data; `None` says that the suite is not run.
pub(crate) fn conformance() -> Option<PathBuf> {
    std::env::var_os("HIKYAKU_CONFORMANCE").map(PathBuf::from)
}
