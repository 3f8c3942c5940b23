//! Who was seen before, kept over a restart.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use hikyaku_policy::Triplets;

use super::{Screening, lock};
use crate::now;

/// How greylisting (RFC 6647) counts who was seen before: network of the client, sender and
/// recipient. It is a policy that asks: `defer … when not known`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreylistConfig {
    /// How long after the first attempt another one is known. Default 5 minutes.
    pub wait: Duration,
    /// How long after the last attempt it is forgotten. Default 36 days.
    pub keep: Duration,
    /// How many are kept; where there are more, those are forgotten that were not seen for longest.
    /// Default 100,000.
    pub entries: usize,
}

impl Default for GreylistConfig {
    fn default() -> Self {
        Self { wait: Duration::from_secs(300), keep: Duration::from_secs(36 * 24 * 60 * 60), entries: 100_000 }
    }
}

impl GreylistConfig {
    pub(super) fn triplets(&self) -> Triplets {
        Triplets::new(self.entries, self.wait, self.keep)
    }
}

impl<R> Screening<R> {
    /// Reads who was seen before, if the file is there; what is no line of it is left out.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn restore(&self, file: &Path) -> io::Result<()> {
        match fs::read(file) {
            Ok(octets) => {
                lock(&self.triplets).restore(&String::from_utf8_lossy(&octets), now());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes down who was seen, in the place of what the file holds, for its owner only. Nothing
    /// is written where the policy does not ask.
    ///
    /// # Errors
    /// The file cannot be written; what it held before is still there.
    pub fn keep(&self, file: &Path) -> io::Result<()> {
        if !self.ruling.get().asks.known {
            return Ok(());
        }
        let snapshot = lock(&self.triplets).snapshot();
        let new = file.with_extension("new");
        let mut written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        written.write_all(snapshot.as_bytes())?;
        written.sync_all()?;
        fs::rename(&new, file)
    }
}
