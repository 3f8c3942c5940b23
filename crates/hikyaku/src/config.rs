//! The configuration of a relay: plain data, and its form as a TOML file.

mod auth;
pub(crate) mod document;
mod error;
mod limits;
mod policy;
mod tls;
mod verify;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use hikyaku_policy::{DomainPattern, Domains, Identifier, Networks};
use hikyaku_session::{
    Protocol,
    sasl::Secret,
    server::{self, Auth, TlsMode},
};
use hikyaku_wire::Hello;

#[cfg(feature = "users")]
pub(crate) use self::auth::UserName;
pub use self::{
    auth::{AuthConfig, CertificateId, CertificateUser},
    error::ConfigError,
    limits::LimitsConfig,
    tls::TlsConfig,
};
use crate::{Address, Check, Directory, DkimKey, DnsList, GreylistConfig, HostPort, Route, Routes, VerifyConfig};

const HOSTNAME: &str = "relay.example.test";
const LOCAL_DOMAIN: &str = "example.test";
const PORT: u16 = 2525;
/// Octets of a line of a user's message (RFC 5321 §4.5.3.1.6).
const SUBMITTED_LINE: usize = 1000;
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
    /// The name under which the relay tells what its checks have found (RFC 8601 §2.5); nobody
    /// else may use it in a message.
    pub authserv_id: String,
    /// The directory of everything that the relay writes, unless another is named for it.
    pub data_dir: PathBuf,
    /// The file of the policy; `None` for the one that the next three make. Where there is a
    /// file, they are what it declares.
    pub policy_file: Option<PathBuf>,
    /// Domains whose mail ends here.
    pub local_domains: Domains,
    /// Domains whose mail everybody may send through this relay.
    pub relay_domains: Domains,
    /// Clients that may send mail to anywhere.
    pub trusted_networks: Networks,
    /// Lists of addresses in the DNS that a policy may ask.
    pub lists: Vec<DnsList>,
    /// How a policy finds out who was seen before.
    pub greylist: GreylistConfig,
    /// Where to listen.
    pub listeners: Vec<ListenerConfig>,
    /// Certificates.
    pub tls: TlsConfig,
    /// How users prove who they are; `None` if nobody can.
    pub auth: Option<AuthConfig>,
    /// What is checked of the mail of other servers.
    pub verify: VerifyConfig,
    /// What signs the mail of users.
    pub dkim: Vec<DkimKey>,
    /// The bounds on what clients may cost.
    pub limits: LimitsConfig,
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
    /// Whether their answers are validated by DNSSEC, from the keys of the root down.
    pub dns_validate: bool,
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
    /// Whether it encrypts.
    pub tls: TlsMode,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Mail from other servers: `mx`.
    Mx,
    /// Mail from users: `submission`.
    Submission,
    /// Mail from users, TLS from the first octet: `submissions`.
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

    /// Whether users send mail here.
    pub fn is_submission(self) -> bool {
        matches!(self, Self::Submission | Self::Submissions)
    }

    /// Whether a listener encrypts that does not say so.
    pub fn tls(self) -> TlsMode {
        match self {
            Self::Mx | Self::Submission => TlsMode::StartTls,
            Self::Submissions => TlsMode::Implicit,
            Self::Lmtp => TlsMode::Off,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.listener().fmt(f)
    }
}

/// Where messages wait until they are delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Files below the data directory: `spool`.
    #[default]
    Spool,
    /// Memory: `memory`. What waits is lost with the process.
    Memory,
    /// A PostgreSQL database, which several relays may share: `postgres`.
    Postgres(PostgresStore),
}

/// The database of [`Store::Postgres`].
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresStore {
    /// Where it is: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=verify-full`.
    pub url: String,
    /// On how many machines, 1 or 2, a message is durable before it is acknowledged.
    pub copies: u8,
    /// The file of authorities that may vouch for the database's certificate, in PEM form.
    pub ca: Option<PathBuf>,
}

impl fmt::Debug for PostgresStore {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("copies", &self.copies).field("ca", &self.ca).finish_non_exhaustive()
    }
}

/// How mail for other hosts leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryConfig {
    /// The host that takes all mail which is neither local nor has a transport; `None` means by MX.
    pub smarthost: Option<HostPort>,
    /// Exceptions, of which the first that matches counts.
    pub transports: Vec<(DomainPattern, Route)>,
    /// Routes that a policy may name: `permit via NAME`.
    pub routes: Vec<(Identifier, Route)>,
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
            authserv_id: HOSTNAME.to_owned(),
            policy_file: None,
            local_domains: [local].into_iter().collect(),
            relay_domains: Domains::default(),
            trusted_networks: Networks::default(),
            lists: Vec::new(),
            greylist: GreylistConfig::default(),
            listeners: vec![ListenerConfig { address, mode: Mode::Mx, tls: Mode::Mx.tls() }],
            tls: TlsConfig::default(),
            auth: None,
            verify: VerifyConfig::default(),
            dkim: Vec::new(),
            limits: LimitsConfig::default(),
            store: Store::default(),
            delivery: DeliveryConfig {
                smarthost: None,
                transports: Vec::new(),
                routes: Vec::new(),
                helo: HOSTNAME.parse().expect("a domain"),
                connect_timeout: CONNECT_TIMEOUT,
            },
            maildir: data_dir.join("mail"),
            directory: Directory::default(),
            dns_servers: Vec::new(),
            dns_validate: false,
            dns_zone: None,
            audit: data_dir.join("audit.jsonl"),
            data_dir,
        }
    }
}

impl Config {
    /// Reads a configuration from the text of a file, and the policy that it names. What the text
    /// does not say is as in [`Config::default`].
    ///
    /// # Errors
    /// What is wrong first, with the file's name, the line and the key.
    pub fn read(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let read = || {
            let config = document::read(text)?;
            config.ruling().map_err(|error| error.at_its_key(text))?;
            Ok(config)
        };
        read().map_err(|error: ConfigError| ConfigError { file: Some(error.file.unwrap_or(file.to_owned())), ..error })
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

    /// What is allowed and yet cannot be meant, in words for the operator.
    pub fn doubts(&self) -> Vec<String> {
        let users = || self.listeners.iter().filter(|listener| listener.mode.is_submission());
        let mut doubts = Vec::new();
        if self.auth.is_some() && users().next().is_none() {
            doubts.push("nobody can log in: [auth] is for listeners of mode `submission` or `submissions`".to_owned());
        }
        for listener in users().filter(|_| self.trusted_networks.iter().next().is_none()) {
            let address = &listener.address;
            if self.auth.is_none() {
                doubts.push(format!("nobody can send mail at {address}: there is neither [auth] nor trusted_networks"));
            } else if listener.tls == TlsMode::Off {
                doubts.push(format!("nobody can send mail at {address}: users log in under TLS only, which is off"));
            }
        }
        if !self.dkim.is_empty() && users().next().is_none() {
            doubts.push("[[dkim]] signs nothing: it is for listeners of mode `submission` or `submissions`".to_owned());
        }
        doubts.extend(self.dkim.iter().filter_map(DkimKey::doubt));
        if !self.verify.trusted_sealers.is_empty() && self.verify.arc == Check::Off {
            doubts.push("trusted_sealers are of no use with `arc = \"off\"`".to_owned());
        }
        let certificates = self.auth.as_ref().is_some_and(|auth| !auth.certificates.is_empty());
        if self.tls.clients.authorities.is_some() && !certificates && self.policy_file.is_none() {
            doubts.push("client_ca is of no use without [[auth.certificate]]".to_owned());
        }
        doubts.extend(policy::doubts(self));
        doubts
    }

    /// What the conversations of a listener are told. AUTH is for listeners that users send
    /// their mail to; `secret` and `iterations` are as of [`Auth`].
    pub fn session(&self, listener: &ListenerConfig, secret: Secret, iterations: u32) -> server::Config {
        let mut config = server::Config::new(&self.hostname);
        if listener.mode == Mode::Lmtp {
            config.protocol = Protocol::Lmtp;
        }
        config.size = self.limits.message_size;
        config.limits = self.limits.session.clone();
        let text_line = if listener.mode.is_submission() { SUBMITTED_LINE } else { config.limits.text_line };
        config.limits.text_line = self.limits.text_line.unwrap_or(text_line);
        config.tls = listener.tls;
        if let Some(auth) = self.auth.as_ref().filter(|_| listener.mode.is_submission()) {
            let mechanisms = auth.mechanisms.clone();
            config.auth = Auth { mechanisms, secret, iterations, delegation: false };
        }
        config
    }

    /// Where the mail of each domain goes.
    pub fn routes(&self) -> Routes {
        Routes {
            local: self.local_domains.clone(),
            transports: self.delivery.transports.clone(),
            smarthost: self.delivery.smarthost.clone(),
            named: self.delivery.routes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_message::HeaderLimits;
    use hikyaku_session::{sasl::Mechanism, server::Limits};

    use super::*;
    use crate::{CertificateFiles, ClientCertificates, GateLimits, SpkiPin, Users};

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
        assert!(config.ruling().unwrap().policy().to_string().contains("permit when to local_domains"));
    }

    #[test]
    fn every_key_is_read() {
        let config = read(FULL).unwrap();
        let directory = Directory {
            users: Users::Listed(["alice".to_owned(), "postmaster".to_owned()].into()),
            postmaster: Some("alice".to_owned()),
        };
        let listener = |address: &str, mode, tls| ListenerConfig { address: address.parse().unwrap(), mode, tls };
        let file = |names: &[&str], cert: &str, key: &str| {
            let names = names.iter().map(|&name| name.into()).collect();
            CertificateFiles { names, cert: cert.into(), key: key.into() }
        };
        let expected = Config {
            hostname: "mx.example.org".to_owned(),
            authserv_id: "Example.org".to_owned(),
            data_dir: "/var/lib/relay".into(),
            policy_file: None,
            local_domains: "example.org, *.example.org".parse().unwrap(),
            relay_domains: "partner.example".parse().unwrap(),
            trusted_networks: "10.0.0.0/8, 2001:db8::/32".parse().unwrap(),
            lists: vec![
                DnsList {
                    name: "Zen.example".parse().unwrap(),
                    zone: "zen.example".parse().unwrap(),
                    weight: 3,
                    filter: "127.0.0.[2..11]".parse().unwrap(),
                },
                DnsList {
                    name: "zen.example".parse().unwrap(),
                    zone: "white.example".parse().unwrap(),
                    weight: -5,
                    filter: "any".parse().unwrap(),
                },
                DnsList {
                    name: "plain.example".parse().unwrap(),
                    zone: "plain.example".parse().unwrap(),
                    weight: 1,
                    filter: "any".parse().unwrap(),
                },
            ],
            greylist: GreylistConfig {
                wait: Duration::from_secs(60),
                keep: Duration::from_secs(86_400 * 2),
                ..GreylistConfig::default()
            },
            listeners: vec![
                listener("[::]:25", Mode::Mx, TlsMode::Required),
                listener("127.0.0.1:587", Mode::Submission, TlsMode::StartTls),
                listener("127.0.0.1:465", Mode::Submissions, TlsMode::Implicit),
                listener("unix:/run/relay", Mode::Lmtp, TlsMode::Off),
            ],
            tls: TlsConfig {
                certificates: vec![
                    file(&[], "cert.pem", "key.pem"),
                    file(&["mail.example.net"], "net.pem", "net.key"),
                    file(&["*.example.net"], "all.pem", "all.key"),
                ],
                clients: ClientCertificates {
                    authorities: Some("clients.pem".into()),
                    pins: vec![[0xab; 32]],
                    allow_server_certificates: true,
                },
            },
            auth: Some(AuthConfig {
                users: Some("users.toml".into()),
                mechanisms: vec![Mechanism::Login, Mechanism::External],
                certificates: vec![
                    CertificateUser { certificate: CertificateId::Spki(SpkiPin([0xab; 32])), user: "alice".into() },
                    CertificateUser { certificate: CertificateId::Name("mx.example.net".into()), user: "bob".into() },
                ],
            }),
            verify: VerifyConfig {
                spf: Check::Enforce,
                dkim: Check::Off,
                dmarc: Check::Report,
                arc: Check::Off,
                iprev: Check::Report,
                trusted_sealers: vec!["lists.example.net".parse().unwrap()],
                timeout: Duration::from_secs(7),
            },
            dkim: vec![
                DkimKey {
                    domain: "example.org".parse().unwrap(),
                    selector: "s1".parse().unwrap(),
                    file: "s1.pem".into(),
                },
                DkimKey {
                    domain: "xn--bcher-kva.example".parse().unwrap(),
                    selector: "s1.mail".parse().unwrap(),
                    file: "s2.pem".into(),
                },
            ],
            limits: LimitsConfig {
                message_size: 1 << 20,
                text_line: Some(998),
                header: HeaderLimits { octets: 65_536, fields: 99, hops: 30 },
                session: Limits {
                    command_line: 4096,
                    output: 8192,
                    body_timeout: Duration::from_secs(61),
                    handshake_timeout: Duration::from_secs(11),
                    recipients: 100,
                    errors: 5,
                    commands: 5000,
                    junk: 50,
                    auth_attempts: 2,
                    command_timeout: Duration::from_secs(60),
                    session: Duration::from_secs(600),
                    body_rate: 1000,
                    ..Limits::default()
                },
                gate: GateLimits {
                    connections: 300,
                    connections_per_ip: 3,
                    auth_attempts_per_ip: 10,
                    auth_attempts_per_user: 11,
                    loopback: true,
                    exempt: "10.0.0.0/8, 2001:db8::/32".parse().unwrap(),
                },
            },
            store: Store::Memory,
            delivery: DeliveryConfig {
                smarthost: Some("smart.example:587".parse().unwrap()),
                transports: vec![
                    ("sink.test".parse().unwrap(), "127.0.0.1:26".parse().unwrap()),
                    ("*.sink.test".parse().unwrap(), "lmtp:unix:/run/lmtp".parse().unwrap()),
                ],
                routes: vec![
                    ("archive".parse().unwrap(), "lmtp:127.0.0.1:24".parse().unwrap()),
                    ("inside".parse().unwrap(), "10.0.0.5:25".parse().unwrap()),
                ],
                helo: "out.example.org".parse().unwrap(),
                connect_timeout: Duration::from_secs(5),
            },
            maildir: "/var/mail".into(),
            directory,
            dns_servers: vec!["192.0.2.53:53".parse().unwrap()],
            dns_validate: true,
            dns_zone: Some("zone.txt".into()),
            audit: "/var/log/relay.jsonl".into(),
        };
        assert_eq!(config, expected);
        assert_eq!(config.routes().route(&"<a@sink.test>".parse().unwrap()).to_string(), "127.0.0.1:26");
    }

    const FULL: &str = r#"
hostname = "mx.example.org"
authserv_id = "Example.org"
data_dir = "/var/lib/relay"
local_domains = ["example.org", "*.example.org"]
relay_domains = ["partner.example"]
trusted_networks = ["10.0.0.0/8", "2001:db8::/32"]
listener = [{ address = "[::]:25", mode = "mx", tls = "required" },
    { address = "127.0.0.1:587", mode = "submission" }, { address = "127.0.0.1:465", mode = "submissions" },
    { address = "unix:/run/relay", mode = "lmtp" }]
queue.store = "memory"
audit.file = "/var/log/relay.jsonl"
[tls]
cert = "cert.pem"
key = "key.pem"
client_ca = "clients.pem"
[[tls.name]]
server_name = "Mail.Example.NET"
cert = "net.pem"
key = "net.key"
[[tls.name]]
server_name = "*.Example.net"
cert = "all.pem"
key = "all.key"
[auth]
users = "users.toml"
mechanisms = ["LOGIN", "external"]
allow_server_certificates = true
[[auth.certificate]]
spki = "abababababababababababababababababababababababababababababababab"
user = "Alice"
[[auth.certificate]]
name = "MX.example.net"
user = "bob"
[verify]
spf = "enforce"
dkim = "off"
dmarc = "report"
arc = "off"
iprev = "report"
trusted_sealers = ["Lists.example.net"]
timeout = 7
[[dkim]]
domain = "Example.org"
selector = "s1"
key = "s1.pem"
[[dkim]]
domain = "bücher.example"
selector = "s1.mail"
key = "s2.pem"
[[list]]
zone = "Zen.example"
weight = 3
answers = "127.0.0.[2..11]"
[[list]]
zone = "white.example"
name = "zen.example"
weight = -5
[[list]]
zone = "plain.example"
[greylist]
wait = 60
keep = 2
[limits]
connections = 300
connections_per_ip = 3
recipients = 100
message_size = 1048576
command_line = 4096
text_line = 998
header_size = 65536
header_fields = 99
hops = 30
body_seconds = 61
handshake_seconds = 11
output_buffer = 8192
errors = 5
commands = 5000
junk = 50
auth_attempts = 2
auth_attempts_per_ip = 10
auth_attempts_per_user = 11
command_seconds = 60
session_seconds = 600
min_bytes_per_second = 1000
loopback = true
[delivery]
route = "smarthost"
smarthost = "smart.example:587"
helo = "out.example.org"
connect_timeout = 5
[delivery.routes]
inside = "10.0.0.5:25"
archive = "lmtp:127.0.0.1:24"
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
validate = true
zone = "zone.txt"
"#;

    #[test]
    fn paths_and_the_greeting_follow_what_they_hang_on() {
        let config = read("hostname = 'mx.example.org'\ndata_dir = 'd'").unwrap();
        assert_eq!(config.delivery.helo, "mx.example.org".parse().unwrap());
        assert_eq!(config.authserv_id, "mx.example.org");
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
            (1, "hostname", "hostname = 'bücher.example'"),
            (1, "local_domains", "local_domains = 'example.test'"),
            (1, "queue", "queue = 'spool'"),
            (2, "listener.address", "[[listener]]\naddress = 'nonsense'\nmode = 'mx'"),
            (3, "listener.mode", "[[listener]]\naddress = '127.0.0.1:0'\nmode = 'pop3'"),
            (4, "listener.tls", "[[listener]]\naddress = '127.0.0.1:0'\nmode = 'mx'\ntls = 'on'"),
            (4, "listener.tls", "[[listener]]\naddress = '127.0.0.1:0'\nmode = 'submissions'\ntls = 'off'"),
            (4, "listener.tls", "[[listener]]\naddress = '127.0.0.1:0'\nmode = 'submissions'\ntls = 'starttls'"),
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
            (2, "queue.store", "[queue]\nstore = 'postgres'"),
            (3, "queue.url", "[queue]\nstore = 'postgres'\nurl = 'mysql://a:hush@b/c'"),
            (4, "queue.copies", "[queue]\nstore = 'postgres'\nurl = 'postgres://b/c'\ncopies = 3"),
            (2, "queue.url", "[queue]\nurl = 'postgres://'"),
            (2, "queue.copies", "[queue]\ncopies = 1"),
            (3, "queue.ca", "[queue]\nstore = 'spool'\nca = 'ca.pem'"),
            (1, "trusted_networks", "trusted_networks = ['10.0.0.0/33']"),
            (2, "trusted_networks", "\ntrusted_networks = ['0.0.0.0/0']"),
            (2, "local_domains", "\nlocal_domains = ['*.com']"),
            (2, "relay_domains", "\nrelay_domains = ['*.com']"),
            (1, "local_domains", "local_domains = ['a..b']"),
            (3, "local_domains", "local_domains = [\n'b.test',\n'a..b']"),
            (2, "dns.servers", "[dns]\nservers = ['x']"),
            (2, "dns.validate", "[dns]\nvalidate = 'yes'"),
            (1, "policy", "policy = 5"),
            (2, "list.zone", "[[list]]\nzone = 'a b'"),
            (1, "list: missing field `zone`", "[[list]]\nweight = 1"),
            (3, "list.answers", "[[list]]\nzone = 'a.test'\nanswers = '127.0.0.[3..2]'"),
            (3, "list.weight", "[[list]]\nzone = 'a.test'\nweight = 'x'"),
            (2, "greylist.wait: expected 1 to 86400 seconds", "[greylist]\nwait = 0"),
            (2, "greylist.wait", "[greylist]\nwait = 86401"),
            (2, "greylist.keep: expected 1 to 366 days", "[greylist]\nkeep = 367"),
            (2, "delivery.routes.inside", "[delivery.routes]\ninside = 'fax'"),
            (2, "delivery.routes.to: \"to\": `to` is a word", "[delivery.routes]\nto = 'maildir'"),
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
            (1, "authserv_id", "authserv_id = 'mx example'"),
            (1, "authserv_id", "authserv_id = ''"),
            (1, "authserv_id", "authserv_id = 'bücher.example'"),
            (2, "verify.spf", "[verify]\nspf = 'on'"),
            (2, "verify.dmarc", "[verify]\ndmarc = true"),
            (2, "verify.dnsbl", "[verify]\ndnsbl = 'off'"),
            (2, "verify.timeout", "[verify]\ntimeout = 0"),
            (2, "verify.trusted_sealers", "[verify]\ntrusted_sealers = ['a b']"),
            (1, "dkim: missing field `key`", "[[dkim]]\ndomain = 'a.test'\nselector = 's'"),
            (2, "dkim.domain", "[[dkim]]\ndomain = '.'\nselector = 's'\nkey = 'k'"),
            (
                2,
                "dkim.domain: test cannot be the domain of a signature",
                "[[dkim]]\ndomain = 'test'\nselector = 's'\nkey = 'k'",
            ),
            (
                2,
                "dkim.domain: a-.test cannot be the domain of a signature",
                "[[dkim]]\ndomain = 'a-.test'\nselector = 's'\nkey = 'k'",
            ),
            (3, "dkim.selector: -s cannot be a selector", "[[dkim]]\ndomain = 'a.test'\nselector = '-s'\nkey = 'k'"),
            (3, "dkim.selector", "[[dkim]]\ndomain = 'a.test'\nselector = 'a b'\nkey = 'k'"),
            (3, "dkim.selector", "[[dkim]]\ndomain = 'a.test'\nselector = ''\nkey = 'k'"),
            (3, "dkim.selector", "[[dkim]]\ndomain = 'a.test'\nselector = 's\\.'\nkey = 'k'"),
            (
                2,
                "dkim.selector: a.test has a key of this name already",
                "dkim = [{ domain = 'a.test', selector = 's', key = 'k' }, \n\
                 { domain = 'A.test', selector = 'S', key = 'l' }]",
            ),
        ];
        for (line, key, text) in cases {
            let error = read(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("relay.toml, line {line}, column ")), "{text}\n{error}");
            assert!(error.contains(&format!(": {key}")), "{text}\n{error}");
        }
    }

    #[test]
    fn errors_of_tls_auth_and_limits_name_file_line_and_key() {
        let pin = |digit: &str| format!("[[auth.certificate]]\nspki = '{}'\nuser = ", digit.repeat(64));
        let cases = [
            (2, "tls.cert: also needs `key", "[tls]\ncert = 'c'".to_owned()),
            (2, "tls.key: also needs `cert", "[tls]\nkey = 'k'".to_owned()),
            (2, "tls.ca", "[tls]\nca = 'c'".to_owned()),
            (1, "tls.name: missing field `server_name`", "[[tls.name]]\ncert = 'c'\nkey = 'k'".to_owned()),
            (1, "tls.name", "[[tls.name]]\nserver_name = 'a.test'\nkey = 'k'".to_owned()),
            (2, "tls.name.server_name", "[[tls.name]]\nserver_name = 'a b'\ncert = 'c'\nkey = 'k'".to_owned()),
            (1, "tls.name", "[[tls.name]]\nserver_name = 'a.test'\ncert = 'c'\nkey = 'k'".to_owned()),
            (
                5,
                "tls.name.server_name: a.test has a certificate already",
                "[tls]\ncert = 'c'\nkey = 'k'\nname = [{ server_name = 'a.test', cert = 'c', key = 'k' },\n\
                 { server_name = 'A.test', cert = 'c', key = 'k' }]"
                    .to_owned(),
            ),
            (2, "auth: needs `users", "\n[auth]".to_owned()),
            (1, "auth: needs `users", "[auth]\nmechanisms = ['PLAIN']".to_owned()),
            (
                2,
                "auth.mechanisms: PLAIN: needs `users",
                format!("[auth]\nmechanisms = ['EXTERNAL', 'PLAIN']\n{}'a'", pin("a")),
            ),
            (2, "auth.user", "[auth]\nuser = 'u'".to_owned()),
            (3, "auth.mechanisms: \"CRAM-MD5\"", "[auth]\nusers = 'u'\nmechanisms = ['CRAM-MD5']".to_owned()),
            (3, "auth.mechanisms: EXTERNAL: needs", "[auth]\nusers = 'u'\nmechanisms = ['EXTERNAL']".to_owned()),
            (3, "auth.mechanisms: XOAUTH2", "[auth]\nusers = 'u'\nmechanisms = ['XOAUTH2']".to_owned()),
            (3, "auth.mechanisms: OAUTHBEARER", "[auth]\nusers = 'u'\nmechanisms = ['OAUTHBEARER']".to_owned()),
            (3, "auth.mechanisms: PLAIN: is listed", "[auth]\nusers = 'u'\nmechanisms = ['PLAIN', 'plain']".to_owned()),
            (
                2,
                "auth.mechanisms: EXTERNAL: is listed",
                format!("[auth]\nmechanisms = ['EXTERNAL', 'external']\n{}'a'", pin("a")),
            ),
            (2, "tls.name.server_name", "[[tls.name]]\nserver_name = 'a.*.test'\ncert = 'c'\nkey = 'k'".to_owned()),
            (2, "tls.name.server_name", "[[tls.name]]\nserver_name = 'bücher.test'\ncert = 'c'\nkey = 'k'".to_owned()),
            (3, "auth.mechanisms: names no", "[auth]\nusers = 'u'\nmechanisms = []".to_owned()),
            (
                3,
                "auth.mechanisms: without EXTERNAL",
                format!("[auth]\nusers = 'u'\nmechanisms = ['PLAIN']\n{}'a'", pin("a")),
            ),
            (2, "auth.certificate.spki", format!("{}'a'", pin("g"))),
            (2, "auth.certificate.spki", "[[auth.certificate]]\nspki = 'abcd'\nuser = 'a'".to_owned()),
            (2, "auth.certificate.spki", format!("{}'a'", pin("ab"))),
            (3, "auth.certificate.user", format!("{}''", pin("a"))),
            (3, "auth.certificate.user", format!("{}'{}'", pin("a"), "x".repeat(256))),
            (3, "auth.certificate.user", format!("{}\"a\\nb\"", pin("a"))),
            (1, "auth.certificate: missing field `user`", "[[auth.certificate]]\nname = 'a'".to_owned()),
            (
                4,
                "auth.certificate: needs `spki` or `name`",
                format!("{}'a'\n[[auth.certificate]]\nuser = 'a'", pin("a")),
            ),
            (1, "auth.certificate: needs `spki` or `name`", "[[auth.certificate]]\nuser = 'a'".to_owned()),
            (4, "auth.certificate.name: is of no use", format!("{}'a'\nname = 'a.test'", pin("a"))),
            (
                2,
                "auth.certificate.name: needs `[tls] client_ca",
                "[[auth.certificate]]\nname = 'a'\nuser = 'a'".to_owned(),
            ),
            (2, "auth.certificate.name: \"a b\"", "[[auth.certificate]]\nname = 'a b'\nuser = 'a'".to_owned()),
            (4, "auth.certificate: this certificate is already a's", format!("{}'a'\n{}'b'", pin("a"), pin("A"))),
            (2, "limits.connections: expected 1 to 1000000", "[limits]\nconnections = 0".to_owned()),
            (2, "limits.connections_per_ip", "[limits]\nconnections_per_ip = -1".to_owned()),
            (2, "limits.recipients", "[limits]\nrecipients = 100001".to_owned()),
            (2, "limits.message_size", "[limits]\nmessage_size = 0".to_owned()),
            (2, "limits.message_size", "[limits]\nmessage_size = '1M'".to_owned()),
            (2, "limits.command_line: expected 512 to 65536", "[limits]\ncommand_line = 511".to_owned()),
            (2, "limits.text_line", "[limits]\ntext_line = -1".to_owned()),
            (2, "limits.header_size", "[limits]\nheader_size = 999".to_owned()),
            (2, "limits.header_fields", "[limits]\nheader_fields = 9".to_owned()),
            (2, "limits.hops", "[limits]\nhops = 0".to_owned()),
            (2, "limits.body_seconds", "[limits]\nbody_seconds = 0".to_owned()),
            (2, "limits.handshake_seconds", "[limits]\nhandshake_seconds = 0".to_owned()),
            (2, "limits.output_buffer", "[limits]\noutput_buffer = 511".to_owned()),
            (2, "limits.errors", "[limits]\nerrors = 0".to_owned()),
            (2, "limits.junk", "[limits]\njunk = 0".to_owned()),
            (2, "limits.commands", "[limits]\ncommands = 0".to_owned()),
            (2, "limits.auth_attempts", "[limits]\nauth_attempts = 101".to_owned()),
            (2, "limits.auth_attempts_per_ip", "[limits]\nauth_attempts_per_ip = 0".to_owned()),
            (2, "limits.auth_attempts_per_user", "[limits]\nauth_attempts_per_user = 0".to_owned()),
            (2, "limits.command_seconds", "[limits]\ncommand_seconds = 3601".to_owned()),
            (2, "limits.session_seconds", "[limits]\nsession_seconds = 0".to_owned()),
            (2, "limits.min_bytes_per_second", "[limits]\nmin_bytes_per_second = -1".to_owned()),
            (2, "limits.loopback", "[limits]\nloopback = 1".to_owned()),
            (2, "limits.skips", "[limits]\nskips = 1".to_owned()),
        ];
        for (line, start, text) in &cases {
            let error = read(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("relay.toml, line {line}, column ")), "{text}\n{error}");
            assert!(error.contains(&format!(": {start}")), "{text}\n{error}");
        }
    }

    #[test]
    fn what_is_offered_follows_what_there_is() {
        let mechanisms = |text: &str| -> Vec<String> {
            read(text).unwrap().auth.unwrap().mechanisms.iter().map(ToString::to_string).collect()
        };
        let passwords = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"];
        assert_eq!(mechanisms("[auth]\nusers = 'u'"), passwords);
        let pin = format!("[[auth.certificate]]\nspki = '{}'\nuser = 'a'", "0A:".repeat(31) + "0a");
        assert_eq!(mechanisms(&pin), ["EXTERNAL"]);
        assert_eq!(mechanisms(&format!("[auth]\nusers = 'u'\n{pin}")), [&["EXTERNAL"], &passwords[..]].concat());
        assert_eq!(read(&pin).unwrap().tls.clients.pins, [[0x0a; 32]]);
        assert!(!read(&pin).unwrap().tls.clients.allow_server_certificates);
    }

    #[test]
    fn a_listener_is_told_what_its_mode_needs() {
        let text = "hostname = 'mx.test'\nlistener = [{ address = '127.0.0.1:1', mode = 'mx' }, \
                    { address = '127.0.0.1:2', mode = 'submission', tls = 'required' }, \
                    { address = '127.0.0.1:3', mode = 'submissions', tls = 'required' }, \
                    { address = '127.0.0.1:4', mode = 'lmtp', tls = 'starttls' }, \
                    { address = '127.0.0.1:5', mode = 'mx', tls = 'off' }]\n\
                    [auth]\nusers = 'u'\n[limits]\nmessage_size = 5\njunk = 6";
        let config = read(text).unwrap();
        let told: Vec<_> = config.listeners.iter().map(|l| config.session(l, Secret::new([1; 32]), 7)).collect();
        let tls = [TlsMode::StartTls, TlsMode::Required, TlsMode::Implicit, TlsMode::StartTls, TlsMode::Off];
        assert_eq!(told.iter().map(|session| session.tls).collect::<Vec<_>>(), tls);
        let auth: Vec<_> = told.iter().map(|session| session.auth.mechanisms.len()).collect();
        assert_eq!(auth, [0, 3, 3, 0, 0], "only users log in");
        let lines: Vec<_> = told.iter().map(|session| session.limits.text_line).collect();
        assert_eq!(lines, [65_536, 1000, 1000, 65_536, 65_536]);
        let said = read(&format!("{text}\ntext_line = 0")).unwrap();
        assert!(said.listeners.iter().all(|l| said.session(l, Secret::new([1; 32]), 7).limits.text_line == 0));
        assert_eq!((&told[1].auth.secret, told[1].auth.iterations), (&Secret::new([1; 32]), 7));
        assert!(!told[1].auth.delegation);
        let lmtp: Vec<_> = told.iter().map(|session| session.protocol == Protocol::Lmtp).collect();
        assert_eq!(lmtp, [false, false, false, true, false]);
        for session in told {
            assert_eq!((session.hostname.as_str(), session.size, session.limits.junk), ("mx.test", 5, 6));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        let doubts = |text: &str| {
            let doubts = read(text).unwrap().doubts();
            doubts.iter().map(|doubt| doubt.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let users = "listener = [{ address = '127.0.0.1:1', mode = 'submission' }]";
        let (auth, trusted) = ("[auth]\nusers = 'u'", "trusted_networks = ['10.0.0.0/8']");
        assert_eq!(doubts(""), [""; 0]);
        assert_eq!(doubts(&format!("{users}\n{auth}")), [""; 0]);
        assert_eq!(doubts(&format!("{users}\n{trusted}")), [""; 0]);
        assert_eq!(doubts(auth), ["nobody can log in"]);
        assert_eq!(doubts(users), ["nobody can send mail at 127.0.0.1"]);
        let clear = users.replace("'submission'", "'submission', tls = 'off'");
        assert_eq!(doubts(&format!("{clear}\n{auth}")), ["nobody can send mail at 127.0.0.1"]);
        assert_eq!(doubts(&format!("{clear}\n{trusted}\n{auth}")), [""; 0]);
        assert_eq!(doubts("verify.trusted_sealers = ['a.test']"), [""; 0]);
        let sealers = "[verify]\narc = 'off'\ntrusted_sealers = ['a.test']";
        assert_eq!(doubts(sealers), ["trusted_sealers are of no use with `arc = \"off\"`"]);
        let key = "[[dkim]]\ndomain = 'a.test'\nselector = 's'\nkey = '/nonexistent/key.pem'";
        assert_eq!(doubts(key), ["[[dkim]] signs nothing"]);
        assert_eq!(doubts(&format!("{users}\n{trusted}\n{key}")), [""; 0]);
        assert_eq!(doubts("tls.client_ca = 'c'"), ["client_ca is of no use without [[auth.certificate]]"]);
    }

    #[test]
    fn users_may_send_anywhere_only_if_they_can_log_in() {
        let permits = |text: &str| {
            read(text).unwrap().ruling().unwrap().policy().to_string().contains("permit when authenticated")
        };
        assert!(!permits(""));
        assert!(permits("[auth]\nusers = 'u'"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = Config::load("/nonexistent/relay.toml").unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/relay.toml: "), "{error}");
        assert!(error.line.is_none() && error.key.is_none());
    }
}
