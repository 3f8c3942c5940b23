//! Conditions: what a rule asks of the facts.

use std::time::Duration;

use hikyaku_message::results;
use hikyaku_wire::{Domain, Mailbox};

use crate::{DomainPattern, Identifier, Listener, Network, Stage};

/// What a rule asks of the facts: tests, joined by `not`, `and` and `or`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Always true.
    Always,
    /// One test of one fact.
    Test(Test),
    /// The same, and what it counts as where the fact could not be found out, in place of the
    /// [default](Test::unless_known).
    Assuming(Test, bool),
    /// The other way round.
    Not(Box<Self>),
    /// All of two or more.
    All(Vec<Self>),
    /// One at least of two or more.
    Any(Vec<Self>),
}

/// A test of one fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Test {
    /// `from office`: the client's address. A client without an address is nowhere.
    From(NetworkSet),
    /// `on mx`: the kind of listener.
    On(Listener),
    /// `hours 22:00-06:00`: the time of day, UTC.
    Hours(Hours),
    /// `name partners`: the client's address has a name that leads back to it, and that is one
    /// of these.
    Name(HostSet),
    /// `iprev pass`: whether the client's address has a name that leads back to it.
    Iprev(Vec<results::Iprev>),
    /// `listed zen.example >= 3`: the client's score in a list of addresses; at least 1 where
    /// nothing else is said.
    Listed {
        /// The list's zone.
        zone: Domain,
        /// The least score.
        at_least: i32,
    },
    /// `tls`: the connection is encrypted.
    Tls,
    /// `authenticated`, `authenticated as staff`: the client has proved to be a user.
    Authenticated(Option<Identifier>),
    /// `certificate servers`: the client has shown a certificate that is believed.
    Certificate(CertificateSet),
    /// `helo partners`: what the client calls itself. A claim.
    Helo(HostSet),
    /// `sender blocked`: the sender. A claim.
    Sender(HostSet),
    /// `sender null`: the sender is `<>`.
    SenderNull,
    /// `sender owned`: the sender is an address of the user.
    SenderOwned,
    /// `spf fail, softfail`: what SPF says of the sender.
    Spf(Vec<results::Spf>),
    /// `to ours`: the recipient. The bare `<postmaster>` is in every list of local domains and in
    /// nothing else (RFC 5321 §4.5.1).
    To(HostSet),
    /// `recipient exists`: there is such a mailbox.
    RecipientExists,
    /// `known`: the same client, sender and recipient were seen before, long enough ago.
    Known,
    /// `recipients > 100`: how many recipients were accepted, this one included.
    Recipients(u32),
    /// `rate < 100/h per ip`: fewer than so many recipients were accepted.
    Rate(Rate),
    /// `size > 10M`: octets of the message.
    Size(u64),
    /// `hops > 30`: fields `Received`.
    Hops(u32),
    /// `author aligned`: the domain of the field From is the sender's, or above or below it.
    AuthorAligned,
    /// `dkim pass`: whether a domain has signed the message.
    Dkim(Vec<results::Dkim>),
    /// `arc fail`: the chain of ARC sets.
    Arc(Vec<results::Arc>),
    /// `dmarc reject, quarantine`: whether the author's domain has sent the message.
    Dmarc(Vec<Dmarc>),
    /// `custom odd`: what the program has found out.
    Custom(Identifier),
}

/// Which client addresses a test means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NetworkSet {
    /// Those of a list.
    List(Identifier),
    /// Those of one network.
    Network(Network),
}

/// Which domains or mailboxes a test means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostSet {
    /// Those of a list.
    List(Identifier),
    /// Those of one pattern.
    Pattern(DomainPattern),
    /// One mailbox; its local part is compared without the case of ASCII letters.
    /// `to mailbox "abuse@example.org"`, `sender mailbox …`; not for names.
    Mailbox(Mailbox),
}

/// Which certificates a test means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateSet {
    /// Those that a trusted authority vouches for, whatever their names: `any`.
    Trusted,
    /// Those of a list.
    List(Identifier),
    /// The one whose public key has this SHA-256 digest: `spki "sha256/…"` (RFC 7469 §2.4).
    Spki([u8; 32]),
}

/// What DMARC says (RFC 9989).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dmarc {
    /// The author's domain has sent the message.
    Pass,
    /// The domain publishes no policy.
    None,
    /// It has not, and asks for nothing: `fail` means this and the next two.
    Fail,
    /// It has not, and asks for quarantine.
    Quarantine,
    /// It has not, and asks to reject the message.
    Reject,
    /// Its policy cannot be read, or there is no one author.
    PermError,
}

/// Fewer than so many recipients in a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// So many, or more, are too many. At least 1.
    pub limit: u64,
    /// What is counted.
    pub window: Window,
}

/// What is counted: the recipients that were accepted in the last so many seconds for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// How long.
    pub period: Period,
    /// For each what.
    pub per: Per,
}

/// A period of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
}

impl Period {
    /// How long it is.
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86400,
        })
    }
}

/// For each what recipients are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// Client address.
    Ip,
    /// Network of the client: /24 of IPv4, /64 of IPv6.
    Network,
    /// User; nothing is counted of who is none.
    User,
    /// Sender.
    Sender,
    /// The sender's domain.
    Domain,
}

/// A span of the day, UTC: from one minute up to, and without, another. It goes over midnight if
/// it ends before it begins. Minutes since midnight, 0 to 1440.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hours {
    /// The first minute.
    pub from: u16,
    /// The minute after the last.
    pub until: u16,
}

impl Hours {
    /// Whether a minute of the day is in it.
    pub fn contains(&self, minute: u16) -> bool {
        match self.from <= self.until {
            true => (self.from..self.until).contains(&minute),
            false => minute >= self.from || minute < self.until,
        }
    }
}

impl Condition {
    /// Both this one and the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(mut all) => {
                all.push(other);
                Self::All(all)
            }
            one => Self::All(vec![one, other]),
        }
    }

    /// This one or the other or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Any(mut any) => {
                any.push(other);
                Self::Any(any)
            }
            one => Self::Any(vec![one, other]),
        }
    }

    /// Every test in it, in order.
    pub fn tests(&self) -> Vec<&Test> {
        fn collect<'a>(condition: &'a Condition, tests: &mut Vec<&'a Test>) {
            match condition {
                Condition::Always => {}
                Condition::Test(test) | Condition::Assuming(test, _) => tests.push(test),
                Condition::Not(inner) => collect(inner, tests),
                Condition::All(inner) | Condition::Any(inner) => inner.iter().for_each(|one| collect(one, tests)),
            }
        }
        let mut tests = Vec::new();
        collect(self, &mut tests);
        tests
    }
}

impl From<Identifier> for NetworkSet {
    fn from(list: Identifier) -> Self {
        Self::List(list)
    }
}

impl From<Network> for NetworkSet {
    fn from(network: Network) -> Self {
        Self::Network(network)
    }
}

impl From<Identifier> for HostSet {
    fn from(list: Identifier) -> Self {
        Self::List(list)
    }
}

impl From<DomainPattern> for HostSet {
    fn from(pattern: DomainPattern) -> Self {
        Self::Pattern(pattern)
    }
}

impl From<Mailbox> for HostSet {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

impl From<Identifier> for CertificateSet {
    fn from(list: Identifier) -> Self {
        Self::List(list)
    }
}

impl Rate {
    /// Fewer than `limit` recipients in the last period, for each of those.
    pub fn new(limit: u64, period: Period, per: Per) -> Self {
        Self { limit, window: Window { period, per } }
    }
}

impl From<Test> for Condition {
    fn from(test: Test) -> Self {
        Self::Test(test)
    }
}

impl std::ops::Not for Condition {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// What is written most, for a program that builds a policy.
impl Test {
    /// `from office`, `from 10.0.0.0/8`
    pub fn client(set: impl Into<NetworkSet>) -> Self {
        Self::From(set.into())
    }

    /// `to ours`, `to example.org`, `to mailbox "abuse@example.org"`
    pub fn to(set: impl Into<HostSet>) -> Self {
        Self::To(set.into())
    }

    /// `sender blocked`, `sender example.org`, `sender mailbox "a@example.org"`
    pub fn sender(set: impl Into<HostSet>) -> Self {
        Self::Sender(set.into())
    }

    /// `helo friends`, `helo mx.example.org`
    pub fn helo(set: impl Into<HostSet>) -> Self {
        Self::Helo(set.into())
    }

    /// `name printers`, `name *.example.org`
    pub fn name(set: impl Into<HostSet>) -> Self {
        Self::Name(set.into())
    }

    /// `certificate servers`
    pub fn certificate(set: impl Into<CertificateSet>) -> Self {
        Self::Certificate(set.into())
    }

    /// `listed zen.example >= 3`
    pub fn listed(zone: Domain, at_least: i32) -> Self {
        Self::Listed { zone, at_least }
    }

    /// The same, and what it counts as where its fact could not be found out:
    /// `known (unknown means yes)`.
    pub fn assuming(self, unless_known: bool) -> Condition {
        Condition::Assuming(self, unless_known)
    }

    /// Both: `tls and authenticated`.
    #[must_use]
    pub fn and(self, other: impl Into<Condition>) -> Condition {
        Condition::Test(self).and(other.into())
    }

    /// One or the other or both: `to ours or to partners`.
    #[must_use]
    pub fn or(self, other: impl Into<Condition>) -> Condition {
        Condition::Test(self).or(other.into())
    }
}

/// The other way round: `not tls`.
impl std::ops::Not for Test {
    type Output = Condition;

    fn not(self) -> Condition {
        !Condition::Test(self)
    }
}

impl Test {
    /// The first stage at which the fact can be known for good. Until MAIL a client may still
    /// begin TLS, authenticate, or call itself something else.
    pub fn stage(&self) -> Stage {
        match self {
            Self::From(_) | Self::On(_) | Self::Hours(_) | Self::Name(_) | Self::Iprev(_) | Self::Listed { .. } => {
                Stage::Connect
            }
            Self::Custom(_) => Stage::Connect,
            Self::Helo(_) => Stage::Hello,
            Self::Tls | Self::Authenticated(_) | Self::Certificate(_) => Stage::Mail,
            Self::Sender(_) | Self::SenderNull | Self::SenderOwned | Self::Spf(_) => Stage::Mail,
            Self::To(_) | Self::RecipientExists | Self::Known | Self::Recipients(_) | Self::Rate(_) => Stage::Recipient,
            Self::Size(_) | Self::Hops(_) | Self::AuthorAligned | Self::Dkim(_) | Self::Arc(_) | Self::Dmarc(_) => {
                Stage::Message
            }
        }
    }

    /// What the test counts as where its fact could not be found out: a list that does not answer
    /// lists nobody, a new client is not known, and one whose name cannot be confirmed has none.
    /// `None`: it stays open, and unless that cannot matter the recipient is deferred.
    pub fn unless_known(&self) -> Option<bool> {
        match self {
            Self::Listed { .. } | Self::Known | Self::Name(_) => Some(false),
            _ => None,
        }
    }
}
