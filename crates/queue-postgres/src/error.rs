//! What can be wrong with the database, and which failures leave the outcome open.

use std::sync::Arc;

use deadpool_postgres::{HookError, PoolError};
use hikyaku_queue::QueueError;
use tokio_postgres::error::SqlState;

/// Why the database cannot be used.
///
/// No text holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The URL or another part of the configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// No server of the URL can be reached that takes writes.
    #[error("no PostgreSQL server that takes writes can be reached: {0}")]
    Unreachable(String),
    /// The server does not keep what it acknowledges as it was promised; the text names the
    /// setting and the command that sets it.
    #[error("the queue's promise cannot be kept: {0}")]
    Promise(String),
    /// The tables were made by a later version.
    #[error(
        "the queue's tables in schema {schema} have version {found}, this program knows {known}: \
         run the newer program, or use another schema"
    )]
    Newer {
        /// The schema.
        schema: String,
        /// The version of the tables.
        found: i32,
        /// The newest version that is known here.
        known: i32,
    },
    /// Commits do not come back: the server or its standbys are away.
    #[error("commits are not acknowledged within {seconds} s: look for the primary server and its synchronous standbys")]
    Stalled {
        /// How long was waited.
        seconds: u64,
    },
    /// The text of a message was removed before the message was committed, or lost with a server.
    #[error("the text of the message is not whole in the database: its connection took over a day, or a server failed meanwhile; it must be sent again")]
    TextLost,
    /// The server refused a statement.
    #[error("PostgreSQL: {message} (SQLSTATE {code})")]
    Refused {
        /// The code (PostgreSQL documentation, Appendix A).
        code: String,
        /// What the server said.
        message: String,
    },
    /// A row is not what this program writes.
    #[error("a row of the queue cannot be read: {0}")]
    Row(&'static str),
}

impl From<PostgresError> for QueueError {
    fn from(error: PostgresError) -> Self {
        Self::Backend(Arc::new(error))
    }
}

/// How a try ended that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was not done, and another try may succeed.
    Again(PostgresError),
    /// The connection broke or warned: it may have been done.
    Open(PostgresError),
    /// It was not done, and trying again is of no use.
    Refused(QueueError),
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        Self::Refused(error)
    }
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let said = describe(&error);
        let Some(code) = error.code() else { return Self::Open(said) };
        match code {
            // Deadlock, serialization, a lock that was not there in time: nothing was done.
            &SqlState::T_R_DEADLOCK_DETECTED
            | &SqlState::T_R_SERIALIZATION_FAILURE
            | &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::READ_ONLY_SQL_TRANSACTION
            | &SqlState::TOO_MANY_CONNECTIONS
            | &SqlState::CANNOT_CONNECT_NOW => Self::Again(said),
            &SqlState::DISK_FULL | &SqlState::OUT_OF_MEMORY => Self::Refused(QueueError::Full),
            // The server is stopped, perhaps between the commit and its reply.
            code if matches!(code.code().get(..2), Some("57" | "08" | "58" | "XX")) => Self::Open(said),
            _ => Self::Refused(said.into()),
        }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Again(match error {
            PoolError::PostCreateHook(HookError::Message(text)) => PostgresError::Promise(text.into_owned()),
            PoolError::PostCreateHook(HookError::Backend(error)) | PoolError::Backend(error) => {
                PostgresError::Unreachable(plain(&error))
            }
            PoolError::Timeout(_) => PostgresError::Unreachable("no connection of the pool was free in time".to_owned()),
            PoolError::Closed | PoolError::NoRuntimeSpecified => {
                PostgresError::Unreachable("the pool is closed".to_owned())
            }
        })
    }
}

/// The error in full: its `Display` says only that there was one.
fn plain(error: &tokio_postgres::Error) -> String {
    let mut text = match error.as_db_error() {
        Some(error) => return error.message().to_owned(),
        None => error.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(crate) fn describe(error: &tokio_postgres::Error) -> PostgresError {
    match error.as_db_error() {
        Some(said) => {
            PostgresError::Refused { code: said.code().code().to_owned(), message: said.message().to_owned() }
        }
        None => PostgresError::Unreachable(plain(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_what_to_do() {
        let newer = PostgresError::Newer { schema: "hikyaku".to_owned(), found: 9, known: 1 };
        assert!(newer.to_string().contains("version 9, this program knows 1"));
        assert!(PostgresError::Stalled { seconds: 20 }.to_string().contains("within 20 s"));
        let error: QueueError = PostgresError::TextLost.into();
        assert_eq!(error.reply().code().as_u16(), 451);
        assert!(error.to_string().contains("sent again"));
    }
}
