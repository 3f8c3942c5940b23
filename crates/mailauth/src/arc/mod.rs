//! ARC (RFC 8617): what hosts on the way have found, each set sealed over those before it.

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::{Header, results};
use hikyaku_wire::Timestamp;

use crate::{BodyHashes, Digests, Lookups, dkim};

/// The ARC sets of a message, found in its header section.
#[derive(Debug)]
pub struct Chain {}

impl Chain {
    /// Finds them, and asks for the hashes of the body that they need.
    pub fn find(_header: &Header<'_>, _rules: &dkim::Rules, _bodies: &mut BodyHashes) -> Self {
        unimplemented!("d: arc")
    }

    /// Verifies the chain (RFC 8617 §5.2).
    pub async fn verify<R: Resolver>(
        self,
        _header: &Header<'_>,
        _digests: &Digests,
        _lookups: &Lookups<'_, R>,
        _now: Timestamp,
    ) -> Outcome {
        unimplemented!("d: arc")
    }
}

/// What became of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The chain validation status.
    pub result: results::Arc,
    /// Who sealed, instance 1 first, where the chain passes.
    pub sealers: Vec<Name>,
    /// Why the chain does not pass, in words for people.
    pub reason: Option<String>,
}
