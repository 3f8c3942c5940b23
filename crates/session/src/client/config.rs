//! What a client says of itself, and how long it waits.

use std::time::Duration;

use hikyaku_wire::Hello;

use crate::Protocol;

/// What one client conversation needs to know beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name or address given with EHLO, HELO or LHLO (RFC 5321 §4.1.1.1).
    pub hello: Hello,
    /// Whether the remote is an SMTP or an LMTP server (RFC 2033).
    pub protocol: Protocol,
    /// Whether the conversation is encrypted.
    pub tls: TlsMode,
    /// How long each reply is waited for.
    pub timeouts: Timeouts,
}

impl Config {
    /// An SMTP client of this name, without TLS, with the usual time-outs.
    #[must_use]
    pub fn new(hello: Hello) -> Self {
        Self { hello, protocol: Protocol::Smtp, tls: TlsMode::Off, timeouts: Timeouts::default() }
    }
}

/// Whether a conversation is encrypted. The machine sees to it: it says STARTTLS by itself, and
/// where TLS is demanded there is no [`Ready`](super::Ready) without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// Never.
    #[default]
    Off,
    /// If the remote offers STARTTLS and has not changed its mind when it is asked (RFC 3207
    /// §4). A handshake that fails ends the conversation all the same: whether to try again
    /// without TLS is the caller's decision.
    StartTls,
    /// By STARTTLS, or the conversation ends with 4.7.4 before anything is sent.
    Required,
    /// From the first octet (RFC 8314 §3.3): the first step is an upgrade.
    Implicit,
}

/// How long the client waits, per command (RFC 5321 §4.5.3.2).
///
/// Each time begins when the command before it was answered; bytes that do
/// not make a whole reply do not prolong it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the 220 greeting: 5 minutes.
    pub greeting: Duration,
    /// For the reply to EHLO, HELO or LHLO: 5 minutes.
    pub hello: Duration,
    /// For the reply to STARTTLS, and for the handshake that follows: 2 minutes each.
    pub tls: Duration,
    /// For each reply of AUTH: 3 minutes.
    pub auth: Duration,
    /// For the reply to MAIL, and to a RSET before it: 5 minutes.
    pub mail: Duration,
    /// For the reply to each RCPT: 5 minutes.
    pub recipient: Duration,
    /// For the 354 after DATA: 2 minutes.
    pub data: Duration,
    /// For each block of the message to be written: 3 minutes.
    pub block: Duration,
    /// For the reply after the final dot, with LMTP for each of them: 10 minutes.
    pub end: Duration,
    /// For the 221 after QUIT, on which nothing depends: 30 seconds.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        Self {
            greeting: Duration::from_secs(5 * MINUTE),
            hello: Duration::from_secs(5 * MINUTE),
            tls: Duration::from_secs(2 * MINUTE),
            auth: Duration::from_secs(3 * MINUTE),
            mail: Duration::from_secs(5 * MINUTE),
            recipient: Duration::from_secs(5 * MINUTE),
            data: Duration::from_secs(2 * MINUTE),
            block: Duration::from_secs(3 * MINUTE),
            end: Duration::from_secs(10 * MINUTE),
            quit: Duration::from_secs(30),
        }
    }
}
