//! Hashes, signatures and keys, by ring or by aws-lc-rs.

mod der;
mod public;
mod signing;

use std::fmt;

// The one place that chooses: both have the same names.
#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs as primitives;
#[cfg(not(feature = "aws-lc-rs"))]
use ring as primitives;

use primitives::digest;

pub(crate) use primitives::digest::Digest;
pub(crate) use public::PublicKey;
pub use public::PublicKeyError;
pub use signing::{SigningKey, SigningKeyError};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, which is broken: only for signatures that never pass unless legacy is allowed.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Hash {
    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        }
    }
}

/// A hash that is being computed.
#[derive(Clone)]
pub(crate) struct Hasher(digest::Context);

impl Hasher {
    pub(crate) fn new(hash: Hash) -> Self {
        Self(digest::Context::new(hash.algorithm()))
    }

    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    pub(crate) fn finish(self) -> Digest {
        self.0.finish()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests;
