//! Verification (RFC 8617 §5.2).

use std::sync::Arc;

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::{Header, results};
use hikyaku_wire::Timestamp;

use super::sets::{Covered, Seal, Sets, Status, message, old_message};
use super::{Field, Outcome, Problem};
use crate::dkim::hashed::Fields;
use crate::dkim::key::KeyRecord;
use crate::dkim::signature::{Facts, Signature};
use crate::dkim::{self, Algorithm};
use crate::{BodyHashes, Digests, HashId, Lookups};

/// The ARC sets of a message, found in its header section.
#[derive(Debug)]
pub struct Chain {
    /// Boxed, as most messages have none.
    found: Result<Option<Box<Found>>, Problem>,
    rules: dkim::Rules,
}

/// A chain whose form is right.
#[derive(Debug)]
struct Found {
    sets: Sets,
    /// Instance 1 first.
    seals: Vec<Seal>,
    /// The signature of the highest instance.
    signature: Signature,
    facts: Facts,
    body: HashId,
}

impl Chain {
    /// Finds them, and asks for the hash of the body that they need: one at most, as only the
    /// last signature must still be right. Of the rules, that for the skew of clocks counts; SHA-1
    /// is never allowed.
    pub fn find(header: &Header<'_>, rules: &dkim::Rules, bodies: &mut BodyHashes) -> Self {
        Self { found: Found::find(header, bodies), rules: rules.clone() }
    }

    /// Whether the message has no field of ARC at all.
    pub fn is_empty(&self) -> bool {
        matches!(self.found, Ok(None))
    }

    /// Verifies the chain (RFC 8617 §5.2), of the header section that it was found in: the last
    /// signature, then the seals from the last one. The first that is wrong ends it. Each key is
    /// asked for once, so there are at most 51 lookups, or what the message may still cause.
    pub async fn verify<R: Resolver>(
        self,
        header: &Header<'_>,
        digests: &Digests,
        lookups: &Lookups<'_, R>,
        now: Timestamp,
    ) -> Outcome {
        let found = match self.found {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::new(results::Arc::None, Vec::new(), None),
            Err(problem) => return Outcome::failed(problem),
        };
        let is_partial = found.signature.length.is_some_and(|covered| covered < digests.length(found.body));
        match found.verify(header, digests, lookups, now, &self.rules).await {
            Ok(sealers) => Outcome { is_partial, ..Outcome::new(results::Arc::Pass, sealers, None) },
            Err(problem) => Outcome::failed(problem),
        }
    }
}

impl Outcome {
    pub(crate) fn new(result: results::Arc, sealers: Vec<Name>, reason: Option<Problem>) -> Self {
        Self { result, sealers, is_partial: false, reason }
    }

    fn failed(problem: Problem) -> Self {
        Self::new(results::Arc::Fail, Vec::new(), Some(problem))
    }
}

impl Found {
    fn find(header: &Header<'_>, bodies: &mut BodyHashes) -> Result<Option<Box<Self>>, Problem> {
        let sets = Sets::find(header)?;
        let highest = sets.highest();
        if highest == 0 {
            return Ok(None);
        }
        let fields: Vec<_> = header.fields().collect();
        let mut seals = Vec::with_capacity(usize::from(highest));
        let mut last = None;
        for instance in 1..=highest {
            let seal = Seal::parse(&fields[sets.place(instance, Field::Seal)], instance)?;
            match (seal.status, instance) {
                (Status::None, 1) | (Status::Pass, 2..) => {}
                (Status::Fail, _) if instance == highest => return Err(Problem::Failed(instance)),
                _ => return Err(Problem::Status(instance)),
            }
            seals.push(seal);
            let field = &fields[sets.place(instance, Field::Message)];
            if instance == highest {
                last = Some(message(field, instance)?);
            } else {
                // It may be of any algorithm, as nobody verifies it any more (RFC 8617 §5.2).
                old_message(field, instance)?;
            }
        }
        let (facts, signature) = last.expect("there is at least one set");
        let body = bodies.want(signature.body, signature.length, signature.algorithm.hash());
        Ok(Some(Box::new(Self { sets, seals, signature, facts, body })))
    }

    async fn verify<R: Resolver>(
        self: Box<Self>,
        header: &Header<'_>,
        digests: &Digests,
        lookups: &Lookups<'_, R>,
        now: Timestamp,
        rules: &dkim::Rules,
    ) -> Result<Vec<Name>, Problem> {
        let highest = self.sets.highest();
        let fields = Fields::new(header);
        let mut keys = Keys { lookups, known: Vec::new() };
        let mut octets = Vec::new();
        let message = self.message(&fields, digests, &mut keys, (now, rules), &mut octets).await;
        message.map_err(|problem| Problem::Message(highest, problem))?;

        let at = |instance, kind| fields.get(self.sets.place(instance, kind)).expect("the section it was found in");
        let mut covered = Covered::default();
        for instance in 1..=highest {
            Field::ALL.into_iter().for_each(|kind| covered.push(&at(instance, kind), kind));
        }
        for (instance, seal) in (1..=highest).zip(&self.seals).rev() {
            covered.by(instance, &at(instance, Field::Seal), seal.own.clone(), &mut octets);
            let verified = keys.verify(&seal.key, seal.algorithm, &octets, &seal.signature).await;
            verified.map_err(|problem| Problem::Seal(instance, problem))?;
        }
        Ok(self.seals.into_iter().map(|seal| seal.domain).collect())
    }

    /// Verifies the signature of the highest instance, as one of DKIM.
    async fn message<R: Resolver>(
        &self,
        fields: &Fields<'_>,
        digests: &Digests,
        keys: &mut Keys<'_, '_, R>,
        (now, rules): (Timestamp, &dkim::Rules),
        octets: &mut Vec<u8>,
    ) -> Result<(), dkim::Problem> {
        let signature = &self.signature;
        if self.facts.expiration.is_some_and(|expires| expires.saturating_add(rules.skew) < now) {
            return Err(dkim::Problem::Expired);
        }
        let length = digests.length(self.body);
        if signature.length.is_some_and(|covered| covered > length) {
            return Err(dkim::Problem::ShortBody);
        }
        if digests.digest(self.body) != signature.body_hash {
            return Err(dkim::Problem::BodyHash);
        }
        let own = self.sets.place(self.sets.highest(), Field::Message);
        fields.signed_by(signature, own, octets);
        keys.verify(&signature.key, signature.algorithm, octets, &signature.signature).await?;
        Ok(())
    }
}

/// The keys of one chain, each asked for once.
struct Keys<'k, 'a, R> {
    lookups: &'k Lookups<'a, R>,
    known: Vec<(Name, Arc<KeyRecord>)>,
}

impl<R: Resolver> Keys<'_, '_, R> {
    async fn verify(
        &mut self,
        name: &Name,
        algorithm: Algorithm,
        octets: &[u8],
        signature: &[u8],
    ) -> Result<(), dkim::Problem> {
        let known = self.known.iter().find(|(known, _)| known == name).map(|(_, record)| Arc::clone(record));
        let record = match known {
            Some(record) => record,
            None => {
                let record = self.lookups.published::<KeyRecord>(name).await.map_err(dkim::Problem::Lookup)?;
                self.known.push((name.clone(), Arc::clone(&record)));
                record
            }
        };
        let key = record.key()?.verifier(algorithm, false)?;
        let verifies = key.verifies(algorithm.hash(), octets, signature);
        verifies.then_some(()).ok_or(dkim::Problem::Signature)
    }
}
