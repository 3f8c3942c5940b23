//! The addresses that a user may send as.

use std::{fmt, str::FromStr};

use hikyaku_policy::DomainPattern;
use hikyaku_wire::Mailbox;

/// Addresses that belong to a user.
///
/// ```
/// use hikyaku::SenderPattern;
///
/// let lists: SenderPattern = "*@lists.example.org".parse()?;
/// assert!(lists.matches(&"News@LISTS.example.org".parse()?));
/// assert!(!lists.matches(&"news@example.org".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SenderPattern {
    /// This one.
    Address(Mailbox),
    /// `*@example.org` or `@example.org`: every address there; `*@*.example.org`: below it.
    Domain(DomainPattern),
    /// `*`: every address.
    Any,
}

/// A text is not a [`SenderPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, `*@` with a domain behind it, or `*`")]
pub struct SenderPatternError;

impl SenderPattern {
    /// Whether the address is one of them. Case does not matter.
    pub fn matches(&self, address: &Mailbox) -> bool {
        match self {
            Self::Address(own) => {
                own.host() == address.host()
                    && own.local().content().to_lowercase() == address.local().content().to_lowercase()
            }
            Self::Domain(domain) => domain.matches(address.host()) && !is_ambiguous(address),
            Self::Any => !is_ambiguous(address),
        }
    }
}

/// Whether a program that is careless with quotes could take it for another address. Such a one
/// must be owned by itself.
fn is_ambiguous(address: &Mailbox) -> bool {
    address.local().content().contains(['@', '<', '>', ',', ';', ':'])
}

impl FromStr for SenderPattern {
    type Err = SenderPatternError;

    fn from_str(text: &str) -> Result<Self, SenderPatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.strip_prefix("*@").or_else(|| text.strip_prefix('@')) {
            Some(domain) => domain.parse().map(Self::Domain).map_err(|_| SenderPatternError),
            None => text.parse().map(Self::Address).map_err(|_| SenderPatternError),
        }
    }
}

impl fmt::Display for SenderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(domain) => write!(f, "*@{domain}"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_31_a_domain_does_not_hold_what_looks_like_another_address() {
        let address: Mailbox = "\"ceo@bank.test\"@example.org".parse().unwrap();
        let owns = |pattern: &str| pattern.parse::<SenderPattern>().unwrap().matches(&address);
        assert!(owns("\"ceo@bank.test\"@example.org"));
        assert!(!owns("*@example.org") && !owns("@example.org") && !owns("*"));
        assert!("*@example.org".parse::<SenderPattern>().unwrap().matches(&"\"a b\"@example.org".parse().unwrap()));
    }
}
