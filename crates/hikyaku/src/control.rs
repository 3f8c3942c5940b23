//! The control socket: how people and tools reach the queue of a running relay.
//!
//! It is a Unix socket that only the relay's own user can open: the permissions of the file and of
//! its folder are the lock. Each line is a JSON object, each answered by one in the same order:
//!
//! ```text
//! {"v":1,"ask":{"list":{"filter":{"key":"mx:example.org"},"max":100}}}
//! {"page":{"entries":[...],"next":"01kb2q8a9jf4wr9v0s1rx5h7nd.0"}}
//! {"v":1,"ask":{"apply":{"filter":{"state":"held"},"action":{"release":1795499520000}}}}
//! {"done":12}
//! ```
//!
//! `ask` is `"health"`, `{"counts":"key"}` or `{"counts":"all"}`, `{"list":...}`, `{"apply":...}`,
//! `{"gate":{"key":...,"gate":"paused"}}`, `{"gates":{}}` or `{"text":{"msg":...,"offset":0,"max":65536}}`,
//! times are milliseconds since 1970. What cannot be done is answered with
//! `{"error":{"kind":...,"text":...}}`.

mod client;
mod form;
mod server;
mod tell;

use std::{
    io,
    path::{Path, PathBuf},
};

#[cfg(any(fuzzing, test))]
pub(crate) use self::form::{Answer, Request};
pub use self::{
    client::{Control, MessageText},
    server::ControlSocket,
};

/// Why the control socket cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Another process listens there.
    #[error("another relay runs on this folder: {} is in use", .0.display())]
    InUse(PathBuf),
    /// Nobody listens there.
    #[error("no relay listens on {}", .0.display())]
    NotRunning(PathBuf),
    /// There is something that is no socket, and is left alone.
    #[error("{} is no socket: move it away", .0.display())]
    NoSocket(PathBuf),
    /// The operating system refused something.
    #[error("the control socket {}: {source}", .path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The relay at the other end says no, in these words.
    #[error("the relay says: {0}")]
    Said(String),
    /// What came is no answer, or none came in time.
    #[error("the relay's control socket: {0}")]
    Broken(&'static str),
}

/// Where the control socket of a relay with this data folder is: in a folder of its own, so that
/// nobody else can open it at any moment.
pub fn control_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control").join("socket")
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ControlError + use<> {
    let path = path.to_owned();
    move |source| ControlError::Io { path, source }
}
