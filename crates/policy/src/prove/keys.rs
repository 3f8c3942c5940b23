//! Hosts and mailboxes on a line.
//!
//! The key of a name is its labels from the last to the first, in lower case, each closed by
//! U+0000: all names below it, and nothing else, begin with it. The key of an address literal is
//! U+0001 and its 32 hexadecimal digits, which is before all names. Behind the key of its host a
//! mailbox has U+0000 and its local part in lower case. The empty key is what has no host: the
//! null sender, the bare postmaster, no confirmed name, a HELO that names no host.

use std::net::{IpAddr, Ipv6Addr};

use hikyaku_wire::{Domain, Host, LocalPart, Mailbox};

use crate::{DomainPattern, Domains, domains::canonical};

/// The key of a host or a mailbox.
pub(crate) type Key = Box<str>;

/// Keys from one on, and before another.
pub(crate) type Span = (Key, Option<Key>);

/// The first character of a literal's key, and what comes right behind all mailboxes of a host.
const AFTER: char = '\u{1}';
const CLOSE: char = '\0';
/// The host of all names whose labels are neither ASCII nor U-labels: they are in `*` only.
const ODD: &str = "\u{1}~";
/// One of them.
const ODD_NAME: &str = "\u{ff41}.example";
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

/// The part of a key that is an address literal, or stands for odd names.
fn host_of_literal(key: &str) -> Option<&str> {
    let digits = key.strip_prefix(AFTER)?;
    if digits.starts_with('~') { key.get(..ODD.len()) } else { key.get(..33) }
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
        Host::Domain(name) => canonical(name).map_or_else(|| ODD.to_owned(), |name| name_key(&name, "")),
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
            Self::Host => text.parse().ok().map(|host| host_key(&host)),
            Self::Name => text.parse().ok().map(|name| host_key(&Host::Domain(name))),
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
            Self::Mailbox => match host_of_literal(key) {
                Some(host) => (host, Some(key[host.len()..].strip_prefix(CLOSE)?)),
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
            Some(_) if host == ODD => Host::Domain(ODD_NAME.parse().ok()?),
            Some(_) => return None,
            None => {
                let labels: Vec<_> = host.strip_suffix(CLOSE)?.rsplit(CLOSE).collect();
                if host.contains('.') {
                    return None;
                }
                Host::Domain(labels.join(".").parse().ok().filter(Domain::is_ascii)?)
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
            let host = host_of_literal(from).or_else(|| from.find("\0\0").map(|end| &from[..=end]));
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
            Some("" | "~") => true,
            Some(digits) if digits.len() < 32 && self != Self::Name => {
                digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            }
            _ => ends.iter().any(|end| self.is_valid(&format!("{text}{end}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hosts that are near each other, and long ones.
    fn hosts() -> Vec<Host> {
        let labels = ["0", "0-0", "00", "a", "a-0", "aa", "zz", "xn--bcher-kva"];
        let mut names: Vec<String> = vec!["a".into(), "aa".into(), "0a".into(), "zz".into()];
        for above in names.clone() {
            names.extend(labels.map(|label| format!("{label}.{above}")));
        }
        for above in ["a.a", "0.a", "0-0.zz"] {
            names.extend(labels.map(|label| format!("{label}.{above}")));
        }
        let long = |n: usize, c: &str| format!("{0}.{0}.{0}.{1}", c.repeat(63), c.repeat(n - 192));
        names.extend([251, 252, 253].map(|n| long(n, "a")));
        names.extend([251, 252, 253].map(|n| long(n, "z")));
        names.push("z".repeat(63));
        let literals =
            ["[0.0.0.0]", "[192.0.2.1]", "[192.0.2.2]", "[IPv6:::]", "[IPv6:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"];
        let all = names.iter().map(String::as_str).chain(literals).chain([ODD_NAME, "b\u{fc}cher.a"]);
        all.map(|host| host.parse().unwrap()).collect()
    }

    /// What is a value of a line, with its key.
    fn values(kind: Kind) -> Vec<Key> {
        let mut keys = vec![Key::default()];
        for host in hosts() {
            match kind {
                Kind::Host => keys.push(host_key(&host)),
                Kind::Name => keys.extend(host.domain().is_some().then(|| host_key(&host))),
                Kind::Mailbox => {
                    let local = ["", " ", "a", "a ", "a.", "a.b", "aa", "~"].map(str::to_owned);
                    let local = local.into_iter().chain(["a".repeat(64), "~".repeat(64), " ".repeat(62)]);
                    let local = local.filter_map(|local| LocalPart::from_content(&local).ok());
                    let mailboxes = local.filter_map(|local| Mailbox::new(local, host.clone()).ok());
                    keys.extend(mailboxes.map(|mailbox| mailbox_key(&mailbox)));
                }
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }

    /// All that a pattern or a mailbox of a policy begins or ends with.
    fn cuts(kind: Kind) -> Vec<Key> {
        let mut spans: Vec<Span> = vec![empty_span(), kind.span(&DomainPattern::All)];
        for host in hosts() {
            let pattern = host.to_string().parse::<DomainPattern>();
            spans.extend(pattern.iter().map(|pattern| kind.span(pattern)));
            let below = host.domain().and_then(|name| format!("*.{name}").parse::<DomainPattern>().ok());
            spans.extend(below.iter().map(|pattern| kind.span(pattern)));
        }
        if kind == Kind::Mailbox {
            for text in ["\"\"@a", "\" \"@a", "a@a", "\"a \"@a", "aa@a", "A@0.a", "a@[192.0.2.1]", "\"\"@[192.0.2.1]"] {
                spans.push(mailbox_span(&text.parse().unwrap()));
            }
        }
        let mut cuts: Vec<Key> =
            spans.into_iter().flat_map(|(from, until)| std::iter::once(from).chain(until)).collect();
        cuts.sort();
        cuts.dedup();
        cuts
    }

    /// The key of a value leads back to the value, and the keys of values are in order.
    #[test]
    fn keys_are_read_back() {
        for kind in [Kind::Host, Kind::Name, Kind::Mailbox] {
            for key in values(kind).iter().skip(1) {
                let text = kind.text(key).unwrap();
                assert_eq!(kind.key(&text).as_ref(), Some(key), "{kind:?} {text}");
            }
            assert_eq!(kind.text(""), None);
        }
    }

    /// Between two cuts there is a value, or none is found there: neither is one made up, nor is
    /// one missed.
    #[test]
    fn between_cuts_there_is_a_value_or_nothing() {
        for kind in [Kind::Host, Kind::Name, Kind::Mailbox] {
            let (values, cuts) = (values(kind), cuts(kind));
            let (mut found, mut nothing) = (0, 0);
            for (index, from) in cuts.iter().enumerate() {
                let until = cuts.get(index + 1);
                let inside = |key: &Key| key >= from && until.is_none_or(|until| key < until);
                match kind.between(from, until.map(|until| &**until), "victim") {
                    Some(key) => {
                        found += 1;
                        assert!(inside(&key), "{kind:?} {from:?} {key:?} {until:?}");
                        let again = kind.text(&key).map_or(Some(Key::default()), |text| kind.key(&text));
                        assert_eq!(again.as_ref(), Some(&key), "{kind:?}");
                    }
                    None => {
                        nothing += 1;
                        assert!(!values.iter().any(inside), "{kind:?} {from:?} {until:?}");
                    }
                }
            }
            assert!(found > 50 && nothing > 3, "{kind:?} {found} {nothing}");
        }
    }
}
