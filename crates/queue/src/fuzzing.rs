//! What the fuzzers call: files of a spool, and moves of the queue beside a naive model of it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::{Reply, ReversePath, Timestamp};

use crate::suite::block_on;
use crate::{
    Action, Attempt, CountBy, Draft, Durability, Envelope, Filter, Gate, HoldReason, KeyQuota, Lease, Manage, Memory,
    MsgId, NewRcpt, NewUnit, Next, Queue, QueueKey, RcptNo, RcptState, Settlement, SizeHint, StateKind, UnitId,
    UnitState, WorkerId,
};

/// Records of a spool's journal: what can be read can be written, and read again as the same.
#[cfg(feature = "spool")]
pub fn record(data: &[u8]) {
    crate::spool::round_trip(data);
}

/// Moves of the queue, three bytes each; after each it says the same as the model.
pub fn moves(data: &[u8]) {
    let mut pair = Pair::default();
    for step in data.chunks_exact(3).take(200) {
        block_on(pair.step(step[0], step[1], step[2]));
        block_on(pair.compare());
    }
}

const LEASE: Duration = Duration::from_secs(300);

#[derive(Default)]
struct Pair {
    queue: Memory,
    units: BTreeMap<UnitId, Unit>,
    gates: BTreeMap<QueueKey, Gate>,
    leases: Vec<Lease>,
    messages: u8,
    minutes: i64,
}

#[derive(Clone)]
struct Unit {
    key: QueueKey,
    due: Timestamp,
    expires: Timestamp,
    held: bool,
    lease: Option<Held>,
    attempts: u32,
}

#[derive(Clone)]
struct Held {
    lease: Lease,
    expired: bool,
    asked: Option<Timestamp>,
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000 + minutes * 60_000)
}

fn key(n: u8) -> QueueKey {
    QueueKey::new(["a", "b", "c"][usize::from(n % 3)])
}

impl Pair {
    async fn step(&mut self, op: u8, a: u8, b: u8) {
        let later = at(self.minutes + i64::from(b % 16));
        match op % 10 {
            0 => self.commit(a, b).await,
            1 => self.minutes += i64::from(a.cast_signed() / 8),
            2 => self.claim(&key(a), u32::from(b % 4)).await,
            3 => self.settle(a, Next::RetryAt(later), &RcptState::Deferred).await,
            4 => self.settle(a, Next::Finish, &RcptState::Relayed).await,
            5 => self.settle(a, Next::Hold(HoldReason::new("x")), &RcptState::Deferred).await,
            6 => self.release_or_extend(a, later, b & 16 == 0).await,
            7 => self.gate(key(a), [Gate::Open, Gate::Paused, Gate::NotBefore(later)][usize::from(b % 3)]).await,
            _ => self.act(a, b, later).await,
        }
    }

    async fn commit(&mut self, a: u8, b: u8) {
        if self.messages == 12 {
            return;
        }
        self.messages += 1;
        let msg = MsgId::new(at(i64::from(self.messages)), [a; 10]);
        let mut units = Vec::new();
        for (unit, n) in (0..=u16::from(a & 1)).zip([a, b]) {
            let due = at(self.minutes + i64::from(n % 8));
            let expires = at(self.minutes + i64::from(n % 32));
            let mut new = NewUnit::new(key(n), due, expires).with(NewRcpt::new("<r@r.test>".parse().expect("a path")));
            new.hold = (n > 200).then(|| HoldReason::new("x"));
            let (due, held) = (due.min(expires), new.hold.is_some());
            let model = Unit { key: key(n), due, expires, held, lease: None, attempts: 0 };
            self.units.insert(UnitId { msg, unit }, model);
            units.push(new);
        }
        let draft = self.queue.draft(msg, SizeHint::UNKNOWN).await.expect("memory has room");
        let commit = draft.commit(Envelope::new(ReversePath::Null, at(0)), Bytes::new(), units, None);
        assert!(!commit.await.expect("a commit").duplicate);
    }

    async fn claim(&mut self, key: &QueueKey, max: u32) {
        let now = at(self.minutes);
        let want = [KeyQuota { key: key.clone(), max }];
        let claimed = self.queue.claim(WorkerId::new("w"), now, &want, LEASE).await.expect("a claim");
        let mut due = Vec::new();
        if self.opens(key).is_some_and(|from| from <= now) {
            for (id, unit) in self.units.iter_mut().filter(|(_, unit)| unit.key == *key) {
                if let Some(held) = unit.lease.clone().filter(|held| held.lease.expires <= now) {
                    unit.due = held.asked.unwrap_or(unit.due);
                    if unit.held || held.asked.is_some_and(|asked| asked > now) {
                        unit.lease = None;
                    } else {
                        due.push((unit.due, *id));
                    }
                } else if unit.lease.is_none() && !unit.held && unit.due <= now {
                    due.push((unit.due, *id));
                }
            }
        }
        due.sort_unstable();
        due.truncate(max as usize);
        assert_eq!(
            claimed.iter().map(|c| c.lease.unit).collect::<Vec<_>>(),
            due.iter().map(|d| d.1).collect::<Vec<_>>()
        );
        for claimed in claimed {
            let unit = self.units.get_mut(&claimed.lease.unit).expect("it was due");
            let expired = unit.expires <= now;
            assert_eq!((claimed.expired, claimed.attempts), (expired, unit.attempts));
            assert!(self.leases.iter().all(|old| old.unit != claimed.lease.unit || old.token < claimed.lease.token));
            unit.lease = Some(Held { lease: claimed.lease, expired, asked: None });
            self.leases.push(claimed.lease);
        }
    }

    /// A lease of now or of long ago, and what the model holds if it is the current one.
    fn lease(&self, a: u8) -> Option<(Lease, Option<Held>)> {
        let lease = *self.leases.get(usize::from(a) % self.leases.len().max(1))?;
        let held = self.units.get(&lease.unit).and_then(|unit| unit.lease.clone());
        Some((lease, held.filter(|held| held.lease.token == lease.token)))
    }

    async fn settle(&mut self, a: u8, next: Next, state: &dyn Fn(Attempt) -> RcptState) {
        let Some((lease, held)) = self.lease(a) else { return };
        let mut settlement = Settlement::new(next.clone());
        settlement.results.push((RcptNo(0), state(Attempt::new(at(0), Reply::OK_250))));
        let settled = self.queue.settle(lease, settlement, Durability::Sync).await;
        assert_eq!(settled.is_ok(), held.is_some(), "{settled:?}");
        let (Some(held), Some(unit)) = (held, self.units.get_mut(&lease.unit)) else { return };
        unit.attempts += 1;
        unit.lease = None;
        match next {
            Next::RetryAt(due) => {
                let due = held.asked.unwrap_or(due);
                unit.due = if held.expired { due } else { due.min(unit.expires) };
            }
            Next::Hold(_) => unit.held = true,
            _ => _ = self.units.remove(&lease.unit),
        }
    }

    async fn release_or_extend(&mut self, a: u8, due: Timestamp, release: bool) {
        let Some((lease, held)) = self.lease(a) else { return };
        let current = match release {
            true => self.queue.release(lease, due).await.is_ok(),
            false => self.queue.extend(&lease, LEASE).await.is_ok(),
        };
        assert_eq!(current, held.is_some());
        let (Some(held), Some(unit)) = (held, self.units.get_mut(&lease.unit)) else { return };
        if release {
            unit.lease = None;
            unit.due = held.asked.unwrap_or(due).min(unit.expires);
        } else if let Some(held) = &mut unit.lease {
            held.lease.expires = held.lease.expires.saturating_add(LEASE);
        }
    }

    async fn gate(&mut self, key: QueueKey, gate: Gate) {
        self.queue.gate(&key, gate).await.expect("a gate");
        self.gates.insert(key, gate);
    }

    async fn act(&mut self, a: u8, b: u8, due: Timestamp) {
        let filter = match self.units.keys().nth(usize::from(a)) {
            Some(id) => Filter::message(id.msg),
            None => Filter::key(key(a)),
        };
        let actions = [
            Action::Hold(HoldReason::new("x")),
            Action::Release(due),
            Action::Retry(due),
            Action::Rekey(key(b)),
            Action::Remove,
        ];
        let action = actions[usize::from(b % 5)].clone();
        let met = self.queue.apply(&filter, action.clone()).await.expect("an action");
        let mut expected = 0;
        self.units.retain(|id, unit| {
            let meant =
                filter.msg.is_none_or(|msg| msg == id.msg) && filter.key.as_ref().is_none_or(|key| *key == unit.key);
            if !meant {
                return true;
            }
            match &action {
                Action::Hold(_) if !unit.held => unit.held = true,
                Action::Release(due) if unit.held => unit.ask(*due),
                Action::Retry(due) if !unit.held => unit.ask(*due),
                Action::Rekey(key) => unit.key = key.clone(),
                Action::Remove => {}
                _ => return true,
            }
            expected += 1;
            action != Action::Remove
        });
        assert_eq!(met, expected);
    }

    fn opens(&self, key: &QueueKey) -> Option<Timestamp> {
        match self.gates.get(key) {
            None | Some(Gate::Open) => Some(Timestamp::from_millis(i64::MIN)),
            Some(Gate::NotBefore(from)) => Some(*from),
            Some(Gate::Paused) => None,
        }
    }

    async fn compare(&self) {
        let listed = self.queue.list(&Filter::all(), None, usize::MAX).await.expect("a list").entries;
        let listed: Vec<_> =
            listed.into_iter().map(|entry| (entry.unit, entry.key, entry.state, entry.due, entry.attempts)).collect();
        let model = |(id, unit): (&UnitId, &Unit)| (*id, unit.key.clone(), unit.state(), unit.due, unit.attempts);
        assert_eq!(listed, self.units.iter().map(model).collect::<Vec<_>>());

        let counts = self.queue.counts(CountBy::Key).await.expect("counts");
        let horizon = at(self.minutes + 10);
        let due = self.queue.due_keys(horizon, None, 9).await.expect("keys");
        let mut expected = Vec::new();
        let mut counted = 0;
        for name in [0, 1, 2].map(key) {
            let units: Vec<_> = self.units.iter().filter(|(_, unit)| unit.key == name).map(|(_, unit)| unit).collect();
            let count = |kind| units.iter().filter(|unit| unit.state().kind() == kind).count() as u64;
            let [ready, leased, held] = [StateKind::Ready, StateKind::Leased, StateKind::Held].map(count);
            if !units.is_empty() {
                let found = &counts[counted];
                counted += 1;
                assert_eq!(
                    (found.key.as_ref(), found.ready, found.leased, found.held),
                    (Some(&name), ready, leased, held)
                );
            }
            let first = units.iter().filter_map(|unit| match &unit.lease {
                Some(held) => Some(held.lease.expires),
                None => (!unit.held).then_some(unit.due),
            });
            let first = first.min().and_then(|first| Some(first.max(self.opens(&name)?)));
            expected.extend(first.filter(|first| *first <= horizon).map(|first| (first, name, ready)));
        }
        assert_eq!(counts.len(), counted);
        expected.sort();
        assert_eq!(due.into_iter().map(|key| (key.due, key.key, key.waiting)).collect::<Vec<_>>(), expected);
    }
}

impl Unit {
    fn ask(&mut self, due: Timestamp) {
        self.held = false;
        self.due = due;
        if let Some(held) = &mut self.lease {
            held.asked = Some(due);
        }
    }

    fn state(&self) -> UnitState {
        match &self.lease {
            Some(held) => UnitState::Leased { by: WorkerId::new("w"), expires: held.lease.expires },
            None if self.held => UnitState::Held(HoldReason::new("x")),
            None => UnitState::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    fn replay(target: &str, check: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let mut replayed = 0;
        for file in std::fs::read_dir(&folder).expect("the corpus is there") {
            check(&std::fs::read(file.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "{} is empty", folder.display());
    }

    #[test]
    fn corpus_of_moves() {
        replay("queue_moves", super::moves);
    }

    #[cfg(feature = "spool")]
    #[test]
    fn corpus_of_records() {
        replay("queue_record", super::record);
    }

    proptest! {
        #[test]
        fn the_queue_is_its_model(data in proptest::collection::vec(any::<u8>(), 0..600)) {
            super::moves(&data);
        }
    }
}
