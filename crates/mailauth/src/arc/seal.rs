//! Sealing (RFC 8617 §5.1).

use std::time::Duration;

use hikyaku_message::results::{self, ArcAuthenticationResults, AuthenticationResults};
use hikyaku_message::{Header, HeaderLimits};
use hikyaku_wire::Timestamp;

use super::sets::{Covered, Sets, highest};
use super::{Field, Outcome, Problem};
use crate::dkim::hashed::Fields;
use crate::dkim::sign::{Form, begin, covered, finish};
use crate::dkim::{SignError, Signer};
use crate::gathered::{Gathered, fields};
use crate::tag_field::TagField;
use crate::{BodyHashes, Canonicalization, Hash, HashId};

/// The sealing of a message that streams by as it leaves: one more ARC set, by one key.
///
/// The message must be the one that was verified, or what this host has made of it: what the
/// chain was is said by whoever verified it. Memory is the header section.
#[derive(Debug)]
pub struct Sealing {
    signer: Signer,
    hash: HashId,
    gathered: Gathered,
}

/// Why a message was not sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It has as many sets as it may have.
    #[error("the message has 50 ARC sets, and no more are allowed")]
    Full,
    /// The chain is said to pass, or to be none, and the message has other sets.
    #[error("the message is not the one whose chain was verified")]
    OtherMessage,
    /// It is not known whether the chain is whole, as a key could not be looked up.
    #[error("the chain cannot be verified now")]
    Temporary,
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Sealing {
    /// Begins a message, of which the header section is held to limits. The canonical forms of
    /// the signer are those of the signature over the message; seals have the relaxed one.
    pub fn new(signer: Signer, limits: HeaderLimits) -> Self {
        let mut bodies = BodyHashes::default();
        let hash = bodies.want(signer.body, None, Hash::Sha256);
        Self { signer, hash, gathered: Gathered::new(limits, bodies) }
    }

    /// Takes the next piece of the message, from its first octet on.
    pub fn push(&mut self, piece: &[u8]) {
        self.gathered.push(piece);
    }

    /// The message is over: the three fields of the set, which go in front of it; each ends in
    /// CR LF. `chain` is what became of the sets that it has, and `results` all that was found
    /// out about it here, the chain included.
    ///
    /// The seal of a broken chain covers its own set only (RFC 8617 §5.1.2). Where one before has
    /// found it broken already, no more is said: the text is empty.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn finish(self, chain: &Outcome, results: &AuthenticationResults, now: Timestamp) -> Result<String, SealError> {
        self.seal(chain, results, now, None)
    }

    fn seal(
        self,
        chain: &Outcome,
        results: &AuthenticationResults,
        now: Timestamp,
        names: Option<Vec<&str>>,
    ) -> Result<String, SealError> {
        if let Some(Problem::Failed(_)) = chain.reason {
            return Ok(String::new());
        }
        if chain.is_temporary() {
            return Err(SealError::Temporary);
        }
        let (section, spans, digests) = self.gathered.finish().map_err(SignError::from)?;
        let header = fields(&section).ok_or(SignError::Malformed)?;
        let before = Before::of(&header, chain)?;
        let instance = before.highest + 1;
        let results = ArcAuthenticationResults::new(instance, results.clone()).map_err(|_| SealError::Full)?;

        let fields_of = Fields::of(&section, spans.into());
        if fields_of.count(b"From") == 0 {
            return Err(SignError::NoFrom.into());
        }
        let names = names.unwrap_or_else(|| covered(&fields_of, &["DKIM-Signature"]));
        let form = Form { names, fields: fields_of, now, lifetime: None::<Duration> };
        let begun = |kind: Field| {
            let mut field = TagField::new(kind.as_str());
            field.tag("i", &instance.to_string());
            field
        };
        let message = form.sign(begun(Field::Message), &self.signer, digests.digest(self.hash))?;

        let mut sealed = before.covered;
        let set = format!("{message}{}", results.field());
        let own = fields(set.as_bytes()).expect("two fields that were written are fields");
        for kind in [Field::Results, Field::Message] {
            let field = own.first(kind.as_str()).expect("it was written");
            sealed.push(&field, kind);
        }
        let mut seal = begun(Field::Seal);
        begin(&mut seal, &self.signer, now)?;
        seal.tag("cv", before.status);
        let seal = finish(seal.unsigned(), &self.signer, Canonicalization::Relaxed, sealed.octets())?;
        Ok(format!("{seal}{set}"))
    }
}

/// What the new seal says of the sets that are there, and covers of them.
struct Before {
    highest: u8,
    status: &'static str,
    covered: Covered,
}

impl Before {
    fn of(header: &Header<'_>, chain: &Outcome) -> Result<Self, SealError> {
        let mut covered = Covered::default();
        if chain.result == results::Arc::Fail {
            return Ok(Self { highest: highest(header), status: "fail", covered });
        }
        let sets = Sets::find(header).map_err(|_| SealError::OtherMessage)?;
        let highest = sets.highest();
        if usize::from(highest) != chain.sealers.len() || (highest == 0) != (chain.result == results::Arc::None) {
            return Err(SealError::OtherMessage);
        }
        let all: Vec<_> = header.fields().collect();
        for instance in 1..=highest {
            Field::ALL.into_iter().for_each(|kind| covered.push(&all[sets.place(instance, kind)], kind));
        }
        Ok(Self { highest, status: if highest == 0 { "none" } else { "pass" }, covered })
    }
}

#[cfg(test)]
pub(super) mod tests;
