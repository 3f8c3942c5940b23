//! What only memory knows: leases, units whose change is being written, messages that are coming,
//! and the gates. A crash ends the leases; the rest is in the journal or was never promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hikyaku_wire::Timestamp;
use tokio::sync::oneshot;

use crate::unit::Unit;
use crate::{FenceToken, Gate, IdemKey, Lease, MsgId, QueueError, QueueKey, Receipt, UnitId, WorkerId};

type Result<T> = std::result::Result<T, QueueError>;

/// How far token numbers are apart between two lives of the store.
const LIFE: u32 = 40;

/// A lease as it is now.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) token: FenceToken,
    pub(super) expires: Timestamp,
    pub(super) by: WorkerId,
    /// The key of the unit as it is now.
    pub(super) key: QueueKey,
    /// It was claimed past its expiry.
    pub(super) past: bool,
    /// A person held the unit since.
    pub(super) held: bool,
    /// A person asked for this due time since.
    pub(super) asked: Option<Timestamp>,
    /// The unit as it is now; none until it was read.
    pub(super) unit: Option<Arc<Unit>>,
    /// The next number of a unit of the message, as far as this lease knows.
    pub(super) next_unit: u16,
}

/// Why nobody else may change a unit for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    /// Its lease is being settled: nobody else gets it either.
    Settling,
    /// A person's action on it is being written.
    Acting,
    /// It is being written again elsewhere.
    Moving,
}

/// A message that is not in the catalog yet.
#[derive(Debug)]
pub(super) enum Coming {
    /// It is being written; these wait for the outcome, to say that theirs is the same.
    Committing(Vec<oneshot::Sender<Result<Receipt>>>),
    /// It waits for the settlement it follows.
    Sealed,
}

/// What a lease, or a wait for a unit, gave.
#[derive(Debug)]
pub(super) enum Taken<T> {
    Got(T),
    /// Somebody else changes it; ask again after this.
    Wait(oneshot::Receiver<()>),
}

#[derive(Debug, Default)]
pub(super) struct State {
    token: u64,
    leases: BTreeMap<UnitId, Live>,
    /// The leases of each key by their expiry.
    expiring: BTreeMap<QueueKey, BTreeSet<(Timestamp, UnitId)>>,
    busy: BTreeMap<UnitId, Busy>,
    /// Who waits for any unit that is busy.
    freed: Vec<oneshot::Sender<()>>,
    coming: BTreeMap<MsgId, Coming>,
    coming_idem: BTreeMap<IdemKey, MsgId>,
    gates: BTreeMap<QueueKey, Gate>,
}

impl State {
    /// The gates that are not open, of all keys or of one.
    pub(super) fn closed(&self, of: Option<&QueueKey>) -> Vec<(QueueKey, Gate)> {
        let own = |(key, gate): (&QueueKey, &Gate)| (key.clone(), *gate);
        match of {
            Some(key) => self.gates.get_key_value(key).map(own).into_iter().collect(),
            None => self.gates.iter().map(own).collect(),
        }
    }

    /// The state of a new life: its tokens are greater than those of all before.
    pub(super) fn new(boot: u64, gates: Vec<(QueueKey, Gate)>) -> Self {
        Self { token: boot << LIFE, gates: gates.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn next_token(&mut self) -> FenceToken {
        self.token += 1;
        FenceToken::new(self.token)
    }

    // Leases.

    pub(super) fn live(&self, unit: UnitId) -> Option<&Live> {
        self.leases.get(&unit)
    }

    pub(super) fn lease(&mut self, unit: UnitId, live: Live) {
        self.unlease(unit);
        self.expiring.entry(live.key.clone()).or_default().insert((live.expires, unit));
        self.leases.insert(unit, live);
    }

    pub(super) fn unlease(&mut self, unit: UnitId) -> Option<Live> {
        let live = self.leases.remove(&unit)?;
        if let Some(units) = self.expiring.get_mut(&live.key) {
            units.remove(&(live.expires, unit));
            if units.is_empty() {
                self.expiring.remove(&live.key);
            }
        }
        Some(live)
    }

    /// Changes a lease and keeps the order of expiry in step.
    pub(super) fn relet(&mut self, unit: UnitId, change: impl FnOnce(&mut Live)) {
        if let Some(mut live) = self.unlease(unit) {
            change(&mut live);
            self.lease(unit, live);
        }
    }

    /// The lease, if it is the current one; it may be about to end.
    pub(super) fn current(&self, lease: &Lease) -> Result<&Live> {
        self.leases.get(&lease.unit).filter(|live| live.token == lease.token).ok_or(QueueError::LeaseLost)
    }

    /// Tells all leases of a message how far its units are numbered.
    pub(super) fn number(&mut self, msg: MsgId, next_unit: u16) {
        let all = UnitId { msg, unit: 0 }..=UnitId { msg, unit: u16::MAX };
        for (_, live) in self.leases.range_mut(all) {
            live.next_unit = live.next_unit.max(next_unit);
        }
    }

    /// The next number of a unit of a message, as far as its leases know.
    pub(super) fn next_unit(&self, msg: MsgId) -> u16 {
        let all = UnitId { msg, unit: 0 }..=UnitId { msg, unit: u16::MAX };
        self.leases.range(all).map(|(_, live)| live.next_unit).max().unwrap_or(0)
    }

    /// The leases of a key, the first to expire first.
    pub(super) fn leases_of(&self, key: &QueueKey) -> impl Iterator<Item = (Timestamp, UnitId)> {
        self.expiring.get(key).into_iter().flatten().copied()
    }

    /// How many leases a key has, and how many of their units are held.
    pub(super) fn leased(&self, key: &QueueKey) -> (u64, u64) {
        let held = |unit: &UnitId| self.leases.get(unit).is_some_and(|live| live.held);
        let all = self.expiring.get(key).into_iter().flatten();
        all.fold((0, 0), |(count, holds), (_, unit)| (count + 1, holds + u64::from(held(unit))))
    }

    /// Ends the overrun leases of a key whose units a person held or put off.
    pub(super) fn end_overrun(&mut self, key: &QueueKey, now: Timestamp) {
        let overrun: Vec<_> = self.leases_of(key).take_while(|(expires, _)| *expires <= now).collect();
        for (_, unit) in overrun {
            let put_off = |live: &Live| live.held || live.asked.is_some_and(|asked| asked > now);
            if !self.is_settling(unit) && self.leases.get(&unit).is_some_and(put_off) {
                self.unlease(unit);
            }
        }
    }

    // Units that are being changed.

    pub(super) fn is_settling(&self, unit: UnitId) -> bool {
        self.busy.get(&unit) == Some(&Busy::Settling)
    }

    pub(super) fn is_busy(&self, unit: UnitId) -> bool {
        self.busy.contains_key(&unit)
    }

    /// Keeps all others from changing these units, or none of them.
    pub(super) fn reserve(&mut self, units: &[UnitId], why: Busy) -> Taken<()> {
        if units.iter().any(|unit| self.is_busy(*unit)) {
            return Taken::Wait(self.wait_for_free());
        }
        self.busy.extend(units.iter().map(|unit| (*unit, why)));
        Taken::Got(())
    }

    pub(super) fn wait_for_free(&mut self) -> oneshot::Receiver<()> {
        let (free, wait) = oneshot::channel();
        self.freed.push(free);
        wait
    }

    pub(super) fn free(&mut self, units: &[UnitId]) {
        for unit in units {
            self.busy.remove(unit);
        }
        for waiter in self.freed.drain(..) {
            let _ = waiter.send(());
        }
    }

    // Keys.

    /// The keys whose place among the due ones is not that of the catalog, because of leases or a gate.
    pub(super) fn special_keys(&self) -> BTreeSet<QueueKey> {
        self.expiring.keys().chain(self.gates.keys()).cloned().collect()
    }

    /// When the key may be claimed from; none while it is paused.
    pub(super) fn opens(&self, key: &QueueKey) -> Option<Timestamp> {
        match self.gates.get(key) {
            None | Some(Gate::Open) => Some(Timestamp::from_millis(i64::MIN)),
            Some(Gate::NotBefore(from)) => Some(*from),
            Some(Gate::Paused) => None,
        }
    }

    pub(super) fn set_gate(&mut self, key: &QueueKey, gate: Gate) {
        match gate {
            Gate::Open => self.gates.remove(key),
            gate => self.gates.insert(key.clone(), gate),
        };
    }

    // Messages that are coming.

    /// The message that a commit would repeat and that is not in the catalog yet.
    pub(super) fn coming(&mut self, id: MsgId, idem: Option<IdemKey>) -> Option<(MsgId, &mut Coming)> {
        let other = idem.and_then(|idem| self.coming_idem.get(&idem)).copied();
        let id = if self.coming.contains_key(&id) { id } else { other? };
        self.coming.get_mut(&id).map(|coming| (id, coming))
    }

    pub(super) fn come(&mut self, id: MsgId, idem: Option<IdemKey>, coming: Coming) {
        self.coming.insert(id, coming);
        if let Some(idem) = idem {
            self.coming_idem.insert(idem, id);
        }
    }

    /// The message is in the catalog, or will not be; these wait for the outcome.
    pub(super) fn came(&mut self, id: MsgId, idem: Option<IdemKey>) -> Vec<oneshot::Sender<Result<Receipt>>> {
        if let Some(idem) = idem
            && self.coming_idem.get(&idem) == Some(&id)
        {
            self.coming_idem.remove(&idem);
        }
        match self.coming.remove(&id) {
            Some(Coming::Committing(waiters)) => waiters,
            _ => Vec::new(),
        }
    }
}
