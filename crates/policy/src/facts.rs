//! Facts: what is known about one recipient in one transaction.

use std::{fmt, net::IpAddr};

use hikyaku_message::results;
use hikyaku_wire::{Domain, ForwardPath, Hello, ReversePath};

use crate::{Dmarc, Identifier, Rate, Window};

/// What is known about one recipient in one transaction, or about a transaction that has not
/// come that far. Who chooses the value decides what it is worth: user and certificate are
/// proved, the client address and TLS are observed, hello and sender are claims that may be lies.
///
/// Keep one for the session, fill in what becomes known, and set `recipient` anew for each RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The client's address; `None` where it has none (a Unix socket). An IPv4-mapped IPv6
    /// address counts as the IPv4 address wherever it is looked at.
    pub client: Option<IpAddr>,
    /// On what kind of listener the client came in.
    pub listener: Listener,
    /// The time of day: minutes since midnight, UTC (0 to 1439).
    pub minute: Finding<u16>,
    /// Whether the client's address has a name that leads back to it (RFC 8601 §3).
    pub iprev: Finding<results::Iprev>,
    /// That name, where it does. There is one only if `iprev` is `pass`.
    pub name: Finding<Option<Domain>>,
    /// The score of the client in each list of addresses that was asked (RFC 5782): the sum of
    /// the weights of its answers, 0 if it is not listed.
    pub listed: Vec<(Domain, Finding<i32>)>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The certificate that the client has shown and holds the key of. Only under TLS.
    pub certificate: Option<Certificate>,
    /// The argument of the last HELO, EHLO or LHLO: a claim. `None` before it.
    pub hello: Option<Hello>,
    /// The authenticated user (RFC 4954).
    pub user: Option<String>,
    /// The path of MAIL: a claim. `None` before it.
    pub sender: Option<ReversePath>,
    /// Whether `sender` is one of the addresses of `user`. Never of nobody, never `<>`.
    pub owned: Finding<bool>,
    /// What SPF says of `sender`, of `hello` where that is `<>` (RFC 7208 §2.3, §2.4).
    pub spf: Finding<results::Spf>,
    /// The path of the RCPT that is asked about. `None` before it.
    pub recipient: Option<ForwardPath>,
    /// Whether there is such a mailbox, where the recipient's domain is local.
    pub exists: Finding<bool>,
    /// Whether this client has tried to send from this sender to this recipient before, long
    /// enough ago (greylisting).
    pub known: Finding<bool>,
    /// Recipients of this transaction that were accepted, this one included.
    pub recipients: u32,
    /// How many recipients were accepted in each window of time that the policy counts in,
    /// without this one.
    pub rates: Vec<(Window, u64)>,
    /// What the program itself has found out, by name.
    pub custom: Vec<(Identifier, Finding<bool>)>,
    /// What is known of the message, once it is there.
    pub message: Option<Message>,
}

/// What is known of a message when it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Octets, header section included.
    pub size: u64,
    /// Fields `Received` (RFC 5321 §6.3).
    pub hops: u32,
    /// Whether the domain of the field From is that of the sender, or one above or below it.
    pub aligned: Finding<bool>,
    /// `pass` if one signature is good (RFC 6376), `none` if there is none, else what became of
    /// the first.
    pub dkim: Finding<results::Dkim>,
    /// What became of the chain of ARC sets (RFC 8617).
    pub arc: Finding<results::Arc>,
    /// Whether the author's domain has sent the message, and what it asks for if not (RFC 9989).
    pub dmarc: Finding<Dmarc>,
}

impl Message {
    /// A message of so many octets; nothing else is known of it yet.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            hops: 0,
            aligned: Finding::NotYet,
            dkim: Finding::NotYet,
            arc: Finding::NotYet,
            dmarc: Finding::NotYet,
        }
    }
}

/// A certificate that a client has shown in its TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The SHA-256 digest of its public key (RFC 7469 §2.4).
    pub spki: [u8; 32],
    /// The names in it that a trusted authority vouches for; empty if none does.
    pub names: Vec<Domain>,
}

/// What is known of a fact that must be found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Finding<T> {
    /// Nobody has looked yet. Past the stage of the fact that is as good as unknown.
    #[default]
    NotYet,
    /// It could not be found out: the DNS has failed.
    Unknown,
    /// This is so.
    Is(T),
}

impl Facts {
    /// The facts when a client has just connected.
    pub fn new(client: Option<IpAddr>, listener: Listener) -> Self {
        let client = client.map(|address| address.to_canonical());
        Self {
            client,
            listener,
            minute: Finding::NotYet,
            iprev: Finding::NotYet,
            name: Finding::NotYet,
            listed: Vec::new(),
            tls: false,
            certificate: None,
            hello: None,
            user: None,
            sender: None,
            owned: Finding::NotYet,
            spf: Finding::NotYet,
            recipient: None,
            exists: Finding::NotYet,
            known: Finding::NotYet,
            recipients: 1,
            rates: Vec::new(),
            custom: Vec::new(),
            message: None,
        }
    }

    /// How far the transaction has come: the last of the facts that is there.
    pub fn stage(&self) -> Stage {
        match self {
            Self { message: Some(_), .. } => Stage::Message,
            Self { recipient: Some(_), .. } => Stage::Recipient,
            Self { sender: Some(_), .. } => Stage::Mail,
            Self { hello: Some(_), .. } => Stage::Hello,
            _ => Stage::Connect,
        }
    }

    /// The client's score in a list of addresses.
    pub(crate) fn score(&self, zone: &Domain) -> Finding<i32> {
        let score = self.listed.iter().find(|(listed, _)| listed == zone);
        score.map_or(Finding::NotYet, |(_, score)| *score)
    }

    /// The value of a custom condition.
    pub(crate) fn custom(&self, name: &Identifier) -> Finding<bool> {
        let value = self.custom.iter().find(|(custom, _)| custom == name);
        value.map_or(Finding::NotYet, |(_, value)| *value)
    }

    /// How many recipients were accepted in the window of this rate.
    pub(crate) fn count(&self, rate: &Rate) -> Finding<u64> {
        let count = self.rates.iter().find(|(window, _)| *window == rate.window);
        count.map_or(Finding::NotYet, |(_, count)| Finding::Is(*count))
    }
}

/// The moments at which a policy is asked, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The client has connected.
    Connect,
    /// After HELO, EHLO or LHLO.
    Hello,
    /// At MAIL.
    Mail,
    /// At RCPT.
    Recipient,
    /// At the end of the message.
    Message,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::Mail => "mail",
            Self::Recipient => "recipient",
            Self::Message => "message",
        })
    }
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Listener {
    /// Mail from other servers (RFC 5321). It offers no AUTH.
    Mx,
    /// Mail from users (RFC 6409).
    Submission,
    /// Mail from users, TLS from the first octet (RFC 8314 §3.3).
    Submissions,
    /// Mail from a server on the same side (RFC 2033). It offers no AUTH.
    Lmtp,
}

impl Listener {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Mx, Self::Submission, Self::Submissions, Self::Lmtp];
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Lmtp => "lmtp",
        })
    }
}
