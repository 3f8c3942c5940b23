//! Hosts and mailboxes on a line.
//!
//! The key of a name is its labels from the last to the first, in lower case, each closed by
//! U+0000: all names below it, and nothing else, begin with it. The key of an address literal is
//! U+0001 and its 32 hexadecimal digits, which is before all names. Behind the key of its host a
//! mailbox has U+0000 and its local part in lower case. The empty key is what has no host: the
//! null sender, the bare postmaster, no confirmed name, a HELO that names no host.

use std::net::{IpAddr, Ipv6Addr};

use hikyaku_wire::{Host, LocalPart, Mailbox};

use crate::{DomainPattern, Domains, domains::canonical};

/// The key of a host or a mailbox.
pub(crate) type Key = Box<str>;

/// Keys from one on, and before another.
pub(crate) type Span = (Key, Option<Key>);

/// The first character of a literal's key, and what comes right behind all mailboxes of a host.
const AFTER: char = '\u{1}';
const CLOSE: char = '\0';
/// The first of the characters beyond ASCII that are no control characters.
const BEYOND_ASCII: char = '\u{a0}';

pub(crate) fn address_bits(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

pub(crate) fn address_of(bits: u128) -> IpAddr {
    Ipv6Addr::from_bits(bits).to_canonical()
}

fn name_key(name: &str, end: &str) -> String {
    let mut key = String::with_capacity(name.len() + 1 + end.len());
    for label in name.rsplit('.') {
        key.push_str(label);
        key.push(CLOSE);
    }
    key.make_ascii_lowercase();
    key.push_str(end);
    key
}

fn host_text(host: &Host) -> String {
    match host {
        Host::Domain(name) => match canonical(name) {
            Some(name) => name_key(&name, ""),
            // A disguise of another name: no list holds it but by `*`, and none holds what is above it.
            None => format!("{}{CLOSE}", name.to_lowercase()),
        },
        Host::Address(address) => format!("{AFTER}{:032x}", address_bits(*address)),
    }
}

/// The key of a host.
pub(crate) fn host_key(host: &Host) -> Key {
    host_text(host).into()
}

/// The key of a mailbox.
pub(crate) fn mailbox_key(mailbox: &Mailbox) -> Key {
    let mut key = host_text(mailbox.host());
    key.push(CLOSE);
    key.push_str(&mailbox.local().content().to_ascii_lowercase());
    key.into()
}

/// The mailboxes that are compared as this one.
pub(crate) fn mailbox_span(mailbox: &Mailbox) -> Span {
    let key = mailbox_key(mailbox);
    let until = format!("{key}{CLOSE}");
    (key, Some(until.into()))
}

/// What has no host.
pub(crate) fn empty_span() -> Span {
    (Key::default(), Some("\u{1}".into()))
}

/// What a line of hosts is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Domains and address literals.
    Host,
    /// Domains.
    Name,
    /// Mailboxes.
    Mailbox,
}

impl Kind {
    /// The span of the hosts, or of the mailboxes at the hosts, that a pattern means.
    pub(crate) fn span(self, pattern: &DomainPattern) -> Span {
        let exactly = |key: String| {
            let until = format!("{key}{AFTER}");
            let from = match self {
                Self::Host | Self::Name => key,
                Self::Mailbox => key + "\0",
            };
            (from.into(), Some(until.into()))
        };
        match pattern {
            DomainPattern::All => ("\u{1}".into(), None),
            DomainPattern::Exactly(name) => exactly(name_key(name.as_str(), "")),
            DomainPattern::Address(address) => exactly(host_text(&Host::Address(*address))),
            DomainPattern::Below(name) => {
                let from = name_key(name.as_str(), "\u{1}");
                let until = format!("{}{AFTER}", &from[..from.len() - 2]);
                (from.into(), Some(until.into()))
            }
        }
    }

    /// The key of a host or mailbox as it is written.
    pub(crate) fn key(self, text: &str) -> Option<Key> {
        match self {
            Self::Host | Self::Name => text.parse().ok().map(|host| host_key(&host)),
            Self::Mailbox => text.parse().ok().map(|mailbox| mailbox_key(&mailbox)),
        }
    }

    pub(crate) fn spans(self, domains: &Domains) -> Vec<Span> {
        domains.iter().map(|pattern| self.span(&pattern)).collect()
    }

    /// The host or mailbox of a key, as it is written; `None` for the empty key and for what is
    /// no key.
    pub(crate) fn text(self, key: &str) -> Option<String> {
        let (host, local) = match self {
            Self::Host | Self::Name => (key, None),
            Self::Mailbox => match key.strip_prefix(AFTER) {
                Some(_) => (key.get(..33)?, Some(key.get(33..)?.strip_prefix(CLOSE)?)),
                None => {
                    let end = key.find("\0\0")?;
                    (&key[..=end], Some(&key[end + 2..]))
                }
            },
        };
        let host = match host.strip_prefix(AFTER) {
            Some(digits) if digits.len() == 32 && self != Self::Name => {
                Host::Address(address_of(u128::from_str_radix(digits, 16).ok()?))
            }
            Some(_) => return None,
            None => {
                let labels: Vec<_> = host.strip_suffix(CLOSE)?.rsplit(CLOSE).collect();
                Host::Domain(labels.join(".").parse().ok()?)
            }
        };
        match local {
            None => Some(host.to_string()),
            Some(local) => {
                let local = LocalPart::from_content(local).ok()?;
                Mailbox::new(local, host).ok().map(|mailbox| mailbox.to_string())
            }
        }
    }

    /// Whether there is something of this key.
    fn is_valid(self, key: &str) -> bool {
        key.is_empty() || self.text(key).is_some()
    }

    /// A key between two, from the first on and before the second: one that is pleasant to read
    /// if there is one, else the least; `None` if there is nothing between them.
    pub(crate) fn between(self, from: &str, until: Option<&str>, local: &str) -> Option<Key> {
        self.pleasant(from, until, local).or_else(|| {
            let least = self.least(from)?;
            until.is_none_or(|until| *least < *until).then_some(least)
        })
    }

    fn pleasant(self, from: &str, until: Option<&str>, local: &str) -> Option<Key> {
        if from.is_empty() {
            return Some(Key::default());
        }
        let end = match self {
            Self::Host | Self::Name => String::new(),
            Self::Mailbox => format!("{CLOSE}{local}"),
        };
        let mut tries = Vec::new();
        match from.strip_suffix(AFTER) {
            // Below a name, or behind all that is below it.
            Some(above) if above.ends_with(CLOSE) => tries.push(format!("{above}any{CLOSE}{end}")),
            Some(name) if !name.is_empty() => tries.push(format!("{name}-other{CLOSE}{end}")),
            _ => {}
        }
        if self == Self::Mailbox {
            let host =
                if from.starts_with(AFTER) { from.get(..33) } else { from.find("\0\0").map(|end| &from[..=end]) };
            tries.extend(host.map(|host| format!("{host}{end}")));
        } else {
            tries.push(from.to_owned());
        }
        let fits =
            |key: &String| key.as_str() >= from && until.is_none_or(|until| key.as_str() < until) && self.is_valid(key);
        tries.into_iter().find(fits).map(String::into_boxed_str)
    }

    /// The least key that is not before this text.
    fn least(self, from: &str) -> Option<Key> {
        if self.is_valid(from) {
            return Some(from.into());
        }
        let places: Vec<_> = from.char_indices().collect();
        for place in (0..=places.len()).rev() {
            let (at, after) = places.get(place).map_or((from.len(), None), |(at, c)| (*at, Some(*c)));
            if let Some(mut key) = self.step(&from[..at], after) {
                while !self.is_valid(&key) {
                    key = self.step(&key, None)?;
                }
                return Some(key.into());
            }
        }
        None
    }

    /// The text and one more character, the least after another one with which it is the
    /// beginning of a key.
    fn step(self, text: &str, after: Option<char>) -> Option<String> {
        let beyond = match after {
            Some(c) if c >= BEYOND_ASCII => (u32::from(c) + 1..=u32::from(c) + 0x801).find_map(char::from_u32),
            _ => Some(BEYOND_ASCII),
        };
        let ascii = [CLOSE, AFTER].into_iter().chain(' '..='~').filter(|c| !c.is_ascii_uppercase());
        ascii.filter(|c| after.is_none_or(|after| *c > after)).chain(beyond).find_map(|next| {
            let longer = format!("{text}{next}");
            self.begins(&longer).then_some(longer)
        })
    }

    /// Whether some key begins with this text.
    fn begins(self, text: &str) -> bool {
        if self.is_valid(text) {
            return true;
        }
        let ends: &[&str] = match self {
            Self::Host | Self::Name => &["\0", "0\0", "a\0"],
            Self::Mailbox => &["\0\0", "0\0\0", "a\0\0", "\0", "a", "\0\0a", "0\0\0a", "a\0\0a", "\0a"],
        };
        match text.strip_prefix(AFTER) {
            Some(_) if self == Self::Name => false,
            Some(digits) if digits.len() < 32 => {
                digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            }
            _ => ends.iter().any(|end| self.is_valid(&format!("{text}{end}"))),
        }
    }
}
