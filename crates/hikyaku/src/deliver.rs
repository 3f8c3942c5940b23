//! The delivery loop: claims what is due, delivers it, settles what became of it.

mod attempt;
mod settle;
mod targets;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hikyaku_dns::Resolver;
use hikyaku_queue::{Claimed, Health, KeyQuota, Queue, QueueKey, Schedule, WorkerId};
use hikyaku_wire::Hello;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use crate::{AuditLog, Connection, Current, Directory, Maildirs, Route, Routes, SigningKeys, Stop, now};

/// How much is done at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// Deliveries to other hosts at once in all. Local ones do not count.
    pub workers: usize,
    /// Deliveries at once to one destination. A destination begins with two, gets one more for
    /// each that succeeds, and falls back to one when it fails: a dead one cannot take the
    /// place of the others.
    pub workers_per_key: usize,
    /// Messages over one connection before it is closed.
    pub messages_per_connection: usize,
    /// Addresses of one destination that are tried in one attempt.
    pub addresses: usize,
    /// How long a running delivery may go on after a request to stop.
    pub grace: Duration,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            workers: 300,
            workers_per_key: 8,
            messages_per_connection: 100,
            addresses: 5,
            grace: Duration::from_secs(30),
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

/// A unit is ours for so long, and longer while its delivery goes on.
const LEASE: Duration = Duration::from_secs(600);
/// How far ahead the loop looks, and how long it sleeps at the most.
const HORIZON: Duration = Duration::from_secs(60);
/// Destinations that are asked for at a time.
const PAGE: usize = 256;
/// Deliveries at once to a destination of which nothing is known yet.
const FIRST: usize = 2;

/// Destinations of which it is known that they failed, at the most.
const REMEMBERED: usize = 10_000;

/// What a destination has shown of itself.
#[derive(Debug)]
struct Destination {
    running: usize,
    window: usize,
}

/// The destinations that are being worked on, and a bell for when there is room for more.
#[derive(Debug, Default)]
struct Board {
    destinations: Mutex<HashMap<QueueKey, Destination>>,
    room: Notify,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueKey, Destination>> {
        self.destinations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for one more worker, if there is one.
    fn start(self: &Arc<Self>, key: &QueueKey, most: usize) -> Option<Place> {
        let mut destinations = self.lock();
        if destinations.len() >= REMEMBERED {
            destinations.retain(|_, destination| destination.running > 0);
        }
        let destination = destinations.entry(key.clone()).or_insert(Destination { running: 0, window: FIRST });
        (destination.running < destination.window.min(most)).then(|| {
            destination.running += 1;
            Place { board: self.clone(), key: key.clone() }
        })
    }
}

/// A worker's place at a destination; it is free again when this is dropped, by a panic too.
struct Place {
    board: Arc<Board>,
    key: QueueKey,
}

impl Place {
    fn learn(&self, succeeded: bool, most: usize) {
        if let Some(destination) = self.board.lock().get_mut(&self.key) {
            destination.window = if succeeded { (destination.window + 1).min(most) } else { 1 };
        }
        if succeeded {
            self.board.room.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut destinations = self.board.lock();
        if let Some(destination) = destinations.get_mut(&self.key) {
            destination.running -= 1;
            // What is idle and healthy need not be remembered.
            if destination.running == 0 && destination.window >= FIRST {
                destinations.remove(&self.key);
            }
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone)]
struct Remote {
    host: String,
    address: Option<SocketAddr>,
}

/// A connection that may be used again.
type Reusable = Option<(Connection, Remote)>;

impl<Q: Queue, R: Resolver + 'static> Delivery<Q, R> {
    /// Delivers until it is asked to stop. What is running then may finish within the grace time
    /// of the limits; what has not begun to send goes back to the queue at once.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let (mut remote, mut local) = (JoinSet::new(), JoinSet::new());
        let board = Arc::new(Board::default());
        let mut serial = 0_u64;
        loop {
            let wake = self.start_workers((&mut remote, &mut local), &board, &mut serial, &stop).await;
            tokio::select! {
                biased;
                () = stop.requested() => break,
                // A worker that panicked has been reported by the panic hook.
                Some(_) = remote.join_next() => {}
                Some(_) = local.join_next() => {}
                () = board.room.notified() => {}
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
            let want = [KeyQuota { key: place.key.clone(), max: 1 }];
            let claimed = match self.queue.claim(who.clone(), now(), &want, LEASE).await {
                Ok(mut claimed) => claimed.pop(),
                Err(error) => {
                    self.audit.trouble(&format!("delivery to {}: {error}", place.key));
                    None
                }
            };
            let Some(claimed) = claimed else { break };
            let succeeded;
            (succeeded, connection) = self.unit(claimed, connection, &mut stop).await;
            place.learn(succeeded, self.limits.workers_per_key);
            if !succeeded && connection.is_none() {
                break;
            }
        }
        if let Some((connection, _)) = connection {
            connection.quit().await;
        }
    }

    /// Delivers and settles one unit; says whether the destination answered, and gives the
    /// connection back if it can be used again.
    async fn unit(&self, mut claimed: Claimed, connection: Reusable, stop: &mut Stop) -> (bool, Reusable) {
        let body = self.queue.body(claimed.lease.unit.msg).await;
        let mut lease = claimed.lease;
        let (results, connection) = {
            let delivery = self.attempt(&claimed, body.as_ref(), connection, stop);
            tokio::pin!(delivery);
            let mut renewal = interval(LEASE / 3);
            renewal.tick().await;
            loop {
                tokio::select! {
                    done = &mut delivery => break done,
                    _ = renewal.tick() => match self.queue.extend(&lease, LEASE).await {
                        Ok(extended) => lease = extended,
                        Err(error) => self.audit.trouble(&format!("lease of {}: {error}", lease.unit)),
                    }
                }
            }
        };
        claimed.lease = lease;
        let Some(results) = results else {
            if let Err(error) = self.queue.release(lease, now()).await {
                self.audit.trouble(&format!("release of {}: {error}", lease.unit));
            }
            return (false, None);
        };
        let answered = results.iter().any(attempt::Result::is_answered);
        self.settle(claimed, body.as_ref().ok(), results).await;
        (answered, connection)
    }
}
