//! All checks of one message, in one pass.

mod client;
mod results;
mod rules;
#[cfg(test)]
mod tests;
mod trust;
mod verifier;

use hikyaku_dns::Name;
use hikyaku_message::HeaderLimit;

use crate::{arc, dkim, dmarc};

pub use client::{Client, ClientResults};
pub use rules::Rules;
pub use verifier::Verifier;

/// The results of all checks that were made.
///
/// [`results`](Self::results) makes the field of them; what they are worth is for a policy to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authentication {
    /// Of the client.
    pub client: ClientResults,
    /// Of each signature; empty without one, `None` where they were not looked at.
    pub dkim: Option<Vec<dkim::Verified>>,
    /// Of the chain of ARC sets; `None` where it was not looked at.
    pub arc: Option<arc::Outcome>,
    /// Of the author's domain; `None` where it was not looked at.
    pub dmarc: Option<dmarc::Outcome>,
    /// The author's one domain (RFC 9989 §5.3.1); `None` where there is none, or where it was not
    /// looked at.
    pub author: Option<Name>,
    /// The limit that the header section exceeds: nothing in it was looked at. There are no
    /// signatures, ARC is fail, and DMARC permerror.
    pub over: Option<HeaderLimit>,
}
