use std::{fmt, net::IpAddr, time::Duration};

use crate::{
    Protocol,
    sasl::{Mechanism, Secret},
};

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
    /// Whether the conversation is encrypted.
    pub tls: TlsMode,
    /// How clients can prove who they are.
    pub auth: Auth,
    /// The bounds on what one peer may cost.
    pub limits: Limits,
}

impl Config {
    /// SMTP under this name, 50 MiB, SMTPUTF8, no TLS, no AUTH, and the default limits.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            protocol: Protocol::Smtp,
            size: 50 << 20,
            smtputf8: true,
            tls: TlsMode::Off,
            auth: Auth::default(),
            limits: Limits::default(),
        }
    }
}

/// Whether a conversation is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// Never; STARTTLS is not offered.
    #[default]
    Off,
    /// If the client asks for it with STARTTLS (RFC 3207).
    StartTls,
    /// It must ask for it: until then MAIL and whatever needs it get 530 5.7.0 (RFC 3207 §4).
    Required,
    /// From the first octet (RFC 8314 §3.3): the first step is an upgrade.
    Implicit,
}

/// How clients can prove who they are (RFC 4954).
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// The mechanisms that are offered, in this order, and only under TLS; none: no AUTH.
    /// EXTERNAL is offered only to who has shown a certificate, SCRAM-SHA-256-PLUS only where
    /// the connection has an exporter.
    pub mechanisms: Vec<Mechanism>,
    /// What makes the SCRAM keys of users who do not exist.
    pub secret: Secret,
    /// The iterations of these keys: those of most users.
    pub iterations: u32,
    /// Whether a user may act for another one, if the application says so.
    pub delegation: bool,
}

impl Default for Auth {
    /// No mechanism.
    fn default() -> Self {
        Self { mechanisms: Vec::new(), secret: Secret::new([0; 32]), iterations: 4096, delegation: false }
    }
}

/// The bounds on what one peer may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Octets of a command line with its CRLF. Lines of AUTH, where it is offered, may have
    /// 12,288 at least (RFC 4954 §4).
    pub command_line: usize,
    /// Octets of an over-long line that are read and dropped before 421.
    pub discarded_line: usize,
    /// How long the rest of an over-long line may take.
    pub discard_timeout: Duration,
    /// Octets of a line of a message with its CRLF, and without a dot that was stuffed: 0 for no
    /// limit. The standard has 1,000 (RFC 5321 §4.5.3.1.6), which not all senders heed.
    pub text_line: usize,
    /// RCPT commands of one transaction, accepted or refused, that are put to
    /// the application; the next as many get 452, and then 421 follows.
    pub recipients: usize,
    /// Commands before 421, since the last accepted message.
    pub commands: u32,
    /// Refused commands without a delay; each one after them costs
    /// [`error_delay`](Self::error_delay).
    pub soft_errors: u32,
    /// Refused commands (recipients not counted) before 421, since the last
    /// accepted message.
    pub errors: u32,
    /// How long the answer to a refused command waits past `soft_errors`.
    pub error_delay: Duration,
    /// Commands that lead nowhere (EHLO, NOOP, RSET, VRFY, HELP) before
    /// 421, since the last accepted message.
    pub junk: u32,
    /// Exchanges of AUTH in one conversation that may fail; the next one that fails gets 421.
    pub auth_attempts: u32,
    /// How long the answer to an exchange that fails waits.
    pub auth_delay: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
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
    /// Octets of output that may wait before the peer has to take them.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2048,
            discarded_line: 16 << 10,
            discard_timeout: Duration::from_secs(10),
            text_line: 64 << 10,
            recipients: 1000,
            commands: 10_000,
            soft_errors: 10,
            errors: 20,
            error_delay: Duration::from_secs(1),
            junk: 100,
            auth_attempts: 3,
            auth_delay: Duration::from_secs(1),
            handshake_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(300),
            body_timeout: Duration::from_secs(180),
            body_rate: 100,
            body_grace: Duration::from_secs(60),
            session: Duration::from_secs(3600),
            output: 64 << 10,
        }
    }
}

/// A limit that a peer can reach: the list for logs. Those that the machine cannot see are the
/// driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the name of what it limits")]
pub enum Limit {
    // The machine's.
    CommandLine,
    TextLine,
    Commands,
    Errors,
    Junk,
    Recipients,
    MessageSize,
    AuthAttempts,
    CommandTime,
    BodyTime,
    ByteRate,
    SessionTime,
    // The driver's.
    Connections,
    ConnectionsPerIp,
    HandshakeTime,
    WriteTime,
    AuthAttemptsPerIp,
    AuthAttemptsPerUser,
}

impl Limit {
    /// The name in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommandLine => "command_line",
            Self::TextLine => "text_line",
            Self::Commands => "commands",
            Self::Errors => "errors",
            Self::Junk => "junk",
            Self::Recipients => "recipients",
            Self::MessageSize => "message_size",
            Self::AuthAttempts => "auth_attempts",
            Self::CommandTime => "command_time",
            Self::BodyTime => "body_time",
            Self::ByteRate => "min_bytes_per_second",
            Self::SessionTime => "session_seconds",
            Self::Connections => "connections",
            Self::ConnectionsPerIp => "connections_per_ip",
            Self::HandshakeTime => "handshake_time",
            Self::WriteTime => "write_time",
            Self::AuthAttemptsPerIp => "auth_attempts_per_ip",
            Self::AuthAttemptsPerUser => "auth_attempts_per_user",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
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
