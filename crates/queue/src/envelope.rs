//! What travels with a message: its envelope, its recipients and what became of each.

use std::net::IpAddr;

use hikyaku_wire::{Body, ForwardPath, Reply, ReversePath, Timestamp};

use crate::{HoldReason, QueueKey};

/// What is said about a whole message outside of its text (RFC 5321 §2.3.1), and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// The path for failures; `<>` gets none.
    pub sender: ReversePath,
    /// What the sender declared with `BODY=` (RFC 6152).
    pub body: Body,
    /// Whether the sender asked for `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// When the message was accepted; the clock of expiry and of warnings runs from here.
    pub received: Timestamp,
    /// Who brought it.
    pub origin: Origin,
}

impl Envelope {
    /// An envelope with `BODY=7BIT`, no extension and an unknown origin.
    pub fn new(sender: ReversePath, received: Timestamp) -> Self {
        Self { sender, body: Body::SevenBit, smtputf8: false, received, origin: Origin::default() }
    }
}

/// Who brought a message, as far as known; a bounce of our own has nothing here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The address of the peer.
    pub address: Option<IpAddr>,
    /// What the peer called itself in EHLO, HELO or LHLO.
    pub hello: Option<String>,
    /// The authenticated user.
    pub user: Option<String>,
    /// The id of the session, as it stands in the audit.
    pub session: Option<String>,
    /// The listener that took the connection.
    pub listener: Option<String>,
}

/// A unit as it enters the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewUnit {
    /// Where it goes.
    pub key: QueueKey,
    /// When it may first be claimed.
    pub due: Timestamp,
    /// When it is given up: from then on it is claimed with `expired` set.
    pub expires: Timestamp,
    /// Held from the start.
    pub hold: Option<HoldReason>,
    /// Its recipients, at least one; the first has number 0.
    pub rcpts: Vec<NewRcpt>,
}

impl NewUnit {
    /// A unit without recipients yet, not held.
    pub fn new(key: QueueKey, due: Timestamp, expires: Timestamp) -> Self {
        Self { key, due, expires, hold: None, rcpts: Vec::new() }
    }

    /// Adds one recipient.
    #[must_use]
    pub fn with(mut self, rcpt: NewRcpt) -> Self {
        self.rcpts.push(rcpt);
        self
    }
}

/// A recipient as it enters the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRcpt {
    /// The address.
    pub addr: ForwardPath,
}

impl NewRcpt {
    /// A recipient with this address and nothing asked for.
    pub fn new(addr: ForwardPath) -> Self {
        Self { addr }
    }
}

/// The number of a recipient within its unit, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RcptNo(pub u32);

/// A recipient in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rcpt {
    /// Its number within the unit.
    pub no: RcptNo,
    /// The address.
    pub addr: ForwardPath,
    /// What became of it so far.
    pub state: RcptState,
}

impl Rcpt {
    /// A recipient of which nothing is known yet; for back-ends.
    pub fn new(no: RcptNo, rcpt: NewRcpt) -> Self {
        Self { no, addr: rcpt.addr, state: RcptState::Pending }
    }
}

/// What became of a recipient so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RcptState {
    /// Nothing was tried.
    Pending,
    /// The last attempt failed for now; it will be tried again.
    Deferred(Attempt),
    /// It is in its mailbox.
    Delivered(Attempt),
    /// The next host has it.
    Relayed(Attempt),
    /// It was refused for good.
    Failed(Attempt),
    /// It was given up.
    Expired(Attempt),
}

impl RcptState {
    /// Whether nothing more will be tried.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::Deferred(_))
    }

    /// The attempt that led here.
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::Pending => None,
            Self::Deferred(attempt)
            | Self::Delivered(attempt)
            | Self::Relayed(attempt)
            | Self::Failed(attempt)
            | Self::Expired(attempt) => Some(attempt),
        }
    }
}

/// One attempt at a recipient, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// When it ended.
    pub when: Timestamp,
    /// The host that answered, by name; none where the reply is our own (time-out, DNS, expiry).
    pub host: Option<String>,
    /// The address of that host.
    pub address: Option<IpAddr>,
    /// The answer.
    pub reply: Reply,
}

impl Attempt {
    /// An attempt that ended with a reply of our own.
    pub fn new(when: Timestamp, reply: Reply) -> Self {
        Self { when, host: None, address: None, reply }
    }

    /// An attempt that a remote host answered.
    pub fn remote(when: Timestamp, reply: Reply, host: impl Into<String>, address: Option<IpAddr>) -> Self {
        Self { when, host: Some(host.into()), address, reply }
    }
}
