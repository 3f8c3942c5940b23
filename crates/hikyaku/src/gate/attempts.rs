//! Logins that have failed lately.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Instant,
};

use super::recent::Recent;

/// Minutes for which a failure counts, the one in which it happened included.
const WINDOW: u32 = 15;
/// Minutes for which a place is remembered from which a user has logged in.
const PLACES: u32 = 24 * 60;
/// Entries of each table.
const ROOM: usize = 100_000;

/// Failed logins of each network and of each user.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Minute 0.
    start: Instant,
    /// Users are kept as a hash: neither how long their names are nor who they are matters.
    hasher: RandomState,
    networks: Recent<IpAddr, Failures>,
    users: Recent<u64, Failures>,
    places: Recent<(Option<IpAddr>, u64), u32>,
}

/// Failures in each of the last minutes, in a ring.
#[derive(Clone, Debug, Default)]
struct Failures {
    each: [u32; WINDOW as usize],
    /// The minute of the last of them.
    last: u32,
}

impl Attempts {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            hasher: RandomState::new(),
            networks: Recent::new(WINDOW, ROOM),
            users: Recent::new(WINDOW, ROOM),
            places: Recent::new(PLACES, ROOM),
        }
    }

    pub(super) fn of_network(&self, network: IpAddr, now: Instant) -> u32 {
        self.networks.get(&network).map_or(0, |failures| failures.count(self.minute(now)))
    }

    pub(super) fn of_user(&self, user: &str, now: Instant) -> u32 {
        self.users.get(&self.user(user)).map_or(0, |failures| failures.count(self.minute(now)))
    }

    /// Whether the user has logged in from there lately.
    pub(super) fn has_been_here(&self, network: Option<IpAddr>, user: &str, now: Instant) -> bool {
        let last = self.places.get(&(network, self.user(user)));
        last.is_some_and(|last| self.minute(now).saturating_sub(*last) < PLACES)
    }

    pub(super) fn failed(&mut self, network: Option<IpAddr>, user: Option<&str>, now: Instant) {
        let minute = self.minute(now);
        if let Some(network) = network {
            self.networks.touch(network, minute).add(minute);
        }
        if let Some(user) = user {
            let user = self.user(user);
            self.users.touch(user, minute).add(minute);
        }
    }

    /// The failures of the user stay: they may be a stranger's.
    pub(super) fn succeeded(&mut self, network: Option<IpAddr>, user: Option<&str>, now: Instant) {
        let minute = self.minute(now);
        if let Some(network) = network {
            self.networks.forget(&network);
        }
        if let Some(user) = user {
            let user = self.user(user);
            *self.places.touch((network, user), minute) = minute;
        }
    }

    fn minute(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.start).as_secs() / 60).unwrap_or(u32::MAX)
    }

    /// Capitals are no way to get more attempts.
    fn user(&self, name: &str) -> u64 {
        self.hasher.hash_one(name.to_lowercase())
    }
}

impl Failures {
    fn add(&mut self, minute: u32) {
        for passed in (self.last + 1..=minute).take(WINDOW as usize) {
            self.each[(passed % WINDOW) as usize] = 0;
        }
        self.last = self.last.max(minute);
        let here = &mut self.each[(self.last % WINDOW) as usize];
        *here = here.saturating_add(1);
    }

    fn count(&self, minute: u32) -> u32 {
        let first = minute.saturating_sub(WINDOW - 1);
        let last = self.last;
        let known = (last.saturating_sub(WINDOW - 1)..=last).filter(|then| *then >= first);
        known.fold(0, |sum, then| sum.saturating_add(self.each[(then % WINDOW) as usize]))
    }
}

#[cfg(test)]
impl Attempts {
    /// How many entries each table has.
    pub(super) fn len(&self) -> [usize; 3] {
        [self.networks.len(), self.users.len(), self.places.len()]
    }
}
