//! What travels with a message: its envelope, its recipients and what became of each.

use std::net::IpAddr;

use hikyaku_wire::{
    Body, DeliverBy, EnvelopeId, ForwardPath, Mail, Notify, OriginalRecipient, Priority, Recipient, Reply, Ret,
    ReversePath, Timestamp,
};

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
    /// How much of the message a report of failure returns, if the sender said (`RET=`, RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// By what the sender knows the message (`ENVID=`, RFC 3461 §4.4).
    pub envid: Option<EnvelopeId>,
    /// Whether it may only travel encrypted, to hosts that promise the same (RFC 8689).
    pub require_tls: bool,
    /// How long the sender waits for the delivery, counted from `received` (`BY=`, RFC 2852).
    pub by: Option<DeliverBy>,
    /// How urgent the message is, if the sender said (`MT-PRIORITY=`, RFC 6710).
    pub priority: Option<Priority>,
    /// When the message was accepted; the clock of expiry and of warnings runs from here.
    pub received: Timestamp,
    /// Who brought it.
    pub origin: Origin,
}

impl Envelope {
    /// An envelope with `BODY=7BIT`, no extension and an unknown origin.
    pub fn new(sender: ReversePath, received: Timestamp) -> Self {
        Self {
            sender,
            body: Body::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
            require_tls: false,
            by: None,
            priority: None,
            received,
            origin: Origin::default(),
        }
    }

    /// The envelope that MAIL asks for, with an unknown origin. `SIZE=`, `AUTH=`, `HOLDFOR=` and what
    /// has no field in [`MailParams`](hikyaku_wire::MailParams) are not kept.
    pub fn of(mail: &Mail, received: Timestamp) -> Self {
        let params = &mail.params;
        Self {
            body: params.body.unwrap_or(Body::SevenBit),
            smtputf8: params.smtputf8,
            ret: params.ret,
            envid: params.envid.clone(),
            require_tls: params.requiretls,
            by: params.by,
            priority: params.priority,
            ..Self::new(mail.from.clone(), received)
        }
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
    /// Whether it came encrypted.
    pub tls: bool,
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
    /// Of what the sender wants to be told (`NOTIFY=`, RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// The recipient that the sender wrote to (`ORCPT=`, RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient>,
}

impl NewRcpt {
    /// A recipient with this address and nothing asked for.
    pub fn new(addr: ForwardPath) -> Self {
        Self { addr, notify: None, orcpt: None }
    }
}

/// A recipient as RCPT asks for it.
impl From<&Recipient> for NewRcpt {
    fn from(recipient: &Recipient) -> Self {
        let Recipient { to, params } = recipient;
        Self { addr: to.clone(), notify: params.notify, orcpt: params.orcpt.clone() }
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
    /// Of what the sender wants to be told.
    pub notify: Option<Notify>,
    /// The recipient that the sender wrote to.
    pub orcpt: Option<OriginalRecipient>,
    /// What became of it so far.
    pub state: RcptState,
}

impl Rcpt {
    /// A recipient of which nothing is known yet; for back-ends.
    pub fn new(no: RcptNo, rcpt: NewRcpt) -> Self {
        let NewRcpt { addr, notify, orcpt } = rcpt;
        Self { no, addr, notify, orcpt, state: RcptState::Pending }
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
