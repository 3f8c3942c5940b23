//! DMARC (RFC 9989): does an authenticated name align with that of the author, and what does the
//! author's domain ask for if none does.

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::results;

use crate::Lookups;

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
    /// What is to be done: the policy if the result is fail, else none.
    pub disposition: Policy,
    /// Whether the domain that SPF passed for aligns.
    pub spf_aligned: bool,
    /// Whether a domain with a good signature aligns.
    pub dkim_aligned: bool,
    /// Where the record that applies was found, without `_dmarc`.
    pub found_at: Option<Name>,
    /// Why the result is neither pass nor fail, in words for people.
    pub reason: Option<String>,
}

/// Evaluates the policy of the author's domain (RFC 9989 §4.10, §5.3).
pub async fn evaluate<R: Resolver>(_lookups: &Lookups<'_, R>, _identifiers: &Identifiers<'_>) -> Outcome {
    unimplemented!("f: dmarc")
}
