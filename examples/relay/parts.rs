//! What the relay is made of, put together from its configuration.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use hikyaku::{
    Accounts, Address, AuditLog, Certificates, Config, ControlError, ControlSocket, Current, Delivery, DeliveryLimits,
    Dns, Gate, Intake, Listener, ListenerConfig, Maildirs, Mode, Names, PostgresStore, Screening, ServerTls, Service,
    SigningKeys, SigningKeysError, Store, Submission, TlsError, Users, Verification, audit, control_path,
    dns::{Name, System, SystemError, Timing, TrustAnchors, Zone, ZoneError},
    queue::{DynDraft, DynQueue, Memory, OpenError, Schedule, Spool, SpoolConfig},
    random,
    session::{sasl::Secret, server::TlsMode},
    wire::{Mailbox, Reply},
};

use hikyaku_queue_postgres::{Copies, Postgres, PostgresConfig, PostgresError};

use crate::certificate;

/// Everything that connections share.
pub(crate) struct Parts {
    /// Who decides on clients and their mail.
    pub(crate) screening: Screening<Arc<Dns>>,
    pub(crate) delivery: Arc<Delivery<DynQueue, Arc<Dns>>>,
    /// What signs the mail of users.
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) audit: Arc<AuditLog>,
    /// Who can log in, if anybody can.
    pub(crate) accounts: Option<Arc<Accounts>>,
    /// What the listeners show, if one of them encrypts.
    certificates: Option<Arc<Certificates>>,
    gate: Arc<Gate>,
    secret: Secret,
    pub(crate) config: Config,
}

/// Why the relay cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("cannot use {path}: {source}")]
    File { path: String, source: io::Error },
    #[error("cannot open the queue: {0}")]
    Queue(#[from] OpenError),
    #[error("cannot open the queue: {0}")]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("the zone file {path}: {source}")]
    Zone { path: String, source: ZoneError },
    #[error("the resolver: {0}")]
    Resolver(#[from] SystemError),
    #[error(transparent)]
    Config(#[from] hikyaku::ConfigError),
    #[error(transparent)]
    Signing(#[from] SigningKeysError),
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("the configuration names no file of users: add `users = \"FILE\"` to [auth], and give `--config`")]
    NoUsers,
    #[error("the password: {source}")]
    Password { source: io::Error },
    #[error("delivery has stopped by itself; what was queued is safe")]
    Delivery,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Problem {
    /// Tells the operator.
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("relay: {self}");
        ExitCode::FAILURE
    }
}

/// The queue on a database.
pub(crate) async fn postgres(store: &PostgresStore) -> Result<Postgres, Problem> {
    let mut config = PostgresConfig::new(&store.url)?;
    config.copies = if store.copies == 2 { Copies::Two } else { Copies::One };
    config.ca = store.ca.as_ref().map(|path| fs::read(path).map_err(file(path))).transpose()?;
    Ok(Postgres::connect(config).await?)
}

/// The error of a file.
fn file(path: &Path) -> impl FnOnce(io::Error) -> Problem + use<> {
    let path = path.display().to_string();
    move |source| Problem::File { path, source }
}

impl Parts {
    pub(crate) async fn open(config: Config) -> Result<Self, Problem> {
        fs::create_dir_all(&config.data_dir).map_err(file(&config.data_dir))?;
        let certificates = certificates(&config)?;
        let keys = Arc::new(SigningKeys::load(config.dkim.clone())?);
        let accounts = match &config.auth {
            Some(auth) => Some(Arc::new(Accounts::load(auth, &config.local_domains)?)),
            None => None,
        };
        let secret = match accounts {
            Some(_) => secret(&config.data_dir.join("secret"))?,
            None => Secret::new([0; 32]),
        };
        let audit = Arc::new(AuditLog::open(&config.audit).map_err(file(&config.audit))?);
        let queue = match &config.store {
            Store::Postgres(store) => DynQueue::new(postgres(store).await?),
            Store::Memory => DynQueue::new(Memory::new()),
            Store::Spool => {
                let spool = Spool::open(config.data_dir.join("spool"), SpoolConfig::default()).await?;
                for lost in spool.quarantined() {
                    audit.trouble(&format!("spool: {} is damaged ({}), moved to {}", lost.file, lost.why, lost.now));
                }
                DynQueue::new(spool)
            }
        };
        let resolver = match &config.dns_zone {
            Some(path) => {
                let text = fs::read(path).map_err(file(path))?;
                let zone = Zone::read(&text, &Name::root());
                Dns::from(zone.map_err(|source| Problem::Zone { path: path.display().to_string(), source })?)
            }
            None => {
                let system = match &config.dns_servers[..] {
                    [] => System::from_configuration(Timing::default())?,
                    servers => System::from_servers(servers, Timing::default())?,
                };
                Dns::from(if config.dns_validate { system.validating(&TrustAnchors::Root)? } else { system })
            }
        };
        let (ruling, resolver) = (config.ruling()?, Arc::new(resolver));
        let names = Names { hostname: config.hostname.clone(), authserv_id: config.authserv_id.clone() };
        let verification = Verification::new(resolver.clone(), config.verify.clone(), config.limits.header, names);
        let delivery = Arc::new(Delivery {
            queue,
            resolver,
            hostname: config.hostname.clone(),
            helo: config.delivery.helo.clone(),
            keys: keys.clone(),
            routes: Current::new(ruling.routes().clone()),
            maildirs: Maildirs::new(config.maildir.clone()),
            directory: config.directory.clone(),
            schedule: Schedule::default(),
            limits: DeliveryLimits::default(),
            connect_timeout: config.delivery.connect_timeout,
            mx_port: 25,
            allow_private: false,
            audit: audit.clone(),
        });
        let gate = Arc::new(Gate::new(config.limits.gate.clone()));
        let users = accounts.clone();
        let owns = move |user: &str, address: &Mailbox| users.as_ref().is_some_and(|users| users.owns(user, address));
        let (lists, directory) = (config.lists.clone(), config.directory.clone());
        let screening = Screening::new(ruling, verification, lists, &config.greylist, directory, owns, audit.clone());
        let parts = Self { screening, delivery, keys, audit, accounts, certificates, gate, secret, config };
        let triplets = parts.triplets();
        parts.screening.restore(&triplets).map_err(file(&triplets))?;
        parts.config.doubts().iter().for_each(|doubt| parts.audit.trouble(doubt));
        parts.tell_strays();
        Ok(parts)
    }

    /// Reads certificates, keys and users again. Where something is wrong, what was there before stays.
    pub(crate) fn reload(&self) {
        if let Some(certificates) = &self.certificates {
            self.reloaded("certificates", certificates.reload().err().map(|error| error.to_string()));
        }
        if !self.keys.is_empty() {
            self.reloaded("DKIM keys", self.keys.reload().err().map(|error| error.to_string()));
        }
        if let Some(accounts) = &self.accounts {
            self.reloaded("users", accounts.reload().err().map(|error| error.to_string()));
            self.tell_strays();
        }
        if self.config.policy_file.is_some() {
            self.reload_policy();
        }
    }

    /// What the new policy does differently is told; one that must not be used is not.
    fn reload_policy(&self) {
        let ruling = match self.config.ruling() {
            Ok(ruling) => ruling,
            Err(error) => return self.reloaded("policy", Some(error.to_string())),
        };
        let changes = self.screening.ruling().changes(&ruling);
        changes.iter().for_each(|change| println!("policy: {change}"));
        self.config.waits(&ruling).iter().for_each(|doubt| self.audit.trouble(doubt));
        if let Some(accounts) = &self.accounts {
            accounts.set_local_domains(&ruling.routes().local);
        }
        self.delivery.routes.set(ruling.routes().clone());
        self.screening.rule_by(ruling);
        self.audit.record(None, None, audit::Reloaded { what: "policy".to_owned(), error: None, changes });
    }

    fn reloaded(&self, what: &str, error: Option<String>) {
        if let Some(error) = &error {
            let stay = if what == "policy" { "stays as it was" } else { "stay as they were" };
            self.audit.trouble(&format!("the {what} {stay}: {error}"));
        }
        self.audit.record(None, None, audit::Reloaded { what: what.to_owned(), error, changes: Vec::new() });
    }

    /// Writes down who was seen before.
    pub(crate) fn keep(&self) {
        let file = self.triplets();
        if let Err(error) = self.screening.keep(&file) {
            self.audit.trouble(&format!("cannot write {}: {error}", file.display()));
        }
    }

    fn triplets(&self) -> PathBuf {
        self.config.data_dir.join("greylist")
    }

    fn tell_strays(&self) {
        for user in self.accounts.iter().flat_map(|accounts| accounts.strays()) {
            self.audit
                .trouble(&format!("{user} has a certificate, but is not in the file of users, and cannot log in"));
        }
    }

    /// Says on standard output where the relay listens and what it permits.
    pub(crate) fn announce(&self, listeners: &[(Listener, ListenerConfig)]) {
        let started = audit::Started {
            hostname: self.delivery.hostname.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listeners: listeners.iter().map(|(l, config)| format!("{} ({})", l.address(), config.mode)).collect(),
        };
        let ruling = self.screening.ruling();
        println!("{}", ruling.surface());
        let is_mx = |config: &ListenerConfig| config.mode == Mode::Mx && config.tls != TlsMode::Required;
        let mx = listeners.iter().find(|(l, config)| is_mx(config) && matches!(l.address(), Address::Tcp(_)));
        if let (Some((listener, _)), Some(domain)) = (mx, ruling.routes().local.iter().next()) {
            let user = match &self.delivery.directory.users {
                Users::Any => "alice",
                Users::Listed(users) => users.first().map_or("postmaster", String::as_str),
            };
            let domain = domain.to_string().replace("*.", "mail.");
            println!("send a first mail:");
            println!(
                "  printf 'From: you@sender.test\\r\\nSubject: hello\\r\\n\\r\\nIt works.\\r\\n' | \
                 curl --silent --show-error --url smtp://{} --mail-from you@sender.test --mail-rcpt \
                 {user}@{domain} --upload-file -",
                listener.address()
            );
        }
        started.listeners.iter().for_each(|listener| println!("listening on {listener}"));
        self.audit.record(None, None, started);
    }

    /// The socket for `relay queue`. Without it mail flows all the same.
    pub(crate) fn control(&self) -> Result<Option<ControlSocket>, Problem> {
        match ControlSocket::bind(&control_path(&self.config.data_dir)) {
            Ok(socket) => Ok(Some(socket)),
            Err(error @ ControlError::InUse(_)) => Err(error.into()),
            Err(error) => {
                self.audit.trouble(&format!("`relay queue` cannot reach this relay: {error}"));
                Ok(None)
            }
        }
    }

    /// What the connections of a listener are served with.
    pub(crate) fn service(&self, listener: &ListenerConfig) -> Result<Service, Problem> {
        let iterations = self.accounts.as_ref().map_or(0, |accounts| accounts.iterations());
        let session = Arc::new(self.config.session(listener, self.secret.clone(), iterations));
        let tls = match &self.certificates {
            Some(certificates) if listener.tls != TlsMode::Off => {
                Some(ServerTls::new(certificates.clone(), &self.config.tls.clients)?)
            }
            _ => None,
        };
        Ok(Service { session, tls, gate: self.gate.clone() })
    }

    /// Room for a message.
    pub(crate) async fn intake(&self, size: Option<u64>) -> Result<Intake<DynDraft>, Reply> {
        let Config { limits, authserv_id, .. } = &self.config;
        Intake::open(&self.delivery.queue, size, limits.header, authserv_id).await
    }

    /// Whether a user may send as an address.
    pub(crate) fn owns(&self, user: &str, address: &Mailbox) -> bool {
        self.accounts.as_ref().is_some_and(|accounts| accounts.owns(user, address))
    }

    /// What is asked of a message that comes from a user, or from a network that is trusted like one.
    pub(crate) fn submission(parts: &Arc<Self>, user: Option<&str>) -> Submission {
        let owns = user.map(|user| {
            let (parts, user) = (parts.clone(), user.to_owned());
            Arc::new(move |address: &Mailbox| parts.owns(&user, address)) as Arc<_>
        });
        Submission { hostname: parts.config.hostname.clone(), owns }
    }
}

/// What the listeners show: the configured certificates, or else one that is made here.
fn certificates(config: &Config) -> Result<Option<Arc<Certificates>>, Problem> {
    let mut files = config.tls.certificates.clone();
    if config.listeners.iter().all(|listener| listener.tls == TlsMode::Off) && files.is_empty() {
        return Ok(None);
    }
    if files.is_empty() {
        files.push(certificate::self_signed(&config.data_dir, &config.hostname)?);
    }
    Ok(Some(Certificates::load(files)?))
}

/// What makes the answers to users who do not exist the same for as long as there are users.
fn secret(path: &Path) -> Result<Secret, Problem> {
    let octets = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let octets = random::<32>();
            let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            new.and_then(|mut new| new.write_all(&octets).and_then(|()| new.sync_all())).map_err(file(path))?;
            octets.to_vec()
        }
        octets => octets.map_err(file(path))?,
    };
    let octets = octets.try_into().map_err(|_| io::Error::other("expected 32 octets; remove it, and it is made anew"));
    octets.map(Secret::new).map_err(file(path))
}
