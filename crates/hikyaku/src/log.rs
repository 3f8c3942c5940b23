//! The audit log as a file of JSON lines.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Mutex,
};

use hikyaku_audit::{Entry, Event};

use crate::now;

/// Appends each fact to a file as one line, at the moment it is told.
///
/// A line is in the file before the reply goes out that it speaks of. It is not synced: what the
/// log loses with the power, the queue has not lost.
#[derive(Debug)]
pub struct AuditLog(Mutex<File>);

impl AuditLog {
    /// Opens the file to append to it, and makes it if it does not exist, for its owner only.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self(Mutex::new(file)))
    }

    /// Writes down what has just happened: in which connection, and to which message.
    ///
    /// If the line cannot be written, standard error says so: mail goes on without its log.
    pub fn record(&self, session: Option<&str>, message: Option<&str>, event: impl Into<Event>) {
        let mut entry = Entry::new(now(), event);
        entry.session = session.map(Into::into);
        entry.message = message.map(Into::into);
        let mut line = Vec::with_capacity(256);
        entry.write_line(&mut line);
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Err(error) = file.write_all(&line) {
            self.trouble(&format!("audit log: {error}"));
        }
    }

    /// Tells the operator, on standard error, what no mail will tell: our own trouble.
    pub fn trouble(&self, text: &str) {
        eprintln!("{text}");
    }
}
