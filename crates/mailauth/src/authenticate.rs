//! All checks of one message, in one pass.

use std::net::IpAddr;

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::HeaderLimits;
use hikyaku_message::results::{AuthenticationResults, Value};
use hikyaku_wire::Timestamp;

use crate::{Lookups, ReverseName, arc, dkim, dmarc, spf};

/// Which checks are made, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Whether the name of the client's address is looked up.
    pub iprev: bool,
    /// Whether SPF is checked; DMARC needs it.
    pub spf: bool,
    /// Whether signatures are verified, and how; DMARC needs them.
    pub dkim: Option<dkim::Rules>,
    /// Whether the chain of ARC sets is verified.
    pub arc: bool,
    /// Whether DMARC is evaluated.
    pub dmarc: bool,
    /// Whose ARC seals are believed: only these can say that a failure of DMARC was none where
    /// they saw the message (RFC 8617 §7.2.1). Empty: nobody's.
    pub trusted_sealers: Vec<Name>,
    /// How large a header section may be; of a larger one nothing is verified.
    pub header: HeaderLimits,
}

/// A client and what it says before the message.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address.
    pub address: IpAddr,
    /// The argument of HELO or EHLO.
    pub hello: &'a str,
    /// The path of MAIL without its brackets; empty for the null path.
    pub sender: &'a str,
    /// The name of this host.
    pub receiver: &'a str,
}

/// What is known of a client before the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientResults {
    /// The name of its address.
    pub iprev: Option<(IpAddr, ReverseName)>,
    /// SPF of HELO.
    pub helo: Option<spf::Outcome>,
    /// SPF of MAIL FROM.
    pub mail_from: Option<spf::Outcome>,
}

impl ClientResults {
    /// Checks what can be checked at MAIL.
    pub async fn check<R: Resolver>(
        _rules: &Rules,
        _lookups: &Lookups<'_, R>,
        _client: &Client<'_>,
        _now: Timestamp,
    ) -> Self {
        unimplemented!("g: authenticate.rs")
    }
}

/// A message that streams by.
#[derive(Debug)]
pub struct Verifier {}

impl Verifier {
    /// Before the first octet.
    pub fn new(_rules: &Rules) -> Self {
        unimplemented!("g: authenticate.rs")
    }

    /// Takes the next piece, from the first octet of the header section on.
    pub fn push(&mut self, _piece: &[u8]) {
        unimplemented!("g: authenticate.rs")
    }

    /// The message is over: looks up what is needed and judges.
    pub async fn finish<R: Resolver>(
        self,
        _lookups: &Lookups<'_, R>,
        _client: ClientResults,
        _now: Timestamp,
    ) -> Authentication {
        unimplemented!("g: authenticate.rs")
    }
}

/// The results of all checks that were made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authentication {
    /// Of the client.
    pub client: ClientResults,
    /// Of each signature; `None` where they were not looked at.
    pub dkim: Option<Vec<dkim::Verified>>,
    /// Of the chain of ARC sets.
    pub arc: Option<arc::Outcome>,
    /// Of the author's domain.
    pub dmarc: Option<dmarc::Outcome>,
}

impl Authentication {
    /// The field that says all of it (RFC 8601).
    pub fn results(&self, _authserv_id: Value) -> AuthenticationResults {
        unimplemented!("g: authenticate.rs")
    }
}
