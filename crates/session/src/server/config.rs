use std::{net::IpAddr, time::Duration};

use crate::Protocol;

/// What a server conversation is told before it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name in the greeting and in the reply to HELO and EHLO.
    pub hostname: String,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// The largest message in octets, 0 for no limit (RFC 1870).
    pub size: u64,
    /// Whether SMTPUTF8 (RFC 6531) is offered.
    pub smtputf8: bool,
    /// The bounds on what one peer may cost.
    pub limits: Limits,
}

impl Config {
    /// SMTP under this name, 50 MiB, SMTPUTF8, and the default limits.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            protocol: Protocol::Smtp,
            size: 50 << 20,
            smtputf8: true,
            limits: Limits::default(),
        }
    }
}

/// The bounds on what one peer may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Octets of a command line with its CRLF.
    pub command_line: usize,
    /// Octets of an over-long line that are read and dropped before 421.
    pub discarded_line: usize,
    /// How long the rest of an over-long line may take.
    pub discard_timeout: Duration,
    /// RCPT commands of one transaction, accepted or refused, that are put to
    /// the application; the next as many get 452, and then 421 follows.
    pub recipients: usize,
    /// Refused commands without a delay; each one after them costs
    /// [`error_delay`](Self::error_delay).
    pub soft_errors: u32,
    /// Refused commands (recipients not counted) before 421, since the last
    /// accepted message.
    pub errors: u32,
    /// How long the answer to a refused command waits past `soft_errors`.
    pub error_delay: Duration,
    /// Commands that lead nowhere (EHLO, NOOP, RSET, VRFY, EXPN, HELP) before
    /// 421, since the last accepted message.
    pub junk: u32,
    /// How long the next whole command may take (RFC 5321 §4.5.3.2.7).
    pub command_timeout: Duration,
    /// How long the next piece of a message may take.
    pub body_timeout: Duration,
    /// Octets each second that a message must bring on average ...
    pub body_rate: u32,
    /// ... once this much time has been spent waiting for it.
    pub body_grace: Duration,
    /// How long a conversation may last.
    pub session: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2048,
            discarded_line: 16 << 10,
            discard_timeout: Duration::from_secs(10),
            recipients: 1000,
            soft_errors: 10,
            errors: 20,
            error_delay: Duration::from_secs(1),
            junk: 100,
            command_timeout: Duration::from_secs(300),
            body_timeout: Duration::from_secs(180),
            body_rate: 100,
            body_grace: Duration::from_secs(60),
            session: Duration::from_secs(3600),
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The address, none on a Unix socket.
    pub address: Option<IpAddr>,
    /// The port, 0 on a Unix socket.
    pub port: u16,
}
