//! The delivery loop: claims what is due, delivers it, settles what became of it.

mod attempt;
mod board;
mod closing;
mod hold;
mod settle;
mod targets;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hikyaku_dns::Resolver;
use hikyaku_queue::{Claimed, Health, KeyQuota, Manage, Queue, QueueError, Schedule, WorkerId};
use hikyaku_wire::Hello;
use tokio::{
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use self::{
    attempt::{Met, Tried},
    board::{Board, Place},
    hold::Hold,
};
use crate::{AuditLog, Connection, Current, Directory, Maildirs, Route, Routes, SigningKeys, Stop, now};

/// How much is done at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// Deliveries to other hosts at once in all. Local ones do not count.
    pub workers: usize,
    /// Deliveries at once to one destination. A destination begins with two, gets one more for
    /// each that succeeds, and falls back to one when it fails: a slow one cannot take the
    /// place of the others.
    pub workers_per_key: usize,
    /// Messages over one connection before it is closed.
    pub messages_per_connection: usize,
    /// Addresses of one destination that are tried in one attempt.
    pub addresses: usize,
    /// How long a running delivery may go on after a request to stop.
    pub grace: Duration,
    /// A unit is ours for so long, and longer while its delivery goes on: each fifth of it the
    /// lease is made as long again.
    pub lease: Duration,
    /// Nothing is begun, and no message is ended, while less than this is left of the lease. A
    /// worker that cannot make it longer stops then, and writes nothing: another one will.
    pub margin: Duration,
    /// A destination that cannot be reached is closed until one delivery tries again: as long as
    /// the schedule says for so many failures in a row, but no longer than this.
    pub probe: Duration,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            workers: 300,
            workers_per_key: 8,
            messages_per_connection: 100,
            addresses: 5,
            grace: Duration::from_secs(30),
            lease: Duration::from_secs(300),
            margin: Duration::from_secs(60),
            probe: Duration::from_secs(3600),
        }
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
    /// What signs bounces.
    pub keys: Arc<SigningKeys>,
    /// Where bounces go.
    pub routes: Current<Routes>,
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

/// How far ahead the loop looks, and how long it sleeps at the most.
const HORIZON: Duration = Duration::from_secs(60);
/// Destinations that are asked for at a time.
const PAGE: usize = 256;

/// Who is at the other end of a connection.
#[derive(Clone)]
struct Remote {
    host: String,
    address: Option<SocketAddr>,
}

/// A connection that may be used again.
type Reusable = Option<(Connection, Remote)>;

impl<Q: Queue + Manage, R: Resolver + 'static> Delivery<Q, R> {
    /// Delivers until it is asked to stop. What is running then may finish within the grace time
    /// of the limits; what has not begun to send goes back to the queue at once.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let (mut remote, mut local) = (JoinSet::new(), JoinSet::new());
        let board = Arc::new(Board::default());
        let mut serial = 0_u64;
        let mut sweep = interval(closing::SWEEP);
        self.recall(&board).await;
        loop {
            let wake = self.start_workers((&mut remote, &mut local), &board, &mut serial, &stop).await;
            tokio::select! {
                biased;
                () = stop.requested() => break,
                // A worker that panicked has been reported by the panic hook.
                Some(_) = remote.join_next() => {}
                Some(_) = local.join_next() => {}
                () = board.room.notified() => {}
                _ = sweep.tick() => self.sweep().await,
                () = self.queue.wait_ready(now().saturating_add(HORIZON)) => {}
                () = sleep(wake) => {}
            }
        }
        let finish = async {
            while remote.join_next().await.is_some() {}
            while local.join_next().await.is_some() {}
        };
        if timeout(self.limits.grace, finish).await.is_err() {
            remote.shutdown().await;
            local.shutdown().await;
        }
    }

    /// Starts workers for every destination that has something due and room left; says after
    /// which time there may be more.
    async fn start_workers(
        self: &Arc<Self>,
        (remote, local): (&mut JoinSet<()>, &mut JoinSet<()>),
        board: &Arc<Board>,
        serial: &mut u64,
        stop: &Stop,
    ) -> Duration {
        // What cannot be settled must not be sent: it would be sent again and again.
        if let Health::ReadOnly(why) | Health::Failed(why) = self.queue.health() {
            self.audit.trouble(&format!("delivery waits: {why}"));
            return HORIZON;
        }
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
                let is_local = due.key == Route::Maildir.key();
                // A worker too many claims nothing and ends. What waits may be an overrun lease.
                for _ in 0..due.waiting.max(1) {
                    if !is_local && remote.len() >= self.limits.workers {
                        break;
                    }
                    let Some(place) = board.start(&due.key, self.limits.workers_per_key) else { break };
                    *serial += 1;
                    let who = WorkerId::new(format!("worker-{serial}"));
                    let (delivery, stop) = (self.clone(), stop.clone());
                    let set = if is_local { &mut *local } else { &mut *remote };
                    set.spawn(async move { delivery.work(who, &place, stop).await });
                }
            }
            match keys.last() {
                Some(last) if keys.len() == PAGE => after = Some(last.cursor()),
                _ => return HORIZON,
            }
        }
    }

    /// One unit of a destination after the other, over one connection where that is possible.
    async fn work(&self, who: WorkerId, place: &Place, mut stop: Stop) {
        let mut connection = None;
        for _ in 0..self.limits.messages_per_connection {
            if stop.is_requested() {
                break;
            }
            let before = place.failures();
            let want = [KeyQuota { key: place.key.clone(), max: 1 }];
            let hold = Hold::new(self.limits.lease, self.limits.margin);
            let claimed = match self.queue.claim(who.clone(), now(), &want, self.limits.lease).await {
                Ok(mut claimed) => claimed.pop(),
                Err(error) => {
                    self.audit.trouble(&format!("delivery to {}: {error}", place.key));
                    None
                }
            };
            let Some(claimed) = claimed else { break };
            let met;
            (met, connection) = self.unit(claimed, &hold, connection, &mut stop).await;
            match met {
                Met::Answered => {
                    if place.answered(self.limits.workers_per_key) {
                        self.reopen(&place.key).await;
                    }
                }
                Met::Unreachable => {
                    if let Some(failures) = place.unreachable(before) {
                        self.close(&place.key, failures).await;
                    }
                    break;
                }
                Met::Failed => {
                    place.slowed();
                    if connection.is_none() {
                        break;
                    }
                }
                Met::Nothing => {}
            }
        }
        if let Some((connection, _)) = connection {
            connection.quit().await;
        }
    }

    /// Delivers and settles one unit; says what was met there, and gives the connection back if it
    /// can be used again.
    async fn unit(&self, claimed: Claimed, hold: &Hold, connection: Reusable, stop: &mut Stop) -> (Met, Reusable) {
        let body = self.queue.body(claimed.lease.unit.msg).await;
        let lease = claimed.lease;
        let (tried, connection) = {
            let delivery = self.attempt(&claimed, hold, body.as_ref(), connection, stop);
            let renewal = self.renew(&claimed, hold);
            tokio::pin!(delivery, renewal);
            tokio::select! {
                biased;
                // Whoever has the unit now says what becomes of it.
                () = hold.is_over() => {
                    self.audit.trouble(&format!("the lease of {} ran out before its delivery was over", lease.unit));
                    return (Met::Nothing, None);
                }
                () = &mut renewal => return (Met::Nothing, None),
                done = &mut delivery => done,
            }
        };
        let Some(Tried { results, met }) = tried else {
            if let Err(error) = self.queue.release(lease, now()).await {
                self.audit.trouble(&format!("release of {}: {error}", lease.unit));
            }
            return (Met::Nothing, None);
        };
        self.settle(claimed, body.as_ref().ok(), results).await;
        (met, connection)
    }

    /// Makes the lease longer while its delivery goes on; ends when it is lost.
    async fn renew(&self, claimed: &Claimed, hold: &Hold) {
        let mut lease = claimed.lease;
        let mut renewal = interval((self.limits.lease / 5).max(Duration::from_millis(1)));
        renewal.tick().await;
        loop {
            renewal.tick().await;
            let by = hold.gone(self.limits.lease);
            match self.queue.extend(&lease, by).await {
                Ok(extended) => {
                    lease = extended;
                    hold.extended(by);
                }
                Err(error) => {
                    self.audit.trouble(&format!("lease of {}: {error}", lease.unit));
                    if matches!(error, QueueError::LeaseLost) {
                        return;
                    }
                }
            }
        }
    }
}
