//! What the relay is made of, put together from its configuration.

use std::{io, net::IpAddr, sync::Arc};

use hikyaku::{
    Address, AuditLog, Config, Delivery, DeliveryLimits, Dns, Gate, GateLimits, Listener, Maildirs, Mode, Route,
    Service, Store, Users,
    audit::{self, Event},
    dns::{Name, System, SystemError, Timing, Zone, ZoneError},
    policy::{Networks, Policy},
    queue::{DynQueue, Memory, OpenError, Schedule, Spool, SpoolConfig},
    session::{Protocol, server},
    wire::{Code, ForwardPath, Mail, Reply},
};

use crate::Relay;

/// Everything that connections share.
pub(crate) struct Parts {
    pub(crate) policy: Policy,
    pub(crate) delivery: Arc<Delivery<DynQueue, Dns>>,
    pub(crate) audit: Arc<AuditLog>,
    gate: Arc<Gate>,
    trusted: Networks,
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
    #[error("the zone file {path}: {source}")]
    Zone { path: String, source: ZoneError },
    #[error("the resolver: {0}")]
    Resolver(#[from] SystemError),
    #[error(transparent)]
    Policy(#[from] hikyaku::ConfigError),
    #[error("delivery has stopped by itself; what was queued is safe")]
    Delivery,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Parts {
    pub(crate) async fn open(config: Config) -> Result<Self, Problem> {
        let file = |path: &std::path::Path| {
            let path = path.display().to_string();
            move |source| Problem::File { path, source }
        };
        std::fs::create_dir_all(&config.data_dir).map_err(file(&config.data_dir))?;
        let audit = Arc::new(AuditLog::open(&config.audit).map_err(file(&config.audit))?);
        let queue = match config.store {
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
                let text = std::fs::read(path).map_err(file(path))?;
                let zone = Zone::read(&text, &Name::root());
                Dns::from(zone.map_err(|source| Problem::Zone { path: path.display().to_string(), source })?)
            }
            None if config.dns_servers.is_empty() => Dns::from(System::from_configuration(Timing::default())?),
            None => Dns::from(System::from_servers(&config.dns_servers, Timing::default())?),
        };
        let policy = config.policy()?;
        let routes = config.routes();
        let delivery = Arc::new(Delivery {
            queue,
            resolver,
            hostname: config.hostname,
            helo: config.delivery.helo,
            routes,
            maildirs: Maildirs::new(config.maildir),
            directory: config.directory,
            schedule: Schedule::default(),
            limits: DeliveryLimits::default(),
            connect_timeout: config.delivery.connect_timeout,
            mx_port: 25,
            allow_private: false,
            audit: audit.clone(),
        });
        let gate = Arc::new(Gate::new(GateLimits::default()));
        Ok(Self { policy, delivery, audit, gate, trusted: config.trusted_networks })
    }

    /// Says on standard output where the relay listens and what it permits.
    pub(crate) fn announce(&self, listeners: &[(Listener, Mode)]) {
        let started = audit::Started {
            hostname: self.delivery.hostname.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listeners: listeners.iter().map(|(listener, mode)| format!("{} ({mode})", listener.address())).collect(),
        };
        println!("{}", self.policy.summary());
        let mx = listeners.iter().find(|(l, mode)| *mode == Mode::Mx && matches!(l.address(), Address::Tcp(_)));
        if let (Some((listener, _)), Some(domain)) = (mx, self.delivery.routes.local.iter().next()) {
            let user = match &self.delivery.directory.users {
                Users::Any => "alice",
                Users::Listed(users) => users.first().map_or("postmaster", String::as_str),
            };
            let domain = domain.to_string().replace("*.", "mail.");
            println!("send a first mail:");
            println!(
                "  printf 'Subject: hello\\r\\n\\r\\nIt works.\\r\\n' | curl --silent --show-error --url smtp://{} \
                 --mail-from you@example.org --mail-rcpt {user}@{domain} --upload-file -",
                listener.address()
            );
        }
        started.listeners.iter().for_each(|listener| println!("listening on {listener}"));
        self.audit.record(None, None, started);
    }

    pub(crate) fn service(&self, mode: Mode) -> Service {
        let mut config = server::Config::new(&self.delivery.hostname);
        config.protocol = if mode == Mode::Lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        Service { session: Arc::new(config), tls: None, gate: self.gate.clone() }
    }

    pub(crate) fn is_trusted(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|address| self.trusted.contains(address))
    }

    /// Whether there is a mailbox for a recipient, if its mail ends here.
    pub(crate) fn exists(&self, recipient: &ForwardPath) -> bool {
        self.delivery.routes.route(recipient) != Route::Maildir || self.delivery.directory.mailbox(recipient).is_some()
    }
}

impl Relay {
    pub(crate) fn new(parts: Arc<Parts>, mode: Mode, listener: String) -> Self {
        Self {
            parts,
            mode,
            listener,
            session: None,
            peer: None,
            hello: None,
            messages: 0,
            reason: "end of the conversation".to_owned(),
        }
    }

    /// Writes down a fact of this connection.
    pub(crate) fn record(&self, event: impl Into<Event>) {
        self.parts.audit.record(self.session.as_deref(), None, event);
    }

    /// Writes down a decision, with the rule and the reply.
    pub(crate) fn decided(&self, stage: &str, mail: &Mail, recipient: Option<&ForwardPath>, rule: &str, reply: &Reply) {
        self.record(audit::Decision {
            stage: stage.to_owned(),
            peer: self.peer,
            hello: self.hello.as_ref().map(ToString::to_string),
            user: None,
            sender: Some(mail.from.clone()),
            recipient: recipient.cloned(),
            rule: rule.to_owned(),
            reply: reply.clone(),
        });
    }

    /// Writes down what the session has refused without asking.
    pub(crate) fn refused_by_session(&mut self, reply: &Reply) {
        if reply.code() == Code::UNAVAILABLE_421 {
            self.reason = reply.to_string();
        }
        self.record(audit::Decision {
            stage: "session".to_owned(),
            peer: self.peer,
            hello: self.hello.as_ref().map(ToString::to_string),
            user: None,
            sender: None,
            recipient: None,
            rule: "protocol".to_owned(),
            reply: reply.clone(),
        });
    }

    /// Writes down a refusal that concerns the whole transaction, and gives it back.
    pub(crate) fn refuse(&self, stage: &str, mail: &Mail, rule: &str, reply: Reply) -> Reply {
        self.decided(stage, mail, None, rule, &reply);
        reply
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.record(audit::Closed { reason: self.reason.clone(), messages: self.messages });
    }
}
