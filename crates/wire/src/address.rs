//! Mail addresses (RFC 5321 §4.1.2, RFC 6531 §3.3).
//!
//! Every type here keeps its text as it was received, borrowed (`Mailbox<&str>`, by `parse`) or
//! owned (`Mailbox`, by `FromStr` or `into_owned`). Comparison does not look at the spelling:
//! quotes in a local part and the case of a domain make no difference.
//!
//! ```
//! use hikyaku_wire::Mailbox;
//!
//! let mailbox = Mailbox::parse(r#""bob"@Example.ORG"#).unwrap();
//! assert_eq!(mailbox.local().as_received(), r#""bob""#);
//! assert_eq!(mailbox, Mailbox::parse("bob@example.org").unwrap());
//! assert_eq!(mailbox.into_owned().to_string(), "bob@Example.ORG");
//! ```

mod domain;
mod host;
mod local_part;

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

pub(crate) use self::host::literal;
pub use self::{domain::Domain, host::Host, local_part::LocalPart};
use crate::grammar::{self, Parsed, reason};

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
    /// A domain whose U-labels have no A-labels (RFC 5891 §5).
    #[error("not an internationalised domain name")]
    Idna,
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

/// A mailbox: `Mailbox = Local-part "@" ( Domain / address-literal )` (RFC 5321 §4.1.2), of at most
/// 254 octets. It prints without brackets, and with quotes only where it must have them.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox<T = Box<str>> {
    local: LocalPart<T>,
    host: Host<T>,
}

impl<'a> Mailbox<&'a str> {
    /// Reads a mailbox, without brackets around it.
    ///
    /// # Errors
    /// What the grammar does not allow, and what is longer than RFC 5321 §4.5.3.1 says.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        complete(text, Self::read)
    }

    /// `Mailbox = Local-part "@" ( Domain / address-literal )`
    #[inline(always)]
    pub(crate) fn read(input: &'a str) -> Parsed<'a, Self> {
        let (rest, local) = grammar::local_part(input)?;
        let rest = grammar::literally(rest, '@')?;
        let (rest, host) = Host::read(rest)?;
        if input.len() - rest.len() > MAILBOX_LIMIT {
            let left = input.len() - input.floor_char_boundary(MAILBOX_LIMIT);
            return Err(nom::Err::Error(grammar::Mismatch { left, kind: AddressErrorKind::TooLong }));
        }
        Ok((rest, Self { local: LocalPart::checked(local), host }))
    }
}

impl<T: AsRef<str>> Mailbox<T> {
    /// Puts the two parts together.
    ///
    /// # Errors
    /// More than 254 octets as received (RFC 5321 §4.5.3.1.3).
    pub fn new(local: LocalPart<T>, host: Host<T>) -> Result<Self, AddressError> {
        let host_length = match &host {
            Host::Domain(domain) => domain.as_str().len(),
            Host::Address(_) => host.to_string().len(),
        };
        if local.as_received().len() + 1 + host_length > MAILBOX_LIMIT {
            return Err(AddressErrorKind::TooLong.at(MAILBOX_LIMIT));
        }
        Ok(Self { local, host })
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &LocalPart<T> {
        &self.local
    }

    /// What stands behind the `@`.
    pub fn host(&self) -> &Host<T> {
        &self.host
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.host.domain().is_none_or(Domain::is_ascii)
    }

    /// The same mailbox, borrowed.
    pub fn borrowed(&self) -> Mailbox<&str> {
        Mailbox { local: self.local.borrowed(), host: self.host.borrowed() }
    }

    /// The same mailbox with texts of its own.
    pub fn into_owned(self) -> Mailbox
    where
        T: Into<Box<str>>,
    {
        Mailbox { local: self.local.into_owned(), host: self.host.into_owned() }
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Mailbox::parse(text).map(Mailbox::into_owned)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Mailbox<U>> for Mailbox<T> {
    fn eq(&self, other: &Mailbox<U>) -> bool {
        self.local == other.local && self.host == other.host
    }
}

impl<T: AsRef<str>> Eq for Mailbox<T> {}

impl<T: AsRef<str>> Ord for Mailbox<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.local.cmp(&other.local).then_with(|| self.host.cmp(&other.host))
    }
}

impl<T: AsRef<str>> PartialOrd for Mailbox<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: AsRef<str>> Hash for Mailbox<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.local.hash(state);
        self.host.hash(state);
    }
}

impl<T: AsRef<str>> fmt::Display for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.host)
    }
}

/// Runs a production that must match the whole text. The grammar lets through all that is not
/// ASCII; the controls beyond ASCII (U+0080 to U+009F) are refused here.
pub(crate) fn complete<'a, O>(text: &'a str, production: impl Fn(&'a str) -> Parsed<'a, O>) -> Result<O, AddressError> {
    if let Some(at) = text.find(char::is_control) {
        return Err(AddressErrorKind::Syntax.at(at));
    }
    match production(text) {
        Ok(("", output)) => Ok(output),
        Ok((rest, _)) => Err(AddressErrorKind::Syntax.at(text.len() - rest.len())),
        Err(error) => {
            let (kind, at) = reason(text.as_bytes(), error);
            Err(kind.at(at))
        }
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
            assert_eq!(mailbox.local().content(), content);
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
            // `::` stands for two groups at least.
            "a@[IPv6:1:2:3:4:5:6:7::]",
            "a@[IPv6:1:2:3::4:5:6:7]",
            "a@[IPv6:1:2:3:4:5::1.2.3.4]",
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
            ("a@[IPv6:1:2:3:4:5:6::]", "a@[IPv6:1:2:3:4:5:6::]"),
            ("a@[IPv6:1:2:3:4::1.2.3.4]", "a@[IPv6:1:2:3:4::102:304]"),
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
        let new = |local, host: usize| {
            Mailbox::new(LocalPart::from_content(&of(local)).unwrap(), Host::Domain(domain(host).parse().unwrap()))
        };
        assert_eq!(new(4, 249).unwrap().to_string().len(), 254);
        assert_eq!(new(5, 249), Err(TooLong.at(254)));
        let quoted = Mailbox::parse(r#""a"@b.test"#).unwrap();
        assert_eq!(Mailbox::new(*quoted.local(), *quoted.host()), Ok(quoted));
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
    fn what_is_equal_has_one_hash_and_one_place() {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = |path: &crate::ForwardPath| BuildHasherDefault::<DefaultHasher>::default().hash_one(path);
        // In their order; each group is one mailbox.
        let groups = [
            &["<postmaster>", "<PostMaster>"][..],
            &[r#"<""@b.test>"#],
            &[r#"<"\ "@b.test>"#, r#"<" "@b.test>"#],
            &["<A@b.test>"],
            &["<a@b.test>", r#"<"a"@B.test>"#, r#"<"\a"@b.TEST>"#],
            &["<a@b.testa>"],
            &["<a@c.test>"],
            &["<a@[1.2.3.4]>"],
            &["<a@[1.2.3.5]>"],
            &["<a@[IPv6:::1]>", "<a@[ipv6:0:0:0:0:0:0:0:1]>"],
            &[r#"<"a\"b"@b.test>"#],
            &["<ab@b.test>", r#"<"a\b"@b.test>"#],
            &["<ü@b.test>", r#"<"ü"@b.test>"#],
        ];
        for (place, group) in groups.iter().enumerate() {
            for (other_place, other) in groups.iter().enumerate() {
                for (a, b) in group.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
                    let (borrowed, owned) = (crate::ForwardPath::parse(a).unwrap(), b.parse().unwrap());
                    assert_eq!(borrowed == owned, place == other_place, "{a} {b}");
                    let a = borrowed.into_owned();
                    assert_eq!(a.cmp(&owned), place.cmp(&other_place), "{a} {b}");
                    assert_eq!(hash(&a) == hash(&owned), place == other_place, "{a} {b}");
                    assert_eq!(a.borrowed(), a);
                }
            }
        }
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
