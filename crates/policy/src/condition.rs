//! Conditions: what a rule asks of the facts.

use hikyaku_message::results;
use hikyaku_wire::{ForwardPath, ReversePath};

use crate::{Facts, List, ListName, Listener, Stage, list::Lists};

/// What a rule asks of the facts. Each test is true, false or, before the stage at which its
/// fact appears, not yet known; `not`, `and` and `or` join the three values as Kleene's logic
/// does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Always true.
    Any,
    /// The client's address is in the list of networks. A client without an address is in none.
    From(ListName),
    /// The recipient's host is in the list of domains; the bare `<postmaster>` is in every list
    /// of local domains and in no other (RFC 5321 §4.5.1).
    To(ListName),
    /// The sender's host is in the list of domains. A claim: it never shows who the client is.
    Sender(ListName),
    /// The sender is `<>`.
    NullSender,
    /// The client has authenticated.
    Authenticated,
    /// The connection is encrypted.
    Tls,
    /// The client came in on a listener of that kind.
    On(Listener),
    /// SPF says this of the sender (RFC 7208). Where it was not checked it says nothing.
    Spf(results::Spf),
    /// This is said of the name of the client's address (RFC 8601 §3). Where it was not looked up
    /// nothing is said.
    Iprev(results::Iprev),
    /// The other way round.
    Not(Box<Self>),
    /// Both.
    And(Box<Self>, Box<Self>),
    /// One of the two or both.
    Or(Box<Self>, Box<Self>),
}

impl Condition {
    /// Both this one and the other.
    pub fn and(self, other: Self) -> Self {
        Self::And(Box::new(self), Box::new(other))
    }

    /// This one or the other or both.
    pub fn or(self, other: Self) -> Self {
        Self::Or(Box::new(self), Box::new(other))
    }

    /// The value, if `test` gives the value of each single test; `None` is not known.
    pub(crate) fn value(&self, test: &impl Fn(&Self) -> Option<bool>) -> Option<bool> {
        match self {
            Self::Any => Some(true),
            Self::Not(inner) => inner.value(test).map(|value| !value),
            Self::And(a, b) => match a.value(test) {
                Some(false) => Some(false),
                Some(true) => b.value(test),
                None => b.value(test).filter(|value| !value),
            },
            Self::Or(a, b) => match a.value(test) {
                Some(true) => Some(true),
                Some(false) => b.value(test),
                None => b.value(test).filter(|value| *value),
            },
            single => test(single),
        }
    }

    /// The value of a single test for these facts.
    pub(crate) fn holds(&self, facts: &Facts, lists: &Lists) -> Option<bool> {
        match self {
            Self::From(name) => Some(match (facts.client, lists.get(name)) {
                (Some(client), Some(List::Networks { networks, .. })) => networks.contains(client),
                _ => false,
            }),
            Self::To(name) => facts.recipient.as_ref().map(|recipient| match (recipient, lists.get(name)) {
                (ForwardPath::Mailbox(mailbox), Some(List::Domains { domains, .. })) => {
                    domains.contains(mailbox.host())
                }
                (ForwardPath::Postmaster, list) => list.is_some_and(List::is_local),
                _ => false,
            }),
            Self::Sender(name) => facts.sender.as_ref().map(|sender| match (sender, lists.get(name)) {
                (ReversePath::Mailbox(mailbox), Some(List::Domains { domains, .. })) => {
                    domains.contains(mailbox.host())
                }
                _ => false,
            }),
            Self::NullSender => facts.sender.as_ref().map(|sender| sender.mailbox().is_none()),
            // A client may still authenticate, or begin TLS, until its first MAIL.
            Self::Authenticated => settled(facts.user.is_some(), facts),
            Self::Tls => settled(facts.tls, facts),
            Self::On(listener) => Some(facts.listener == *listener),
            Self::Spf(result) => found(facts.spf.map(|spf| spf == *result), facts),
            Self::Iprev(result) => found(facts.iprev.map(|iprev| iprev == *result), facts),
            Self::Any | Self::Not(_) | Self::And(..) | Self::Or(..) => None,
        }
    }
}

impl std::ops::Not for Condition {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

fn settled(value: bool, facts: &Facts) -> Option<bool> {
    (value || facts.stage() >= Stage::Mail).then_some(value)
}

/// What is looked up at MAIL, if it is.
fn found(value: Option<bool>, facts: &Facts) -> Option<bool> {
    value.or_else(|| (facts.stage() >= Stage::Recipient).then_some(false))
}

/// What a policy asks of a client besides what its session shows: what must be looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// SPF of the sender.
    pub spf: bool,
    /// The name of the client's address.
    pub iprev: bool,
}

impl Condition {
    /// Adds what it asks for.
    pub(crate) fn need(&self, needs: &mut Needs) {
        match self {
            Self::Spf(_) => needs.spf = true,
            Self::Iprev(_) => needs.iprev = true,
            Self::Not(inner) => inner.need(needs),
            Self::And(a, b) | Self::Or(a, b) => {
                a.need(needs);
                b.need(needs);
            }
            _ => {}
        }
    }
}
