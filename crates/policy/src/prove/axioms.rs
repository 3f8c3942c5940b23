//! What facts can be together: the axioms, as data.

use super::space::Fact;
use crate::Per;

/// One of several things that hold: a fact is one of these words, or is none of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Literal {
    Is(Kind, &'static [&'static str]),
    IsNot(Kind, &'static [&'static str]),
}

/// Kinds of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Listener,
    Tls,
    User,
    Key,
    Vouched,
    VouchedName,
    Owned,
    Known,
    Iprev,
    Spf,
    Dkim,
    Dmarc,
    Rate,
    /// What is counted for a client's address or network.
    RateOfClient,
    RateOfUser,
    /// What is counted for a sender or its domain.
    RateOfSender,
    Client,
    Recipients,
    Minute,
    Name,
    Sender,
}

impl Kind {
    pub(super) fn is(self, fact: &Fact) -> bool {
        match fact {
            Fact::Listener => self == Self::Listener,
            Fact::Tls => self == Self::Tls,
            Fact::User => self == Self::User,
            Fact::Key => self == Self::Key,
            Fact::Vouched => self == Self::Vouched,
            Fact::VouchedName(_) => self == Self::VouchedName,
            Fact::Owned => self == Self::Owned,
            Fact::Known => self == Self::Known,
            Fact::Iprev => self == Self::Iprev,
            Fact::Spf => self == Self::Spf,
            Fact::Dkim => self == Self::Dkim,
            Fact::Dmarc => self == Self::Dmarc,
            Fact::Rate(window) => {
                let of = match window.per {
                    Per::Ip | Per::Network => Self::RateOfClient,
                    Per::User => Self::RateOfUser,
                    Per::Sender | Per::Domain => Self::RateOfSender,
                };
                self == Self::Rate || self == of
            }
            Fact::Client => self == Self::Client,
            Fact::Recipients => self == Self::Recipients,
            Fact::Minute => self == Self::Minute,
            Fact::Name => self == Self::Name,
            Fact::Sender => self == Self::Sender,
            _ => false,
        }
    }
}

use Literal::{Is, IsNot};

/// In each line one literal at least holds. The first one is about the fact that the line bounds:
/// where a policy does not ask for that fact, it has a plain value, and the line holds.
pub(super) const AXIOMS: &[&[Literal]] = &[
    // A certificate is shown in a TLS handshake; a trusted authority vouches for certificates
    // only, and for their names.
    &[Is(Kind::Key, &["none"]), Is(Kind::Tls, &["yes"])],
    &[Is(Kind::Vouched, &["no"]), IsNot(Kind::Key, &["none"])],
    &[Is(Kind::VouchedName, &["no"]), Is(Kind::Vouched, &["yes"])],
    // TLS from the first octet (RFC 8314 §3.3).
    &[IsNot(Kind::Listener, &["submissions"]), Is(Kind::Tls, &["yes"])],
    // Only these listeners offer AUTH, and only under TLS.
    &[Is(Kind::User, &["none"]), Is(Kind::Listener, &["submission", "submissions"])],
    &[Is(Kind::User, &["none"]), Is(Kind::Tls, &["yes"])],
    // Nobody owns `<>`, and only a user owns anything.
    &[Is(Kind::Owned, &["no"]), IsNot(Kind::User, &["none"])],
    &[Is(Kind::Owned, &["no"]), IsNot(Kind::Sender, &["none"])],
    // A name that is confirmed is what `iprev` passes for (RFC 8601 §3).
    &[Is(Kind::Name, &["none", "unknown"]), Is(Kind::Iprev, &["pass"])],
    &[IsNot(Kind::Iprev, &["pass"]), IsNot(Kind::Name, &["none", "unknown"])],
    // DMARC passes for what SPF or DKIM passes for (RFC 9989).
    &[IsNot(Kind::Dmarc, &["pass"]), Is(Kind::Spf, &["pass"]), Is(Kind::Dkim, &["pass"])],
    // What this server itself keeps is never unknown, and who is counted is one at least.
    &[IsNot(Kind::Known, &["unknown"])],
    &[IsNot(Kind::Rate, &["unknown"])],
    &[IsNot(Kind::Minute, &["unknown"])],
    &[IsNot(Kind::Recipients, &["none"])],
    // Nothing is counted of who has no address, is no user, or sends from `<>`.
    &[Is(Kind::RateOfClient, &["none"]), IsNot(Kind::Client, &["none"])],
    &[Is(Kind::RateOfUser, &["none"]), IsNot(Kind::User, &["none"])],
    &[Is(Kind::RateOfSender, &["none"]), IsNot(Kind::Sender, &["none"])],
];
