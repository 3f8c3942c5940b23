//! The delivery loop: claims what is due, delivers it, settles what became of it.

use std::{collections::HashMap, net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use hikyaku_audit as audit;
use hikyaku_dns::{MailHostsError, Name, Resolver, addresses, mail_hosts};
use hikyaku_queue::{
    Attempt, Claimed, Durability, KeyQuota, Next, Queue, QueueKey, RcptNo, RcptState, Schedule, Settlement, WorkerId,
};
use hikyaku_session::{
    Protocol,
    client::{Config, Envelope, Outcome, Settled},
};
use hikyaku_wire::{Code, EnhancedCode, ForwardPath, Hello, Host, Reply};
use tokio::task::JoinSet;

use crate::{AuditLog, Connection, Directory, Maildirs, Route, Routes, Stop, Target, bounce::Bounce, now, random};

/// How much is done at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// Deliveries at once in all.
    pub workers: usize,
    /// Deliveries at once to one destination, so that a slow one cannot take them all.
    pub workers_per_key: usize,
    /// Messages over one connection before it is closed.
    pub messages_per_connection: usize,
    /// Addresses of one destination that are tried in one attempt.
    pub addresses: usize,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self { workers: 100, workers_per_key: 8, messages_per_connection: 100, addresses: 5 }
    }
}

/// Everything that delivery needs.
#[derive(Debug)]
pub struct Delivery<Q, R> {
    /// Where messages wait.
    pub queue: Q,
    /// Who knows the hosts of a domain.
    pub resolver: R,
    /// The name of this host, in bounces and against mail loops.
    pub hostname: String,
    /// What we say in EHLO.
    pub helo: Hello,
    /// Where bounces go.
    pub routes: Routes,
    /// Where local mail ends.
    pub maildirs: Maildirs,
    /// Whose mailbox it is.
    pub directory: Directory,
    /// When a failed attempt is repeated, and when it is given up.
    pub schedule: Schedule,
    /// How much is done at once.
    pub limits: DeliveryLimits,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// The port of a domain's hosts: 25, except in tests.
    pub mx_port: u16,
    /// Whether the DNS may send us to addresses of this machine or link; never, except in tests.
    pub allow_private: bool,
    /// Where each fact is written down.
    pub audit: Arc<AuditLog>,
}

/// A unit is ours for so long; a process that dies gives all of its units back at once.
const LEASE: Duration = Duration::from_secs(3600);
/// How far ahead the loop looks, and how long it sleeps at the most.
const HORIZON: Duration = Duration::from_secs(60);
/// Destinations that are asked for at a time.
const PAGE: usize = 256;

/// What became of one recipient, and who said so.
struct Result {
    no: RcptNo,
    path: ForwardPath,
    outcome: Outcome,
    by: Option<Remote>,
}

#[derive(Clone)]
struct Remote {
    host: String,
    address: Option<SocketAddr>,
}

impl<Q: Queue, R: Resolver + 'static> Delivery<Q, R> {
    /// Delivers until it is asked to stop; what is running then is finished and settled.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let mut workers: JoinSet<QueueKey> = JoinSet::new();
        let mut active: HashMap<QueueKey, usize> = HashMap::new();
        let mut serial = 0_u64;
        loop {
            let wake = self.start_workers(&mut workers, &mut active, &mut serial, &stop).await;
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(done) = workers.join_next() => {
                    // A worker that panicked keeps its place: its key is not known any more.
                    if let Ok(key) = done && let Some(running) = active.get_mut(&key) {
                        *running -= 1;
                        if *running == 0 {
                            active.remove(&key);
                        }
                    }
                }
                () = self.queue.wait_ready(now().saturating_add(HORIZON)) => {}
                () = tokio::time::sleep(wake) => {}
            }
        }
        while workers.join_next().await.is_some() {}
    }

    /// Starts a worker for every destination that has something due and room left; says after
    /// which time there may be more.
    async fn start_workers(
        self: &Arc<Self>,
        workers: &mut JoinSet<QueueKey>,
        active: &mut HashMap<QueueKey, usize>,
        serial: &mut u64,
        stop: &Stop,
    ) -> Duration {
        let now = now();
        let mut after = None;
        loop {
            let keys = match self.queue.due_keys(now.saturating_add(HORIZON), after.clone(), PAGE).await {
                Ok(keys) => keys,
                Err(error) => {
                    self.audit.trouble(&format!("delivery: {error}"));
                    return HORIZON;
                }
            };
            for due in &keys {
                if due.due > now {
                    return due.due.saturating_since(now).max(Duration::from_millis(1));
                }
                let running = active.entry(due.key.clone()).or_default();
                let waiting = usize::try_from(due.waiting).unwrap_or(usize::MAX);
                while workers.len() < self.limits.workers && *running < self.limits.workers_per_key.min(waiting) {
                    *running += 1;
                    *serial += 1;
                    let (delivery, key, stop) = (self.clone(), due.key.clone(), stop.clone());
                    let who = WorkerId::new(format!("worker-{serial}"));
                    workers.spawn(async move {
                        delivery.work(who, &key, &stop).await;
                        key
                    });
                }
            }
            match keys.last() {
                Some(last) if keys.len() == PAGE => after = Some(last.cursor()),
                _ => return HORIZON,
            }
        }
    }

    /// One unit of a destination after the other, over one connection where that is possible.
    async fn work(&self, who: WorkerId, key: &QueueKey, stop: &Stop) {
        let mut connection = None;
        for _ in 0..self.limits.messages_per_connection {
            if stop.is_requested() {
                break;
            }
            let want = [KeyQuota { key: key.clone(), max: 1 }];
            let claimed = match self.queue.claim(who.clone(), now(), &want, LEASE).await {
                Ok(mut claimed) => claimed.pop(),
                Err(error) => {
                    self.audit.trouble(&format!("delivery to {key}: {error}"));
                    None
                }
            };
            let Some(claimed) = claimed else { break };
            connection = self.unit(claimed, connection).await;
        }
        if let Some((connection, _)) = connection {
            connection.quit().await;
        }
    }

    /// Delivers and settles one unit. The connection comes back if it can be used again.
    async fn unit(&self, claimed: Claimed, connection: Option<(Connection, Remote)>) -> Option<(Connection, Remote)> {
        let (body, results, connection) = match self.queue.body(claimed.lease.unit.msg).await {
            Ok(_) if claimed.expired => (None, self.all(&claimed, &expired()), connection),
            Ok(body) => {
                let (results, connection) = match claimed.key.as_str().parse::<Route>() {
                    Ok(Route::Maildir) => (self.local(&claimed, &body).await, connection),
                    Ok(route) => self.remote(&claimed, &route, &body, connection).await,
                    Err(error) => {
                        let reply = Reply::LOCAL_ERROR_451.append(&format!(": {}: {error}", claimed.key));
                        (self.all(&claimed, &Outcome::ours(reply)), connection)
                    }
                };
                (Some(body), results, connection)
            }
            Err(error) => (None, self.all(&claimed, &Outcome::ours(error.reply())), connection),
        };
        let body = match body {
            Some(body) => Some(body),
            None => self.queue.body(claimed.lease.unit.msg).await.ok(),
        };
        self.settle(claimed, body.as_ref(), results).await;
        connection
    }

    /// The same outcome for every recipient.
    fn all(&self, claimed: &Claimed, outcome: &Outcome) -> Vec<Result> {
        let result = |rcpt: &hikyaku_queue::Rcpt| {
            let last = rcpt.state.attempt().filter(|_| claimed.expired);
            let outcome = last.map_or_else(|| outcome.clone(), |attempt| Outcome::ours(attempt.reply.clone()));
            let by = last.and_then(|a| Some(Remote { host: a.host.clone()?, address: None }));
            Result { no: rcpt.no, path: rcpt.addr.clone(), outcome, by }
        };
        claimed.rcpts.iter().map(result).collect()
    }

    async fn local(&self, claimed: &Claimed, body: &Q::Body) -> Vec<Result> {
        let mut results = Vec::with_capacity(claimed.rcpts.len());
        for rcpt in &claimed.rcpts {
            let (reply, place) = match self.directory.mailbox(&rcpt.addr) {
                None => (Reply::UNKNOWN_USER_550, None),
                Some(mailbox) => {
                    let place = format!("maildir {mailbox}");
                    self.attempt(claimed, std::slice::from_ref(&rcpt.addr), &place, None);
                    let (envelope, which) = (&claimed.envelope, (claimed.lease.unit, rcpt.no));
                    match self.maildirs.deliver(&mailbox, &envelope.sender, which, envelope.received, body).await {
                        Ok(_) => (Reply::OK_250.append(": delivered"), Some(place)),
                        Err(error) => (Reply::LOCAL_ERROR_451.append(&format!(": {error}")), Some(place)),
                    }
                }
            };
            let by = place.map(|host| Remote { host, address: None });
            results.push(Result { no: rcpt.no, path: rcpt.addr.clone(), outcome: Outcome::ours(reply), by });
        }
        results
    }

    async fn remote(
        &self,
        claimed: &Claimed,
        route: &Route,
        body: &Q::Body,
        connection: Option<(Connection, Remote)>,
    ) -> (Vec<Result>, Option<(Connection, Remote)>) {
        let mut envelope =
            Envelope::new(claimed.envelope.sender.clone(), claimed.rcpts.iter().map(|r| r.addr.clone()).collect());
        envelope.body = claimed.envelope.body;
        envelope.smtputf8 = claimed.envelope.smtputf8;
        if let Some((connection, remote)) = connection {
            self.attempt(claimed, &envelope.to, &remote.host, remote.address);
            let (settled, connection) = connection.send(&envelope, body).await;
            // The server may have closed an idle connection: then nothing was tried, and a new
            // connection is worth it.
            if connection.is_some() || settled.iter().any(|s| !matches!(s, Settled::NotTried(_))) {
                let connection = connection.map(|c| (c, remote.clone()));
                return (named(claimed, settled, Some(remote)), connection);
            }
        }
        let targets = match self.targets(route).await {
            Ok(targets) => targets,
            Err(outcome) => return (self.all(claimed, &outcome), None),
        };
        let protocol = match route {
            Route::Host(protocol, _) => *protocol,
            Route::LmtpSocket(_) => Protocol::Lmtp,
            Route::Maildir | Route::Mx(_) => Protocol::Smtp,
        };
        let mut config = Config::new(self.helo.clone());
        config.protocol = protocol;
        let config = Arc::new(config);
        let mut last = (self.all(claimed, &no_address()), None);
        for (host, target) in targets.into_iter().take(self.limits.addresses) {
            let address = match &target {
                Target::Tcp(address) => Some(*address),
                Target::Unix(_) => None,
            };
            let remote = Remote { host, address };
            self.attempt(claimed, &envelope.to, &remote.host, address);
            last = match Connection::open(&target, config.clone(), self.connect_timeout).await {
                Err(outcome) => {
                    let settled = vec![Settled::NotTried(outcome); envelope.to.len()];
                    (named(claimed, settled, Some(remote)), None)
                }
                Ok(connection) => {
                    let (settled, connection) = connection.send(&envelope, body).await;
                    let cut = connection.is_none() && settled.iter().all(|s| matches!(s, Settled::NotTried(_)));
                    let connection = connection.map(|c| (c, remote.clone()));
                    let results = named(claimed, settled, Some(remote));
                    if !cut {
                        return (results, connection);
                    }
                    (results, None)
                }
            };
        }
        last
    }

    /// The addresses to try, in order, each with the name it belongs to.
    async fn targets(&self, route: &Route) -> std::result::Result<Vec<(String, Target)>, Outcome> {
        let (hosts, port) = match route {
            Route::LmtpSocket(path) => {
                return Ok(vec![(format!("unix:{}", path.display()), Target::Unix(path.clone()))]);
            }
            Route::Maildir => return Ok(Vec::new()),
            Route::Host(_, to) => match to.ip() {
                Some(ip) => return Ok(vec![(to.host.clone(), Target::Tcp(SocketAddr::new(ip, to.port)))]),
                None => (vec![name(&to.host)?], to.port),
            },
            Route::Mx(Host::Address(ip)) => {
                self.is_public(*ip).then_some(()).ok_or_else(private)?;
                return Ok(vec![(format!("[{ip}]"), Target::Tcp(SocketAddr::new(*ip, self.mx_port)))]);
            }
            Route::Mx(Host::Domain(domain)) => {
                let own: Vec<Name> = Name::from_domain(&self.hostname).into_iter().collect();
                let random = u64::from_be_bytes(random());
                let hosts = mail_hosts(&self.resolver, &name(domain.as_str())?, &own, random).await;
                (hosts.map_err(|error| no_hosts(&error))?, self.mx_port)
            }
        };
        let by_mx = matches!(route, Route::Mx(_));
        let (mut targets, mut problem) = (Vec::new(), None);
        for host in hosts {
            match addresses(&self.resolver, &host).await {
                Ok(found) => {
                    let usable = found.into_iter().filter(|ip| {
                        let usable = !by_mx || self.is_public(*ip);
                        if !usable {
                            problem = Some(private());
                        }
                        usable
                    });
                    targets.extend(usable.map(|ip| (host.to_string(), Target::Tcp(SocketAddr::new(ip, port)))));
                }
                Err(error) => problem = Some(no_hosts(&MailHostsError::Lookup(error))),
            }
        }
        if targets.is_empty() { Err(problem.unwrap_or_else(no_address)) } else { Ok(targets) }
    }

    /// Whether mail for a foreign domain may be brought to an address: its owner must not make
    /// us talk to services of this machine or this link.
    fn is_public(&self, ip: IpAddr) -> bool {
        let inside = match ip.to_canonical() {
            IpAddr::V4(v4) => {
                v4.is_loopback() || v4.is_unspecified() || v4.is_link_local() || v4.is_broadcast() || v4.is_multicast()
            }
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast()
            }
        };
        self.allow_private || !inside
    }

    async fn settle(&self, claimed: Claimed, body: Option<&Q::Body>, results: Vec<Result>) {
        let now = now();
        let message = claimed.lease.unit.msg.to_string();
        // The connection that brought the message may be long gone: only `queued` names both.
        let record = |event: audit::Event| self.audit.record(None, Some(&message), event);
        let next = self.schedule.next(now, claimed.attempts + 1, u32::from_be_bytes(random()));
        let relayed = claimed.key != Route::Maildir.key();
        let (mut settled, mut failed, mut deferred) = (Vec::new(), Vec::new(), false);
        for Result { no, path, outcome, by } in results {
            let reply = outcome.reply;
            let mut attempt = Attempt::new(now, reply.clone());
            attempt.host = by.as_ref().map(|remote| remote.host.clone());
            attempt.address = by.as_ref().and_then(|remote| remote.address).map(|address| address.ip());
            let by = attempt.host.clone();
            let state = if reply.is_positive() && !claimed.expired {
                record(audit::Delivered { recipient: path, to: by.unwrap_or_default(), reply }.into());
                if relayed { RcptState::Relayed(attempt) } else { RcptState::Delivered(attempt) }
            } else if reply.is_permanent() || claimed.expired {
                record(audit::Failed { recipient: path.clone(), by, reply }.into());
                failed.push((path, attempt.clone()));
                if claimed.expired { RcptState::Expired(attempt) } else { RcptState::Failed(attempt) }
            } else {
                deferred = true;
                record(audit::Deferred { recipient: path, by, reply, next }.into());
                RcptState::Deferred(attempt)
            };
            settled.push((no, state));
        }
        let mut settlement = Settlement::new(if deferred { Next::RetryAt(next) } else { Next::Finish });
        settlement.results = settled;
        let recipients = failed.iter().map(|(path, _)| path.clone()).collect();
        let bounce = Bounce { hostname: &self.hostname, routes: &self.routes, schedule: &self.schedule, now };
        let bounced = match bounce.seal(&self.queue, &claimed, body, failed).await {
            Ok(sealed) => sealed.map(|(sealed, to)| {
                let event = audit::Bounced { to, bounce: sealed.id().to_string(), recipients };
                settlement.follow_up.push(sealed);
                event
            }),
            Err(error) => {
                // Without its bounce the failure must not become final: it is settled next time.
                self.audit.trouble(&format!("bounce of {message}: {error}"));
                let later = now.saturating_add(HORIZON);
                if let Err(error) = self.queue.release(claimed.lease, later).await {
                    self.audit.trouble(&format!("release of {message}: {error}"));
                }
                return;
            }
        };
        let lazy = settlement.results.iter().all(|(_, state)| !state.is_final());
        let durability = if lazy { Durability::Lazy } else { Durability::Sync };
        match self.queue.settle(claimed.lease, settlement, durability).await {
            Ok(_) => bounced.into_iter().for_each(|event| record(event.into())),
            Err(error) => self.audit.trouble(&format!("settlement of {message}: {error}")),
        }
    }

    fn attempt(&self, claimed: &Claimed, recipients: &[ForwardPath], host: &str, address: Option<SocketAddr>) {
        let event = audit::Attempt {
            recipients: recipients.to_vec(),
            host: host.to_owned(),
            address,
            number: claimed.attempts + 1,
            reply: None,
        };
        let message = claimed.lease.unit.msg.to_string();
        self.audit.record(None, Some(&message), event);
    }
}

fn named(claimed: &Claimed, settled: Vec<Settled>, by: Option<Remote>) -> Vec<Result> {
    let result = |(rcpt, settled): (&hikyaku_queue::Rcpt, Settled)| Result {
        no: rcpt.no,
        path: rcpt.addr.clone(),
        outcome: settled.into_outcome(),
        by: by.clone(),
    };
    claimed.rcpts.iter().zip(settled).map(result).collect()
}

fn name(domain: &str) -> std::result::Result<Name, Outcome> {
    Name::from_domain(domain).map_err(|error| ours(Code::MAILBOX_UNAVAILABLE_550, (5, 1, 2), error.to_string()))
}

fn ours(code: Code, (class, subject, detail): (u8, u16, u16), text: String) -> Outcome {
    Outcome::ours(Reply::new(code, EnhancedCode::new(class, subject, detail), text))
}

fn no_hosts(error: &MailHostsError) -> Outcome {
    let (code, enhanced) = match error {
        MailHostsError::NoDomain => (Code::MAILBOX_UNAVAILABLE_550, (5, 1, 2)),
        MailHostsError::NoMail => (Code::DOMAIN_TAKES_NO_MAIL_556, (5, 1, 10)),
        MailHostsError::Loop => (Code::TRANSACTION_FAILED_554, (5, 4, 6)),
        // A failed lookup, or a reason that is not known here: try again later.
        _ => (Code::LOCAL_ERROR_451, (4, 4, 3)),
    };
    ours(code, enhanced, error.to_string())
}

fn no_address() -> Outcome {
    ours(Code::LOCAL_ERROR_451, (4, 4, 4), "no host of the destination has an address".to_owned())
}

fn private() -> Outcome {
    let text = "the destination's hosts have addresses of this machine or link".to_owned();
    ours(Code::MAILBOX_UNAVAILABLE_550, (5, 4, 4), text)
}

fn expired() -> Outcome {
    ours(Code::LOCAL_ERROR_451, (4, 4, 7), "not delivered in time".to_owned())
}
