//! One attempt to deliver a unit.

use std::{net::SocketAddr, sync::Arc};

use hikyaku_audit as audit;
use hikyaku_dns::Resolver;
use hikyaku_queue::{Claimed, Queue, QueueError, Rcpt, RcptNo};
use hikyaku_session::{
    Protocol,
    client::{By, Config, Envelope, Outcome, Settled, TlsMode},
};
use hikyaku_wire::{Code, ForwardPath, Reply};

use super::{
    Delivery, Hold, Remote, Reusable,
    targets::{no_address, ours},
};
use crate::{ClientTls, Connection, OpenError, Route, Stop, Target};

/// What became of one recipient, and who said so.
pub(super) struct Result {
    pub(super) no: RcptNo,
    pub(super) path: ForwardPath,
    pub(super) outcome: Outcome,
    pub(super) by: Option<Remote>,
}

/// What an attempt came to.
pub(super) struct Tried {
    pub(super) results: Vec<Result>,
    pub(super) met: Met,
}

/// What an attempt shows of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// It is alive: it took the mail, or said itself why not.
    Answered,
    /// It could not be spoken to, and that may change: no address, no connection, no greeting.
    Unreachable,
    /// Something went wrong while it was spoken to.
    Failed,
    /// Nothing: it was not asked.
    Nothing,
}

impl Tried {
    /// Results that came out of a conversation.
    fn spoken(results: Vec<Result>) -> Option<Self> {
        let met = if results.iter().any(Result::is_answered) { Met::Answered } else { Met::Failed };
        Some(Self { results, met })
    }

    fn new(results: Vec<Result>, met: Met) -> Option<Self> {
        Some(Self { results, met })
    }
}

impl Result {
    fn is_answered(&self) -> bool {
        self.outcome.reply.is_positive() || self.outcome.by == By::Remote
    }
}

impl<Q: Queue, R: Resolver + 'static> Delivery<Q, R> {
    /// Delivers to every recipient of the unit. `None`: it was asked to stop before anything was
    /// sent, or not enough was left of the lease.
    pub(super) async fn attempt(
        &self,
        claimed: &Claimed,
        hold: &Hold,
        body: std::result::Result<&Q::Body, &QueueError>,
        connection: Reusable,
        stop: &mut Stop,
    ) -> (Option<Tried>, Reusable) {
        if claimed.expired {
            return (Tried::new(expired(claimed), Met::Nothing), connection);
        }
        if !hold.may_begin() {
            return (None, connection);
        }
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                return (Tried::new(all(claimed, &Outcome::ours(error.reply())), Met::Nothing), connection);
            }
        };
        match claimed.key.as_str().parse::<Route>() {
            Ok(Route::Maildir) => (Tried::spoken(self.local(claimed, body).await), connection),
            Ok(route) => self.remote(claimed, hold, &route, body, connection, stop).await,
            Err(error) => {
                let reply = Reply::LOCAL_ERROR_451.append(&format!(": {}: {error}", claimed.key));
                (Tried::new(all(claimed, &Outcome::ours(reply)), Met::Nothing), connection)
            }
        }
    }

    async fn local(&self, claimed: &Claimed, body: &Q::Body) -> Vec<Result> {
        let mut results = Vec::with_capacity(claimed.rcpts.len());
        for rcpt in &claimed.rcpts {
            let (reply, place) = match self.directory.mailbox(&rcpt.addr) {
                None => (Reply::UNKNOWN_USER_550, None),
                Some(mailbox) => {
                    let place = format!("maildir {mailbox}");
                    self.begin(claimed, std::slice::from_ref(&rcpt.addr), &place, None);
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
        hold: &Hold,
        route: &Route,
        body: &Q::Body,
        connection: Reusable,
        stop: &mut Stop,
    ) -> (Option<Tried>, Reusable) {
        let may_end = || hold.commit();
        let mut envelope =
            Envelope::new(claimed.envelope.sender.clone(), claimed.rcpts.iter().map(|r| r.addr.clone()).collect());
        envelope.body = claimed.envelope.body;
        envelope.smtputf8 = claimed.envelope.smtputf8;
        if let Some((connection, remote)) = connection {
            self.begin(claimed, &envelope.to, &remote.host, remote.address);
            let (settled, connection) = connection.send_if(&envelope, body, &may_end).await;
            // A server may be tired of a connection that was used before: then nothing was
            // tried, and a new one is worth it.
            if connection.is_some() || !settled.iter().all(is_tired) {
                let connection = connection.map(|c| (c, remote.clone()));
                return (Tried::spoken(named(claimed, settled, Some(remote))), connection);
            }
            hold.begin_again();
        }
        let targets = match self.targets(route).await {
            Ok(targets) => targets,
            Err(outcome) => {
                // What the DNS says for good is about each message, and nothing that will pass.
                let met = if outcome.reply.is_transient() { Met::Unreachable } else { Met::Nothing };
                return (Tried::new(all(claimed, &outcome), met), None);
            }
        };
        let mut config = Config::new(self.helo.clone());
        config.protocol = match route {
            Route::Host(protocol, _) => *protocol,
            Route::LmtpSocket(_) => Protocol::Lmtp,
            Route::Maildir | Route::Mx(_) => Protocol::Smtp,
        };
        let config = Arc::new(config);
        let mut last: Option<(Vec<Settled>, Remote)> = None;
        let mut is_spoken = false;
        for (host, target) in targets.into_iter().take(self.limits.addresses) {
            let address = match &target {
                Target::Tcp(address) => Some(*address),
                Target::Unix(_) => None,
            };
            let remote = Remote { host, address };
            if !hold.may_begin() {
                return (None, None);
            }
            self.begin(claimed, &envelope.to, &remote.host, address);
            let opened = tokio::select! {
                biased;
                () = stop.requested() => return (None, None),
                opened = self.open(&target, &remote.host, &config) => opened,
            };
            let settled = match opened {
                Err(outcome) => vec![Settled::NotTried(outcome); envelope.to.len()],
                Ok(connection) => {
                    is_spoken = true;
                    let (settled, connection) = connection.send_if(&envelope, body, &may_end).await;
                    if connection.is_some() || !settled.iter().all(is_cut) {
                        let connection = connection.map(|c| (c, remote.clone()));
                        return (Tried::spoken(named(claimed, settled, Some(remote))), connection);
                    }
                    hold.begin_again();
                    settled
                }
            };
            // Only if every host said no for good is it no for good.
            if last.as_ref().is_none_or(|(earlier, _)| !earlier.iter().any(is_transient)) {
                last = Some((settled, remote));
            }
        }
        let results = match last {
            Some((settled, remote)) => named(claimed, settled, Some(remote)),
            None => all(claimed, &no_address()),
        };
        if !is_spoken && results.iter().all(|result| result.outcome.reply.is_transient()) {
            return (Tried::new(results, Met::Unreachable), None);
        }
        (Tried::spoken(results), None)
    }

    /// Connects, with TLS if the host has it: to whoever that is, and rather without than not at
    /// all (RFC 7435). What was said without TLS before a handshake that fails is no mail.
    async fn open(
        &self,
        target: &Target,
        host: &str,
        config: &Arc<Config>,
    ) -> std::result::Result<Connection, Outcome> {
        let tls = match (target, config.protocol) {
            (Target::Tcp(_), Protocol::Smtp) => ClientTls::unverified(host.trim_matches(['[', ']'])).ok(),
            // Between this machine's own parts, or those of a site.
            (Target::Unix(_), _) | (_, Protocol::Lmtp) => None,
        };
        if let Some(tls) = tls {
            let wanted = Config { tls: TlsMode::StartTls, ..Config::clone(config) };
            match Connection::open(target, wanted.into(), Some(&tls), self.connect_timeout).await {
                Err(OpenError::Handshake(_)) => {}
                opened => return opened.map_err(OpenError::into_outcome),
            }
        }
        let opened = Connection::open(target, config.clone(), None, self.connect_timeout).await;
        opened.map_err(OpenError::into_outcome)
    }

    fn begin(&self, claimed: &Claimed, recipients: &[ForwardPath], host: &str, address: Option<SocketAddr>) {
        let event = audit::Attempt {
            recipients: recipients.to_vec(),
            host: host.to_owned(),
            address,
            number: claimed.attempts + 1,
            reply: None,
        };
        self.audit.record(None, Some(&claimed.lease.unit.msg.to_string()), event);
    }
}

/// Nothing was handed over, and another host may take it: it is not the message's own fault.
fn is_cut(settled: &Settled) -> bool {
    matches!(settled, Settled::NotTried(outcome) if !(outcome.by == By::Us && outcome.reply.is_permanent()))
}

/// The same for a connection that was used before, on which a 421 may come at any time.
fn is_tired(settled: &Settled) -> bool {
    matches!(settled, Settled::Said(reply) if reply.code() == Code::UNAVAILABLE_421) || is_cut(settled)
}

fn is_transient(settled: &Settled) -> bool {
    matches!(settled, Settled::NotTried(outcome) if outcome.reply.is_transient())
}

/// The same outcome for every recipient.
fn all(claimed: &Claimed, outcome: &Outcome) -> Vec<Result> {
    let result = |rcpt: &Rcpt| Result { no: rcpt.no, path: rcpt.addr.clone(), outcome: outcome.clone(), by: None };
    claimed.rcpts.iter().map(result).collect()
}

/// What was said last of each recipient, now for good.
fn expired(claimed: &Claimed) -> Vec<Result> {
    let result = |rcpt: &Rcpt| {
        let last = rcpt.state.attempt();
        let outcome = match last {
            Some(attempt) => Outcome::ours(attempt.reply.clone()),
            None => ours(Code::LOCAL_ERROR_451, (4, 4, 7), "not delivered in time".to_owned()),
        };
        let by = last.and_then(|a| Some(Remote { host: a.host.clone()?, address: None }));
        Result { no: rcpt.no, path: rcpt.addr.clone(), outcome, by }
    };
    claimed.rcpts.iter().map(result).collect()
}

fn named(claimed: &Claimed, settled: Vec<Settled>, by: Option<Remote>) -> Vec<Result> {
    let result = |(rcpt, settled): (&Rcpt, Settled)| Result {
        no: rcpt.no,
        path: rcpt.addr.clone(),
        outcome: settled.into_outcome(),
        by: by.clone(),
    };
    claimed.rcpts.iter().zip(settled).map(result).collect()
}
