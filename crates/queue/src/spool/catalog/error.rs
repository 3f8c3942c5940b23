//! Why the catalog cannot be used.

use std::sync::Arc;

use crate::QueueError;

/// Whatever it is, the remedy is to begin anew: the journal has everything.
#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogError {
    #[error("the spool's catalog (index.redb) failed and is to be made again from the journal: {0}")]
    Store(#[source] redb::Error),
    #[error("the spool's catalog (index.redb) is damaged and is to be made again from the journal: {0}")]
    Damaged(&'static str),
}

pub(super) type Result<T> = std::result::Result<T, CatalogError>;

impl From<CatalogError> for QueueError {
    fn from(error: CatalogError) -> Self {
        Self::Backend(Arc::new(error))
    }
}

macro_rules! from {
    ($($error:ty),*) => {$(
        impl From<$error> for CatalogError {
            fn from(error: $error) -> Self {
                Self::Store(error.into())
            }
        }
    )*};
}

impl From<std::io::Error> for CatalogError {
    fn from(error: std::io::Error) -> Self {
        Self::Store(error.into())
    }
}

from!(
    redb::CommitError,
    redb::DatabaseError,
    redb::SetDurabilityError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError
);
