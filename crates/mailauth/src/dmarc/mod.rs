//! DMARC (RFC 9989): does an authenticated name align with that of the author, and what does the
//! author's domain ask for if none does.
//!
//! It needs nothing but lookups of `_dmarc`: [`evaluate`] climbs the tree of names, at most eight
//! for each domain, and no list of public suffixes is read.

use std::fmt;
use std::sync::Arc;

use hikyaku_dns::Name;
use hikyaku_message::results;

mod destination;
mod evaluate;
mod record;
#[cfg(feature = "report")]
pub mod report;
mod walk;

pub use destination::Destination;
pub(crate) use evaluate::Discovery;
pub use evaluate::evaluate;
pub use record::{Alignment, FailureOptions, Record};
pub use walk::organizational_domain;

/// What a domain asks receivers to do with mail that fails (RFC 9989 §4.7, `p`, `sp`, `np`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Nothing.
    None,
    /// To treat it as suspicious.
    Quarantine,
    /// To refuse it.
    Reject,
}

/// What was authenticated in a message.
#[derive(Clone, Copy, Debug)]
pub struct Identifiers<'a> {
    /// The one domain of the From field.
    pub author: &'a Name,
    /// The result of SPF for MAIL FROM and the domain that it was checked for.
    pub spf: Option<(results::Spf, &'a Name)>,
    /// The results of DKIM and the signing domains.
    pub dkim: &'a [(results::Dkim, Name)],
}

/// What DMARC says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The result.
    pub result: results::Dmarc,
    /// The author's domain.
    pub author: Option<Name>,
    /// The policy that applies, `t` and non-existence taken into account; `None` without a record.
    pub policy: Option<Policy>,
    /// The policy that applies without regard to `t`.
    pub published: Option<Policy>,
    /// What is to be done: the policy if the result is fail, else none, unless it was overridden.
    pub disposition: Policy,
    /// Whether the domain that SPF passed for aligns.
    pub spf_aligned: bool,
    /// Whether a domain with a good signature aligns.
    pub dkim_aligned: bool,
    /// Where the record that applies was found, without `_dmarc`.
    pub found_at: Option<Name>,
    /// The organizational domain of the author, where it was needed to compare another with it.
    pub organization: Option<Name>,
    /// The record that applies.
    pub record: Option<Arc<Record>>,
    /// Why the disposition is not what the domain asks for.
    pub overrides: Vec<Override>,
    /// Why the result is neither pass nor fail, in words for people.
    pub reason: Option<String>,
}

/// One reason why the disposition of a message is not what the domain asks for (RFC 9990
/// §3.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Override {
    /// Which kind of reason.
    pub reason: OverrideReason,
    /// More of it, in words for people.
    pub comment: Option<String>,
}

/// A kind of reason for another disposition (RFC 9990 §3.1.6); the first two are of RFC 7489
/// and are read but not written by reporters of today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OverrideReason {
    /// The message was forwarded, and known to be.
    Forwarded,
    /// It was spared by the percentage of `pct`.
    SampledOut,
    /// A rule of the receiver.
    LocalPolicy,
    /// It came by a mailing list.
    MailingList,
    /// Something else, which the comment says.
    Other,
    /// The domain is testing its policy: `t=y`.
    PolicyTestMode,
    /// A forwarder whose results are believed, such as the sealer of an ARC chain.
    TrustedForwarder,
}

impl OverrideReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Forwarded,
        Self::SampledOut,
        Self::LocalPolicy,
        Self::MailingList,
        Self::Other,
        Self::PolicyTestMode,
        Self::TrustedForwarder,
    ];

    /// The word of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::SampledOut => "sampled_out",
            Self::LocalPolicy => "local_policy",
            Self::MailingList => "mailing_list",
            Self::Other => "other",
            Self::PolicyTestMode => "policy_test_mode",
            Self::TrustedForwarder => "trusted_forwarder",
        }
    }
}

impl fmt::Display for OverrideReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
