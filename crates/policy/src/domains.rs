//! Domains: which hosts of addresses a list holds.

use std::{cmp::Ordering, fmt, net::IpAddr, str::FromStr};

use hikyaku_wire::{AddressError, Domain, Host};

/// Octets of a domain below which a name still fits: 253, less one letter and the dot.
const PARENT_LIMIT: usize = 251;

/// Why a text is not a member of a list of domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// Neither a domain nor an address literal.
    #[error("not a domain: {0}")]
    Syntax(#[from] AddressError),
    /// A `*` that is not the whole first label.
    #[error("`*` stands only for a whole first label: *.example.org")]
    Star,
    /// No name is short enough to be below it.
    #[error("no name fits below a domain of more than 251 octets")]
    NothingBelow,
    /// A name of one label without quotes: it could be taken for the name of a list.
    #[error("a name of one label is written in quotes: \"localhost\"")]
    Unquoted,
}

/// One member of a list of domains: `example.org`, `*.example.org` or `[192.0.2.1]`.
///
/// Names are compared as they are written, without the case of ASCII letters: a U-label and its
/// A-label are two names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DomainPattern {
    /// `*`: every host, address literals too.
    All,
    /// This name only.
    Exactly(Domain),
    /// `*.`: every name below this one, at any depth, but not the name itself.
    Below(Domain),
    /// This address literal only.
    Address(IpAddr),
}

impl DomainPattern {
    /// Whether the host is meant.
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Exactly(name), Host::Domain(domain)) => name == domain,
            (Self::Below(name), Host::Domain(domain)) => {
                parents(domain.as_str()).any(|parent| order(parent, name.as_str()).is_eq())
            }
            (Self::Address(address), Host::Address(literal)) => *address == literal.to_canonical(),
            _ => false,
        }
    }
}

impl FromStr for DomainPattern {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(name) = text.strip_prefix("*.") {
            if name.contains('*') {
                return Err(DomainError::Star);
            }
            if name.len() > PARENT_LIMIT {
                return Err(DomainError::NothingBelow);
            }
            return Ok(Self::Below(name.parse()?));
        }
        if text.contains('*') {
            return Err(DomainError::Star);
        }
        match text.parse()? {
            Host::Domain(name) => Ok(Self::Exactly(name)),
            Host::Address(address) => Ok(Self::Address(address.to_canonical())),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Exactly(name) => name.fmt(f),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Address(address) => Host::<&str>::Address(*address).fmt(f),
        }
    }
}

/// A list of domains, sorted, each member once. It prints as `example.org, *.example.org`, a
/// name of one label in quotes, and as `none` where it is empty.
///
/// ```
/// use hikyaku_policy::Domains;
///
/// let ours: Domains = "example.org, *.example.net".parse().unwrap();
/// let holds = |host: &str| ours.contains(&host.parse().unwrap());
/// assert!(holds("EXAMPLE.org") && holds("a.b.example.net"));
/// assert!(!holds("mx.example.org") && !holds("example.net") && !holds("evilexample.org"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Domains {
    everything: bool,
    // Three sorted lists, so that a look-up is a few binary searches and allocates nothing.
    exactly: Vec<Domain>,
    below: Vec<Domain>,
    addresses: Vec<IpAddr>,
}

impl Domains {
    /// Whether the host of an address is in the list. An address literal is only in it if the
    /// list names that literal.
    pub fn contains(&self, host: &Host) -> bool {
        match host {
            _ if self.everything => true,
            Host::Address(address) => self.addresses.binary_search(&address.to_canonical()).is_ok(),
            Host::Domain(domain) => {
                find(&self.exactly, domain.as_str()) || parents(domain.as_str()).any(|parent| find(&self.below, parent))
            }
        }
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.exactly.is_empty() && self.below.is_empty() && self.addresses.is_empty()
    }

    /// The members in order: `*`, names, `*.` names, address literals.
    pub fn iter(&self) -> impl Iterator<Item = DomainPattern> {
        let everything = self.everything.then_some(DomainPattern::All);
        let exactly = self.exactly.iter().cloned().map(DomainPattern::Exactly);
        let below = self.below.iter().cloned().map(DomainPattern::Below);
        everything
            .into_iter()
            .chain(exactly)
            .chain(below)
            .chain(self.addresses.iter().copied().map(DomainPattern::Address))
    }
}

/// The names above a name, the nearest first: no string ending, only whole labels.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(dot, _)| &name[dot + 1..])
}

fn find(names: &[Domain], name: &str) -> bool {
    names.binary_search_by(|member| order(member.as_str(), name)).is_ok()
}

fn order(a: &str, b: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

impl FromIterator<DomainPattern> for Domains {
    fn from_iter<I: IntoIterator<Item = DomainPattern>>(patterns: I) -> Self {
        let mut domains = Self::default();
        for pattern in patterns {
            match pattern {
                DomainPattern::All => domains.everything = true,
                DomainPattern::Exactly(name) => domains.exactly.push(name),
                DomainPattern::Below(name) => domains.below.push(name),
                DomainPattern::Address(address) => domains.addresses.push(address.to_canonical()),
            }
        }
        for names in [&mut domains.exactly, &mut domains.below] {
            names.sort_by(|a, b| order(a.as_str(), b.as_str()));
            names.dedup();
        }
        domains.addresses.sort_unstable();
        domains.addresses.dedup();
        domains
    }
}

impl FromStr for Domains {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text.trim() == "none" {
            return Ok(Self::default());
        }
        let member = |text: &str| {
            let text = text.trim();
            match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
                Some(quoted) => quoted.parse(),
                None if text.contains(['.', ':', '*', '[']) => text.parse(),
                None => text.parse::<DomainPattern>().and(Err(DomainError::Unquoted)),
            }
        };
        text.split(',').map(member).collect()
    }
}

impl fmt::Display for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, pattern) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match pattern {
                DomainPattern::Exactly(name) if !name.as_str().contains('.') => write!(f, "\"{name}\"")?,
                pattern => pattern.fmt(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(list: &str, host: &str) -> bool {
        list.parse::<Domains>().unwrap().contains(&host.parse().unwrap())
    }

    #[test]
    fn r23_r28_names_are_whole_labels_and_bytes() {
        for (list, host, expected) in [
            ("hik.test", "hik.test", true),
            ("hik.test", "HIK.Test", true),
            ("HIK.test", "hik.test", true),
            ("hik.test", "sub.hik.test", false),
            ("hik.test", "evilhik.test", false),
            ("hik.test", "hik.test.evil.test", false),
            ("hik.test", "ik.test", false),
            ("hik.test", "\"test\"", false),
            ("*.hik.test", "hik.test", false),
            ("*.hik.test", "a.hik.test", true),
            ("*.hik.test", "c.B.a.HIK.test", true),
            ("*.hik.test", "evilhik.test", false),
            ("*.hik.test", "a.evilhik.test", false),
            ("*.hik.test", "hik.test.evil.test", false),
            ("*.hik.test", "test.hik", false),
            ("hik.test", "hi\u{212a}.test", false),
            ("hik.test", "\u{ff48}ik.test", false),
            ("bücher.test", "bücher.TEST", true),
            ("bücher.test", "BÜCHER.test", false),
            ("bücher.test", "xn--bcher-kva.test", false),
            ("hik.test, [192.0.2.25]", "[192.0.2.25]", true),
            ("[192.0.2.25]", "[IPv6:::ffff:192.0.2.25]", true),
            ("[IPv6:::ffff:192.0.2.25]", "[192.0.2.25]", true),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:DB8:0::1]", true),
            ("[192.0.2.25]", "[192.0.2.26]", false),
            ("hik.test, *.hik.test", "[192.0.2.25]", false),
            ("none", "hik.test", false),
        ] {
            assert_eq!(holds(list, host.trim_matches('"')), expected, "{list} {host}");
        }
    }

    #[test]
    fn lists_are_sorted_and_hold_each_member_once() {
        for (text, printed) in [
            ("none", "none"),
            ("b.test,A.test , a.TEST", "A.test, b.test"),
            ("[192.0.2.1], *.b.test, \"localhost\", b.test", "b.test, \"localhost\", *.b.test, [192.0.2.1]"),
            ("\"none\"", "\"none\""),
        ] {
            assert_eq!(text.parse::<Domains>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_domain() {
        let pattern = |text: &str| text.parse::<DomainPattern>();
        for text in ["*foo.test", "foo*.test", "a.*.test", "*.*.test", "**.test"] {
            assert_eq!(pattern(text), Err(DomainError::Star), "{text}");
        }
        for text in [
            "",
            "*.",
            "a..b",
            ".a.test",
            "a.test.",
            "-a.test",
            "a_b.test",
            "192.0.2.1",
            "[192.0.2]",
            "a b.test",
            "a@b.test",
            "\"localhost\"",
            "*.[192.0.2.1]",
        ] {
            assert!(matches!(pattern(text), Err(DomainError::Syntax(_))), "{text}");
        }
        let long = |n: usize| format!("{0}.{0}.{0}.{1}", "x".repeat(63), "x".repeat(n - 192));
        assert!(pattern(&format!("*.{}", long(251))).is_ok());
        assert_eq!(pattern(&format!("*.{}", long(252))), Err(DomainError::NothingBelow));
        assert!(pattern("localhost").is_ok());
        assert_eq!("a.test, localhost".parse::<Domains>(), Err(DomainError::Unquoted));
        for text in ["", "a.test,", ",", "a.test b.test", "\"a.test", "\"\""] {
            assert!(text.parse::<Domains>().is_err(), "{text}");
        }
    }

    fn name() -> impl Strategy<Value = String> {
        proptest::collection::vec("[aAbB]{1,2}|ü", 1..4).prop_map(|labels| labels.join("."))
    }

    fn pattern() -> impl Strategy<Value = DomainPattern> {
        prop_oneof![
            name().prop_map(|name| name.parse().unwrap()),
            name().prop_map(|name| format!("*.{name}").parse().unwrap()),
            (0_u8..4).prop_map(|low| format!("[192.0.2.{low}]").parse().unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn lists_and_members_print_and_parse(members in proptest::collection::vec(pattern(), 0..12)) {
            for member in &members {
                prop_assert_eq!(&member.to_string().parse::<DomainPattern>().unwrap(), member);
            }
            let list: Domains = members.into_iter().collect();
            prop_assert_eq!(list.to_string().parse(), Ok(list.clone()));
            prop_assert_eq!(list.iter().collect::<Domains>(), list);
        }

        /// The oracle reverses the labels and compares them as strings.
        #[test]
        fn a_list_holds_what_one_member_holds(members in proptest::collection::vec(pattern(), 0..12), host in name()) {
            let key = |name: &str| name.to_ascii_lowercase().rsplit('.').map(|label| format!("{label}.")).collect::<String>();
            let expected = members.iter().any(|member| match member {
                DomainPattern::Exactly(name) => key(name.as_str()) == key(&host),
                DomainPattern::Below(name) => key(&host).strip_prefix(&key(name.as_str())).is_some_and(|rest| !rest.is_empty()),
                DomainPattern::All => true,
                DomainPattern::Address(_) => false,
            });
            let host: Host = host.parse().unwrap();
            prop_assert_eq!(members.iter().any(|member| member.matches(&host)), expected);
            prop_assert_eq!(members.into_iter().collect::<Domains>().contains(&host), expected);
        }
    }
}
