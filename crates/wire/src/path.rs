//! The paths of MAIL and RCPT (RFC 5321 §4.1.2).
//!
//! ```
//! use hikyaku_wire::{ForwardPath, ReversePath};
//!
//! let path = ForwardPath::parse("<@relay.example.org:bob@example.org>").unwrap();
//! assert_eq!(path.to_string(), "<bob@example.org>");
//! assert_eq!(ReversePath::parse("<>").unwrap().mailbox(), None);
//! ```

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use crate::{
    AddressError, Mailbox,
    address::complete,
    grammar::{self, Parsed},
};

/// `Reverse-path = Path / "<>"`: where a bounce goes, `<>` for nowhere (RFC 5321 §4.1.1.2).
#[derive(Clone, Copy, Debug)]
pub enum ReversePath<T = Box<str>> {
    /// `<>`: the message is itself a notification; nobody is told if it fails.
    Null,
    /// A mailbox. A source route in front of it has been dropped.
    Mailbox(Mailbox<T>),
}

/// `Forward-path = Path`, or the bare `<Postmaster>` of RFC 5321 §4.1.1.3.
#[derive(Clone, Copy, Debug)]
pub enum ForwardPath<T = Box<str>> {
    /// `<postmaster>` without a domain: the postmaster of the server itself.
    Postmaster,
    /// A mailbox. A source route in front of it has been dropped: only the final mailbox is
    /// ever looked at (RFC 5321 appendix C).
    Mailbox(Mailbox<T>),
}

impl<'a> ReversePath<&'a str> {
    /// `Reverse-path = Path / "<>"`
    #[inline(always)]
    pub(crate) fn read(input: &'a str) -> Parsed<'a, Self> {
        if let Some(rest) = input.strip_prefix("<>") {
            return Ok((rest, Self::Null));
        }
        let (rest, mailbox) = grammar::path(input)?;
        Ok((rest, Self::Mailbox(mailbox)))
    }
}

impl<'a> ForwardPath<&'a str> {
    /// `Rcpt = ( "<Postmaster>" / Forward-path )`, the first in any case (RFC 5321 §4.1.1.3)
    #[inline(always)]
    pub(crate) fn read(input: &'a str) -> Parsed<'a, Self> {
        const POSTMASTER: &str = "<postmaster>";
        // The last octet is looked at first: it tells most other paths from this one.
        if input.as_bytes().get(POSTMASTER.len() - 1) == Some(&b'>') {
            let (head, rest) = input.split_at(POSTMASTER.len());
            if head.eq_ignore_ascii_case(POSTMASTER) {
                return Ok((rest, Self::Postmaster));
            }
        }
        let (rest, mailbox) = grammar::path(input)?;
        Ok((rest, Self::Mailbox(mailbox)))
    }
}

/// What both paths have, which differ in the value that has no mailbox.
macro_rules! path {
    ($path:ident, $bare:ident, $text:literal) => {
        impl<'a> $path<&'a str> {
            /// Reads a path with its brackets.
            ///
            /// # Errors
            /// What the grammar does not allow, with the octet.
            pub fn parse(text: &'a str) -> Result<Self, AddressError> {
                complete(text, Self::read)
            }
        }

        impl<T: AsRef<str>> $path<T> {
            #[doc = concat!("The mailbox, none for `", $text, "`.")]
            pub fn mailbox(&self) -> Option<&Mailbox<T>> {
                match self {
                    Self::$bare => None,
                    Self::Mailbox(mailbox) => Some(mailbox),
                }
            }

            /// Whether it can be sent without SMTPUTF8 (RFC 6531).
            pub fn is_ascii(&self) -> bool {
                self.mailbox().is_none_or(Mailbox::is_ascii)
            }

            /// The same path, borrowed.
            pub fn borrowed(&self) -> $path<&str> {
                self.mailbox().map_or($path::$bare, |mailbox| $path::Mailbox(mailbox.borrowed()))
            }

            /// The same path with texts of its own.
            pub fn into_owned(self) -> $path
            where
                T: Into<Box<str>>,
            {
                match self {
                    Self::$bare => $path::$bare,
                    Self::Mailbox(mailbox) => $path::Mailbox(mailbox.into_owned()),
                }
            }
        }

        impl FromStr for $path {
            type Err = AddressError;

            fn from_str(text: &str) -> Result<Self, AddressError> {
                $path::parse(text).map($path::into_owned)
            }
        }

        impl<T: AsRef<str>, U: AsRef<str>> PartialEq<$path<U>> for $path<T> {
            fn eq(&self, other: &$path<U>) -> bool {
                match (self.mailbox(), other.mailbox()) {
                    (Some(a), Some(b)) => a == b,
                    (a, b) => a.is_none() && b.is_none(),
                }
            }
        }

        impl<T: AsRef<str>> Eq for $path<T> {}

        impl<T: AsRef<str>> Ord for $path<T> {
            fn cmp(&self, other: &Self) -> Ordering {
                self.mailbox().cmp(&other.mailbox())
            }
        }

        impl<T: AsRef<str>> PartialOrd for $path<T> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl<T: AsRef<str>> Hash for $path<T> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.mailbox().hash(state);
            }
        }

        impl<T: AsRef<str>> fmt::Display for $path<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.mailbox() {
                    None => f.write_str($text),
                    Some(mailbox) => write!(f, "<{mailbox}>"),
                }
            }
        }

        impl<T> From<Mailbox<T>> for $path<T> {
            fn from(mailbox: Mailbox<T>) -> Self {
                Self::Mailbox(mailbox)
            }
        }
    };
}

path!(ReversePath, Null, "<>");
path!(ForwardPath, Postmaster, "<postmaster>");

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
