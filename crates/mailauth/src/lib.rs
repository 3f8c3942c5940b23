//! Message authentication as a message streams by: SPF (RFC 7208), DKIM (RFC 6376), DMARC
//! (RFC 9989), ARC (RFC 8617), the name of an address (iprev, RFC 8601 §3) and DNS lists
//! (RFC 5782), as async functions over a [`Resolver`](hikyaku_dns::Resolver), and signing.
//!
//! It never reads a clock, a socket, a file or entropy, holds no message, and decides nothing:
//! what a result is worth is said by a policy.

mod authenticate;
mod body;
mod canonical;
mod crypto;
mod gathered;
mod iprev;
mod lookups;
#[cfg(test)]
mod now;
mod tag_field;
mod tags;

pub mod arc;
pub mod dkim;
pub mod dmarc;
pub mod lists;
pub mod spf;

#[cfg(any(fuzzing, test))]
pub mod fuzzing;

pub use authenticate::{Authentication, Client, ClientResults, Rules, Verifier};
pub use body::{BodyHashes, Digests, HashId};
pub use canonical::Canonicalization;
pub use crypto::{Hash, PublicKeyError, SigningKey, SigningKeyError};
pub use iprev::ReverseName;
pub use lookups::{Budget, Lookup, LookupError, Lookups, Records};
