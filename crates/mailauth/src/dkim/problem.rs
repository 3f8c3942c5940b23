//! What can be wrong with a signature.

use hikyaku_message::results;

use crate::LookupError;
use crate::crypto::PublicKeyError;

/// Why a signature does not pass, in words for people; [`result`](Self::result) is its word for
/// machines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The field is no list of tags (RFC 6376 §3.2).
    #[error("the signature is not a list of tags")]
    Syntax,
    /// One of its tags stands twice (RFC 6376 §3.2).
    #[error("the signature has a tag twice")]
    TagTwice,
    /// It lacks a tag that it must have (RFC 6376 §3.5).
    #[error("the signature has no {0}=")]
    MissingTag(&'static str),
    /// A tag has a value that it cannot have (RFC 6376 §3.5).
    #[error("the signature has a {0}= that cannot be used")]
    BadTag(&'static str),
    /// The algorithm, `a=`, is none that is known.
    #[error("the signature has an unknown algorithm, a=")]
    Algorithm,
    /// The algorithm is rsa-sha1, which must not be verified (RFC 8301 §3.1).
    #[error("the signature is made with rsa-sha1, which is broken")]
    Sha1,
    /// `h=` does not name From, so nobody's message is signed (RFC 6376 §5.4).
    #[error("the signature does not cover the From field")]
    FromNotSigned,
    /// The domain of `i=` is not within that of `d=` (RFC 6376 §3.5).
    #[error("the identity i= is not within the domain d=")]
    ForeignIdentity,
    /// `x=` is not after `t=` (RFC 6376 §3.5).
    #[error("the signature expires before it is made")]
    ExpiresBefore,
    /// `x=` is past (RFC 6376 §3.5).
    #[error("the signature has expired")]
    Expired,
    /// `t=` is more than a day ahead (RFC 6376 §3.5).
    #[error("the signature was made in the future")]
    Future,
    /// `l=` is more than the body has (RFC 6376 §3.5).
    #[error("the signature covers more octets than the body has")]
    ShortBody,
    /// The message has so many signatures that this one was not looked at.
    #[error("the message has too many signatures")]
    TooMany,
    /// The signature is good, but does not cover the end of the body: anybody may have written
    /// that (RFC 6376 §8.2).
    #[error("the signature does not cover the whole body")]
    Partial,
    /// The body is not the one that was signed (RFC 6376 §6.1.3).
    #[error("the body was changed after it was signed")]
    BodyHash,
    /// Header fields are not those that were signed, or the key is not that of the signer
    /// (RFC 6376 §6.1.3).
    #[error("the signature does not match: header fields were changed, or the key is another")]
    Signature,
    /// The key is not known now (RFC 6376 §6.1.2).
    #[error("the key could not be looked up: {0}")]
    Lookup(LookupError),
    /// Nothing is published under the name of the key (RFC 6376 §6.1.2).
    #[error("no key is published under the selector and domain of the signature")]
    NoKey,
    /// Several records are published under the name of the key (RFC 6376 §3.6.2.2).
    #[error("several TXT records are published where the key should be")]
    SeveralKeys,
    /// The record is no list of tags, or one of them stands twice (RFC 6376 §3.6.1).
    #[error("the record of the key is not a list of tags")]
    KeySyntax,
    /// `v=` is not the first tag of the record, or not `DKIM1` (RFC 6376 §3.6.1).
    #[error("the record of the key does not begin with v=DKIM1")]
    KeyVersion,
    /// The record lacks `p=` (RFC 6376 §3.6.1).
    #[error("the record of the key has no p=")]
    KeyMissing,
    /// `p=` is empty (RFC 6376 §3.6.1).
    #[error("the key is revoked")]
    Revoked,
    /// `k=` is not the type that the algorithm of the signature needs (RFC 6376 §6.1.2).
    #[error("the key is of another type than the signature")]
    KeyType,
    /// `h=` of the record does not allow the hash (RFC 6376 §3.6.1).
    #[error("the key is not for this hash algorithm")]
    KeyHash,
    /// `s=` of the record allows neither mail nor everything (RFC 6376 §3.6.1).
    #[error("the key is not for mail")]
    KeyService,
    /// The record has the flag `t=s`, and the domain of `i=` is not that of `d=`
    /// (RFC 6376 §3.6.1).
    #[error("the key is for its own domain only, and the identity i= is below it")]
    KeyStrict,
    /// A tag of the record has a value that it cannot have (RFC 6376 §3.6.1).
    #[error("the record of the key has a {0}= that cannot be used")]
    KeyTag(&'static str),
    /// The key is too short (RFC 8301 §3.2) or cannot be used.
    #[error("the key cannot be used: {0}")]
    Key(PublicKeyError),
}

impl Problem {
    /// The result that it makes (RFC 8601 §2.7.1).
    pub fn result(&self) -> results::Dkim {
        match self {
            Self::BodyHash | Self::Signature => results::Dkim::Fail,
            Self::Future | Self::Partial | Self::TooMany => results::Dkim::Policy,
            Self::Lookup(_) => results::Dkim::TempError,
            _ => results::Dkim::PermError,
        }
    }
}
