//! What is found out about the mail of other servers before it is decided on: whether the client
//! may use its names, and whether the message is from whom it says.

use std::time::Duration;

use hikyaku_dns::Name;

/// Which checks are made of the mail of other servers, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyConfig {
    /// May the client use the sender's domain (RFC 7208)? Enforced, `fail` is refused at RCPT with
    /// 550 5.7.23, and with 451 4.7.24 what cannot be found out now. Default: reported.
    pub spf: Check,
    /// Has a domain signed the message (RFC 6376)? Enforced, what has no good signature is refused
    /// with 550 5.7.20. Default: reported.
    pub dkim: Check,
    /// Has the author's domain sent it (RFC 9989)? Enforced, what that domain wants to see refused
    /// is refused with 550 5.7.1, what it wants to see in quarantine is marked, and so that nobody
    /// can hide behind it, what has no author or several domains of authors is refused too.
    /// Default: enforced. It needs SPF and DKIM, which are then made where they are off.
    pub dmarc: Check,
    /// Is the chain of ARC sets whole (RFC 8617)? Enforced, one that is not is refused with
    /// 550 5.7.29. Default: reported.
    pub arc: Check,
    /// Has the client's address a name that leads back to it (RFC 8601 §3)? Enforced, one without
    /// is refused at RCPT with 550 5.7.25, and with 451 4.7.25 what cannot be found out now.
    /// Default: off.
    pub iprev: Check,
    /// Domains whose ARC seals are believed; none by default.
    pub trusted_sealers: Vec<Name>,
    /// How long all lookups before a reply may take; what is cut off counts as failed for now.
    /// Default 20 s (RFC 7208 §4.6.4).
    pub timeout: Duration,
}

/// Whether a check is made, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// It is not made, and nothing is looked up for it: `off`.
    Off,
    /// It is made and its result told in the message: `report`.
    Report,
    /// It is made, and mail that fails is refused: `enforce`.
    Enforce,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self {
            spf: Check::Report,
            dkim: Check::Report,
            dmarc: Check::Enforce,
            arc: Check::Report,
            iprev: Check::Off,
            trusted_sealers: Vec::new(),
            timeout: Duration::from_secs(20),
        }
    }
}
