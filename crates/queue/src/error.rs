//! The error of every queue operation.

use std::error::Error;
use std::sync::Arc;

use hikyaku_wire::Reply;

use crate::MsgId;

/// Why an operation on the queue did not happen.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// No room for another message; what is queued can still be delivered.
    #[error("the queue is full")]
    Full,
    /// The store refuses every write, because one of its own failed and nobody knows what the disk holds.
    #[error("the queue is read-only after a failed write")]
    ReadOnly,
    /// The token of the lease is not the current one: nothing was written.
    #[error("the lease is lost")]
    LeaseLost,
    /// There is no such message.
    #[error("no such message")]
    NotFound,
    /// The message is in the queue already.
    #[error("message {0} is in the queue already")]
    Duplicate(MsgId),
    /// What the store holds of a message cannot be read.
    #[error("message {id} is damaged: {why}")]
    Corrupt {
        /// The message.
        id: MsgId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The caller asked for something that would lose or invent a recipient: nothing was written.
    #[error("{0}")]
    Invalid(&'static str),
    /// The store below failed.
    #[error("storage: {0}")]
    Backend(Arc<dyn Error + Send + Sync>),
    /// The outcome is not known; the same call with the same id finds out.
    #[error("the outcome is not known")]
    Unknown,
}

impl QueueError {
    /// What a client is told when its message meets this error: always a 4xx (RFC 5321 §4.2.2).
    pub fn reply(&self) -> Reply {
        match self {
            Self::Full | Self::ReadOnly => Reply::STORAGE_FULL_452,
            _ => Reply::LOCAL_ERROR_451,
        }
    }
}

#[cfg(feature = "spool")]
impl From<std::io::Error> for QueueError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Backend(Arc::new(error)),
        }
    }
}
