//! The state in which the caller does the TLS handshake.

use std::time::Instant;

use bytes::BytesMut;
use hikyaku_wire::{Capabilities, Reply};

use super::config::TlsMode;
use super::outcome::Outcome;
use super::receive::Link;
use super::step::{Close, Step};
use crate::Tls;

/// The TLS handshake is due: no input is left, and nothing is to be written in plain text.
///
/// From here on the plain connection is never read or written again: what a remote says on it
/// before the handshake, a banner for example, is an error of the handshake.
#[derive(Debug)]
pub struct Upgrade {
    link: Link,
    deadline: Instant,
}

impl Upgrade {
    pub(super) fn due(link: Link, now: Instant) -> Self {
        let deadline = now + link.config.timeouts.tls;
        Self { link, deadline }
    }

    /// When the handshake has [failed](Self::failed) because it took too long.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The handshake is done. What the remote has offered is forgotten, and it is asked again
    /// (RFC 3207 §4.2); with [implicit](TlsMode::Implicit) TLS its greeting comes first.
    ///
    /// `input` is what has been read so far. If anything is in it, it came in plain text and
    /// would be read as if it had been encrypted: the conversation is over.
    pub fn established(mut self, now: Instant, tls: Tls, input: &BytesMut, out: &mut BytesMut) -> Step {
        if !input.is_empty() {
            return Close::because(Outcome::injected());
        }
        self.link.capabilities = Capabilities::new();
        self.link.tls = Some(tls);
        match self.link.config.tls {
            TlsMode::Implicit => self.link.await_greeting(now),
            TlsMode::Off | TlsMode::StartTls | TlsMode::Required => self.link.hello(now, out),
        }
    }

    /// The handshake has failed or took too long, for the reason that `reply` gives, such as
    /// 454 4.7.5: the conversation is over, and never goes on in plain text.
    pub fn failed(self, reply: Reply) -> Step {
        Close::because(Outcome::ours(reply))
    }
}
