//! Keys that sign.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{self, PemObject as _};
use thiserror::Error;

use super::primitives::rand::SystemRandom;
use super::primitives::rsa::KeyPair as RsaKeyPair;
use super::primitives::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use super::{Hash, Hasher, der};

/// An RSA key that signs has at least so many bits (RFC 8301 §3.2 recommends it).
const BITS_MIN: usize = 2048;
/// It has at most so many: with more, the record no longer fits into one answer by UDP, and ring
/// does not sign.
const BITS_MAX: usize = 4096;

/// A key that signs: RSA of 2048, 3072 or 4096 bit with an exponent of at least
/// 65537 (RFC 8301), or Ed25519 (RFC 8463).
pub struct SigningKey(Pair);

enum Pair {
    /// And how many octets its modulus has.
    Rsa(RsaKeyPair, usize),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm())
    }
}

/// Why there is no key to sign with, or no signature by it. No text of it holds any of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The text holds no PEM block of a private key.
    #[error("no PEM block `PRIVATE KEY` or `RSA PRIVATE KEY`")]
    NoKey,
    /// The key is encrypted.
    #[error("the key is encrypted: decrypt it with `openssl pkey -in OLD -out NEW`")]
    Encrypted,
    /// A PEM block without its end, or with something else than base64 in it.
    #[error("a PEM block that is cut off or damaged")]
    Pem,
    /// The PEM block is none of a key.
    #[error("the PEM block does not hold a private key of PKCS#8 or PKCS#1")]
    Malformed,
    /// A key of another algorithm, such as ECDSA.
    #[error(
        "neither an RSA nor an Ed25519 key: make one with `openssl genrsa 2048` or `openssl genpkey -algorithm ed25519`"
    )]
    Algorithm,
    /// An RSA modulus of so many bits, which is not 2048, 3072 or 4096.
    #[error("a key of {0} bit cannot sign, only one of 2048, 3072 or 4096 bit: make one with `openssl genrsa 2048`")]
    Size(usize),
    /// The numbers of the key do not belong together, or its public exponent is under 65537.
    #[error(
        "the parts of the private key do not belong together, or its public exponent is under 65537: make one \
         with `openssl genrsa 2048`"
    )]
    Inconsistent,
    /// The library could not make a signature.
    #[error("no signature could be made with the key")]
    Failed,
}

impl SigningKey {
    /// Reads a key in PEM form: `PRIVATE KEY` (PKCS#8, RFC 5958) or `RSA PRIVATE KEY` (PKCS#1).
    /// The first block of a private key counts; others, and text around them, may stand there.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
            pem::Error::NoItemsFound if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") => SigningKeyError::Encrypted,
            pem::Error::NoItemsFound => SigningKeyError::NoKey,
            // The form of OpenSSL before PKCS#8: lines of a header stand before the base64.
            _ if pem.contains("Proc-Type: 4,ENCRYPTED") => SigningKeyError::Encrypted,
            _ => SigningKeyError::Pem,
        })?;
        // It is wiped when it is dropped.
        match &key {
            PrivateKeyDer::Pkcs1(key) => Self::rsa(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => match der::pkcs8(key.secret_pkcs8_der()) {
                Some(der::Private::Rsa(pkcs1)) => Self::rsa(pkcs1),
                Some(der::Private::Ed25519(seed)) => Self::seed(seed),
                Some(der::Private::Other) => Err(SigningKeyError::Algorithm),
                None => Err(SigningKeyError::Malformed),
            },
            _ => Err(SigningKeyError::Algorithm),
        }
    }

    /// Makes an Ed25519 key of 32 random octets, and its PEM form (PKCS#8, RFC 8410 §7), which is
    /// as secret as they are.
    ///
    /// # Errors
    /// [`SigningKeyError::Failed`], where the library makes no key of them.
    pub fn ed25519(random: &[u8; 32]) -> Result<(Self, String), SigningKeyError> {
        let key = Self::seed(random)?;
        let text = STANDARD.encode(der::ed25519_pkcs8(random));
        Ok((key, format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")))
    }

    fn rsa(pkcs1: &[u8]) -> Result<Self, SigningKeyError> {
        let modulus = der::rsa_private(pkcs1).ok_or(SigningKeyError::Malformed)?;
        let bits = der::bits(modulus);
        // The cryptographic library wants primes of whole 512 bits.
        if !(BITS_MIN..=BITS_MAX).contains(&bits) || !bits.is_multiple_of(1024) {
            return Err(SigningKeyError::Size(bits));
        }
        let pair = RsaKeyPair::from_der(pkcs1).map_err(|_| SigningKeyError::Inconsistent)?;
        let key = Self(Pair::Rsa(pair, modulus.len()));
        // The library notices some damage only when it signs: better now than at the first mail.
        key.sign(b"").map_err(|_| SigningKeyError::Inconsistent)?;
        Ok(key)
    }

    fn seed(seed: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SigningKeyError::Malformed)?;
        Ok(Self(Pair::Ed25519(pair)))
    }

    /// The name of the algorithm as it stands in `a=`: `rsa-sha256` or `ed25519-sha256`.
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            Pair::Rsa(..) => "rsa-sha256",
            Pair::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// The text of the record that publishes its public half (RFC 6376 §3.6.1, RFC 8463 §4.2).
    ///
    /// It is longer than the 255 octets that a string of a TXT record holds, if the key is RSA:
    /// it is published as several strings, which are one text.
    pub fn record(&self) -> String {
        match &self.0 {
            Pair::Rsa(pair, _) => {
                let key = der::rsa_spki_of(pair.public_key().as_ref());
                format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(key))
            }
            Pair::Ed25519(pair) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(pair.public_key())),
        }
    }

    /// Signs the SHA-256 of the octets.
    ///
    /// # Errors
    /// [`SigningKeyError::Failed`].
    pub(crate) fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        match &self.0 {
            Pair::Rsa(pair, octets_of_modulus) => {
                let mut signature = vec![0; *octets_of_modulus];
                // The padding of PKCS#1 v1.5 is not random: nothing is read from this argument.
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), octets, &mut signature)
                    .map_err(|_| SigningKeyError::Failed)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => {
                let mut hasher = Hasher::new(Hash::Sha256);
                hasher.push(octets);
                Ok(pair.sign(hasher.finish().as_ref()).as_ref().to_vec())
            }
        }
    }
}
