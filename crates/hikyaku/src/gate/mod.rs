//! How many connections and how many failed logins: what all listeners together allow.

mod attempts;
mod connections;
mod recent;

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use hikyaku_session::server::Limit;
use tokio::sync::watch;

pub(crate) use self::connections::Admitted;
use self::{attempts::Attempts, connections::Connections};

/// The bounds that hold over all connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Connections at once. When four fifths of them are used, a peer has ten seconds for a
    /// command or a handshake, until less than seven tenths are.
    pub connections: usize,
    /// Connections at once of one IPv4 address, or of one IPv6 /64.
    pub connections_per_ip: usize,
    /// Failed logins of one IPv4 address, or of one IPv6 /64, in a quarter of an hour; a
    /// login that succeeds forgets them.
    pub auth_attempts_per_ip: u32,
    /// Failed logins of one user in a quarter of an hour. Addresses from which this user has
    /// logged in within a day are not held back by those of others.
    pub auth_attempts_per_user: u32,
    /// Whether the limits for one address hold for loopback and `exempt` too.
    pub loopback: bool,
    /// Networks for which they do not hold.
    pub exempt: hikyaku_policy::Networks,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            connections: 2000,
            connections_per_ip: 50,
            auth_attempts_per_ip: 20,
            auth_attempts_per_user: 20,
            loopback: false,
            exempt: hikyaku_policy::Networks::default(),
        }
    }
}

/// Counts connections and failed logins over all listeners.
///
/// It remembers live connections, and at most 100,000 addresses and 100,000 users whose logins
/// have failed; where there are more, the oldest are forgotten. A login counts once it has failed:
/// those that are tried at the same moment do not hold each other back.
#[derive(Debug)]
pub struct Gate {
    limits: GateLimits,
    connections: Mutex<Connections>,
    attempts: Mutex<Attempts>,
    crowded: watch::Sender<bool>,
}

impl Gate {
    /// A gate with these bounds.
    pub fn new(limits: GateLimits) -> Self {
        Self {
            limits,
            connections: Mutex::default(),
            attempts: Mutex::new(Attempts::new(Instant::now())),
            crowded: watch::Sender::new(false),
        }
    }

    /// Lets a connection in for as long as the value lives.
    pub(crate) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Admitted, Limit> {
        Admitted::new(self, self.bounded(peer))
    }

    /// Tells when there are so many connections that none may idle.
    pub(crate) fn crowded(&self) -> watch::Receiver<bool> {
        self.crowded.subscribe()
    }

    /// Whether another login may be tried, before anybody looks whether it is right.
    pub(crate) fn may_try(&self, peer: Option<IpAddr>, user: Option<&str>, now: Instant) -> Result<(), Limit> {
        let attempts = lock(&self.attempts);
        if let Some(network) = self.bounded(peer)
            && attempts.of_network(network, now) >= self.limits.auth_attempts_per_ip
        {
            return Err(Limit::AuthAttemptsPerIp);
        }
        if let Some(user) = user
            && attempts.of_user(user, now) >= self.limits.auth_attempts_per_user
            && !attempts.has_been_here(peer.map(network), user, now)
        {
            return Err(Limit::AuthAttemptsPerUser);
        }
        Ok(())
    }

    /// A login has failed.
    pub(crate) fn failed(&self, peer: Option<IpAddr>, user: Option<&str>, now: Instant) {
        lock(&self.attempts).failed(self.bounded(peer), user, now);
    }

    /// A login has succeeded.
    pub(crate) fn succeeded(&self, peer: Option<IpAddr>, user: Option<&str>, now: Instant) {
        lock(&self.attempts).succeeded(peer.map(network), user, now);
    }

    /// What the limits for one address count it as, if they hold for it.
    fn bounded(&self, peer: Option<IpAddr>) -> Option<IpAddr> {
        let address = peer?.to_canonical();
        let exempt = address.is_loopback() || self.limits.exempt.contains(address);
        (self.limits.loopback || !exempt).then(|| network(address))
    }
}

/// The IPv4 address, or the first address of the IPv6 /64: whoever has one has them all.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// The counts are whole between any two statements: a panic elsewhere cannot have spoilt them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
