//! How a client greets: the argument of EHLO, HELO and LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1).
//!
//! ```
//! use hikyaku_wire::Hello;
//!
//! assert_eq!(Hello::parse("[192.0.2.1]").unwrap().address(), Some([192, 0, 2, 1].into()));
//! assert!(Hello::parse("two words").is_err());
//! ```

use std::net::IpAddr;

use crate::{AddressError, AddressErrorKind, address::literal, grammar::is_hello, text::wire_text};

/// The argument of EHLO, HELO or LHLO: `( Domain / address-literal )`, the name by which the client
/// calls itself. It proves nothing.
///
/// More is allowed than in an address, because so many clients say it: underscores, hyphens and
/// digits anywhere, and a dot at the end. Never allowed are U-labels: RFC 6531 §3.7.1 wants
/// A-labels here. At most 255 octets. Comparison is by octet.
#[derive(Clone, Copy, Debug)]
pub struct Hello<T = Box<str>>(T);

const LIMIT: usize = 255;

impl<'a> Hello<&'a str> {
    /// Reads a name or an address literal.
    ///
    /// # Errors
    /// [`Syntax`](AddressErrorKind::Syntax) or [`Literal`](AddressErrorKind::Literal) for what is
    /// neither, [`DomainTooLong`](AddressErrorKind::DomainTooLong) for more than 255 octets.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        if text.len() > LIMIT {
            return Err(AddressErrorKind::DomainTooLong.at(text.floor_char_boundary(LIMIT)));
        }
        if let Some(inner) = text.strip_prefix('[') {
            let address = inner.strip_suffix(']').and_then(literal);
            return address.map(|_| Self(text)).ok_or(AddressErrorKind::Literal.at(1));
        }
        // A dot ends each label; the last one need not have it.
        let bytes = text.as_bytes();
        let mut at = 0;
        loop {
            let start = at;
            while bytes.get(at).is_some_and(|b| is_hello(*b)) {
                at += 1;
            }
            match bytes.get(at) {
                _ if at == start => return Err(AddressErrorKind::Syntax.at(at)),
                None => return Ok(Self(text)),
                Some(b'.') if at + 1 == text.len() => return Ok(Self(text)),
                Some(b'.') => at += 1,
                Some(_) => return Err(AddressErrorKind::Syntax.at(at)),
            }
        }
    }
}

impl<T: AsRef<str>> Hello<T> {
    /// The name as the client wrote it.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The address, if it is an address literal.
    pub fn address(&self) -> Option<IpAddr> {
        literal(self.as_str().strip_prefix('[')?.strip_suffix(']')?)
    }

    /// The same name, borrowed.
    pub fn borrowed(&self) -> Hello<&str> {
        Hello(self.as_str())
    }

    /// The same name with a text of its own.
    pub fn into_owned(self) -> Hello
    where
        T: Into<Box<str>>,
    {
        Hello(self.0.into())
    }
}

wire_text!(Hello, AddressError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d17_names_behind_ehlo() {
        for text in ["xn--bcher-kva.test", "[IPv6:::1]", "[192.0.2.1]", "my_pc", "-x-.test", "x.test.", "1.2.3.4"] {
            assert_eq!(Hello::parse(text).unwrap().to_string(), text);
        }
        for (text, at) in [
            ("", 0),
            (".", 0),
            ("a b", 1),
            ("bücher.test", 1),
            ("a..b", 2),
            (".a", 0),
            ("a..", 2),
            ("a;b", 1),
            ("x\r\n", 1),
            ("x\0", 1),
            ("[1.2.3]", 1),
            ("[]", 1),
            ("[192.0.2.1", 1),
            ("[192.0.2.1]x", 1),
            ("[x.test]", 1),
        ] {
            assert_eq!(Hello::parse(text).unwrap_err().at, at, "{text:?}");
        }
        assert!(Hello::parse(&"x".repeat(255)).is_ok());
        assert_eq!(Hello::parse(&"x".repeat(256)).unwrap_err().kind, AddressErrorKind::DomainTooLong);
    }

    #[test]
    fn a_literal_has_an_address() {
        assert_eq!("[192.0.2.1]".parse::<Hello>().unwrap().address(), Some([192, 0, 2, 1].into()));
        assert_eq!("192.0.2.1".parse::<Hello>().unwrap().address(), None);
    }

    #[test]
    fn borrowed_and_owned_are_the_same_name() {
        let hello = Hello::parse("X.test").unwrap();
        assert_eq!(hello, hello.into_owned());
        assert_ne!(hello, Hello::parse("x.test").unwrap());
    }
}
