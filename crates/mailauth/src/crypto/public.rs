//! Keys that verify.

use thiserror::Error;

use super::primitives::signature::{self, UnparsedPublicKey};
use super::{Hash, Hasher, der};

/// An RSA modulus has at least so many bits (RFC 8301 §3.2).
const BITS_MIN: usize = 1024;
/// It has at most so many: the cost of a verification grows with their square.
const BITS_MAX: usize = 8192;
/// The largest exponent that the libraries take, for the same reason.
const EXPONENT_MAX: u64 = (1 << 33) - 1;

/// A key that verifies.
#[derive(Clone, Debug)]
pub(crate) enum PublicKey {
    /// RSA, 1024 to 8192 bit.
    Rsa(RsaKey),
    /// Ed25519 (RFC 8463).
    Ed25519([u8; 32]),
}

/// An RSA key of a usable size.
#[derive(Clone, Debug)]
pub(crate) struct RsaKey {
    pkcs1: Box<[u8]>,
    bits: usize,
    /// Read once, as the key is kept with the DNS answer that it came from.
    #[cfg(feature = "aws-lc-rs")]
    parsed: signature::ParsedPublicKey,
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
    pub(crate) fn rsa(der: &[u8]) -> Result<Self, PublicKeyError> {
        let pkcs1 = der::rsa_spki(der).unwrap_or(der);
        let (modulus, exponent) = der::rsa_public(pkcs1).ok_or(PublicKeyError::Malformed)?;
        let bits = der::bits(modulus);
        if !(BITS_MIN..=BITS_MAX).contains(&bits) {
            return Err(PublicKeyError::Size(bits));
        }
        if modulus.last().is_none_or(|last| last & 1 == 0) {
            return Err(PublicKeyError::Malformed);
        }
        exponent
            .filter(|exponent| exponent & 1 == 1 && (3..=EXPONENT_MAX).contains(exponent))
            .ok_or(PublicKeyError::Exponent)?;
        Ok(Self::Rsa(RsaKey {
            pkcs1: pkcs1.into(),
            bits,
            #[cfg(feature = "aws-lc-rs")]
            parsed: signature::ParsedPublicKey::new(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, pkcs1)
                .map_err(|_| PublicKeyError::Malformed)?,
        }))
    }

    /// Reads an Ed25519 key of 32 octets (RFC 8463 §4.2).
    pub(crate) fn ed25519(octets: &[u8]) -> Result<Self, PublicKeyError> {
        octets.try_into().map(Self::Ed25519).map_err(|_| PublicKeyError::Malformed)
    }

    /// How many bits it has: of RSA those of the modulus.
    pub(crate) fn bits(&self) -> usize {
        match self {
            Self::Rsa(key) => key.bits,
            Self::Ed25519(_) => 256,
        }
    }

    /// About how many octets it takes beside itself.
    pub(crate) fn size(&self) -> usize {
        match self {
            // What aws-lc-rs has read is the same in DER, and as numbers once more: the modulus,
            // its square for the arithmetic, and the tables around them.
            Self::Rsa(key) if cfg!(feature = "aws-lc-rs") => 4 * key.pkcs1.len() + 1024,
            Self::Rsa(key) => key.pkcs1.len(),
            Self::Ed25519(_) => 0,
        }
    }

    /// Whether the signature is one of the octets: RSASSA-PKCS1-v1_5 with the hash, or PureEdDSA
    /// over the SHA-256 (RFC 8463 §3); there is no Ed25519 with SHA-1.
    pub(crate) fn verifies(&self, hash: Hash, octets: &[u8], signature: &[u8]) -> bool {
        match (self, hash) {
            (Self::Rsa(key), Hash::Sha256) => key.verifies(octets, signature),
            (Self::Rsa(key), Hash::Sha1) => {
                let algorithm = &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY;
                UnparsedPublicKey::new(algorithm, &key.pkcs1).verify(octets, signature).is_ok()
            }
            (Self::Ed25519(key), Hash::Sha256) => {
                let mut hasher = Hasher::new(hash);
                hasher.push(octets);
                UnparsedPublicKey::new(&signature::ED25519, key).verify(hasher.finish().as_ref(), signature).is_ok()
            }
            (Self::Ed25519(_), Hash::Sha1) => false,
        }
    }
}

impl RsaKey {
    #[cfg(feature = "aws-lc-rs")]
    fn verifies(&self, octets: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(octets, signature).is_ok()
    }

    #[cfg(not(feature = "aws-lc-rs"))]
    fn verifies(&self, octets: &[u8], signature: &[u8]) -> bool {
        let algorithm = &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
        UnparsedPublicKey::new(algorithm, &self.pkcs1).verify(octets, signature).is_ok()
    }
}
