//! ARC (RFC 8617): what hosts on the way have found, each set sealed over those before it.
//!
//! A chain that passes says only that nobody but its sealers has changed the sets and, since the
//! last of them, the message; whether they are to be believed is for a policy to say, by their
//! names.

mod chain;
#[cfg(any(test, fuzzing, feature = "seal"))]
mod seal;
mod sets;

use hikyaku_dns::Name;
use hikyaku_message::results;

use crate::dkim;

pub use chain::Chain;
#[cfg(any(test, fuzzing, feature = "seal"))]
pub use seal::{SealError, Sealing};

/// What became of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The chain validation status.
    pub result: results::Arc,
    /// Who sealed, instance 1 first, where the chain passes.
    pub sealers: Vec<Name>,
    /// Whether the last signature leaves the end of the body open (`l=`), so that whoever came
    /// after it may have added to the message.
    pub is_partial: bool,
    /// Why the chain does not pass.
    pub reason: Option<Problem>,
}

impl Outcome {
    /// Whether the chain may yet pass: a key could not be looked up now. ARC has no word for it
    /// (RFC 8617 §4.4); it is no reason to refuse a message for good, nor to seal it as broken.
    pub fn is_temporary(&self) -> bool {
        let lookup = |problem: &dkim::Problem| matches!(problem, dkim::Problem::Lookup(_));
        matches!(&self.reason, Some(Problem::Message(_, problem) | Problem::Seal(_, problem)) if lookup(problem))
    }
}

/// Why a chain of ARC sets does not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A field has no instance, `i=`, from 1 to 50, or is no list of tags (RFC 8617 §4.2.1).
    #[error("a field {0} has no instance from 1 to 50, or is not a list of tags")]
    Instance(Field),
    /// Two fields of one kind have the same instance (RFC 8617 §4.2.1).
    #[error("there are two fields {1} of instance {0}")]
    Twice(u8, Field),
    /// A set lacks a field, or is missing (RFC 8617 §5.2).
    #[error("there is no field {1} of instance {0}")]
    Missing(u8, Field),
    /// The last sealer has found the chain broken: `cv=fail` (RFC 8617 §5.2).
    #[error("the sealer of instance {0} has found the chain broken")]
    Failed(u8),
    /// A seal says neither `cv=none` as the first nor `cv=pass` as a later one (RFC 8617 §4.4).
    #[error("the seal of instance {0} has a cv= that it cannot have")]
    Status(u8),
    /// A seal has `h=` (RFC 8617 §4.1.3).
    #[error("the seal of instance {0} has h=")]
    SealWithNames(u8),
    /// A signature covers seals, which are younger (RFC 8617 §4.1.2).
    #[error("the signature of instance {0} covers ARC-Seal")]
    SealCovered(u8),
    /// What is wrong with the signature of a message.
    #[error("the ARC-Message-Signature of instance {0}: {1}")]
    Message(u8, dkim::Problem),
    /// What is wrong with a seal.
    #[error("the ARC-Seal of instance {0}: {1}")]
    Seal(u8, dkim::Problem),
}

/// One of the fields of an ARC set (RFC 8617 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `ARC-Authentication-Results`.
    Results,
    /// `ARC-Message-Signature`.
    Message,
    /// `ARC-Seal`.
    Seal,
}

impl Field {
    /// All of them, in the order in which a seal covers them (RFC 8617 §5.1.1).
    pub const ALL: [Self; 3] = [Self::Results, Self::Message, Self::Seal];

    /// The name of the field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Results => "ARC-Authentication-Results",
            Self::Message => "ARC-Message-Signature",
            Self::Seal => "ARC-Seal",
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
pub(crate) use seal::tests::with_tag;
#[cfg(test)]
mod tests;
