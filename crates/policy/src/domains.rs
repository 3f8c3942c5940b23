//! Domains: which hosts of addresses a list holds.

use std::{borrow::Cow, fmt, hash, net::IpAddr, str::FromStr, sync::Arc};

use hikyaku_wire::{AddressError, Domain, Host};

use crate::name_index::{NameIndex, order, parents};

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
    /// A label that is not ASCII, and no U-label (RFC 5890 §2.3.2.1).
    #[error("not an internationalised domain name; write it as it is registered, or its A-labels (xn--…)")]
    Idna,
}

/// A domain as it is compared: with A-labels in place of U-labels (RFC 5890 §2.3.2.1), the case of
/// ASCII letters as it is. It is copied only if it is not ASCII.
///
/// `None` if a label is not ASCII and is no U-label either: one that IDNA would map to plain ASCII
/// (`ｈik`) is a disguise, and means no domain at all.
pub(crate) fn canonical<T: AsRef<str>>(domain: &Domain<T>) -> Option<Cow<'_, str>> {
    let text = domain.as_str();
    if text.is_ascii() {
        return Some(Cow::Borrowed(text));
    }
    let ascii = domain.to_ascii().ok()?;
    let (mut written, mut labels) = (text.split('.'), ascii.split('.'));
    let honest = loop {
        match (written.next(), labels.next()) {
            (None, None) => break true,
            (Some(one), Some(label)) if one.is_ascii() || label.starts_with("xn--") => {}
            _ => break false,
        }
    };
    honest.then_some(ascii)
}

/// Whether two hosts are one.
pub(crate) fn is_same(one: &Host, other: &Host) -> bool {
    match (one, other) {
        (Host::Domain(one), Host::Domain(other)) => match (canonical(one), canonical(other)) {
            (Some(one), Some(other)) => order(&one, &other).is_eq(),
            _ => false,
        },
        (Host::Address(one), Host::Address(other)) => one.to_canonical() == other.to_canonical(),
        _ => false,
    }
}

/// The same domain with A-labels, if it has them.
pub(crate) fn with_a_labels(domain: Domain) -> Result<Domain, DomainError> {
    match canonical(&domain) {
        Some(Cow::Borrowed(_)) => Ok(domain),
        Some(Cow::Owned(ascii)) => Ok(ascii.parse()?),
        None => Err(DomainError::Idna),
    }
}

/// One member of a list of domains: `example.org`, `*.example.org` or `[192.0.2.1]`.
///
/// Names are compared by their A-labels, without the case of letters, so that `bücher.example` and
/// `xn--bcher-kva.example` are one name; that is how they print, too. A host whose labels are
/// neither ASCII nor U-labels is nowhere but in `*`.
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
        self.means(host)
    }

    pub(crate) fn means<T: AsRef<str>>(&self, host: &Host<T>) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Exactly(name), Host::Domain(domain)) => {
                canonical(domain).is_some_and(|text| order(name.as_str(), &text).is_eq())
            }
            (Self::Below(name), Host::Domain(domain)) => {
                canonical(domain).is_some_and(|text| parents(&text).any(|parent| order(parent, name.as_str()).is_eq()))
            }
            (Self::Address(address), Host::Address(literal)) => *address == literal.to_canonical(),
            _ => false,
        }
    }

    /// The same member as it is compared and printed.
    ///
    /// # Errors
    /// What is no domain, or has nothing below it.
    pub(crate) fn normal(self) -> Result<Self, DomainError> {
        Ok(match self {
            Self::All => Self::All,
            Self::Exactly(name) => Self::Exactly(with_a_labels(name)?),
            Self::Below(name) => {
                let name = with_a_labels(name)?;
                if name.as_str().len() > PARENT_LIMIT {
                    return Err(DomainError::NothingBelow);
                }
                Self::Below(name)
            }
            Self::Address(address) => Self::Address(address.to_canonical()),
        })
    }

    /// Reads a member of a list: a name of one label stands in quotes.
    pub(crate) fn unquoted(text: &str) -> Result<Self, DomainError> {
        let pattern = text.parse()?;
        if text.contains(['.', ':', '*', '[']) { Ok(pattern) } else { Err(DomainError::Unquoted) }
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
            return Self::Below(name.parse()?).normal();
        }
        if text.contains('*') {
            return Err(DomainError::Star);
        }
        match text.parse()? {
            Host::Domain(name) => Self::Exactly(name).normal(),
            Host::Address(address) => Self::Address(address).normal(),
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

/// A member as it stands in a list: a name of one label in quotes.
pub(crate) struct Member<'a>(pub(crate) &'a DomainPattern);

impl fmt::Display for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            DomainPattern::Exactly(name) if !name.as_str().contains('.') => write!(f, "\"{name}\""),
            pattern => pattern.fmt(f),
        }
    }
}

/// A list of domains, sorted, each member once. It prints as `example.org, *.example.org`, a
/// name of one label in quotes, and as `none` where it is empty. Cloning it copies nothing.
///
/// ```
/// use hikyaku_policy::Domains;
///
/// let ours: Domains = "example.org, *.example.net".parse().unwrap();
/// let holds = |host: &str| ours.contains(&host.parse().unwrap());
/// assert!(holds("EXAMPLE.org") && holds("a.b.example.net"));
/// assert!(!holds("mx.example.org") && !holds("example.net") && !holds("evilexample.org"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Domains(Arc<Set>);

#[derive(Debug, Default)]
struct Set {
    everything: bool,
    exactly: NameIndex,
    below: NameIndex,
    addresses: Vec<IpAddr>,
}

impl Set {
    /// What makes two lists equal.
    fn key(&self) -> (bool, &[Domain], &[Domain], &[IpAddr]) {
        (self.everything, self.exactly.names(), self.below.names(), &self.addresses)
    }
}

impl PartialEq for Domains {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.key() == other.0.key()
    }
}

impl Eq for Domains {}

impl hash::Hash for Domains {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl Domains {
    /// Whether the host of an address is in the list. An address literal is only in it if the
    /// list names that literal. Nothing is allocated for a host of ASCII alone; the work is linear
    /// in the length of its name, however long the list.
    pub fn contains(&self, host: &Host) -> bool {
        self.holds(host)
    }

    pub(crate) fn holds<T: AsRef<str>>(&self, host: &Host<T>) -> bool {
        match host {
            _ if self.0.everything => true,
            Host::Address(address) => self.0.addresses.binary_search(&address.to_canonical()).is_ok(),
            Host::Domain(domain) => {
                canonical(domain).is_some_and(|name| self.0.exactly.holds_or_above(&self.0.below, &name))
            }
        }
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        let Set { everything, exactly, below, addresses } = &*self.0;
        usize::from(*everything) + exactly.names().len() + below.names().len() + addresses.len()
    }

    /// The members in order: `*`, names, `*.` names, address literals.
    pub fn iter(&self) -> impl Iterator<Item = DomainPattern> {
        let Set { everything, exactly, below, addresses } = &*self.0;
        let everything = everything.then_some(DomainPattern::All);
        let exactly = exactly.names().iter().cloned().map(DomainPattern::Exactly);
        let below = below.names().iter().cloned().map(DomainPattern::Below);
        everything.into_iter().chain(exactly).chain(below).chain(addresses.iter().copied().map(DomainPattern::Address))
    }

    /// Whether each member is one that a text could give.
    ///
    /// # Errors
    /// Why one is not.
    pub(crate) fn check(&self) -> Result<(), DomainError> {
        let Set { exactly, below, .. } = &*self.0;
        if !exactly.names().iter().chain(below.names()).all(Domain::is_ascii) {
            return Err(DomainError::Idna);
        }
        match below.names().iter().all(|name| name.as_str().len() <= PARENT_LIMIT) {
            true => Ok(()),
            false => Err(DomainError::NothingBelow),
        }
    }

    /// The members that are not in the other list as they stand here.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let (these, those) = (&*self.0, &*other.0);
        let rest = |these: &NameIndex, those: &NameIndex| {
            NameIndex::new(these.names().iter().filter(|name| !those.holds(name.as_str())).cloned().collect())
        };
        Self(Arc::new(Set {
            everything: these.everything && !those.everything,
            exactly: rest(&these.exactly, &those.exactly),
            below: rest(&these.below, &those.below),
            addresses: these.addresses.iter().copied().filter(|one| !those.addresses.contains(one)).collect(),
        }))
    }
}

/// A member that [is no domain](DomainError::Idna) is left as it is, and means nothing.
impl FromIterator<DomainPattern> for Domains {
    fn from_iter<I: IntoIterator<Item = DomainPattern>>(patterns: I) -> Self {
        let (mut exactly, mut below) = (Vec::new(), Vec::new());
        let mut set = Set::default();
        for pattern in patterns {
            match pattern.clone().normal().unwrap_or(pattern) {
                DomainPattern::All => set.everything = true,
                DomainPattern::Exactly(name) => exactly.push(name),
                DomainPattern::Below(name) => below.push(name),
                DomainPattern::Address(address) => set.addresses.push(address),
            }
        }
        set.exactly = NameIndex::new(exactly);
        set.below = NameIndex::new(below);
        set.addresses.sort_unstable();
        set.addresses.dedup();
        Self(Arc::new(set))
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
                None => DomainPattern::unquoted(text),
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
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, Member(&pattern))?;
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
            ("bücher.test", "BÜCHER.test", true),
            ("bücher.test", "xn--bcher-kva.test", true),
            ("xn--BCHER-kva.test", "bücher.test", true),
            ("*.bücher.test", "a.xn--bcher-kva.test", true),
            ("*.xn--bcher-kva.test", "ä.bücher.test", true),
            ("*.bücher.test", "bücher.test", false),
            ("bücher.test", "bu\u{308}cher.test", true),
            ("bücher.test", "bucher.test", false),
            ("faß.test", "fass.test", false),
            ("hik.test", "hik\u{3002}test.test", false),
            ("bücher.test, *.bücher.test", "b\u{fc}cher\u{ff0e}test", false),
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
            let key = |name: &str| name.to_ascii_lowercase().replace('ü', "xn--tda").rsplit('.').map(|label| format!("{label}.")).collect::<String>();
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
