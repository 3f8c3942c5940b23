//! DKIM (RFC 6376, RFC 8301, RFC 8463, RFC 8616): signatures of domains over messages.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::{Header, results};
use hikyaku_wire::Timestamp;

use crate::{BodyHashes, Canonicalization, Digests, Lookups, SigningKey};

/// What is made of signatures that the standard leaves to the verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Whether rsa-sha1 may pass (RFC 8301 forbids it); default no. It changes nothing else.
    pub allow_legacy: bool,
    /// Signatures that are verified at most, from the top; default 10.
    pub signatures: usize,
    /// How far clocks may differ; default 300 s.
    pub skew: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { allow_legacy: false, signatures: 10, skew: Duration::from_secs(300) }
    }
}

/// The signatures of a message, found in its header section.
#[derive(Debug)]
pub struct Signatures {}

impl Signatures {
    /// Finds them, and asks for the hashes of the body that they need.
    pub fn find(_header: &Header<'_>, _rules: &Rules, _bodies: &mut BodyHashes) -> Self {
        unimplemented!("c: dkim/verify.rs")
    }

    /// Verifies them, in the order in which they stand in the header section.
    pub async fn verify<R: Resolver>(
        self,
        _header: &Header<'_>,
        _digests: &Digests,
        _lookups: &Lookups<'_, R>,
        _now: Timestamp,
    ) -> Vec<Verified> {
        unimplemented!("c: dkim/verify.rs")
    }
}

/// What became of one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The result.
    pub result: results::Dkim,
    /// The signing domain, `d=`, where it is one.
    pub domain: Option<Name>,
    /// The selector, `s=`.
    pub selector: Option<String>,
    /// The first octets of `b=`, which tell signatures of one message apart (RFC 6008).
    pub signature: Option<String>,
    /// Why the result is not pass, in words for people.
    pub reason: Option<String>,
}

/// One signature to be made: whose, and how.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The signing domain, `d=`.
    pub domain: Name,
    /// The selector, `s=`.
    pub selector: Name,
    /// The key.
    pub key: Arc<SigningKey>,
    /// The canonical form of the header section; default relaxed.
    pub header: Canonicalization,
    /// The canonical form of the body; default relaxed.
    pub body: Canonicalization,
}

/// The signing of a message that streams by, with several keys in one pass.
#[derive(Debug)]
pub struct Signing {}

impl Signing {
    /// Begins a message.
    pub fn new(_signers: Vec<Signer>) -> Self {
        unimplemented!("d: dkim/sign.rs")
    }

    /// Takes the next piece of the message, from its first octet on.
    pub fn push(&mut self, _piece: &[u8]) {
        unimplemented!("d: dkim/sign.rs")
    }

    /// The message is over: the `DKIM-Signature` fields that go in front of it, and in front of
    /// `prepended`, fields that stand in front of the message and are signed too (a Date that was
    /// added); each ends in CRLF.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn finish(self, _prepended: &str, _now: Timestamp) -> Result<String, SignError> {
        unimplemented!("d: dkim/sign.rs")
    }
}

/// Why a message was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It has no From field: what nobody has written cannot be signed (RFC 6376 §5.4).
    #[error("the message has no From field")]
    NoFrom,
}
