//! Facts: what is known about one recipient in one transaction.

use std::{fmt, net::IpAddr};

use hikyaku_message::results;
use hikyaku_wire::{ForwardPath, Hello, ReversePath};

/// What is known about one recipient in one transaction, or about a transaction that has not
/// come that far. Who chooses the value decides what it is worth: the user is proved, the client
/// address and TLS are observed, hello and sender are claims that may be lies.
///
/// What others publish in the DNS is known only where it was asked for: results are `None` before,
/// and where nobody asks.
///
/// Keep one for the session, fill in what becomes known, and set `recipient` anew for each RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The client's address; `None` where it has none (a Unix socket). An IPv4-mapped IPv6
    /// address counts as the IPv4 address wherever it is looked at.
    pub client: Option<IpAddr>,
    /// On what kind of listener the client came in.
    pub listener: Listener,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The argument of the last HELO, EHLO or LHLO: a claim. `None` before it.
    pub hello: Option<Hello>,
    /// The authenticated user (RFC 4954).
    pub user: Option<String>,
    /// The path of MAIL: a claim. `None` before it.
    pub sender: Option<ReversePath>,
    /// The path of the RCPT that is asked about. `None` before it.
    pub recipient: Option<ForwardPath>,
    /// Whether the client's address has a name that leads back to it (RFC 8601 §3).
    pub iprev: Option<results::Iprev>,
    /// What SPF says of `hello` (RFC 7208 §2.3).
    pub helo: Option<results::Spf>,
    /// What SPF says of `sender` (RFC 7208 §2.4).
    pub spf: Option<results::Spf>,
    /// What became of each signature of the message (RFC 6376), and the domain that signed, in
    /// lower case. A signature without a domain is left out.
    pub dkim: Option<Vec<(results::Dkim, String)>>,
    /// What became of the message's chain of ARC sets (RFC 8617).
    pub arc: Option<results::Arc>,
    /// Whether the author's domain has sent the message (RFC 9989).
    pub dmarc: Option<results::Dmarc>,
}

impl Facts {
    /// The facts when a client has just connected.
    pub fn new(client: Option<IpAddr>, listener: Listener) -> Self {
        let client = client.map(|address| address.to_canonical());
        Self {
            client,
            listener,
            tls: false,
            hello: None,
            user: None,
            sender: None,
            recipient: None,
            iprev: None,
            helo: None,
            spf: None,
            dkim: None,
            arc: None,
            dmarc: None,
        }
    }

    /// How far the transaction has come: the last of the facts that is there.
    pub fn stage(&self) -> Stage {
        match self {
            Self { recipient: Some(_), .. } => Stage::Recipient,
            Self { sender: Some(_), .. } => Stage::Mail,
            Self { hello: Some(_), .. } => Stage::Hello,
            _ => Stage::Connect,
        }
    }
}

/// The moments at which a policy is asked, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The client has connected.
    Connect,
    /// After HELO, EHLO or LHLO.
    Hello,
    /// At MAIL.
    Mail,
    /// At RCPT.
    Recipient,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Listener {
    /// Mail from other servers (RFC 5321).
    Mx,
    /// Mail from users (RFC 6409).
    Submission,
    /// Mail from users, TLS from the first octet (RFC 8314 §3.3).
    Submissions,
    /// Mail from a server on the same side (RFC 2033).
    Lmtp,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Lmtp => "lmtp",
        })
    }
}
