//! The sets of a header section, and what a seal covers of them.

use std::ops::Range;

use hikyaku_dns::Name;
use hikyaku_message::{Field as HeaderField, Header};

use super::{Field, Problem};
use crate::canonical;
use crate::dkim::signature::{Facts, Kind, Signature, number};
use crate::dkim::{self, Algorithm};
use crate::tags::{Tags, TagsError, base64, list};
use crate::{Canonicalization, dkim::hashed};

/// The highest instance (RFC 8617 §4.2.1).
const INSTANCES: u8 = 50;

/// The sets, instance 1 first, each the places of its fields among all fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sets(Vec<[usize; 3]>);

impl Sets {
    /// Finds them: each has one field of each kind, and their instances are 1 to the highest
    /// without a gap (RFC 8617 §5.2). `Ok` without sets, if there is no field of ARC.
    pub(super) fn find(header: &Header<'_>) -> Result<Self, Problem> {
        let mut found: Vec<[Option<usize>; 3]> = Vec::new();
        for (at, field) in header.fields().enumerate() {
            let Some(kind) = Field::ALL.into_iter().find(|kind| field.is(kind.as_str())) else { continue };
            let instance = instance(&field, kind).ok_or(Problem::Instance(kind))?;
            let index = usize::from(instance) - 1;
            if found.len() <= index {
                found.resize(index + 1, [None; 3]);
            }
            if found[index][kind as usize].replace(at).is_some() {
                return Err(Problem::Twice(instance, kind));
            }
        }
        let mut sets = Vec::with_capacity(found.len());
        for (instance, set) in (1..=INSTANCES).zip(found) {
            let [results, message, seal] = set;
            let place = |place: Option<usize>, kind| place.ok_or(Problem::Missing(instance, kind));
            sets.push([place(results, Field::Results)?, place(message, Field::Message)?, place(seal, Field::Seal)?]);
        }
        Ok(Self(sets))
    }

    /// The highest instance; 0 without sets.
    pub(super) fn highest(&self) -> u8 {
        // There are at most 50.
        self.0.len() as u8
    }

    /// The place of a field, from instance 1 to [`highest`](Self::highest).
    pub(super) fn place(&self, instance: u8, kind: Field) -> usize {
        self.0[usize::from(instance) - 1][kind as usize]
    }
}

/// The highest instance that any field of ARC has, whatever else is wrong.
#[cfg(any(test, fuzzing, feature = "seal"))]
pub(super) fn highest(header: &Header<'_>) -> u8 {
    let kind = |field: &HeaderField<'_>| Field::ALL.into_iter().find(|kind| field.is(kind.as_str()));
    header.fields().filter_map(|field| instance(&field, kind(&field)?)).max().unwrap_or(0)
}

/// The instance of a field.
fn instance(field: &HeaderField<'_>, kind: Field) -> Option<u8> {
    let digits = match kind {
        Field::Results => instance_of_results(field.raw_value())?,
        Field::Message | Field::Seal => Tags::parse(field.raw_value()).ok()?.get("i")?,
    };
    let instance = u8::try_from(number(digits, 2)?).ok()?;
    (1..=INSTANCES).contains(&instance).then_some(instance)
}

/// The digits of `arc-info = instance [CFWS] ";" authres-payload`,
/// `instance = [CFWS] "i" [CFWS] "=" [CFWS] 1*2DIGIT` (RFC 8617 §4.1.1, §4.2.1).
///
/// The rest is not read: what it says is under the seal, and must be carried as it is.
fn instance_of_results(value: &[u8]) -> Option<&[u8]> {
    let rest = white_space(value)?.strip_prefix(b"i")?;
    let rest = white_space(white_space(rest)?.strip_prefix(b"=")?)?;
    let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
    white_space(&rest[digits..])?.starts_with(b";").then_some(&rest[..digits])
}

/// What follows white space and comments (`[CFWS]`, RFC 5322 §3.2.2); `None` if a comment does
/// not end.
fn white_space(mut text: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    loop {
        text = match (text, depth) {
            ([b'(', after @ ..], _) => {
                depth += 1;
                after
            }
            ([b')', after @ ..], 1..) => {
                depth -= 1;
                after
            }
            ([b'\\', _, after @ ..], 1..) => after,
            ([b' ' | b'\t' | b'\r' | b'\n', after @ ..], 0) | ([_, after @ ..], 1..) => after,
            (rest, 0) => return Some(rest),
            ([], _) => return None,
        };
    }
}

/// A seal (RFC 8617 §4.1.3) that can be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) algorithm: Algorithm,
    pub(super) domain: Name,
    /// The name that the key is published under.
    pub(super) key: Name,
    pub(super) status: Status,
    pub(super) signature: Vec<u8>,
    /// Where the value of `b=` lies in the value of the field.
    pub(super) own: Range<usize>,
}

/// What a sealer has found of the sets before its own, `cv=` (RFC 8617 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    None,
    Pass,
    Fail,
}

impl Seal {
    /// Reads the field.
    pub(super) fn parse(field: &HeaderField<'_>, instance: u8) -> Result<Self, Problem> {
        let wrong = |problem| Problem::Seal(instance, problem);
        let tags = Tags::parse(field.raw_value()).map_err(|error| match error {
            TagsError::Syntax => wrong(dkim::Problem::Syntax),
            TagsError::Twice => wrong(dkim::Problem::TagTwice),
        })?;
        if tags.get("h").is_some() {
            return Err(Problem::SealWithNames(instance));
        }
        let status = match tags.get("cv").map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"none") => Status::None,
            Some(b"pass") => Status::Pass,
            Some(b"fail") => Status::Fail,
            _ => return Err(Problem::Status(instance)),
        };
        let facts = Facts::of(&tags);
        let required = |name| tags.get(name).map(drop).ok_or(wrong(dkim::Problem::MissingTag(name)));
        required("a")?;
        let algorithm = facts.algorithm.ok_or(wrong(dkim::Problem::Algorithm))?;
        required("d")?;
        let domain = facts.domain.ok_or(wrong(dkim::Problem::BadTag("d")))?;
        required("s")?;
        let key = facts.key.ok_or(wrong(dkim::Problem::BadTag("s")))?;
        let own = tags.tag("b").ok_or(wrong(dkim::Problem::MissingTag("b")))?;
        let signature = base64(own.value).ok_or(wrong(dkim::Problem::BadTag("b")))?;
        if tags.get("t").is_some() && facts.timestamp.is_none() {
            return Err(wrong(dkim::Problem::BadTag("t")));
        }
        if algorithm == Algorithm::RsaSha1 {
            return Err(wrong(dkim::Problem::Sha1));
        }
        Ok(Self { algorithm, domain, key, status, signature, own: own.span.clone() })
    }
}

/// Reads the signature of a message. It is like that of DKIM, and is never made with SHA-1.
pub(super) fn message(field: &HeaderField<'_>, instance: u8) -> Result<(Facts, Signature), Problem> {
    let wrong = |problem| Problem::Message(instance, problem);
    let (facts, signature) = Signature::parse(field, Kind::Arc);
    if facts.algorithm == Some(Algorithm::RsaSha1) {
        return Err(wrong(dkim::Problem::Sha1));
    }
    let signature = signature.map_err(wrong)?;
    covers_no_seal(signature.names(field), instance)?;
    Ok((facts, signature))
}

/// Reads the signature of a message that others have signed since: only its form counts.
pub(super) fn old_message(field: &HeaderField<'_>, instance: u8) -> Result<(), Problem> {
    let tags = Tags::parse(field.raw_value()).map_err(|_| Problem::Instance(Field::Message))?;
    covers_no_seal(tags.get("h").unwrap_or_default(), instance)
}

/// Other fields of ARC should not be covered by a signature either, but are in use, and are there
/// when the signature is made: what is sealed with it is not (RFC 8617 §4.1.2).
fn covers_no_seal(names: &[u8], instance: u8) -> Result<(), Problem> {
    if list(names).any(|name| name.eq_ignore_ascii_case(Field::Seal.as_str().as_bytes())) {
        return Err(Problem::SealCovered(instance));
    }
    Ok(())
}

/// What the seals of a chain cover: all sets up to their own, in the relaxed form, the seal
/// itself as the last without its signature (RFC 8617 §5.1.1). Each field is brought into its
/// form once.
#[derive(Debug, Default)]
pub(super) struct Covered {
    octets: Vec<u8>,
    /// Of each set: where its seal begins.
    seals: Vec<usize>,
}

impl Covered {
    /// Adds a field.
    pub(super) fn push(&mut self, field: &HeaderField<'_>, kind: Field) {
        if kind == Field::Seal {
            self.seals.push(self.octets.len());
        }
        canonical::field(field, Canonicalization::Relaxed, &mut self.octets);
    }

    /// What a seal covers, in place of which the others must be put back:
    /// the octets up to it, and it.
    pub(super) fn by(&self, instance: u8, seal: &HeaderField<'_>, own: Range<usize>, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.octets[..self.seals[usize::from(instance) - 1]]);
        hashed::last(seal, own, Canonicalization::Relaxed, out);
    }

    /// The octets of all that was added.
    #[cfg(any(test, fuzzing, feature = "seal"))]
    pub(super) fn octets(self) -> Vec<u8> {
        self.octets
    }
}
