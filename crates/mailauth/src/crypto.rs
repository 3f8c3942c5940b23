//! Hashes, signatures and keys, by ring or by aws-lc-rs.

use std::fmt;

use thiserror::Error;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, which is broken: only for signatures that never pass unless legacy is allowed.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// A hash that is being computed.
#[derive(Clone)]
pub(crate) struct Hasher {}

impl Hasher {
    pub(crate) fn new(_hash: Hash) -> Self {
        unimplemented!("d: crypto.rs")
    }

    pub(crate) fn push(&mut self, _octets: &[u8]) {
        unimplemented!("d: crypto.rs")
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        unimplemented!("d: crypto.rs")
    }
}

/// A key that verifies.
#[derive(Clone, Debug)]
pub(crate) enum PublicKey {
    /// RSA, PKCS#1 form, at least 1024 bit.
    Rsa(Vec<u8>),
    /// Ed25519 (RFC 8463).
    Ed25519([u8; 32]),
}

/// Why a public key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Not a public key in that form.
    #[error("not a public key")]
    Malformed,
    /// An RSA modulus of so many bits: under 1024 or over 8192.
    #[error("an RSA key of {0} bit")]
    Size(usize),
    /// An exponent that is even, under 3, or too large.
    #[error("an RSA key with an unusable exponent")]
    Exponent,
}

impl PublicKey {
    /// Reads an RSA key: SubjectPublicKeyInfo or PKCS#1 (RFC 6376 §3.6.1 and erratum 3017).
    pub(crate) fn rsa(_der: &[u8]) -> Result<Self, PublicKeyError> {
        unimplemented!("d: crypto.rs")
    }

    /// Reads an Ed25519 key of 32 octets (RFC 8463 §4.2).
    pub(crate) fn ed25519(_octets: &[u8]) -> Result<Self, PublicKeyError> {
        unimplemented!("d: crypto.rs")
    }

    /// Whether the signature is one of the octets: RSASSA-PKCS1-v1_5 with the hash, or PureEdDSA
    /// over the hash (RFC 8463 §3).
    pub(crate) fn verifies(&self, _hash: Hash, _octets: &[u8], _signature: &[u8]) -> bool {
        unimplemented!("d: crypto.rs")
    }
}

/// A key that signs: RSA of 2048 to 4096 bit (RFC 8301), or Ed25519 (RFC 8463).
pub struct SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// Why there is no key to sign with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The text holds no PEM block of a private key.
    #[error("no PEM block `PRIVATE KEY` or `RSA PRIVATE KEY`")]
    NoKey,
}

impl SigningKey {
    /// Reads a key in PEM form: `PRIVATE KEY` (PKCS#8, RFC 5958) or `RSA PRIVATE KEY` (PKCS#1).
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn from_pem(_pem: &str) -> Result<Self, SigningKeyError> {
        unimplemented!("d: crypto.rs")
    }

    /// The name of the algorithm as it stands in `a=`.
    pub fn algorithm(&self) -> &'static str {
        unimplemented!("d: crypto.rs")
    }

    /// The text of the record that publishes its public half (RFC 6376 §3.6.1).
    pub fn record(&self) -> String {
        unimplemented!("d: crypto.rs")
    }

    /// Signs the SHA-256 of the octets.
    pub(crate) fn sign(&self, _octets: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        unimplemented!("d: crypto.rs")
    }
}
