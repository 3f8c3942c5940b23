//! The greeting of a client.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::{AddressError, AddressErrorKind, address::literal, grammar::address_literal};

/// The argument of EHLO, HELO or LHLO: the name by which the client calls itself, or an address
/// literal. It proves nothing.
///
/// More is allowed than in an address, because so many clients say it: underscores, and names of
/// one label. Never allowed are U-labels: RFC 6531 §3.7.1 wants A-labels here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hello(Box<str>);

impl Hello {
    const LIMIT: usize = 255;

    /// The name as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, if it is an address literal.
    pub fn address(&self) -> Option<IpAddr> {
        literal(self.0.strip_prefix('[')?.strip_suffix(']')?.as_bytes())
    }

    pub(crate) fn read(argument: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(argument).ok()?;
        let name = |t: &str| {
            let label =
                |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            t.strip_suffix('.').unwrap_or(t).split('.').all(label)
        };
        let address =
            || address_literal(argument).is_ok_and(|(rest, inner)| rest.is_empty() && literal(inner).is_some());
        let valid = text.len() <= Self::LIMIT && (name(text) || address());
        valid.then(|| Self(text.into()))
    }
}

impl FromStr for Hello {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::read(text.as_bytes()).ok_or(AddressErrorKind::Syntax.at(0))
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_has_an_address() {
        assert_eq!("[192.0.2.1]".parse::<Hello>().unwrap().address(), Some([192, 0, 2, 1].into()));
        assert_eq!("x.test".parse::<Hello>().unwrap().address(), None);
        assert!("x\r\n".parse::<Hello>().is_err());
    }
}
