//! `[limits]`: what one client, and all of them together, may cost.

use std::time::Duration;

use hikyaku_message::HeaderLimits;
use hikyaku_session::server::{self, Limits};
use serde::Deserialize;

use crate::GateLimits;

/// The bounds on what clients may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsConfig {
    /// The largest message in octets.
    pub message_size: u64,
    /// Octets of a line of a message with its CRLF, 0 for no limit; none: 1,000 for those of users
    /// (RFC 5321 §4.5.3.1.6), and what [`Limits`] says for those of servers.
    pub text_line: Option<usize>,
    /// Those of the header section of a message.
    pub header: HeaderLimits,
    /// Those of one connection.
    pub session: Limits,
    /// Those over all connections.
    pub gate: GateLimits,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let message_size = server::Config::new(String::new()).size;
        Self {
            message_size,
            text_line: None,
            header: HeaderLimits::default(),
            session: Limits::default(),
            gate: GateLimits::default(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct LimitsTable {
    connections: Option<Number<1, 1_000_000>>,
    connections_per_ip: Option<Number<1, 1_000_000>>,
    recipients: Option<Number<1, 100_000>>,
    message_size: Option<Number<1, { 1 << 40 }>>,
    command_line: Option<Number<512, 65_536>>,
    text_line: Option<Number<0, { 1 << 40 }>>,
    header_size: Option<Number<1_000, { 1 << 30 }>>,
    header_fields: Option<Number<10, 1_000_000>>,
    hops: Option<Number<1, 10_000>>,
    commands: Option<Number<1, 1_000_000_000>>,
    errors: Option<Number<1, 1_000_000>>,
    junk: Option<Number<1, 1_000_000>>,
    auth_attempts: Option<Number<1, 100>>,
    auth_attempts_per_ip: Option<Number<1, 1_000_000>>,
    auth_attempts_per_user: Option<Number<1, 1_000_000>>,
    command_seconds: Option<Number<1, 3_600>>,
    body_seconds: Option<Number<1, 3_600>>,
    handshake_seconds: Option<Number<1, 3_600>>,
    session_seconds: Option<Number<1, 604_800>>,
    min_bytes_per_second: Option<Number<0, 1_000_000_000>>,
    output_buffer: Option<Number<512, { 1 << 24 }>>,
    loopback: Option<bool>,
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Number<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> TryFrom<i64> for Number<MIN, MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let fits = u64::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
        fits.map(Self).ok_or_else(|| format!("expected {MIN} to {MAX}"))
    }
}

impl<const MIN: u64, const MAX: u64> Number<MIN, MAX> {
    fn u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }

    fn usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

fn set<T>(limit: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *limit = said;
    }
}

pub(super) fn read(table: LimitsTable) -> LimitsConfig {
    let mut limits = LimitsConfig::default();
    let LimitsConfig { message_size, text_line, header, session, gate } = &mut limits;
    let seconds = |number: Option<u64>| number.map(Duration::from_secs);
    set(message_size, table.message_size.map(|n| n.0));
    *text_line = table.text_line.map(Number::usize);
    set(&mut header.octets, table.header_size.map(|n| n.0));
    set(&mut header.fields, table.header_fields.map(|n| n.0));
    set(&mut header.hops, table.hops.map(|n| n.0));
    set(&mut session.command_line, table.command_line.map(Number::usize));
    set(&mut session.output, table.output_buffer.map(Number::usize));
    set(&mut session.body_timeout, seconds(table.body_seconds.map(|n| n.0)));
    set(&mut session.handshake_timeout, seconds(table.handshake_seconds.map(|n| n.0)));
    set(&mut session.recipients, table.recipients.map(Number::usize));
    set(&mut session.commands, table.commands.map(Number::u32));
    set(&mut session.errors, table.errors.map(Number::u32));
    set(&mut session.junk, table.junk.map(Number::u32));
    set(&mut session.auth_attempts, table.auth_attempts.map(Number::u32));
    set(&mut session.command_timeout, seconds(table.command_seconds.map(|n| n.0)));
    set(&mut session.session, seconds(table.session_seconds.map(|n| n.0)));
    set(&mut session.body_rate, table.min_bytes_per_second.map(Number::u32));
    set(&mut gate.connections, table.connections.map(Number::usize));
    set(&mut gate.connections_per_ip, table.connections_per_ip.map(Number::usize));
    set(&mut gate.auth_attempts_per_ip, table.auth_attempts_per_ip.map(Number::u32));
    set(&mut gate.auth_attempts_per_user, table.auth_attempts_per_user.map(Number::u32));
    set(&mut gate.loopback, table.loopback);
    limits
}
