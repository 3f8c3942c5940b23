//! A record as data (RFC 7208 §4.5, §5, §6).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hikyaku_message::results;

use super::parse::{self, RecordError};
use super::{DomainSpec, MacroString};

/// An SPF record (RFC 7208 §4.5, §12).
///
/// It is plain data, made by [`Record::parse`] or of a literal. Printed, the modifiers stand
/// behind the mechanisms, which means the same (RFC 7208 §6).
///
/// ```
/// use hikyaku_mailauth::spf::{Mechanism, Qualifier, Record};
///
/// let record: Record = "v=spf1 ip4:192.0.2.0/24 include:_spf.example.com -all".parse()?;
/// assert_eq!(record.directives.len(), 3);
/// assert_eq!(record.directives[2].qualifier, Qualifier::Fail);
/// assert_eq!(record.directives[2].mechanism, Mechanism::All);
/// assert_eq!(record.to_string(), "v=spf1 ip4:192.0.2.0/24 include:_spf.example.com -all");
///
/// let error = "v=spf1 ipv4:192.0.2.0/24 -all".parse::<Record>().unwrap_err();
/// assert_eq!((error.offset, &*error.term), (7, "ipv4:192.0.2.0/24"));
/// # Ok::<(), hikyaku_mailauth::spf::RecordError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The mechanisms, in the order in which they are asked.
    pub directives: Vec<Directive>,
    /// Whose record is asked if no mechanism matches (RFC 7208 §6.1).
    pub redirect: Option<DomainSpec>,
    /// Where the text for a client that fails stands (RFC 7208 §6.2).
    pub explanation: Option<DomainSpec>,
    /// Modifiers without a meaning here (RFC 7208 §6).
    pub others: Vec<Modifier>,
}

/// A mechanism and what its match means (RFC 7208 §4.6.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Directive {
    /// The result if it matches.
    pub qualifier: Qualifier,
    /// What is asked.
    pub mechanism: Mechanism,
}

/// The result of a mechanism that matches (RFC 7208 §4.6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// `+`, or none.
    #[default]
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// What is asked of a client (RFC 7208 §5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Matches always (RFC 7208 §5.1).
    All,
    /// Matches if the record of another domain gives pass (RFC 7208 §5.2).
    Include(DomainSpec),
    /// Matches the addresses of a name (RFC 7208 §5.3).
    A {
        /// The name; that of the record if there is none.
        domain: Option<DomainSpec>,
        /// How much of an address is compared.
        prefixes: Prefixes,
    },
    /// Matches the addresses of the mail exchanges of a name (RFC 7208 §5.4).
    Mx {
        /// The name; that of the record if there is none.
        domain: Option<DomainSpec>,
        /// How much of an address is compared.
        prefixes: Prefixes,
    },
    /// Matches if the address has a validated name below this one (RFC 7208 §5.5); that of the
    /// record if there is none.
    Ptr(Option<DomainSpec>),
    /// Matches an IPv4 network (RFC 7208 §5.6).
    Ip4 {
        /// An address of the network.
        network: Ipv4Addr,
        /// Its length in bits, 0 to 32.
        prefix: u8,
    },
    /// Matches an IPv6 network (RFC 7208 §5.6).
    Ip6 {
        /// An address of the network.
        network: Ipv6Addr,
        /// Its length in bits, 0 to 128.
        prefix: u8,
    },
    /// Matches if the name has an IPv4 address (RFC 7208 §5.7).
    Exists(DomainSpec),
}

/// `dual-cidr-length` (RFC 7208 §5.3): how many bits of an address are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefixes {
    /// Of an IPv4 address, 0 to 32.
    pub v4: u8,
    /// Of an IPv6 address, 0 to 128.
    pub v6: u8,
}

/// A modifier without a meaning here (RFC 7208 §6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Modifier {
    /// Its name: a letter, then letters, digits and `-_.`.
    pub name: String,
    /// Its value.
    pub value: MacroString,
}

impl Record {
    /// Reads a record, the strings of its TXT record put together.
    ///
    /// # Errors
    ///
    /// [`RecordError`] for the first error, wherever it stands: one error makes the whole record
    /// void (RFC 7208 §4.6).
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        parse::record(text)
    }

    /// About how many octets it takes.
    pub(super) fn size(&self) -> usize {
        let specs = self.directives.iter().filter_map(|directive| directive.mechanism.domain());
        let specs = specs.chain(&self.redirect).chain(&self.explanation).map(DomainSpec::size);
        let others = self.others.iter().map(|other| other.name.capacity() + other.value.size());
        let lists =
            self.directives.capacity() * size_of::<Directive>() + self.others.capacity() * size_of::<Modifier>();
        size_of::<Self>() + lists + specs.chain(others).sum::<usize>()
    }
}

impl Qualifier {
    /// The result if the mechanism matches.
    pub fn result(self) -> results::Spf {
        match self {
            Self::Pass => results::Spf::Pass,
            Self::Fail => results::Spf::Fail,
            Self::SoftFail => results::Spf::SoftFail,
            Self::Neutral => results::Spf::Neutral,
        }
    }
}

impl Mechanism {
    /// The name it speaks of, where the record says one.
    pub(super) fn domain(&self) -> Option<&DomainSpec> {
        match self {
            Self::Include(domain) | Self::Exists(domain) => Some(domain),
            Self::A { domain, .. } | Self::Mx { domain, .. } | Self::Ptr(domain) => domain.as_ref(),
            Self::All | Self::Ip4 { .. } | Self::Ip6 { .. } => None,
        }
    }
}

impl Default for Prefixes {
    /// Whole addresses.
    fn default() -> Self {
        Self { v4: 32, v6: 128 }
    }
}

impl Prefixes {
    /// Whether the addresses are the same as far as they are compared.
    pub(super) fn cover_v4(self, network: Ipv4Addr, address: Ipv4Addr) -> bool {
        same_v4(network, address, self.v4)
    }

    /// The same for IPv6.
    pub(super) fn cover_v6(self, network: Ipv6Addr, address: Ipv6Addr) -> bool {
        same_v6(network, address, self.v6)
    }
}

#[inline]
pub(super) fn same_v4(network: Ipv4Addr, address: Ipv4Addr, prefix: u8) -> bool {
    let different = network.to_bits() ^ address.to_bits();
    different.checked_shr(32_u32.saturating_sub(u32::from(prefix))).unwrap_or(0) == 0
}

#[inline]
pub(super) fn same_v6(network: Ipv6Addr, address: Ipv6Addr, prefix: u8) -> bool {
    let different = network.to_bits() ^ address.to_bits();
    different.checked_shr(128_u32.saturating_sub(u32::from(prefix))).unwrap_or(0) == 0
}

impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("v=spf1")?;
        for directive in &self.directives {
            write!(out, " {directive}")?;
        }
        if let Some(redirect) = &self.redirect {
            write!(out, " redirect={redirect}")?;
        }
        if let Some(explanation) = &self.explanation {
            write!(out, " exp={explanation}")?;
        }
        for modifier in &self.others {
            write!(out, " {modifier}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.qualifier, self.mechanism)
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pass => "",
            Self::Fail => "-",
            Self::SoftFail => "~",
            Self::Neutral => "?",
        })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |out: &mut fmt::Formatter<'_>, word: &str, domain: &Option<DomainSpec>| {
            out.write_str(word)?;
            domain.as_ref().map_or(Ok(()), |domain| write!(out, ":{domain}"))
        };
        match self {
            Self::All => out.write_str("all"),
            Self::Include(domain) => write!(out, "include:{domain}"),
            Self::A { domain, prefixes } => {
                with(out, "a", domain)?;
                prefixes.fmt(out)
            }
            Self::Mx { domain, prefixes } => {
                with(out, "mx", domain)?;
                prefixes.fmt(out)
            }
            Self::Ptr(domain) => with(out, "ptr", domain),
            Self::Ip4 { network, prefix: 32 } => write!(out, "ip4:{network}"),
            Self::Ip4 { network, prefix } => write!(out, "ip4:{network}/{prefix}"),
            Self::Ip6 { network, prefix: 128 } => write!(out, "ip6:{network}"),
            Self::Ip6 { network, prefix } => write!(out, "ip6:{network}/{prefix}"),
            Self::Exists(domain) => write!(out, "exists:{domain}"),
        }
    }
}

impl fmt::Display for Prefixes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.v4 != 32 {
            write!(out, "/{}", self.v4)?;
        }
        if self.v6 != 128 {
            write!(out, "//{}", self.v6)?;
        }
        Ok(())
    }
}

impl fmt::Display for Modifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}", self.name, self.value)
    }
}

impl FromStr for Record {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        Self::parse(text.as_bytes())
    }
}
