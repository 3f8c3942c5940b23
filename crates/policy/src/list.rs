//! Named lists, and what a policy declares them to be.

use std::collections::BTreeMap;

use hikyaku_wire::Domain;

use crate::{Domains, Identifier, Networks};

/// A named list. What it is declared to be is what makes a permit that rests on it safe: a plain
/// list grants nothing by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct List {
    /// Its name.
    pub name: Identifier,
    /// What is in it.
    pub members: Members,
    /// What the policy says about it: the lines of the comment above it, without `#`.
    pub comment: Vec<String>,
}

/// What is in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Members {
    /// Client addresses, and whether one of them may serve as a credential.
    Networks(Trust, Networks),
    /// Domains of addresses, and whose mail that is.
    Domains(DomainRole, Domains),
    /// Names of clients, for forward-confirmed names and for HELO; whether a confirmed one may
    /// serve as a credential: `names`, `trusted names`.
    Names(bool, Domains),
    /// Users.
    Users(Vec<String>),
    /// Certificates of clients.
    Certificates(Vec<CertificatePattern>),
}

/// Whether a client address may serve as a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// No: `networks`.
    Plain,
    /// Yes, if all such lists together are narrow enough: `trusted networks`.
    Trusted,
    /// Yes, however many addresses it holds: `trusted wide networks`.
    Wide,
}

/// What a list of domains is declared to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DomainRole {
    /// Some domains, for use in conditions.
    Plain,
    /// The domains whose mailboxes are here.
    Local,
    /// The domains that this server takes mail for and passes on (a backup MX, a gateway).
    Relay,
}

/// One member of a list of certificates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificatePattern {
    /// The one whose public key has this SHA-256 digest: `spki "sha256/…"` (RFC 7469 §2.4).
    Spki([u8; 32]),
    /// Those that a trusted authority gives this name: `ca "relay.example.org"`.
    Named(Domain),
}

impl List {
    /// Whether it is a list of local domains, each of which holds the bare postmaster.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.members, Members::Domains(DomainRole::Local, _))
    }

    /// A list without a comment.
    pub fn new(name: Identifier, members: Members) -> Self {
        Self { name, members, comment: Vec::new() }
    }
}

impl Members {
    /// What such a list is called.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Networks(..) => "networks",
            Self::Domains(..) => "domains",
            Self::Names(..) => "names",
            Self::Users(_) => "users",
            Self::Certificates(_) => "certificates",
        }
    }
}

/// Lists in the order of their declaration, found by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    lists: Vec<List>,
    by_name: BTreeMap<Identifier, usize>,
}

impl Lists {
    /// Gives back the name that is declared twice.
    pub(crate) fn new(lists: Vec<List>) -> Result<Self, Identifier> {
        let mut by_name = BTreeMap::new();
        for (index, list) in lists.iter().enumerate() {
            if by_name.insert(list.name.clone(), index).is_some() {
                return Err(list.name.clone());
            }
        }
        Ok(Self { lists, by_name })
    }

    pub(crate) fn get(&self, name: &Identifier) -> Option<&List> {
        self.by_name.get(name).map(|index| &self.lists[*index])
    }

    pub(crate) fn as_slice(&self) -> &[List] {
        &self.lists
    }
}
