//! Verification (RFC 6376 §6).

use std::time::Duration;

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::{AddressList, FieldSpan, Header};
use hikyaku_wire::Timestamp;

use super::hashed::{Fields, spans};
use super::key::KeyRecord;
use super::signature::{Kind, Signature};
use super::{Partial, Problem, Rules, Verified};
use crate::{BodyHashes, Digests, Hash, HashId, Lookups};

/// How far ahead of ours the clock of a signer may be before its signature is not accepted
/// (RFC 6376 §3.5, `t=`).
const FUTURE: Duration = Duration::from_secs(86_400);

/// The name of the fields that hold a signature.
const NAME: &str = "DKIM-Signature";

/// The signatures of a message, found in its header section.
#[derive(Debug)]
pub struct Signatures {
    /// What is told of each, from the top.
    told: Vec<Verified>,
    /// Those that are verified, in that order.
    chosen: Vec<Chosen>,
    /// Where the fields of the section lie, so that they are looked for once.
    spans: Vec<FieldSpan>,
    rules: Rules,
}

/// A signature that is verified once the body is known.
#[derive(Debug)]
struct Chosen {
    /// Its place among the signatures, from the top.
    place: usize,
    /// The place of its field among the fields.
    at: usize,
    signature: Signature,
    /// The hash of the body that it needs, once it is asked for.
    body: Option<HashId>,
}

impl Signatures {
    /// Finds them, and asks for the hashes of the body that they need: at most
    /// [`Rules::signatures`]. Those whose domain may align with that of From come first, then
    /// those at the top (RFC 6376 §6.1).
    pub fn find(header: &Header<'_>, rules: &Rules, bodies: &mut BodyHashes) -> Self {
        Self::among(spans(header), header, rules, bodies)
    }

    /// The same where it is known where the fields lie.
    pub(crate) fn among(spans: Vec<FieldSpan>, header: &Header<'_>, rules: &Rules, bodies: &mut BodyHashes) -> Self {
        // Most messages have one or two.
        let (mut told, mut chosen) = (Vec::with_capacity(2), Vec::with_capacity(2));
        // The length of the name sorts most fields out.
        let may_be = |(_, span): &(usize, &FieldSpan)| span.colon - span.start >= NAME.len() as u64;
        for (at, span) in spans.iter().enumerate().filter(may_be) {
            let Some(field) = span.field(header.octets()).filter(|field| field.is(NAME)) else { continue };
            let (facts, signature) = Signature::parse(&field, Kind::Dkim);
            let mut one = Verified::of(facts);
            match signature {
                Ok(signature) if rules.allow_legacy || signature.algorithm.hash() != Hash::Sha1 => {
                    chosen.push(Chosen { place: told.len(), at, signature, body: None });
                }
                Ok(_) => one.judge(Some(Problem::Sha1)),
                Err(problem) => one.judge(Some(problem)),
            }
            told.push(one);
        }
        if chosen.len() > 1 {
            let author = author(header);
            chosen.sort_by_cached_key(|one| !may_align(author.as_ref(), told[one.place].domain.as_ref()));
        }
        for one in chosen.drain(rules.signatures.min(chosen.len())..) {
            told[one.place].judge(Some(Problem::TooMany));
        }
        for Chosen { signature: one, body, .. } in &mut chosen {
            *body = Some(bodies.want(one.body, one.length, one.algorithm.hash()));
        }
        Self { told, chosen, spans, rules: rules.clone() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Verifies them; the results are in the order in which the signatures stand in the header
    /// section, which must be the one that they were found in. Keys of domains that may align with
    /// that of From are looked up first. Of a signature whose body hash does not match, and of one
    /// that has expired, no key is looked up.
    pub async fn verify<R: Resolver>(
        self,
        header: &Header<'_>,
        digests: &Digests,
        lookups: &Lookups<'_, R>,
        now: Timestamp,
    ) -> Vec<Verified> {
        let Self { mut told, chosen, spans, rules } = self;
        if chosen.is_empty() {
            return told;
        }
        let fields = Fields::of(header.octets(), spans[..].into());
        let mut signed = Vec::new();
        for Chosen { place, at, signature, body } in &chosen {
            let Some(hash) = *body else { continue };
            let body = (digests.digest(hash), digests.length(hash));
            let check = Check { at: *at, signature, body, rules: &rules };
            let one = &mut told[*place];
            let problem = check.verify(&fields, &mut signed, lookups, now, one).await.err();
            one.judge(problem);
        }
        told
    }
}

/// Whether a signature of that domain may align with the author. Who is whose organization is not
/// known here; only names in one line may.
fn may_align(author: Option<&Name>, domain: Option<&Name>) -> bool {
    author.zip(domain).is_some_and(|(author, domain)| author.is_within(domain) || domain.is_within(author))
}

/// The domain of From, if it has one.
fn author(header: &Header<'_>) -> Option<Name> {
    let field = header.only("From")?;
    let domain = AddressList::parse(field.raw_value()).ok()?.author_domain().ok()?;
    Name::from_domain(domain.as_str()).ok()
}

/// One signature, when the body is known.
struct Check<'a> {
    at: usize,
    signature: &'a Signature,
    /// The hash of the body, and the length of its canonical form.
    body: (&'a [u8], u64),
    rules: &'a Rules,
}

impl Check<'_> {
    async fn verify<R: Resolver>(
        self,
        fields: &Fields<'_>,
        signed: &mut Vec<u8>,
        lookups: &Lookups<'_, R>,
        now: Timestamp,
        one: &mut Verified,
    ) -> Result<(), Problem> {
        let Self { at, signature, body: (hash, length), rules } = self;
        one.covered = Some(signature.length.map_or(length, |covered| covered.min(length)));
        one.body = Some(length);
        if one.timestamp.is_some_and(|made| now.saturating_add(FUTURE) < made) {
            return Err(Problem::Future);
        }
        if one.expiration.is_some_and(|expires| expires.saturating_add(rules.skew) < now) {
            return Err(Problem::Expired);
        }
        if signature.length.is_some_and(|covered| covered > length) {
            return Err(Problem::ShortBody);
        }
        if hash != signature.body_hash {
            return Err(Problem::BodyHash);
        }
        let record = lookups.published::<KeyRecord>(&signature.key).await.map_err(Problem::Lookup)?;
        let key = record.key()?;
        one.testing = key.testing;
        one.key_bits = Some(key.bits());
        let verifier = key.verifier(signature.algorithm, signature.below)?;
        signed.clear();
        signed.reserve(2048);
        fields.signed_by(signature, at, signed);
        if !verifier.verifies(signature.algorithm.hash(), signed, &signature.signature) {
            return Err(Problem::Signature);
        }
        if signature.length.is_some_and(|covered| covered < length) && rules.partial == Partial::Policy {
            return Err(Problem::Partial);
        }
        Ok(())
    }
}
