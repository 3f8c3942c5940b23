//! Mail addresses: `Local-part "@" ( Domain / address-literal )` (RFC 5321 §4.1.2, RFC 6531 §3.3).

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::grammar::{self, is_atext, is_qtext, offset};

/// Octets of a local part at the most, in the form sent (RFC 5321 §4.5.3.1.1).
const LOCAL_PART_LIMIT: usize = 64;
/// Octets of a domain at the most (RFC 5321 §4.5.3.1.2 says 255 in the form of the DNS, which are
/// 253 characters).
const DOMAIN_LIMIT: usize = 253;
/// Octets of a label at the most (RFC 1035 §2.3.4).
const LABEL_LIMIT: usize = 63;
/// Octets of a mailbox at the most: a path has 256 with its brackets (RFC 5321 §4.5.3.1.3).
pub(crate) const MAILBOX_LIMIT: usize = 254;

/// Why a text is not an address, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct AddressError {
    /// What is wrong.
    pub kind: AddressErrorKind,
    /// The octet, counted from 0 within the text that was parsed.
    pub at: usize,
}

/// What is wrong with a text that should be an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressErrorKind {
    /// The grammar of RFC 5321 §4.1.2 does not allow it.
    #[error("address syntax error")]
    Syntax,
    /// The octets are not UTF-8 (RFC 6531 §3.3).
    #[error("address is not UTF-8")]
    NotUtf8,
    /// More than 64 octets before the `@`.
    #[error("local part longer than 64 octets")]
    LocalPartTooLong,
    /// More than 253 octets in the domain, or 63 in a label.
    #[error("domain or label too long")]
    DomainTooLong,
    /// The last label is a number, so that it looks like an IPv4 address.
    #[error("numeric top-level domain")]
    NumericDomain,
    /// Not an IPv4 address, nor `IPv6:` and an IPv6 address, in the brackets.
    #[error("address literal syntax error")]
    Literal,
    /// More than 254 octets in all.
    #[error("address longer than 254 octets")]
    TooLong,
}

impl AddressErrorKind {
    pub(crate) fn at(self, at: usize) -> AddressError {
        AddressError { kind: self, at }
    }
}

/// The part of an address before the `@`. It holds the content without quotes and backslashes,
/// and quotes it again when it prints where that is needed: `"a"@b` and `a@b` are the same
/// mailbox (RFC 5321 §4.1.2).
///
/// Comparison is exact: only the host of a mailbox may know that case does not matter there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPart(Box<str>);

impl LocalPart {
    /// Makes a local part from its content, without quotes.
    ///
    /// # Errors
    /// Control characters, and more than 64 octets in the form that is printed.
    pub fn from_content(content: &str) -> Result<Self, AddressError> {
        if let Some(at) = content.find(char::is_control) {
            return Err(AddressErrorKind::Syntax.at(at));
        }
        let part = Self(content.into());
        let escapes = content.bytes().filter(|b| !is_qtext(*b)).count();
        let quotes = if part.needs_quotes() { 2 + escapes } else { 0 };
        if content.len() + quotes > LOCAL_PART_LIMIT {
            return Err(AddressErrorKind::LocalPartTooLong.at(LOCAL_PART_LIMIT));
        }
        Ok(part)
    }

    /// The content, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// From the form on the wire, of which the grammar has been checked.
    fn from_wire(wire: &str) -> Result<Self, AddressError> {
        if wire.len() > LOCAL_PART_LIMIT {
            return Err(AddressErrorKind::LocalPartTooLong.at(LOCAL_PART_LIMIT));
        }
        let Some(inner) = wire.strip_prefix('"').and_then(|w| w.strip_suffix('"')) else {
            return Ok(Self(wire.into()));
        };
        let mut content = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            content.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        Ok(Self(content.into()))
    }

    fn needs_quotes(&self) -> bool {
        self.0.split('.').any(|atom| atom.is_empty() || !atom.bytes().all(is_atext))
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if !self.needs_quotes() {
            return f.write_str(&self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            if c == '"' || c == '\\' {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A domain name as SMTP allows it: letters, digits, hyphens, and U-labels (RFC 6531 §3.3), kept
/// as received. Comparison does not look at the case of ASCII letters.
#[derive(Clone)]
pub struct Domain(Box<str>);

impl Domain {
    /// The name as it was received.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in lower case, for use as a key.
    pub fn to_lowercase(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// From text of which the grammar has been checked.
    fn from_checked(text: &str) -> Result<Self, AddressError> {
        let mut at = 0;
        for label in text.split('.') {
            if label.len() > LABEL_LIMIT {
                return Err(AddressErrorKind::DomainTooLong.at(at + LABEL_LIMIT));
            }
            at += label.len() + 1;
        }
        if text.len() > DOMAIN_LIMIT {
            return Err(AddressErrorKind::DomainTooLong.at(DOMAIN_LIMIT));
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AddressErrorKind::NumericDomain.at(text.len() - last.len()));
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        complete(text.as_bytes(), grammar::domain)?;
        if let Some(at) = text.find(char::is_control) {
            return Err(AddressErrorKind::Syntax.at(at));
        }
        Self::from_checked(text)
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.0.bytes(), other.0.bytes());
        a.map(|b| b.to_ascii_lowercase()).cmp(b.map(|b| b.to_ascii_lowercase()))
    }
}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What stands behind the `@`: a domain or an address literal (RFC 5321 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A domain name.
    Domain(Domain),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Address(IpAddr),
}

impl Host {
    /// The domain, unless it is an address literal.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Address(_) => None,
        }
    }
}

impl FromStr for Host {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with('[') {
            let inner = complete(text.as_bytes(), grammar::address_literal)?;
            return literal(inner).map(Self::Address).ok_or(AddressErrorKind::Literal.at(1));
        }
        text.parse().map(Self::Domain)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Address(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

/// `IPv4-address-literal / IPv6-address-literal`, without the brackets.
pub(crate) fn literal(inner: &[u8]) -> Option<IpAddr> {
    let inner = std::str::from_utf8(inner).ok()?;
    match inner.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// A mailbox: `local@host`. It prints without brackets and quotes only where it must.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    local: LocalPart,
    host: Host,
}

impl Mailbox {
    /// Puts the two parts together.
    ///
    /// # Errors
    /// More than 254 octets in the form that is printed (RFC 5321 §4.5.3.1.3).
    pub fn new(local: LocalPart, host: Host) -> Result<Self, AddressError> {
        let mailbox = Self { local, host };
        if mailbox.to_string().len() > MAILBOX_LIMIT {
            return Err(AddressErrorKind::TooLong.at(MAILBOX_LIMIT));
        }
        Ok(mailbox)
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &LocalPart {
        &self.local
    }

    /// What stands behind the `@`.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.host.domain().is_none_or(Domain::is_ascii)
    }

    /// From the two parts as the grammar found them in `text`; `at` is where `text` began.
    pub(crate) fn from_parts((local, host): (&[u8], &[u8]), at: usize) -> Result<Self, AddressError> {
        if local.len() + 1 + host.len() > MAILBOX_LIMIT {
            return Err(AddressErrorKind::TooLong.at(at + MAILBOX_LIMIT));
        }
        let utf8 = |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| AddressErrorKind::NotUtf8.at(at))?;
            // The grammar lets through all that is not ASCII, controls such as U+0085 among it.
            let control = text.contains(char::is_control);
            if control { Err(AddressErrorKind::Syntax.at(at)) } else { Ok(text) }
        };
        let moved = |by: usize| move |e: AddressError| e.kind.at(e.at + by);
        let local_part = LocalPart::from_wire(utf8(local)?).map_err(moved(at))?;
        let host_at = at + local.len() + 1;
        let host = if let Some(inner) = host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")) {
            Host::Address(literal(inner).ok_or(AddressErrorKind::Literal.at(host_at))?)
        } else {
            Host::Domain(Domain::from_checked(utf8(host)?).map_err(moved(host_at))?)
        };
        Ok(Self { local: local_part, host })
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::from_parts(complete(text.as_bytes(), grammar::mailbox)?, 0)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.host)
    }
}

/// Runs a production that must match the whole input.
fn complete<'a, O>(
    input: &'a [u8],
    production: impl Fn(&'a [u8]) -> grammar::Parsed<'a, O>,
) -> Result<O, AddressError> {
    match production(input) {
        Ok(([], output)) => Ok(output),
        Ok((rest, _)) => Err(AddressErrorKind::Syntax.at(input.len() - rest.len())),
        Err(error) => Err(AddressErrorKind::Syntax.at(offset(input, error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<AddressErrorKind> {
        text.parse::<Mailbox>().err().map(|e| e.kind)
    }

    #[test]
    fn d9_quoted_local_parts_keep_their_meaning() {
        for (text, content, printed) in [
            (r#""a b"@d.test"#, "a b", r#""a b"@d.test"#),
            (r#""a\"b"@d.test"#, "a\"b", r#""a\"b"@d.test"#),
            (r#""\a"@d.test"#, "a", "a@d.test"),
            (r#""a>b"@c.d"#, "a>b", r#""a>b"@c.d"#),
            (r#""a@x"@c.d"#, "a@x", r#""a@x"@c.d"#),
            (r#"""@c.d"#, "", r#"""@c.d"#),
            (r#"".a"@c.d"#, ".a", r#"".a"@c.d"#),
            (r#""a..b"@c.d"#, "a..b", r#""a..b"@c.d"#),
        ] {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!(mailbox.local().as_str(), content);
            assert_eq!(mailbox.to_string(), printed);
            assert_eq!(printed.parse(), Ok(mailbox));
        }
    }

    #[test]
    fn d10_d13_d15_what_is_no_mailbox() {
        use AddressErrorKind::*;
        for text in [
            r#""a"b@d.test"#,
            r#"a"b"@d.test"#,
            r#""a@d.test"#,
            "a..b@d.test",
            ".a@d.test",
            "a.@d.test",
            "a@-x.test",
            "a@x-.test",
            "a@x..test",
            "a@x.test.",
            "a@x_y.test",
            "a@b@c.test",
            "a b@c.test",
            "a@",
            "@c.test",
            "a",
            "",
            "a@b>\r\nDATA",
            "a@[1.2.3.4",
            "a\0@b.test",
            "a@b.test\n",
        ] {
            assert_eq!(kind(text), Some(Syntax), "{text}");
        }
        for text in [
            "a@[1.2.3]",
            "a@[01.2.3.4]",
            "a@[256.1.1.1]",
            "a@[::1]",
            "a@[IPv6:1.2.3.4]",
            "a@[IPv6:fe80::1%25lo]",
            "a@[]",
            "a@[x:y]",
            "a@[0x7f.1]",
            "a@[tag:x]",
        ] {
            assert_eq!(kind(text), Some(Literal), "{text}");
        }
        for text in ["a@123", "a@198.51.100.9", "a@3325256713"] {
            assert_eq!(kind(text), Some(NumericDomain), "{text}");
        }
    }

    #[test]
    fn d14_address_literals() {
        for (text, printed) in [
            ("a@[1.2.3.4]", "a@[1.2.3.4]"),
            ("a@[IPv6:::1]", "a@[IPv6:::1]"),
            ("a@[ipv6:::ffff:1.2.3.4]", "a@[IPv6:::ffff:1.2.3.4]"),
        ] {
            assert_eq!(text.parse::<Mailbox>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn d11_d12_d13_limits() {
        use AddressErrorKind::*;
        let of = |n: usize| "x".repeat(n);
        assert_eq!(kind(&format!("{}@d.test", of(64))), None);
        assert_eq!(kind(&format!("{}@d.test", of(65))), Some(LocalPartTooLong));
        assert_eq!(kind(&format!("a@{}.test", of(63))), None);
        assert_eq!(kind(&format!("a@{}.test", of(64))), Some(DomainTooLong));
        let domain = |n: usize| format!("{}.{}.{}.{}", of(63), of(63), of(63), of(n - 192));
        assert!(domain(253).parse::<Domain>().is_ok());
        assert_eq!(domain(254).parse::<Domain>().map_err(|e| e.kind), Err(DomainTooLong));
        assert_eq!(kind(&format!("{}@{}", of(4), domain(249))), None);
        assert_eq!(kind(&format!("{}@{}", of(5), domain(249))), Some(TooLong));
    }

    #[test]
    fn comparison_knows_what_case_means() {
        let parse = |t: &str| t.parse::<Mailbox>().unwrap();
        assert_eq!(parse("a@B.test"), parse("a@b.TEST"));
        assert_ne!(parse("A@b.test"), parse("a@b.test"));
        assert_eq!(parse(r#""abc"@d.test"#), parse("abc@d.test"));
        let kelvin = "hi\u{212a}.test".parse::<Domain>().unwrap();
        assert_ne!(kelvin, "hik.test".parse().unwrap());
    }

    #[test]
    fn content_that_cannot_be_said_cannot_be_held() {
        for text in ["a\u{85}@b.test", "\"\u{9b}\"@b.test", "a@b\u{85}.test"] {
            assert_eq!(kind(text), Some(AddressErrorKind::Syntax), "{text:?}");
        }
        for content in ["a\r\nb", "a\0", "\u{7f}", "\u{85}"] {
            assert!(LocalPart::from_content(content).is_err());
        }
        assert!(LocalPart::from_content(&"\"".repeat(31)).is_ok());
        assert!(LocalPart::from_content(&"\"".repeat(32)).is_err());
        assert_eq!(LocalPart::from_content("üser").unwrap().to_string(), "üser");
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_prints_and_parses_again(text in r#"("?[a-c.@\\" >ü]{0,8}"?|[a-c.]{1,5})@(\[?[0-9a-d.:IPv6-]{1,12}\]?|[ab-]{1,4}\.[a-cö]{1,3})"#) {
            if let Ok(mailbox) = text.parse::<Mailbox>() {
                proptest::prop_assert_eq!(mailbox.to_string().parse(), Ok(mailbox));
            }
        }

        #[test]
        fn every_content_prints_a_local_part_that_means_it(content in "[ -~üß]{0,30}") {
            if let Ok(local) = LocalPart::from_content(&content) {
                let mailbox = Mailbox::new(local.clone(), "d.test".parse().unwrap()).unwrap();
                let again: Mailbox = mailbox.to_string().parse().unwrap();
                proptest::prop_assert_eq!(again.local(), &local);
            }
        }
    }
}
