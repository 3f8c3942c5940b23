//! DKIM (RFC 6376, RFC 8301, RFC 8463, RFC 8616): signatures of domains over messages.

pub(crate) mod hashed;
pub(crate) mod key;
mod problem;
pub(crate) mod sign;
pub(crate) mod signature;
#[cfg(any(fuzzing, test))]
pub(crate) mod slow;
#[cfg(test)]
mod tests;
mod verify;

use std::time::Duration;

use hikyaku_dns::Name;
use hikyaku_message::results;
use hikyaku_wire::Timestamp;

use crate::{Canonicalization, Hash};

pub use problem::Problem;
pub use sign::{SignError, Signer, Signing};
pub use verify::Signatures;

/// What is made of signatures that the standard leaves to the verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Whether rsa-sha1 may pass (RFC 8301 forbids it); default no. It changes nothing else.
    pub allow_legacy: bool,
    /// Signatures that are verified at most; default 10. Those whose domain may align with that
    /// of From come first, then those at the top.
    pub signatures: usize,
    /// How far clocks may differ; default 300 s.
    pub skew: Duration,
    /// What becomes of a good signature that does not cover the end of the body; default
    /// [`Partial::Policy`].
    pub partial: Partial,
}

impl Default for Rules {
    fn default() -> Self {
        Self { allow_legacy: false, signatures: 10, skew: Duration::from_secs(300), partial: Partial::default() }
    }
}

/// What becomes of a good signature that by its `l=` does not cover the end of the body, where
/// anybody may have added what the reader sees instead of the message (RFC 6376 §8.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Partial {
    /// The result is `policy`, so nothing can align with it.
    #[default]
    Policy,
    /// The result is `pass`, as the standard alone has it; [`Verified::is_partial`] tells.
    Pass,
}

/// An algorithm of signatures (RFC 6376 §3.3, RFC 8463 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with SHA-1, which is broken and must not be verified (RFC 8301 §3.1).
    RsaSha1,
    /// RSA with SHA-256.
    RsaSha256,
    /// Ed25519 with SHA-256.
    Ed25519Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RsaSha1, Self::RsaSha256, Self::Ed25519Sha256];

    /// The word that stands in `a=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha1 => "rsa-sha1",
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// The algorithm of a word; its case matters (RFC 6376 §3.2).
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    pub(crate) fn hash(self) -> Hash {
        match self {
            Self::RsaSha1 => Hash::Sha1,
            Self::RsaSha256 | Self::Ed25519Sha256 => Hash::Sha256,
        }
    }

    pub(crate) fn hash_octets(self) -> usize {
        match self.hash() {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
        }
    }

    pub(crate) fn is_rsa(self) -> bool {
        self != Self::Ed25519Sha256
    }
}

/// What is wrong with the text of a key record (RFC 6376 §3.6.1), for who is about to publish it;
/// `None` if its key can be used.
pub fn key_problem(text: &[u8]) -> Option<Problem> {
    key::Key::parse(text).err()
}

/// What became of one signature.
///
/// What it says of itself is there as far as it can be read, also where it does not pass and
/// nothing of it is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The result.
    pub result: results::Dkim,
    /// The signing domain, `d=`, where it is one; with A-labels.
    pub domain: Option<Name>,
    /// The selector, `s=`.
    pub selector: Option<String>,
    /// The first octets of `b=`, which tell signatures of one message apart (RFC 6008).
    pub signature: Option<String>,
    /// Why the result is not pass.
    pub reason: Option<Problem>,
    /// The algorithm, `a=`.
    pub algorithm: Option<Algorithm>,
    /// The user or agent for whom was signed, `i=`.
    pub identity: Option<String>,
    /// The canonical forms of the header section and of the body, `c=`.
    pub canonicalization: Option<(Canonicalization, Canonicalization)>,
    /// When it was made, `t=`.
    pub timestamp: Option<Timestamp>,
    /// When it expires, `x=`.
    pub expiration: Option<Timestamp>,
    /// Octets of the canonical body that it covers, where the body was hashed.
    pub covered: Option<u64>,
    /// Octets that the canonical body has, where it was hashed.
    pub body: Option<u64>,
    /// Whether the domain only tests (`t=y` of the key): a failure is not to count against it
    /// (RFC 6376 §3.6.1). Known where a key was found.
    pub testing: bool,
    /// How many bits the key has, where one was found.
    pub key_bits: Option<usize>,
}

impl Verified {
    /// A result of which nothing else is known.
    #[cfg(test)]
    pub(crate) fn new(result: results::Dkim) -> Self {
        Self { result, ..Self::of(signature::Facts::default()) }
    }

    fn of(facts: signature::Facts) -> Self {
        Self {
            result: results::Dkim::Neutral,
            domain: facts.domain,
            selector: facts.selector,
            signature: facts.start,
            reason: None,
            algorithm: facts.algorithm,
            identity: facts.identity,
            canonicalization: facts.canonicalization,
            timestamp: facts.timestamp,
            expiration: facts.expiration,
            covered: None,
            body: None,
            testing: false,
            key_bits: None,
        }
    }

    /// Says what is wrong with it, or that nothing is.
    fn judge(&mut self, problem: Option<Problem>) {
        self.result = problem.as_ref().map_or(results::Dkim::Pass, Problem::result);
        self.reason = problem;
    }

    /// Whether it leaves the end of the body open (`l=`, RFC 6376 §8.2).
    pub fn is_partial(&self) -> bool {
        self.covered < self.body
    }
}
