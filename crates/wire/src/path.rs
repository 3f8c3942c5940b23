//! The paths of MAIL and RCPT (RFC 5321 §4.1.2).

use std::{fmt, str::FromStr};

use crate::{
    AddressError, AddressErrorKind, Mailbox,
    grammar::{self, offset},
};

/// `Reverse-path = Path / "<>"`: where a bounce goes, `<>` for nowhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversePath {
    /// `<>`: the message is itself a notification; nobody is told if it fails.
    Null,
    /// A mailbox. A source route in front of it has been dropped.
    Mailbox(Mailbox),
}

/// `Forward-path = Path`, or the bare `<Postmaster>` of RFC 5321 §4.1.1.3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain: the postmaster of the server itself.
    Postmaster,
    /// A mailbox. A source route in front of it has been dropped: only the final mailbox is
    /// ever looked at (RFC 5321 appendix C).
    Mailbox(Mailbox),
}

impl ReversePath {
    /// The mailbox, `None` for `<>`.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }

    /// Reads a path at the start of `input`; gives what follows it.
    pub(crate) fn read(input: &[u8]) -> Result<(&[u8], Self), AddressError> {
        if let Ok((rest, _)) = grammar::null_path(input) {
            return Ok((rest, Self::Null));
        }
        mailbox(input).map(|(rest, mailbox)| (rest, Self::Mailbox(mailbox)))
    }
}

impl ForwardPath {
    /// The mailbox, `None` for the bare postmaster.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }

    /// Reads a path at the start of `input`; gives what follows it.
    pub(crate) fn read(input: &[u8]) -> Result<(&[u8], Self), AddressError> {
        if let Ok((rest, _)) = grammar::postmaster_path(input) {
            return Ok((rest, Self::Postmaster));
        }
        mailbox(input).map(|(rest, mailbox)| (rest, Self::Mailbox(mailbox)))
    }
}

fn mailbox(input: &[u8]) -> Result<(&[u8], Mailbox), AddressError> {
    let (rest, parts) = grammar::path(input).map_err(|e| AddressErrorKind::Syntax.at(offset(input, e)))?;
    let before = parts.0.as_ptr().addr() - input.as_ptr().addr();
    Ok((rest, Mailbox::from_parts(parts, before)?))
}

fn whole<T>(text: &str, read: impl Fn(&[u8]) -> Result<(&[u8], T), AddressError>) -> Result<T, AddressError> {
    match read(text.as_bytes())? {
        ([], path) => Ok(path),
        (rest, _) => Err(AddressErrorKind::Syntax.at(text.len() - rest.len())),
    }
}

impl FromStr for ReversePath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        whole(text, Self::read)
    }
}

impl FromStr for ForwardPath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        whole(text, Self::read)
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl From<Mailbox> for ReversePath {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

impl From<Mailbox> for ForwardPath {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d5_d6_the_two_paths_without_a_mailbox() {
        assert_eq!("<>".parse(), Ok(ReversePath::Null));
        assert!("<>".parse::<ForwardPath>().is_err());
        assert!("< >".parse::<ReversePath>().is_err());
        assert_eq!("<PostMaster>".parse(), Ok(ForwardPath::Postmaster));
        assert!("<postmaster>".parse::<ReversePath>().is_err());
        assert!("<root>".parse::<ForwardPath>().is_err());
    }

    #[test]
    fn d7_d8_source_routes_are_read_and_dropped() {
        for text in ["<@a.test,@b.test:u@c.test>", "<@a.test:u@c.test>", "<u@c.test>"] {
            assert_eq!(text.parse::<ForwardPath>().unwrap().to_string(), "<u@c.test>");
        }
        for text in [
            "<@a.test@b.test>",
            "<@a.test:>",
            "<@:u@c.test>",
            "<@a.test,:u@c.test>",
            "<u@c.test",
            "u@c.test",
            " <u@c.test>",
            "<u@c.test> ",
            "<<u@c.test>>",
        ] {
            assert!(text.parse::<ForwardPath>().is_err(), "{text}");
        }
    }

    #[test]
    fn errors_point_at_the_octet() {
        let at = |t: &str| t.parse::<ReversePath>().unwrap_err().at;
        assert_eq!(at("<bob@@x.test>"), 5);
        assert_eq!(at("<a b@x.test>"), 2);
        assert_eq!(at("<@r.test:a@1>"), 11);
    }
}
