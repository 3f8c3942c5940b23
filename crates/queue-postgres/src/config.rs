//! Where the database is, and what it has to promise.

use std::time::Duration;

use tokio_postgres::config::{SslMode, TargetSessionAttrs};

use crate::PostgresError;

/// How a [`Postgres`](crate::Postgres) finds its database and what it demands of it.
///
/// `Debug` shows no password.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PostgresConfig {
    pub(crate) target: tokio_postgres::Config,
    /// How the connection is encrypted; from `sslmode` of the URL.
    pub tls: TlsMode,
    /// Certificates in PEM form of the authorities that may vouch for the servers, for
    /// [`TlsMode::VerifyFull`].
    pub ca: Option<Vec<u8>>,
    /// The schema that holds the tables, of small letters, digits and `_`: `hikyaku`.
    pub schema: String,
    /// On how many machines a message is durable before it is acknowledged.
    pub copies: Copies,
    /// At most so many connections: 16. Commits and settlements are gathered, so a few are enough.
    pub pool: usize,
    /// How long an operation may take, with all its retries, before its outcome is reported as
    /// unknown: 20 s.
    pub deadline: Duration,
    /// How often the database is asked whether another node made something ready: 1 s.
    pub poll: Duration,
    /// How long a finished message stays in the database, for readers of its text and for commits
    /// that are tried again: one hour.
    pub keep: Duration,
    /// At most so many bytes of tables, indexes included; then a draft is refused as `Full`.
    pub capacity: u64,
    /// At most so many units of one key are leased at once, over all nodes; none for no limit.
    pub leases_per_key: Option<u32>,
    /// Whose clock counts.
    pub clock: Clock,
}

/// How a connection to the database is encrypted, in the words of libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// `disable`: it is not.
    Disable,
    /// `require`: encrypted, but the server's certificate is not verified.
    Require,
    /// `verify-full`: encrypted, and the server's name and certificate are verified.
    VerifyFull,
}

/// On how many machines a message is durable before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Copies {
    /// On the primary server.
    One,
    /// On the primary server and on one standby at least: the server must have
    /// `synchronous_standby_names`, or it is refused.
    Two,
}

/// Whose clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The database's, which is the same for all nodes: leases run by it, and the `now` of a claim
    /// is only used to tell the caller times by his own clock.
    Database,
    /// The caller's `now`: for tests, which let time pass as they like, and for one node alone.
    Caller,
}

impl PostgresConfig {
    /// The defaults, with the database of this URL: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE`.
    ///
    /// Several hosts are tried in their order, and the first that takes writes is used. The
    /// parameters are those of `tokio-postgres`, and `sslmode=disable|require|verify-full`; without
    /// it TLS is `require`, except to hosts that are all loopback addresses, `localhost` or sockets.
    ///
    /// # Errors
    /// A text that is not such a URL.
    pub fn new(url: &str) -> Result<Self, PostgresError> {
        let refused = |why: &str| PostgresError::Config(format!("the URL of the database: {why}"));
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refused("it must begin with postgres://"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut tls = None;
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", word)) => tls = Some(TlsMode::from_word(word).ok_or_else(|| refused(SSLMODE))?),
                Some(("sslrootcert", _)) => return Err(refused("sslrootcert is not read here: use the setting `ca`")),
                _ => rest.push(parameter),
            }
        }
        let text = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        // The parser's error may name a parameter, never its value.
        let mut target: tokio_postgres::Config = text.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            refused(&cause.unwrap_or_else(|| "it cannot be read".to_owned()))
        })?;
        if target.get_hosts().is_empty() {
            return Err(refused("it names no host"));
        }
        let tls = tls.unwrap_or(if is_near(&target) { TlsMode::Disable } else { TlsMode::Require });
        target.ssl_mode(if tls == TlsMode::Disable { SslMode::Disable } else { SslMode::Require });
        target.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if target.get_connect_timeout().is_none() {
            target.connect_timeout(Duration::from_secs(3));
        }
        if target.get_tcp_user_timeout().is_none() {
            target.tcp_user_timeout(Duration::from_secs(10));
        }
        target.keepalives_idle(Duration::from_secs(10));
        if target.get_application_name().is_none() {
            target.application_name("hikyaku");
        }
        Ok(Self {
            target,
            tls,
            ca: None,
            schema: "hikyaku".to_owned(),
            copies: Copies::One,
            pool: 16,
            deadline: Duration::from_secs(20),
            poll: Duration::from_secs(1),
            keep: Duration::from_secs(3600),
            capacity: u64::MAX,
            leases_per_key: None,
            clock: Clock::Database,
        })
    }

    pub(crate) fn check(&self) -> Result<(), PostgresError> {
        let refused = |why: &str| Err(PostgresError::Config(why.to_owned()));
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.schema.is_empty()
            || self.schema.len() > 63
            || self.schema.as_bytes()[0].is_ascii_digit()
            || !self.schema.bytes().all(word)
        {
            return refused("the schema's name must be of small letters, digits and `_`");
        }
        if self.pool < 4 {
            return refused("the pool must have 4 connections at least");
        }
        if self.tls == TlsMode::VerifyFull && self.ca.is_none() {
            return refused("sslmode=verify-full needs the certificates of authorities: set `ca`");
        }
        Ok(())
    }
}

const SSLMODE: &str = "sslmode must be disable, require or verify-full";

impl TlsMode {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "require" => Self::Require,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// Whether no host is on another machine.
fn is_near(target: &tokio_postgres::Config) -> bool {
    use tokio_postgres::config::Host;
    target.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let config = PostgresConfig::new("postgres://u:s3cret@a.test:1,b.test:2/mail?connect_timeout=5").unwrap();
        assert_eq!(config.tls, TlsMode::Require, "another machine is never spoken to in clear by default");
        assert_eq!(config.target.get_ports(), [1, 2]);
        assert_eq!(config.target.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(config.target.get_connect_timeout(), Some(&Duration::from_secs(5)));
        assert!(!format!("{config:?}").contains("s3cret"));
        for (url, tls) in [
            ("postgres://u@127.0.0.1/x", TlsMode::Disable),
            ("postgres://u@[::1],localhost/x", TlsMode::Disable),
            ("postgres://u@127.0.0.1,a.test/x", TlsMode::Require),
            ("postgres://u@127.0.0.1/x?sslmode=require", TlsMode::Require),
            ("postgresql://u@a.test/x?sslmode=disable", TlsMode::Disable),
            ("postgres://u@a.test/x?application_name=x&sslmode=verify-full", TlsMode::VerifyFull),
        ] {
            assert_eq!(PostgresConfig::new(url).unwrap().tls, tls, "{url}");
        }
        for url in [
            "",
            "host=a user=u password=s3cret",
            "postgres://",
            "postgres://u:s3cret@a.test:x/y",
            "postgres://u:s3cret@a.test/y?sslmode=prefer",
            "postgres://u:s3cret@a.test/y?sslrootcert=z",
            "postgres://u:s3cret@a.test/y?nonsense=z",
        ] {
            let error = PostgresConfig::new(url).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_is_configured_is_checked() {
        let good = || PostgresConfig::new("postgres://u@a.test/x").unwrap();
        assert_eq!(good().check(), Ok(()));
        for name in ["", "1a", "a-b", "A", "a\"; DROP", &"x".repeat(64)] {
            let config = PostgresConfig { schema: name.to_owned(), ..good() };
            assert!(config.check().is_err(), "{name}");
        }
        assert!(PostgresConfig { pool: 3, ..good() }.check().is_err());
        let verified = PostgresConfig { tls: TlsMode::VerifyFull, ..good() };
        assert!(verified.check().is_err());
        assert_eq!(PostgresConfig { ca: Some(Vec::new()), ..verified }.check(), Ok(()));
    }
}
