//! Named lists, and what a policy declares them to be.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use hikyaku_wire::Domain;

use crate::{
    DomainError, DomainPattern, Domains, Identifier, Network, Networks, TextError, domains::with_a_labels, language,
};

/// A named list. What it is declared to be is what makes a permit that rests on it safe: a plain
/// list grants nothing by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct List {
    /// Its name.
    pub name: Identifier,
    /// What is in it, the members that stand in files included.
    pub members: Members,
    /// What the policy says about it: the lines of the comment above it, without `#`.
    pub comment: Vec<String>,
    /// The files that it names, each with what was read from it.
    pub(crate) files: Vec<(String, Members)>,
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
    /// Users; a policy has them sorted, each once.
    Users(Vec<String>),
    /// Certificates of clients; a policy has them sorted, each once.
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
    /// A list without a comment, and without a file.
    pub fn new(name: Identifier, members: Members) -> Self {
        Self { name, members, comment: Vec::new(), files: Vec::new() }
    }

    /// Adds what stands in a file, of which this is the text: one member a line as in the policy
    /// (a name of one label and a user need no quotes), `#` before what is to be left out. The list
    /// prints the file's name in place of its members.
    ///
    /// # Errors
    /// The first line that is no member.
    pub fn with_file(mut self, file: &str, text: &str) -> Result<Self, TextError> {
        let members = language::members_of_file(&self.members.none(), file, text)?;
        self.add_files(vec![(file.to_owned(), members)]);
        Ok(self)
    }

    /// Adds files with what was read from them.
    pub(crate) fn add_files(&mut self, files: Vec<(String, Members)>) {
        self.members = self.members.and(files.iter().map(|(_, members)| members));
        self.files.extend(files);
    }

    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(file, _)| file.as_str())
    }

    /// The members that stand in none of its files.
    pub(crate) fn inline(&self) -> Cow<'_, Members> {
        if self.files.is_empty() {
            return Cow::Borrowed(&self.members);
        }
        let in_files = self.members.none().and(self.files.iter().map(|(_, members)| members));
        Cow::Owned(self.members.without(&in_files))
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Networks(_, networks) => networks.len(),
            Self::Domains(_, domains) | Self::Names(_, domains) => domains.len(),
            Self::Users(users) => users.len(),
            Self::Certificates(patterns) => patterns.len(),
        }
    }

    /// An empty list of the same kind.
    pub(crate) fn none(&self) -> Self {
        match self {
            Self::Networks(trust, _) => Self::Networks(*trust, Networks::default()),
            Self::Domains(role, _) => Self::Domains(*role, Domains::default()),
            Self::Names(trusted, _) => Self::Names(*trusted, Domains::default()),
            Self::Users(_) => Self::Users(Vec::new()),
            Self::Certificates(_) => Self::Certificates(Vec::new()),
        }
    }

    /// These and others of the same kind.
    fn and<'a>(&'a self, others: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let all = std::iter::once(self).chain(others).filter(|members| members.len() > 0);
        let (first, second) = (all.clone().next(), all.clone().nth(1));
        if second.is_none() {
            // What is one list alone is shared with it.
            return first.unwrap_or(self).clone();
        }
        match self {
            Self::Networks(trust, _) => Self::Networks(*trust, all.flat_map(Self::networks).copied().collect()),
            Self::Domains(role, _) => Self::Domains(*role, all.flat_map(Self::domains).collect()),
            Self::Names(trusted, _) => Self::Names(*trusted, all.flat_map(Self::domains).collect()),
            Self::Users(_) => Self::Users(sorted(all.flat_map(|members| match members {
                Self::Users(users) => users.as_slice(),
                _ => &[],
            }))),
            Self::Certificates(_) => Self::Certificates(sorted(all.flat_map(|members| match members {
                Self::Certificates(patterns) => patterns.as_slice(),
                _ => &[],
            }))),
        }
    }

    fn networks(&self) -> impl Iterator<Item = &Network> {
        let networks = if let Self::Networks(_, networks) = self { Some(networks) } else { None };
        networks.into_iter().flat_map(Networks::iter)
    }

    fn domains(&self) -> impl Iterator<Item = DomainPattern> {
        let domains = if let Self::Domains(_, domains) | Self::Names(_, domains) = self { Some(domains) } else { None };
        domains.into_iter().flat_map(Domains::iter)
    }

    /// These without others of the same kind.
    fn without(&self, others: &Self) -> Self {
        match (self, others) {
            (Self::Networks(trust, these), Self::Networks(_, those)) => Self::Networks(*trust, these.without(those)),
            (Self::Domains(role, these), Self::Domains(_, those)) => Self::Domains(*role, these.without(those)),
            (Self::Names(trusted, these), Self::Names(_, those)) => Self::Names(*trusted, these.without(those)),
            (Self::Users(these), Self::Users(those)) => {
                let those: BTreeSet<_> = those.iter().collect();
                Self::Users(sorted(these.iter().filter(|user| !those.contains(user))))
            }
            (Self::Certificates(these), Self::Certificates(those)) => {
                let those: BTreeSet<_> = those.iter().collect();
                Self::Certificates(sorted(these.iter().filter(|pattern| !those.contains(pattern))))
            }
            _ => self.clone(),
        }
    }

    /// Whether all of others of the same kind are among these.
    pub(crate) fn hold(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::Networks(_, these), Self::Networks(_, those)) => those.iter().all(|network| these.holds(network)),
            (Self::Domains(..), Self::Domains(..))
            | (Self::Names(..), Self::Names(..))
            | (Self::Users(_), Self::Users(_))
            | (Self::Certificates(_), Self::Certificates(_)) => others.without(self).len() == 0,
            _ => false,
        }
    }

    /// The same, as they are compared and printed: users and certificates sorted, each once, the
    /// names in certificates with A-labels.
    ///
    /// # Errors
    /// A member that is no domain.
    pub(crate) fn normal(self) -> Result<Self, DomainError> {
        Ok(match self {
            Self::Users(users) => Self::Users(sorted(&users)),
            Self::Certificates(patterns) => {
                let normal = |pattern: CertificatePattern| match pattern {
                    CertificatePattern::Named(name) => with_a_labels(name).map(CertificatePattern::Named),
                    pin => Ok(pin),
                };
                let patterns: Vec<_> = patterns.into_iter().map(normal).collect::<Result<_, _>>()?;
                Self::Certificates(sorted(&patterns))
            }
            Self::Domains(_, ref domains) | Self::Names(_, ref domains) => domains.check().map(|()| self)?,
            networks => networks,
        })
    }
}

fn sorted<'a, T: Ord + Clone + 'a>(items: impl IntoIterator<Item = &'a T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().cloned().collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// Lists in the order of their declaration, found by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    lists: Vec<List>,
    by_name: BTreeMap<Identifier, usize>,
}

/// Two lists have one name.
pub(crate) struct SameName {
    pub(crate) name: Identifier,
    pub(crate) first: usize,
    pub(crate) second: usize,
}

impl Lists {
    pub(crate) fn new(lists: Vec<List>) -> Result<Self, SameName> {
        let mut by_name = BTreeMap::new();
        for (second, list) in lists.iter().enumerate() {
            if let Some(first) = by_name.insert(list.name.clone(), second) {
                return Err(SameName { name: list.name.clone(), first, second });
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

impl From<Lists> for Vec<List> {
    fn from(lists: Lists) -> Self {
        lists.lists
    }
}
