//! The configuration of a relay: plain data, and its form as a TOML file.

mod document;
mod error;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use hikyaku_policy::{DomainPattern, Domains, Networks, Policy, PolicyError};
use hikyaku_wire::Hello;

pub use self::error::ConfigError;
use crate::{Address, Directory, HostPort, Route, Routes};

const HOSTNAME: &str = "relay.example.test";
const LOCAL_DOMAIN: &str = "example.test";
const PORT: u16 = 2525;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that a relay is told before it starts.
///
/// ```
/// let text = r#"
/// local_domains = ["example.org"]
///
/// [delivery]
/// route = "smarthost"
/// smarthost = "smart.example:25"
/// "#;
/// let config = hikyaku::Config::read(text, "relay.toml".as_ref())?;
/// assert_eq!(config.delivery.smarthost, Some("smart.example:25".parse()?));
///
/// let error = hikyaku::Config::read("\nlocal_domains = ['a..b']", "relay.toml".as_ref()).unwrap_err();
/// assert!(error.to_string().starts_with("relay.toml, line 2, column 18: local_domains: "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The relay's own name, in its greeting, its trace fields and its bounces.
    pub hostname: String,
    /// The directory of everything that the relay writes, unless another is named for it.
    pub data_dir: PathBuf,
    /// Domains whose mail ends here.
    pub local_domains: Domains,
    /// Domains whose mail everybody may send through this relay.
    pub relay_domains: Domains,
    /// Clients that may send mail to anywhere.
    pub trusted_networks: Networks,
    /// Where to listen.
    pub listeners: Vec<ListenerConfig>,
    /// Where messages wait.
    pub store: Store,
    /// How mail for other hosts leaves.
    pub delivery: DeliveryConfig,
    /// The directory of the local Maildirs.
    pub maildir: PathBuf,
    /// Which local mailboxes exist.
    pub directory: Directory,
    /// The DNS servers to ask; those of the system if there is none.
    pub dns_servers: Vec<SocketAddr>,
    /// A zone file that answers in place of all DNS servers.
    pub dns_zone: Option<PathBuf>,
    /// The audit log.
    pub audit: PathBuf,
}

/// One address to listen on, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// The address.
    pub address: Address,
    /// Who is expected to connect.
    pub mode: Mode,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Mail from other servers: `mx`.
    Mx,
    /// Mail from users: `submission`.
    Submission,
    /// Mail from users, TLS from the first octet: `submissions`. A file cannot ask for it yet.
    Submissions,
    /// Mail from a server on the same side: `lmtp`.
    Lmtp,
}

impl Mode {
    /// The word of the policy engine for it.
    pub fn listener(self) -> hikyaku_policy::Listener {
        use hikyaku_policy::Listener;
        match self {
            Self::Mx => Listener::Mx,
            Self::Submission => Listener::Submission,
            Self::Submissions => Listener::Submissions,
            Self::Lmtp => Listener::Lmtp,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.listener().fmt(f)
    }
}

/// Where messages wait until they are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Store {
    /// Files below the data directory: `spool`.
    #[default]
    Spool,
    /// Memory: `memory`. What waits is lost with the process.
    Memory,
}

/// How mail for other hosts leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryConfig {
    /// The host that takes all mail which is neither local nor has a transport; `None` means by MX.
    pub smarthost: Option<HostPort>,
    /// Exceptions, of which the first that matches counts.
    pub transports: Vec<(DomainPattern, Route)>,
    /// The name to greet other servers with.
    pub helo: Hello,
    /// How long to wait for one connection.
    pub connect_timeout: Duration,
}

impl Default for Config {
    /// A relay for trying out: it listens on loopback, takes mail for any user of `example.test`
    /// and keeps its data below the current directory.
    fn default() -> Self {
        let data_dir = PathBuf::from("./relay-data");
        let local: DomainPattern = LOCAL_DOMAIN.parse().expect("a domain");
        let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
        Self {
            hostname: HOSTNAME.to_owned(),
            local_domains: [local].into_iter().collect(),
            relay_domains: Domains::default(),
            trusted_networks: Networks::default(),
            listeners: vec![ListenerConfig { address, mode: Mode::Mx }],
            store: Store::default(),
            delivery: DeliveryConfig {
                smarthost: None,
                transports: Vec::new(),
                helo: HOSTNAME.parse().expect("a domain"),
                connect_timeout: CONNECT_TIMEOUT,
            },
            maildir: data_dir.join("mail"),
            directory: Directory::default(),
            dns_servers: Vec::new(),
            dns_zone: None,
            audit: data_dir.join("audit.jsonl"),
            data_dir,
        }
    }
}

impl Config {
    /// Reads a configuration from the text of a file. What the text does not say is as in
    /// [`Config::default`].
    ///
    /// # Errors
    /// What is wrong first, with the file's name, the line and the key.
    pub fn read(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let read = || {
            let config = document::read(text)?;
            config.policy().map_err(|error| error.at_its_key(text))?;
            Ok(config)
        };
        read().map_err(|error: ConfigError| ConfigError { file: Some(file.to_owned()), ..error })
    }

    /// Reads a configuration file. Relative paths in it are relative to the current directory.
    ///
    /// # Errors
    /// A file that cannot be read, and as of [`Config::read`].
    pub fn load(file: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let file = file.as_ref();
        match std::fs::read_to_string(file) {
            Ok(text) => Self::read(&text, file),
            Err(error) => Err(ConfigError { file: Some(file.to_owned()), ..ConfigError::new(error.to_string()) }),
        }
    }

    /// Who may send mail through the relay.
    ///
    /// # Errors
    /// Lists that would let strangers send mail to anywhere; the error names the list.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        let Self { local_domains, relay_domains, trusted_networks, .. } = self.clone();
        Policy::closed(local_domains, relay_domains, trusted_networks).map_err(|error| {
            let key = match &error {
                PolicyError::DomainTooWide { list, .. } => list.to_string(),
                _ => "trusted_networks".to_owned(),
            };
            ConfigError { key: Some(key), ..ConfigError::new(error.to_string()) }
        })
    }

    /// Where the mail of each domain goes.
    pub fn routes(&self) -> Routes {
        Routes {
            local: self.local_domains.clone(),
            transports: self.delivery.transports.clone(),
            smarthost: self.delivery.smarthost.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Users;

    fn read(text: &str) -> Result<Config, ConfigError> {
        Config::read(text, Path::new("relay.toml"))
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = read("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:2525");
        assert_eq!(config.listeners[0].mode.to_string(), "mx");
        assert_eq!(config.local_domains.to_string(), "example.test");
        assert_eq!(config.directory.users, Users::Any);
        assert_eq!(config.maildir, Path::new("./relay-data/mail"));
        assert_eq!(config.audit, Path::new("./relay-data/audit.jsonl"));
        assert!(config.policy().unwrap().to_string().contains("permit when to local_domains"));
    }

    #[test]
    fn every_key_is_read() {
        let config = read(FULL).unwrap();
        let directory = Directory {
            users: Users::Listed(["alice".to_owned(), "postmaster".to_owned()].into()),
            postmaster: Some("alice".to_owned()),
        };
        let listener = |address: &str, mode| ListenerConfig { address: address.parse().unwrap(), mode };
        let expected = Config {
            hostname: "mx.example.org".to_owned(),
            data_dir: "/var/lib/relay".into(),
            local_domains: "example.org, *.example.org".parse().unwrap(),
            relay_domains: "partner.example".parse().unwrap(),
            trusted_networks: "10.0.0.0/8, 2001:db8::/32".parse().unwrap(),
            listeners: vec![
                listener("[::]:25", Mode::Mx),
                listener("127.0.0.1:587", Mode::Submission),
                listener("unix:/run/relay", Mode::Lmtp),
            ],
            store: Store::Memory,
            delivery: DeliveryConfig {
                smarthost: Some("smart.example:587".parse().unwrap()),
                transports: vec![
                    ("sink.test".parse().unwrap(), "127.0.0.1:26".parse().unwrap()),
                    ("*.sink.test".parse().unwrap(), "lmtp:unix:/run/lmtp".parse().unwrap()),
                ],
                helo: "out.example.org".parse().unwrap(),
                connect_timeout: Duration::from_secs(5),
            },
            maildir: "/var/mail".into(),
            directory,
            dns_servers: vec!["192.0.2.53:53".parse().unwrap()],
            dns_zone: Some("zone.txt".into()),
            audit: "/var/log/relay.jsonl".into(),
        };
        assert_eq!(config, expected);
        assert_eq!(config.routes().route(&"<a@sink.test>".parse().unwrap()).to_string(), "127.0.0.1:26");
    }

    const FULL: &str = r#"
hostname = "mx.example.org"
data_dir = "/var/lib/relay"
local_domains = ["example.org", "*.example.org"]
relay_domains = ["partner.example"]
trusted_networks = ["10.0.0.0/8", "2001:db8::/32"]
listener = [{ address = "[::]:25", mode = "mx" }, { address = "127.0.0.1:587", mode = "submission" },
    { address = "unix:/run/relay", mode = "lmtp" }]
queue.store = "memory"
audit.file = "/var/log/relay.jsonl"
[delivery]
route = "smarthost"
smarthost = "smart.example:587"
helo = "out.example.org"
connect_timeout = 5
[[delivery.transport]]
domain = "sink.test"
to = "127.0.0.1:26"
[[delivery.transport]]
domain = "*.sink.test"
to = "lmtp:unix:/run/lmtp"
[local]
maildir = "/var/mail"
users = ["Alice", "postmaster"]
postmaster = "alice"
[dns]
servers = ["192.0.2.53:53"]
zone = "zone.txt"
"#;

    #[test]
    fn paths_and_the_greeting_follow_what_they_hang_on() {
        let config = read("hostname = 'mx.example.org'\ndata_dir = 'd'").unwrap();
        assert_eq!(config.delivery.helo, "mx.example.org".parse().unwrap());
        assert_eq!((config.maildir, config.audit), ("d/mail".into(), "d/audit.jsonl".into()));
        let admin = read("local.postmaster = 'Bert@example.test'").unwrap();
        assert_eq!(admin.directory.postmaster.as_deref(), Some("bert"));
        assert_eq!(read("local.users = 'any'").unwrap().directory, Directory::default());
    }

    #[test]
    fn errors_name_file_line_and_key() {
        let cases = [
            (2, "colour", "hostname = 'a.test'\ncolour = 'red'"),
            (2, "queue.colour", "[queue]\ncolour = 'red'"),
            (4, "listener.colour", "[[listener]]\naddress = '127.0.0.1:0'\nmode = 'mx'\ncolour = 'red'"),
            (1, "hostname", "hostname = 5"),
            (1, "hostname", "hostname = 'a..b'"),
            (1, "local_domains", "local_domains = 'example.test'"),
            (1, "queue", "queue = 'spool'"),
            (2, "listener.address", "[[listener]]\naddress = 'nonsense'\nmode = 'mx'"),
            (3, "listener.mode", "[[listener]]\naddress = '127.0.0.1:0'\nmode = 'pop3'"),
            (3, "listener.mode", "[[listener]]\naddress = '127.0.0.1:0'\nmode = 'submissions'"),
            (2, "listener: missing field `mode`", "\n[[listener]]\naddress = '127.0.0.1:0'"),
            (2, "delivery.route", "[delivery]\nroute = 'carrier-pigeon'"),
            (3, "delivery.route", "[delivery]\n\nroute = 'smarthost'"),
            (2, "delivery.smarthost", "[delivery]\nsmarthost = 'a.test:25'"),
            (3, "delivery.smarthost", "[delivery]\nroute = 'mx'\nsmarthost = 'a.test:25'"),
            (3, "delivery.smarthost", "[delivery]\nroute = 'smarthost'\nsmarthost = 'maildir'"),
            (2, "delivery.helo", "[delivery]\nhelo = 'a b'"),
            (2, "delivery.connect_timeout", "[delivery]\nconnect_timeout = '5s'"),
            (2, "delivery.connect_timeout", "[delivery]\nconnect_timeout = 0"),
            (2, "delivery.connect_timeout", "[delivery]\nconnect_timeout = -1"),
            (2, "delivery.connect_timeout", "[delivery]\nconnect_timeout = 601"),
            (3, "delivery.transport.to", "[[delivery.transport]]\ndomain = 'sink.test'\nto = 'fax'"),
            (2, "delivery.transport.domain", "[[delivery.transport]]\ndomain = '*sink.test'\nto = 'maildir'"),
            (2, "queue.store", "[queue]\nstore = 'paper'"),
            (2, "queue.store", "[queue]\nstore = 'postgres'\nurl = 'postgres://'"),
            (2, "queue.url", "[queue]\nurl = 'postgres://'"),
            (1, "trusted_networks", "trusted_networks = ['10.0.0.0/33']"),
            (2, "trusted_networks", "\ntrusted_networks = ['0.0.0.0/0']"),
            (2, "local_domains", "\nlocal_domains = ['*.com']"),
            (2, "relay_domains", "\nrelay_domains = ['*.com']"),
            (1, "local_domains", "local_domains = ['a..b']"),
            (3, "local_domains", "local_domains = [\n'b.test',\n'a..b']"),
            (2, "dns.servers", "[dns]\nservers = ['x']"),
            (1, "policy", "policy = 'relay.policy'"),
            (2, "local.users", "[local]\nusers = 'all'"),
            (2, "local.users", "[local]\nusers = ['alice', 'bob@example.test']"),
            (3, "local.users", "[local]\nusers = ['alice',\n'']"),
            (2, "local.users", "[local]\nusers = 3"),
            (2, "dns", "\n[[dns]]\nservers = []"),
            (1, "audits", "[audits]\nfile = 'a'"),
            (2, "local.postmaster", "[local]\npostmaster = '<>'"),
            (2, "local.postmaster", "[local]\npostmaster = 'bert@third.test'"),
            (2, "local.postmaster", "[local]\npostmaster = ''"),
            (2, "data_dir", "hostname = 'a.test'\ndata_dir = "),
            (2, "data_dir", "data_dir = 'a'\ndata_dir = 'b'"),
        ];
        for (line, key, text) in cases {
            let error = read(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("relay.toml, line {line}, column ")), "{text}\n{error}");
            assert!(error.contains(&format!(": {key}")), "{text}\n{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = Config::load("/nonexistent/relay.toml").unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/relay.toml: "), "{error}");
        assert!(error.line.is_none() && error.key.is_none());
    }
}
