//! Where file work is done.

use tokio::runtime::Handle;

use crate::QueueError;

#[derive(Debug, Clone)]
pub(super) enum Runner {
    /// On the threads that a runtime has for it.
    Pool(Handle),
    /// Where it is asked for, so that a test knows the order of everything.
    #[cfg(test)]
    Here,
}

impl Runner {
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        match self {
            Self::Pool(runtime) => runtime.spawn_blocking(work).await.unwrap_or(Err(QueueError::Unknown)),
            #[cfg(test)]
            Self::Here => work(),
        }
    }
}
