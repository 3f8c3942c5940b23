//! What stands behind the `@`.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use super::{AddressError, AddressErrorKind, Domain, complete};
use crate::grammar::{self, Mismatch, Parsed};

/// What stands behind the `@`: a domain or an address literal (RFC 5321 §4.1.3).
#[derive(Clone, Copy, Debug)]
pub enum Host<T = Box<str>> {
    /// A domain name.
    Domain(Domain<T>),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Address(IpAddr),
}

impl<'a> Host<&'a str> {
    /// Reads a domain name, or an address literal with its brackets.
    ///
    /// # Errors
    /// What is neither.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        complete(text, Self::read)
    }

    /// `Domain / address-literal`
    #[inline(always)]
    pub(crate) fn read(input: &'a str) -> Parsed<'a, Self> {
        if input.starts_with('[') {
            return Self::read_literal(input);
        }
        let (rest, name) = grammar::domain(input)?;
        Ok((rest, Self::Domain(Domain::checked(name))))
    }

    #[cold]
    fn read_literal(input: &'a str) -> Parsed<'a, Self> {
        let (rest, inner) = grammar::address_literal(input)?;
        match literal(inner) {
            Some(address) => Ok((rest, Self::Address(address))),
            None => Err(nom::Err::Error(Mismatch { left: input.len() - 1, kind: AddressErrorKind::Literal })),
        }
    }
}

impl<T: AsRef<str>> Host<T> {
    /// The domain, unless it is an address literal.
    pub fn domain(&self) -> Option<&Domain<T>> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Address(_) => None,
        }
    }

    /// The same host, borrowed.
    pub fn borrowed(&self) -> Host<&str> {
        match self {
            Self::Domain(domain) => Host::Domain(domain.borrowed()),
            Self::Address(address) => Host::Address(*address),
        }
    }

    /// The same host with a text of its own.
    pub fn into_owned(self) -> Host
    where
        T: Into<Box<str>>,
    {
        match self {
            Self::Domain(domain) => Host::Domain(domain.into_owned()),
            Self::Address(address) => Host::Address(address),
        }
    }
}

impl FromStr for Host {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Host::parse(text).map(Host::into_owned)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Host<U>> for Host<T> {
    fn eq(&self, other: &Host<U>) -> bool {
        match (self, other) {
            (Self::Domain(a), Host::Domain(b)) => a == b,
            (Self::Address(a), Host::Address(b)) => a == b,
            _ => false,
        }
    }
}

impl<T: AsRef<str>> Eq for Host<T> {}

impl<T: AsRef<str>> Ord for Host<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Domain(a), Self::Domain(b)) => a.cmp(b),
            (Self::Domain(_), Self::Address(_)) => Ordering::Less,
            (Self::Address(_), Self::Domain(_)) => Ordering::Greater,
            (Self::Address(a), Self::Address(b)) => a.cmp(b),
        }
    }
}

impl<T: AsRef<str>> PartialOrd for Host<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: AsRef<str>> Hash for Host<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Domain(domain) => domain.hash(state),
            Self::Address(address) => address.hash(state),
        }
    }
}

impl<T: AsRef<str>> fmt::Display for Host<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Address(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

/// `IPv4-address-literal / IPv6-address-literal`, without the brackets. Of the forms that
/// [`Ipv6Addr`] reads, RFC 5321 §4.1.3 does not have the one where `::` stands for a single
/// group: "No more than 6 groups in addition to the "::" may be present".
pub(crate) fn literal(inner: &str) -> Option<IpAddr> {
    match inner.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => {
            let groups = address.split(':').filter(|group| !group.is_empty()).count();
            let groups = groups + usize::from(address.contains('.'));
            let compressed = address.contains("::");
            address.parse::<Ipv6Addr>().ok().filter(|_| !compressed || groups <= 6).map(IpAddr::V6)
        }
        _ => inner.parse().ok().map(IpAddr::V4),
    }
}
