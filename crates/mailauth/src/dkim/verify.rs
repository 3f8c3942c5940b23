//! Verification (RFC 6376 §6).

use std::time::Duration;

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::{AddressList, FieldSpan, Header};
use hikyaku_wire::Timestamp;

use super::hashed::Fields;
use super::key::KeyRecord;
use super::signature::{Facts, Kind, Signature};
use super::{Partial, Problem, Rules, Verified};
use crate::{BodyHashes, Digests, Hash, HashId, Lookups};

/// How far ahead of ours the clock of a signer may be before its signature is not accepted
/// (RFC 6376 §3.5, `t=`).
const FUTURE: Duration = Duration::from_secs(86_400);

/// The signatures of a message, found in its header section.
#[derive(Debug)]
pub struct Signatures {
    found: Vec<Found>,
    /// Which of them are verified, in that order.
    order: Vec<usize>,
    /// Where the fields of the section lie, so that they are looked for once.
    spans: Vec<FieldSpan>,
    rules: Rules,
}

/// A signature, and what is known before the body is.
#[derive(Debug)]
struct Found {
    /// The place of its field among the fields, from the top.
    at: usize,
    facts: Facts,
    /// What is to be verified, and the hash of the body, or what is wrong already.
    signature: Result<(Signature, HashId), Problem>,
}

impl Signatures {
    /// Finds them, and asks for the hashes of the body that they need: at most
    /// [`Rules::signatures`]. Those whose domain may align with that of From come first, then
    /// those at the top (RFC 6376 §6.1).
    pub fn find(header: &Header<'_>, rules: &Rules, bodies: &mut BodyHashes) -> Self {
        let mut parsed: Vec<(usize, Facts, Result<Signature, Problem>)> = Vec::new();
        let mut spans = Vec::with_capacity(32);
        let mut start = header.span().start as u64;
        for (at, field) in header.fields().enumerate() {
            let octets = field.octets();
            let value = if octets.ends_with(b"\r\n") { 2 } else { 0 } + field.raw_value().len();
            let end = start + octets.len() as u64;
            spans.push(FieldSpan { start, colon: end - value as u64 - 1, end });
            start = end;
            if field.is("DKIM-Signature") {
                let (facts, signature) = Signature::parse(&field, Kind::Dkim);
                parsed.push((at, facts, signature.and_then(|signature| acceptable(signature, rules))));
            }
        }
        let order = choose(header, &parsed, rules.signatures);
        let found = parsed
            .into_iter()
            .enumerate()
            .map(|(place, (at, facts, signature))| {
                let signature = signature.and_then(|signature| {
                    if !order.contains(&place) {
                        return Err(Problem::TooMany);
                    }
                    let hash = bodies.want(signature.body, signature.length, signature.algorithm.hash());
                    Ok((signature, hash))
                });
                Found { at, facts, signature }
            })
            .collect();
        Self { found, order, spans, rules: rules.clone() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
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
        let mut verified = Vec::with_capacity(self.found.len());
        let mut checks = Vec::with_capacity(self.found.len());
        for Found { at, facts, signature } in self.found {
            let (check, problem) = match signature {
                Ok((signature, hash)) => {
                    let body = (digests.digest(hash), digests.length(hash));
                    (Some(Check { at, signature, body, rules: &self.rules }), None)
                }
                Err(problem) => (None, Some(problem)),
            };
            let mut one = Verified::of(facts);
            one.judge(problem);
            verified.push(one);
            checks.push(check);
        }
        let field = |span: &FieldSpan| span.field(header.octets());
        let mut fields = None;
        let mut signed = Vec::new();
        for place in self.order {
            let Some(check) = checks[place].take() else { continue };
            let fields = fields.get_or_insert_with(|| Fields::of(self.spans.iter().map_while(field).collect()));
            let one = &mut verified[place];
            let problem = check.verify(fields, &mut signed, lookups, now, one).await.err();
            one.judge(problem);
        }
        verified
    }
}

/// What can be said against a signature before anything is hashed.
fn acceptable(signature: Signature, rules: &Rules) -> Result<Signature, Problem> {
    if signature.algorithm.hash() == Hash::Sha1 && !rules.allow_legacy {
        return Err(Problem::Sha1);
    }
    Ok(signature)
}

/// Which of the signatures are verified, in that order.
fn choose(header: &Header<'_>, parsed: &[(usize, Facts, Result<Signature, Problem>)], most: usize) -> Vec<usize> {
    let candidates = || parsed.iter().enumerate().filter(|(_, (_, _, signature))| signature.is_ok());
    if candidates().nth(1).is_none() {
        return candidates().map(|(at, _)| at).take(most).collect();
    }
    let author = author(header);
    let aligned = |facts: &Facts| match (&author, &facts.domain) {
        // Who is whose organization is not known here; only names in one line may align.
        (Some(author), Some(domain)) => author.is_within(domain) || domain.is_within(author),
        _ => false,
    };
    let mut order: Vec<(bool, usize)> = candidates().map(|(at, (_, facts, _))| (!aligned(facts), at)).collect();
    order.sort_unstable();
    order.into_iter().take(most).map(|(_, at)| at).collect()
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
    signature: Signature,
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
        fields.signed(&signature.names, at, signature.own.clone(), signature.header, signed);
        if !verifier.verifies(signature.algorithm.hash(), signed, &signature.signature) {
            return Err(Problem::Signature);
        }
        if signature.length.is_some_and(|covered| covered < length) && rules.partial == Partial::Policy {
            return Err(Problem::Partial);
        }
        Ok(())
    }
}
