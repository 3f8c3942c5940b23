//! Named lists, and what a policy declares them to be.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{Domains, Networks};

/// The words of the language that a list cannot have as its name.
const KEYWORDS: &[&str] = &[
    "accounts",
    "always",
    "and",
    "any",
    "anyone",
    "anywhere",
    "as",
    "at",
    "authenticated",
    "ca",
    "certificate",
    "certificates",
    "connect",
    "credential",
    "custom",
    "defer",
    "dkim",
    "dmarc",
    "domains",
    "exists",
    "fail",
    "file",
    "from",
    "hello",
    "helo",
    "hours",
    "ip",
    "known",
    "limit",
    "listed",
    "local",
    "lmtp",
    "mail",
    "mailbox",
    "means",
    "message",
    "mx",
    "name",
    "names",
    "network",
    "networks",
    "neutral",
    "never",
    "no",
    "none",
    "not",
    "null",
    "on",
    "open",
    "or",
    "owned",
    "pass",
    "per",
    "permerror",
    "permit",
    "quarantine",
    "rate",
    "recipient",
    "refuse",
    "relay",
    "sender",
    "shadow",
    "softfail",
    "spf",
    "spki",
    "strangers",
    "submission",
    "submissions",
    "tag",
    "tls",
    "to",
    "trusted",
    "unknown",
    "user",
    "users",
    "via",
    "when",
    "wide",
    "yes",
];

/// Why a text is not the name of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListNameError {
    /// Not a letter and then letters, digits, `-` and `_`.
    #[error("the name of a list is a letter, then letters, digits, `-` and `_`")]
    Syntax,
    /// A word that means something else.
    #[error("`{0}` is a word of the policy language")]
    Keyword(&'static str),
}

/// The name of a list: a letter, then letters, digits, `-` and `_`; no word of the language.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListName(Box<str>);

impl ListName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListName {
    type Err = ListNameError;

    fn from_str(text: &str) -> Result<Self, ListNameError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.bytes().all(plain) {
            return Err(ListNameError::Syntax);
        }
        match KEYWORDS.iter().find(|word| **word == text) {
            Some(word) => Err(ListNameError::Keyword(word)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A named list. What it is declared to be is what makes a permit that rests on it safe: a plain
/// list grants nothing by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum List {
    /// Client addresses.
    Networks {
        /// Its name.
        name: ListName,
        /// Whether an address in it may serve as a credential.
        trusted: bool,
        /// The networks.
        networks: Networks,
    },
    /// Hosts of addresses.
    Domains {
        /// Its name.
        name: ListName,
        /// Whose mail that is.
        role: DomainRole,
        /// The domains.
        domains: Domains,
    },
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

impl List {
    /// The list's name.
    pub fn name(&self) -> &ListName {
        match self {
            Self::Networks { name, .. } | Self::Domains { name, .. } => name,
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Domains { role: DomainRole::Local, .. })
    }

    pub(crate) fn is_relay(&self) -> bool {
        matches!(self, Self::Domains { role: DomainRole::Relay, .. })
    }

    pub(crate) fn trusted(&self) -> Option<&Networks> {
        match self {
            Self::Networks { trusted: true, networks, .. } => Some(networks),
            _ => None,
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Networks { name, trusted, networks } => {
                write!(f, "{}networks {name} = {networks}", if *trusted { "trusted " } else { "" })
            }
            Self::Domains { name, role, domains } => {
                let role = match role {
                    DomainRole::Plain => "",
                    DomainRole::Local => "local ",
                    DomainRole::Relay => "relay ",
                };
                write!(f, "{role}domains {name} = {domains}")
            }
        }
    }
}

/// Lists in the order of their declaration, found by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    lists: Vec<List>,
    by_name: BTreeMap<ListName, usize>,
}

impl Lists {
    /// Gives back the name that is declared twice.
    pub(crate) fn new(lists: Vec<List>) -> Result<Self, ListName> {
        let mut by_name = BTreeMap::new();
        for (index, list) in lists.iter().enumerate() {
            if by_name.insert(list.name().clone(), index).is_some() {
                return Err(list.name().clone());
            }
        }
        Ok(Self { lists, by_name })
    }

    pub(crate) fn get(&self, name: &ListName) -> Option<&List> {
        self.by_name.get(name).map(|index| &self.lists[*index])
    }

    pub(crate) fn as_slice(&self) -> &[List] {
        &self.lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_taken_for_anything_else() {
        for name in ["ours", "local_domains", "A-1", "Trusted"] {
            assert_eq!(name.parse::<ListName>().unwrap().to_string(), name);
        }
        for name in ["", "1a", "-a", "_a", "a b", "a.b", "ü", "a=", "a\n"] {
            assert_eq!(name.parse::<ListName>(), Err(ListNameError::Syntax), "{name}");
        }
        for name in KEYWORDS {
            assert_eq!(name.parse::<ListName>(), Err(ListNameError::Keyword(name)));
        }
    }
}
