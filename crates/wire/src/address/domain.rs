//! Domain names as SMTP allows them.

#[cfg(feature = "idna")]
use std::borrow::Cow;
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use super::{AddressError, complete};
use crate::grammar;

/// A domain name: `Domain = sub-domain *("." sub-domain)` (RFC 5321 §4.1.2), that is letters,
/// digits and hyphens, and U-labels (RFC 6531 §3.3). It has at most 253 octets, 63 in a label, no
/// dot at its end, and its last label is no number.
///
/// It is kept as received. Comparison does not look at the case of ASCII letters; a U-label is
/// not compared with its A-label. For that there is the method `to_ascii` with the feature `idna`.
#[derive(Clone, Copy)]
pub struct Domain<T = Box<str>>(T);

impl<'a> Domain<&'a str> {
    /// Reads a domain name.
    ///
    /// # Errors
    /// What the grammar does not allow, names and labels that are too long, and a last label that
    /// is a number.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        complete(text, grammar::domain).map(Self)
    }
}

impl<T> Domain<T> {
    /// From text that the grammar has read.
    pub(super) fn checked(text: T) -> Self {
        Self(text)
    }
}

impl<T: AsRef<str>> Domain<T> {
    /// The name as it was received.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The name with its ASCII letters in lower case, for use as a key.
    pub fn to_lowercase(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }

    /// The canonical form: A-labels in lower case (RFC 5890 §2.3.2.1). It is copied only if it
    /// differs from what was received.
    ///
    /// # Errors
    /// [`Idna`](super::AddressErrorKind::Idna) for labels that IDNA2008 does not allow, and
    /// [`DomainTooLong`](super::AddressErrorKind::DomainTooLong) if the A-labels are too long
    /// (both at octet 0).
    #[cfg(feature = "idna")]
    pub fn to_ascii(&self) -> Result<Cow<'_, str>, AddressError> {
        use super::AddressErrorKind::{DomainTooLong, Idna};
        let text = self.as_str();
        // A name of ASCII alone is what the DNS is asked for, whatever IDNA thinks of its `xn--`.
        if text.is_ascii() {
            let upper = text.bytes().any(|b| b.is_ascii_uppercase());
            return Ok(if upper { Cow::Owned(self.to_lowercase()) } else { Cow::Borrowed(text) });
        }
        let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::STD3).map_err(|_| Idna.at(0))?;
        // Mapping may leave a name that is too long, or none at all.
        match complete(&ascii, grammar::domain) {
            Ok(_) => Ok(ascii),
            Err(error) if error.kind == DomainTooLong => Err(DomainTooLong.at(0)),
            Err(_) => Err(Idna.at(0)),
        }
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }

    /// The same name, borrowed.
    pub fn borrowed(&self) -> Domain<&str> {
        Domain(self.as_str())
    }

    /// The same name with a text of its own.
    pub fn into_owned(self) -> Domain
    where
        T: Into<Box<str>>,
    {
        Domain(self.0.into())
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Domain::parse(text).map(Domain::into_owned)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Domain<U>> for Domain<T> {
    fn eq(&self, other: &Domain<U>) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl<T: AsRef<str>> Eq for Domain<T> {}

impl<T: AsRef<str>> Hash for Domain<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.as_str().bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl<T: AsRef<str>> Ord for Domain<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.as_str().bytes(), other.as_str().bytes());
        a.map(|b| b.to_ascii_lowercase()).cmp(b.map(|b| b.to_ascii_lowercase()))
    }
}

impl<T: AsRef<str>> PartialOrd for Domain<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: AsRef<str>> fmt::Display for Domain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T: fmt::Debug> fmt::Debug for Domain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(all(test, feature = "idna"))]
mod tests {
    use super::*;
    use crate::AddressErrorKind::{DomainTooLong, Idna};

    #[test]
    fn a_name_in_its_canonical_form_has_a_labels() {
        for (text, ascii) in [
            ("x.test", "x.test"),
            ("X.Test", "x.test"),
            ("bücher.test", "xn--bcher-kva.test"),
            ("BÜCHER.test", "xn--bcher-kva.test"),
            ("bu\u{308}cher.test", "xn--bcher-kva.test"),
            ("faß.test", "xn--fa-hia.test"),
            ("a\u{3002}例.test", "a.xn--fsq.test"),
            // ASCII is what the DNS is asked for, whatever is wrong with it.
            ("XN--A.test", "xn--a.test"),
        ] {
            let domain = Domain::parse(text).unwrap();
            let canonical = domain.to_ascii().unwrap();
            assert_eq!(canonical, ascii, "{text}");
            assert_eq!(matches!(canonical, Cow::Borrowed(_)), text == ascii);
            assert_eq!(domain.as_str(), text);
        }
    }

    #[test]
    fn what_has_no_a_labels() {
        // 63 octets as received, more than 63 as an A-label.
        let han = (0..21).filter_map(|i| char::from_u32(0x4e00 + 900 * i));
        let long: String = han.chain(".test".chars()).collect();
        for (text, kind) in [
            ("\u{ad}.test", Idna),
            ("a.\u{ad}", Idna),
            ("a.\u{ff11}", Idna),
            ("a\u{200d}b.test", Idna),
            ("xn--a.ü.test", Idna),
            ("a\u{fe13}b.test", Idna),
            (&*long, DomainTooLong),
        ] {
            assert_eq!(Domain::parse(text).unwrap().to_ascii(), Err(kind.at(0)), "{text:?}");
        }
    }
}
