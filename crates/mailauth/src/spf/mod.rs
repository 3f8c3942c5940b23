//! SPF (RFC 7208): may this client use this name.

use std::net::IpAddr;

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::results;
use hikyaku_wire::Timestamp;

use crate::Lookups;

/// Which of the client's claims is checked (RFC 7208 §2.3, §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The argument of HELO or EHLO.
    Helo,
    /// The path of MAIL; where it is null, postmaster at the HELO name.
    MailFrom,
}

/// What is asked: a client and its claims.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The client's address; an IPv4-mapped one counts as the IPv4 address.
    pub client: IpAddr,
    /// The argument of HELO or EHLO.
    pub hello: &'a str,
    /// The path of MAIL without its brackets; empty for the null path.
    pub sender: &'a str,
    /// The name of the checking host, for the macro `r`.
    pub receiver: &'a str,
    /// The time, for the macro `t`.
    pub now: Timestamp,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Which claim was checked.
    pub identity: Identity,
    /// The result.
    pub result: results::Spf,
    /// The domain that was checked; `None` where the claim holds none.
    pub domain: Option<Name>,
    /// What the domain says to a client that fails (RFC 7208 §6.2): a text of strangers, in
    /// printable ASCII, cut to 400 octets.
    pub explanation: Option<String>,
}

/// Checks one claim (`check_host`, RFC 7208 §4).
pub async fn check<R: Resolver>(_lookups: &Lookups<'_, R>, _question: &Question<'_>, _identity: Identity) -> Outcome {
    unimplemented!("b: spf")
}
