//! A signature as it stands in its field (RFC 6376 §3.5).

use std::ops::Range;

use hikyaku_dns::Name;
use hikyaku_message::Field;
use hikyaku_wire::Timestamp;

use super::{Algorithm, Problem};
use crate::Canonicalization;
use crate::tags::{Tags, TagsError, base64, is_list, list};

/// In which field a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `DKIM-Signature`, with `v=`; `i=` is the identity.
    Dkim,
    /// `ARC-Message-Signature`, without `v=`; `i=` is the instance (RFC 8617 §4.1.2).
    Arc,
}

/// The tags that are known however wrong the others are: what is told of a signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) domain: Option<Name>,
    pub(crate) selector: Option<String>,
    /// The name that the key is published under, until it is taken into the signature.
    pub(crate) key: Option<Name>,
    pub(crate) identity: Option<String>,
    pub(crate) algorithm: Option<Algorithm>,
    /// Of the header section and of the body.
    pub(crate) canonicalization: Option<(Canonicalization, Canonicalization)>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) expiration: Option<Timestamp>,
    /// The first octets of `b=`.
    pub(crate) start: Option<String>,
}

/// A signature that can be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) algorithm: Algorithm,
    pub(crate) header: Canonicalization,
    pub(crate) body: Canonicalization,
    /// The name that the key is published under.
    pub(crate) key: Name,
    /// Octets of the canonical body that are covered, if not all.
    pub(crate) length: Option<u64>,
    /// `bh=`
    pub(crate) body_hash: Vec<u8>,
    /// `b=`
    pub(crate) signature: Vec<u8>,
    /// Where the value of `h=` lies in the value of the field.
    names: Range<usize>,
    /// Where the value of `b=` lies in the value of the field, with the white space around it.
    pub(crate) own: Range<usize>,
    /// The domain of `i=` is below that of `d=`.
    pub(crate) below: bool,
}

impl Signature {
    /// Reads the field. What is told of it is known as far as it can be read, also of a signature
    /// that cannot be verified.
    pub(crate) fn parse(field: &Field<'_>, kind: Kind) -> (Facts, Result<Self, Problem>) {
        let mut facts = Facts::default();
        let signature = match Tags::parse(field.raw_value()) {
            Ok(tags) => {
                facts.read(&tags);
                Self::read(&tags, kind, &mut facts)
            }
            Err(TagsError::Syntax) => Err(Problem::Syntax),
            Err(TagsError::Twice) => Err(Problem::TagTwice),
        };
        (facts, signature)
    }

    fn read(tags: &Tags<'_>, kind: Kind, facts: &mut Facts) -> Result<Self, Problem> {
        let required = |name| tags.get(name).ok_or(Problem::MissingTag(name));
        if kind == Kind::Dkim && required("v")? != b"1" {
            return Err(Problem::BadTag("v"));
        }
        required("a")?;
        let algorithm = facts.algorithm.ok_or(Problem::Algorithm)?;
        required("d")?;
        let domain = facts.domain.as_ref().ok_or(Problem::BadTag("d"))?;
        required("s")?;
        let key = facts.key.take().ok_or(Problem::BadTag("s"))?;
        let (header, body) = facts.canonicalization.ok_or(Problem::BadTag("c"))?;
        let own = tags.tag("b").ok_or(Problem::MissingTag("b"))?;
        let signature = base64(own.value).ok_or(Problem::BadTag("b"))?;
        let body_hash = base64(required("bh")?).ok_or(Problem::BadTag("bh"))?;
        if body_hash.len() != algorithm.hash_octets() {
            return Err(Problem::BadTag("bh"));
        }
        let names = tags.tag("h").ok_or(Problem::MissingTag("h"))?;
        if !is_names(names.value) {
            return Err(Problem::BadTag("h"));
        }
        if !list(names.value).any(|name| name.eq_ignore_ascii_case(b"from")) {
            return Err(Problem::FromNotSigned);
        }
        let below = match tags.get("i") {
            Some(identity) if kind == Kind::Dkim => {
                let at = memchr::memrchr(b'@', identity).ok_or(Problem::BadTag("i"))?;
                let within = &identity[at + 1..];
                if tags.get("d").is_some_and(|domain| domain.eq_ignore_ascii_case(within)) {
                    false
                } else {
                    let within = domain_name(within).ok_or(Problem::BadTag("i"))?;
                    if !within.is_within(domain) {
                        return Err(Problem::ForeignIdentity);
                    }
                    within != *domain
                }
            }
            _ => false,
        };
        let length = tags.get("l").map(|length| number(length, 76).ok_or(Problem::BadTag("l"))).transpose()?;
        for name in ["t", "x"] {
            tags.get(name).map_or(Ok(0), |seconds| number(seconds, usize::MAX).ok_or(Problem::BadTag(name)))?;
        }
        if let (Some(made), Some(expires)) = (facts.timestamp, facts.expiration)
            && expires <= made
        {
            return Err(Problem::ExpiresBefore);
        }
        if tags.get("q").is_some_and(|methods| !list(methods).any(|method| method == b"dns/txt")) {
            return Err(Problem::BadTag("q"));
        }
        let (names, own) = (names.span.clone(), own.span.clone());
        Ok(Self { algorithm, header, body, key, length, body_hash, signature, names, own, below })
    }

    /// The names of `h=`, in the field that it was read of: a list with colons.
    pub(crate) fn names<'a>(&self, field: &Field<'a>) -> &'a [u8] {
        field.raw_value().get(self.names.clone()).unwrap_or_default()
    }
}

impl Facts {
    /// What a list of tags tells, as far as it can be read.
    pub(crate) fn of(tags: &Tags<'_>) -> Self {
        let mut facts = Self::default();
        facts.read(tags);
        facts
    }

    fn read(&mut self, tags: &Tags<'_>) {
        let text = |name| tags.get(name).and_then(|value| std::str::from_utf8(value).ok());
        self.algorithm = text("a").and_then(Algorithm::parse);
        self.domain = tags.get("d").and_then(domain_name);
        self.key = self.domain.as_ref().zip(tags.get("s")).and_then(|(domain, selector)| key(selector, domain));
        // What makes no name with this domain may still be one.
        let is_selector = self.key.is_some() || tags.get("s").and_then(labels).is_some();
        self.selector = text("s").filter(|_| is_selector).map(str::to_owned);
        self.identity = text("i").map(str::to_owned);
        self.canonicalization = canonicalization(tags.get("c"));
        let moment = |name| tags.get(name).and_then(|seconds| number(seconds, usize::MAX)).map(moment);
        (self.timestamp, self.expiration) = (moment("t"), moment("x"));
        self.start = tags.get("b").and_then(|value| {
            let mut start = String::with_capacity(8);
            let octets = value.iter().filter(|octet| !octet.is_ascii_whitespace()).take(8);
            start.extend(octets.map(|&octet| char::from(octet)));
            start.bytes().all(is_base64).then_some(start)
        });
    }
}

fn moment(seconds: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX))
}

/// `sig-c-tag-alg = "simple" / "relaxed"`, that of the body simple if it is not said
/// (RFC 6376 §3.5).
fn canonicalization(value: Option<&[u8]>) -> Option<(Canonicalization, Canonicalization)> {
    let form = |word: &[u8]| match word {
        b"simple" => Some(Canonicalization::Simple),
        b"relaxed" => Some(Canonicalization::Relaxed),
        _ => None,
    };
    let Some(value) = value else { return Some(Default::default()) };
    match memchr::memchr(b'/', value) {
        Some(slash) => Some((form(&value[..slash])?, form(&value[slash + 1..])?)),
        None => Some((form(value)?, Canonicalization::Simple)),
    }
}

/// A number of at most so many digits; one that is too large for the type is the largest.
pub(crate) fn number(digits: &[u8], most: usize) -> Option<u64> {
    let fits = (1..=most).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| {
        digits.iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// `domain-name = sub-domain 1*("." sub-domain)` (RFC 6376 §3.5), with U-labels (RFC 8616 §5).
fn domain_name(text: &[u8]) -> Option<Name> {
    labels(text).filter(|name| name.labels().nth(1).is_some())
}

/// `sub-domain *( "." sub-domain )`, with underscores, which are in use.
///
/// Nothing else is looked up: a name that two programs read in two ways proves nothing.
fn labels(text: &[u8]) -> Option<Name> {
    if text.is_ascii() {
        Name::from_labels(ascii_labels(text)?).ok()
    } else {
        text.split(is_dot).all(is_label).then(|| Name::from_domain(std::str::from_utf8(text).ok()?).ok())?
    }
}

/// The name that the key of a selector is published under (RFC 6376 §3.6.2.1).
fn key(selector: &[u8], domain: &Name) -> Option<Name> {
    let below = || [&b"_domainkey"[..]].into_iter().chain(domain.labels());
    if selector.is_ascii() {
        Name::from_labels(ascii_labels(selector)?.chain(below())).ok()
    } else {
        Name::from_labels(labels(selector)?.labels().chain(below())).ok()
    }
}

fn ascii_labels(text: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let labels = text.split(is_dot);
    labels.clone().all(is_label).then_some(labels)
}

fn is_dot(octet: &u8) -> bool {
    *octet == b'.'
}

/// `sub-domain = Let-dig [Ldh-str]` (RFC 5321 §4.1.2), with underscores and UTF-8.
pub(crate) fn is_label(label: &[u8]) -> bool {
    let inner = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | 0x80..);
    label.iter().all(inner) && !label.is_empty() && !label.starts_with(b"-") && !label.ends_with(b"-")
}

/// Whether this is a list of names: `hdr-name *( [FWS] ":" [FWS] hdr-name )`,
/// `hdr-name = field-name` (RFC 6376 §3.5), without the semicolon that ends the tag.
///
/// A name that is empty names no field, and is in use.
fn is_names(value: &[u8]) -> bool {
    value.is_ascii() && is_list(value)
}

fn is_base64(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=')
}
