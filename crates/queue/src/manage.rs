//! The queue as people and tools see it: [`Manage`].

#[cfg(feature = "record")]
pub(crate) mod record;

use std::future::Future;
use std::sync::Arc;

use hikyaku_wire::{Domain, ForwardPath, Host, Mailbox, ReversePath, Timestamp};

use crate::unit::Unit;
use crate::{Envelope, HoldReason, MsgId, QueueError, QueueKey, Rcpt, UnitId, WorkerId};

type Result<T> = std::result::Result<T, QueueError>;

/// What people and tools do with a queue.
pub trait Manage: Send + Sync + 'static {
    /// The units that match, in the order of their ids, at most `max`, after the cursor.
    ///
    /// Pages stay in order while the queue changes: a unit that was there all the time is listed
    /// exactly once. A cursor outlives the store's reopening.
    fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> impl Future<Output = Result<Page>> + Send;

    /// How many units there are; costs as much as the keys, not as the messages.
    fn counts(&self, by: CountBy) -> impl Future<Output = Result<Vec<Count>>> + Send;

    /// Does something to every unit that matches and says to how many; durable when it returns.
    ///
    /// On a leased unit it takes effect when the lease ends, but [`Action::Remove`] ends the lease:
    /// its holder's settlement gets `LeaseLost`.
    fn apply(&self, filter: &Filter, action: Action) -> impl Future<Output = Result<u64>> + Send;

    /// Opens or closes a key, which need not have units; durable when it returns.
    fn gate(&self, key: &QueueKey, gate: Gate) -> impl Future<Output = Result<()>> + Send;

    /// The gates that are not open, in the order of their keys: of all keys, or of one. A time that
    /// is over stands there until the gate is opened.
    fn gates(&self, of: Option<&QueueKey>) -> impl Future<Output = Result<Vec<(QueueKey, Gate)>>> + Send;
}

/// Which units are meant: all that match every field that is set. The default means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Of this message.
    pub msg: Option<MsgId>,
    /// With this number within its message.
    pub unit: Option<u16>,
    /// With this key.
    pub key: Option<QueueKey>,
    /// In this state.
    pub state: Option<StateKind>,
    /// From this sender.
    pub sender: Option<ReversePath>,
    /// From a sender at this domain.
    pub sender_domain: Option<Domain>,
    /// With this recipient, in whatever state.
    pub rcpt: Option<ForwardPath>,
    /// With a recipient at this domain, in whatever state.
    pub rcpt_domain: Option<Domain>,
    /// Submitted by this user.
    pub user: Option<String>,
    /// Received at this time or later.
    pub received_from: Option<Timestamp>,
    /// Received before this time.
    pub received_before: Option<Timestamp>,
}

impl Filter {
    /// Every unit.
    pub fn all() -> Self {
        Self::default()
    }

    /// The units of one message.
    pub fn message(msg: MsgId) -> Self {
        Self { msg: Some(msg), ..Self::default() }
    }

    /// The units with one key.
    pub fn key(key: QueueKey) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    /// Whether a unit is meant.
    pub fn matches(&self, entry: &Entry) -> bool {
        fn at(mailbox: Option<&Mailbox>, domain: &Domain) -> bool {
            matches!(mailbox.map(Mailbox::host), Some(Host::Domain(host)) if host == domain)
        }
        let envelope = &entry.envelope;
        self.msg.is_none_or(|msg| msg == entry.unit.msg)
            && self.unit.is_none_or(|unit| unit == entry.unit.unit)
            && self.key.as_ref().is_none_or(|key| *key == entry.key)
            && self.state.is_none_or(|state| state == entry.state.kind())
            && self.sender.as_ref().is_none_or(|sender| *sender == envelope.sender)
            && self.sender_domain.as_ref().is_none_or(|domain| at(envelope.sender.mailbox(), domain))
            && self.rcpt.as_ref().is_none_or(|addr| entry.rcpts.iter().any(|rcpt| rcpt.addr == *addr))
            && self
                .rcpt_domain
                .as_ref()
                .is_none_or(|domain| entry.rcpts.iter().any(|rcpt| at(rcpt.addr.mailbox(), domain)))
            && self.user.as_ref().is_none_or(|user| envelope.origin.user.as_ref() == Some(user))
            && self.received_from.is_none_or(|from| envelope.received >= from)
            && self.received_before.is_none_or(|before| envelope.received < before)
    }
}

/// A unit as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The unit.
    pub unit: UnitId,
    /// Where it goes.
    pub key: QueueKey,
    /// What it is doing.
    pub state: UnitState,
    /// When it may be claimed next.
    pub due: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// How many attempts were settled.
    pub attempts: u32,
    /// The length of the message in bytes.
    pub size: u64,
    /// The envelope of the message.
    pub envelope: Arc<Envelope>,
    /// All its recipients, final ones too.
    pub rcpts: Vec<Rcpt>,
}

impl Entry {
    /// A unit of a message of this length as it is listed; for back-ends.
    pub fn new(id: UnitId, state: UnitState, size: u64, envelope: Arc<Envelope>, unit: Unit) -> Self {
        let Unit { key, due, expires, attempts, rcpts, .. } = unit;
        Self { unit: id, key, state, due, expires, attempts, size, envelope, rcpts }
    }
}

/// What a unit is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitState {
    /// It waits to be claimed.
    Ready,
    /// A worker has it.
    Leased {
        /// The worker.
        by: WorkerId,
        /// Until when.
        expires: Timestamp,
    },
    /// It waits for a person.
    Held(HoldReason),
}

impl UnitState {
    /// The state without its details.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Ready => StateKind::Ready,
            Self::Leased { .. } => StateKind::Leased,
            Self::Held(_) => StateKind::Held,
        }
    }
}

/// A state of a unit without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// It waits to be claimed.
    Ready,
    /// A worker has it.
    Leased,
    /// It waits for a person.
    Held,
}

/// A place in the list of units: after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub UnitId);

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The units.
    pub entries: Vec<Entry>,
    /// Where the next page begins; none at the end.
    pub next: Option<Cursor>,
}

/// What units are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountBy {
    /// One count for the whole queue.
    All,
    /// One for each key that has units, in the order of the keys.
    Key,
}

/// How many units there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Of this key; none where all keys are counted together.
    pub key: Option<QueueKey>,
    /// Waiting to be claimed.
    pub ready: u64,
    /// With a worker.
    pub leased: u64,
    /// Waiting for a person.
    pub held: u64,
    /// When the oldest of their messages was made, by its id; none if there is none.
    pub oldest: Option<Timestamp>,
}

/// What is done to units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Holds those that are not held.
    Hold(HoldReason),
    /// Makes held ones due at this time; their expiry stays as it was.
    Release(Timestamp),
    /// Makes those that are not held due at this time.
    Retry(Timestamp),
    /// Gives them another key.
    Rekey(QueueKey),
    /// Takes them out of the queue; nobody is told.
    Remove,
}

/// Whether a key's units may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// They may.
    Open,
    /// Not before this time.
    NotBefore(Timestamp),
    /// Not until the gate is opened.
    Paused,
}
