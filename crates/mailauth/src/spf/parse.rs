//! The grammar of records (RFC 7208 §12).

use std::str::FromStr;

use super::{Directive, DomainSpec, MacroError, MacroString, Mechanism, Modifier, Prefixes, Qualifier, Record};

/// How much of a term an error repeats, in octets.
const MAX_TERM: usize = 80;

/// Why a text is no SPF record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: {term:?} at octet {offset}")]
pub struct RecordError {
    /// Where the term begins, in octets from 0.
    pub offset: usize,
    /// The term, at most 80 octets of it; what is not printable ASCII is replaced.
    pub term: String,
    /// What is wrong with it.
    pub problem: RecordProblem,
}

/// What is wrong with a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordProblem {
    /// The text does not begin with `v=spf1` and a space or the end (RFC 7208 §4.5).
    #[error("a record begins with \"v=spf1\" and a space")]
    Version,
    /// A mechanism that RFC 7208 §5 does not know.
    #[error("there is no such mechanism")]
    Mechanism,
    /// A mechanism without what it needs behind a colon.
    #[error("the mechanism needs a value behind a colon")]
    NoValue,
    /// A mechanism with something behind it that it does not take.
    #[error("the mechanism takes no such value")]
    Value,
    /// A qualifier before a modifier (RFC 7208 §4.6.1).
    #[error("a modifier has no qualifier")]
    QualifiedModifier,
    /// Something before `=` that is no name (RFC 7208 §6).
    #[error("the name of a modifier is a letter, then letters, digits, \"-\", \"_\" and \".\"")]
    ModifierName,
    /// `redirect` or `exp` twice (RFC 7208 §6).
    #[error("redirect and exp may stand in a record only once")]
    Twice,
    /// Not four decimal numbers without leading zeros.
    #[error("not an IPv4 address")]
    Ipv4,
    /// Not an address in the form of RFC 4291 §2.2.
    #[error("not an IPv6 address")]
    Ipv6,
    /// Not a number from 0 to 32 without leading zeros, or not one up to 128 for IPv6.
    #[error("the length of a prefix is a number from 0 to 32, for IPv6 to 128")]
    Prefix,
    /// A name or text that cannot be read.
    #[error(transparent)]
    Macro(#[from] MacroError),
}

/// What stands behind the version, if the text is a record in version 1 (RFC 7208 §4.5).
pub(super) fn behind_version(text: &[u8]) -> Option<&[u8]> {
    let (version, rest) = text.split_at_checked(6)?;
    let ours = version.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' '));
    ours.then_some(rest)
}

pub(super) fn record(text: &[u8]) -> Result<Record, RecordError> {
    let Some(terms) = behind_version(text) else {
        return Err(error(0, text, RecordProblem::Version));
    };
    let mut record = Record::default();
    let mut offset = text.len() - terms.len();
    for word in terms.split(|octet| *octet == b' ') {
        if !word.is_empty() {
            term(&mut record, word).map_err(|problem| error(offset, word, problem))?;
        }
        offset += word.len() + 1;
    }
    Ok(record)
}

fn error(offset: usize, term: &[u8], problem: RecordProblem) -> RecordError {
    let term = term[..term.len().min(MAX_TERM)].iter();
    let term = term.map(|octet| if matches!(octet, b' '..=b'~') { char::from(*octet) } else { '?' });
    RecordError { offset, term: term.collect(), problem }
}

/// `directive / modifier` (RFC 7208 §4.6.1).
fn term(record: &mut Record, term: &[u8]) -> Result<(), RecordProblem> {
    let (qualifier, rest) = match term {
        [b'+', rest @ ..] => (Some(Qualifier::Pass), rest),
        [b'-', rest @ ..] => (Some(Qualifier::Fail), rest),
        [b'~', rest @ ..] => (Some(Qualifier::SoftFail), rest),
        [b'?', rest @ ..] => (Some(Qualifier::Neutral), rest),
        _ => (None, term),
    };
    let length = rest.iter().position(|octet| b"=:/".contains(octet)).unwrap_or(rest.len());
    let (name, value) = rest.split_at(length);
    if let [b'=', value @ ..] = value {
        if qualifier.is_some() {
            return Err(RecordProblem::QualifiedModifier);
        }
        return modifier(record, name, value);
    }
    let mechanism = mechanism(name, value)?;
    record.directives.push(Directive { qualifier: qualifier.unwrap_or_default(), mechanism });
    Ok(())
}

/// ```text
/// modifier         = redirect / explanation / unknown-modifier
/// unknown-modifier = name "=" macro-string
/// name             = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
/// ```
fn modifier(record: &mut Record, name: &[u8], value: &[u8]) -> Result<(), RecordProblem> {
    let first = name.first().is_some_and(u8::is_ascii_alphabetic);
    if !first || !name.iter().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(octet)) {
        return Err(RecordProblem::ModifierName);
    }
    let slot = if name.eq_ignore_ascii_case(b"redirect") {
        &mut record.redirect
    } else if name.eq_ignore_ascii_case(b"exp") {
        &mut record.explanation
    } else {
        let name = name.iter().map(|octet| char::from(*octet)).collect();
        record.others.push(Modifier { name, value: MacroString::parse(value)? });
        return Ok(());
    };
    if slot.replace(DomainSpec::parse(value)?).is_some() {
        return Err(RecordProblem::Twice);
    }
    Ok(())
}

/// A mechanism; `value` is empty or begins with `:` or `/`.
fn mechanism(name: &[u8], value: &[u8]) -> Result<Mechanism, RecordProblem> {
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    if is("ip4") {
        let (network, prefix) = network(value, 32)?;
        return Ok(Mechanism::Ip4 { network: address(network).ok_or(RecordProblem::Ipv4)?, prefix });
    }
    if is("ip6") {
        let (network, prefix) = network(value, 128)?;
        return Ok(Mechanism::Ip6 { network: address(network).ok_or(RecordProblem::Ipv6)?, prefix });
    }
    if is("include") {
        return Ok(Mechanism::Include(DomainSpec::parse(needed(value)?)?));
    }
    if is("exists") {
        return Ok(Mechanism::Exists(DomainSpec::parse(needed(value)?)?));
    }
    if is("all") {
        return if value.is_empty() { Ok(Mechanism::All) } else { Err(RecordProblem::Value) };
    }
    if is("a") {
        let (domain, prefixes) = domain_and_prefixes(value)?;
        return Ok(Mechanism::A { domain, prefixes });
    }
    if is("mx") {
        let (domain, prefixes) = domain_and_prefixes(value)?;
        return Ok(Mechanism::Mx { domain, prefixes });
    }
    if is("ptr") {
        return Ok(Mechanism::Ptr(match value {
            [] => None,
            value => Some(DomainSpec::parse(needed(value)?)?),
        }));
    }
    Err(RecordProblem::Mechanism)
}

/// What stands behind the colon.
fn needed(value: &[u8]) -> Result<&[u8], RecordProblem> {
    match value {
        [b':', value @ ..] if !value.is_empty() => Ok(value),
        [] | [b':', ..] => Err(RecordProblem::NoValue),
        _ => Err(RecordProblem::Value),
    }
}

/// The address and the length of `ip4-network [ ip4-cidr-length ]`, and the same for IPv6.
fn network(value: &[u8], longest: u8) -> Result<(&[u8], u8), RecordProblem> {
    let value = needed(value)?;
    match memchr::memchr(b'/', value) {
        None => Ok((value, longest)),
        Some(slash) => Ok((&value[..slash], prefix(&value[slash + 1..], longest)?)),
    }
}

fn address<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// ```text
/// ip4-cidr-length  = "/" ("0" / %x31-39 0*1DIGIT)
/// ip6-cidr-length  = "/" ("0" / %x31-39 0*2DIGIT)
/// ```
fn prefix(digits: &[u8], longest: u8) -> Result<u8, RecordProblem> {
    let number = match digits {
        [b'0'] => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => address::<u8>(digits),
        _ => None,
    };
    number.filter(|number| *number <= longest).ok_or(RecordProblem::Prefix)
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]` (RFC 7208 §5.3). A slash may also stand in the name,
/// but a name never ends in one with digits behind it: the lengths are read from the end.
fn domain_and_prefixes(value: &[u8]) -> Result<(Option<DomainSpec>, Prefixes), RecordProblem> {
    let mut prefixes = Prefixes::default();
    let mut rest = value;
    if let Some((before, digits)) = length_at_end(rest) {
        match before {
            [before @ .., b'/'] => {
                prefixes.v6 = prefix(digits, 128)?;
                rest = before;
                if let Some((before, digits)) = length_at_end(rest) {
                    prefixes.v4 = prefix(digits, 32)?;
                    rest = before;
                }
            }
            before => {
                prefixes.v4 = prefix(digits, 32)?;
                rest = before;
            }
        }
    }
    let domain = match rest {
        [] => None,
        rest => Some(DomainSpec::parse(needed(rest)?)?),
    };
    Ok((domain, prefixes))
}

/// The digits at the end behind a slash, and what stands before the slash.
fn length_at_end(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = memchr::memrchr(b'/', text)?;
    let digits = &text[slash + 1..];
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some((&text[..slash], digits))
}
