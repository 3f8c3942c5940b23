//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677, RFC 9266): both sides prove that they
//! know the password, and neither says it.

pub(super) mod client;
mod message;
pub(super) mod server;

/// The one channel binding that is implemented (RFC 9266).
const EXPORTER: &str = "tls-exporter";

/// What a client says first of all when it binds.
const BINDS: &str = "p=tls-exporter,,";
