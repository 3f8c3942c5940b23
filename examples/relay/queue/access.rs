//! The way to the queue: over the control socket of a relay that runs, or into the store of one
//! that does not.

use std::{io, os::unix::fs::MetadataExt, path::PathBuf};

use hikyaku::{
    AuditLog, Config, Control, ControlError, MessageText, Store, control_path,
    queue::{
        Action, BodyReader, Count, CountBy, Cursor, DynQueue, Filter, Gate, Manage, MsgId, OpenError, Page, Queue,
        QueueError, QueueKey, Spool, SpoolConfig,
    },
};
use rustix::process::getuid;

use crate::parts::postgres;

/// A queue that can be managed.
pub(crate) enum Access {
    /// A relay runs, and writes down what is done.
    Running(Control),
    /// None does: the store is ours as long as this lives.
    Stopped { queue: DynQueue, audit: AuditLog, uid: u32 },
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Selection(&'static str),
    #[error("the queue is in memory (`store = \"memory\"`), and no relay runs that has it")]
    NoMemory,
    #[error("there is no queue in {}: no relay has run with this configuration", .0.display())]
    NoQueue(PathBuf),
    #[error(
        "the queue is in use by a process that does not answer on {}: a relay that starts, stops or hangs, or another \
         `relay queue`; try again",
        .0.display()
    )]
    Locked(PathBuf),
    #[error("the queue belongs to the user with the number {0}: run this as that user")]
    Owner(u32),
    #[error("cannot open the queue: {0}")]
    Open(OpenError),
    #[error("{0}")]
    Database(String),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("{0}")]
    Queue(#[from] QueueError),
    #[error("cannot use {path}: {source}", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the output: {0}")]
    Output(io::Error),
}

impl Access {
    /// Finds out by itself whether a relay runs.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let socket = control_path(&config.data_dir);
        match Control::connect(&socket).await {
            Ok(control) => return Ok(Self::Running(control)),
            Err(ControlError::NotRunning(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let queue = match &config.store {
            Store::Memory => return Err(Failure::NoMemory),
            Store::Postgres(store) => {
                let queue = postgres(store).await.map_err(|problem| Failure::Database(problem.to_string()))?;
                DynQueue::new(queue)
            }
            Store::Spool => {
                let folder = config.data_dir.join("spool");
                let owner = match std::fs::metadata(&folder) {
                    Ok(folder) => folder.uid(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Failure::NoQueue(folder)),
                    Err(source) => return Err(Failure::File { path: folder, source }),
                };
                // Files that another user makes are none that the relay can open later.
                if owner != getuid().as_raw() {
                    return Err(Failure::Owner(owner));
                }
                DynQueue::new(Spool::open(folder, SpoolConfig::default()).await.map_err(|error| match error {
                    OpenError::Locked => Failure::Locked(socket),
                    error => Failure::Open(error),
                })?)
            }
        };
        let audit = AuditLog::open(&config.audit);
        let audit = audit.map_err(|source| Failure::File { path: config.audit.clone(), source })?;
        Ok(Self::Stopped { queue, audit, uid: getuid().as_raw() })
    }

    pub(crate) async fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page, QueueError> {
        match self {
            Self::Running(control) => control.list(filter, after, max).await,
            Self::Stopped { queue, .. } => queue.list(filter, after, max).await,
        }
    }

    pub(crate) async fn counts(&self, by: CountBy) -> Result<Vec<Count>, QueueError> {
        match self {
            Self::Running(control) => control.counts(by).await,
            Self::Stopped { queue, .. } => queue.counts(by).await,
        }
    }

    pub(crate) async fn apply(&self, filter: &Filter, action: Action) -> Result<u64, QueueError> {
        match self {
            Self::Running(control) => control.apply(filter, action).await,
            Self::Stopped { queue, audit, uid } => {
                let units = queue.apply(filter, action.clone()).await?;
                audit.queue_changed(*uid, filter, &action, units);
                Ok(units)
            }
        }
    }

    pub(crate) async fn gate(&self, key: &QueueKey, gate: Gate) -> Result<(), QueueError> {
        match self {
            Self::Running(control) => control.gate(key, gate).await,
            Self::Stopped { queue, audit, uid } => {
                queue.gate(key, gate).await?;
                audit.gate_changed(*uid, key, gate);
                Ok(())
            }
        }
    }

    pub(crate) async fn gates(&self, of: Option<&QueueKey>) -> Result<Vec<(QueueKey, Gate)>, QueueError> {
        match self {
            Self::Running(control) => control.gates(of).await,
            Self::Stopped { queue, .. } => queue.gates(of).await,
        }
    }

    /// A part of a message's text, from `offset` on.
    pub(crate) async fn text(&self, msg: MsgId, offset: u64) -> Result<MessageText, QueueError> {
        const PIECE: usize = 64 * 1024;
        match self {
            Self::Running(control) => control.text(msg, offset, PIECE).await,
            Self::Stopped { queue, .. } => {
                let body = queue.body(msg).await?;
                let piece = body.read_at(offset, PIECE).await?;
                Ok(MessageText { before: body.prepend().clone(), len: body.len(), piece })
            }
        }
    }
}
