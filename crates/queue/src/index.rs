//! What is queued and when it is due, in memory.
//!
//! A change is made in two steps: a [`Plan`](plan::Plan) is drawn up, which may be refused, and
//! [`Index::carry_out`] makes it true.

mod list;
mod plan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hikyaku_wire::Timestamp;

use crate::unit::Unit;
use crate::waiting::{Wait, Waiting};
use crate::{
    Claimed, DueKey, Envelope, FenceToken, Gate, IdemKey, KeyCursor, KeyQuota, Lease, MsgId, NewUnit, QueueError,
    QueueKey, UnitId, WorkerId,
};

type Result<T> = std::result::Result<T, QueueError>;

/// So many ids of finished messages are remembered, for commits that are tried again.
const FINISHED: usize = 16_384;

/// How long an [`IdemKey`] is remembered.
pub(crate) const IDEM_WINDOW: Duration = Duration::from_secs(3600);

/// The index, and those who wait for it.
#[derive(Debug)]
pub(crate) struct Shared {
    index: Mutex<Index>,
    waiting: Waiting,
}

impl Shared {
    pub(crate) fn new(index: Index) -> Self {
        let shared = Self { index: Mutex::new(index), waiting: Waiting::default() };
        // What was found at the start is news.
        shared.with(|_| ());
        shared
    }

    /// Does something with the index and tells those who wait what became ready by it.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Index) -> R) -> R {
        let (result, news) = {
            let mut index = self.index.lock().expect("nothing panics while it holds the index");
            (work(&mut index), index.news.take())
        };
        if let Some(due) = news {
            self.waiting.announce(due);
        }
        result
    }

    pub(crate) fn wait(&self, until: Timestamp) -> Wait<'_> {
        self.waiting.wait(until)
    }
}

/// A message in the index.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) size: u64,
    pub(crate) idem: Option<IdemKey>,
    next_unit: u16,
    slots: BTreeMap<u16, Slot>,
}

impl Message {
    pub(crate) fn new(envelope: Envelope, size: u64, idem: Option<IdemKey>, units: Vec<NewUnit>) -> Result<Self> {
        let units = units.into_iter().map(Unit::new).collect::<Result<Vec<_>>>()?;
        let next_unit = u16::try_from(units.len()).map_err(|_| QueueError::Invalid("too many units"))?;
        if next_unit == 0 {
            return Err(QueueError::Invalid("a message needs a unit"));
        }
        let slots = (0..).zip(units.into_iter().map(|unit| Slot { unit, live: None })).collect();
        Ok(Self { envelope: Arc::new(envelope), size, idem, next_unit, slots })
    }
}

#[derive(Debug)]
struct Slot {
    unit: Unit,
    live: Option<Live>,
}

/// A lease as it is now.
#[derive(Debug)]
struct Live {
    token: FenceToken,
    expires: Timestamp,
    by: WorkerId,
    expired: bool,
    /// A person asked for this due time while the unit was leased.
    asked: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Key {
    ready: BTreeSet<(Timestamp, UnitId)>,
    leased: BTreeSet<(Timestamp, UnitId)>,
    held: u64,
    all: BTreeSet<UnitId>,
    /// Where it stands in [`Index::due`].
    listed: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    messages: BTreeMap<MsgId, Message>,
    keys: BTreeMap<QueueKey, Key>,
    due: BTreeSet<KeyCursor>,
    gates: BTreeMap<QueueKey, Gate>,
    idem: BTreeMap<IdemKey, MsgId>,
    idem_age: BTreeSet<(Timestamp, IdemKey)>,
    finished: BTreeSet<MsgId>,
    finished_age: VecDeque<MsgId>,
    token: u64,
    news: Option<Timestamp>,
}

impl Index {
    pub(crate) fn message(&self, id: MsgId) -> Option<&Message> {
        self.messages.get(&id)
    }

    /// The message that a commit would repeat.
    pub(crate) fn known(&mut self, id: MsgId, idem: Option<IdemKey>, now: Timestamp) -> Option<MsgId> {
        if self.messages.contains_key(&id) || self.finished.contains(&id) {
            return Some(id);
        }
        let idem = idem?;
        let old = now.saturating_sub(IDEM_WINDOW);
        while let Some(&(at, key)) = self.idem_age.first()
            && at <= old
        {
            self.idem_age.pop_first();
            self.idem.remove(&key);
        }
        self.idem.get(&idem).copied()
    }

    pub(crate) fn insert(&mut self, id: MsgId, message: Message) {
        if let Some(idem) = message.idem {
            self.remember(idem, id, message.envelope.received);
        }
        let numbers: Vec<u16> = message.slots.keys().copied().collect();
        self.messages.insert(id, message);
        for unit in numbers {
            self.link(UnitId { msg: id, unit });
        }
    }

    pub(crate) fn remember(&mut self, idem: IdemKey, id: MsgId, at: Timestamp) {
        if self.idem.insert(idem, id).is_none() {
            self.idem_age.insert((at, idem));
        }
    }

    pub(crate) fn due_keys(&self, now: Timestamp, after: Option<KeyCursor>, max: usize) -> Vec<DueKey> {
        let due = |at: &KeyCursor| {
            let waiting = self.keys.get(&at.key).map_or(0, |key| key.ready.len() as u64);
            DueKey { key: at.key.clone(), due: at.due, waiting }
        };
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.due.range((from, std::ops::Bound::Unbounded)).take_while(|at| at.due <= now).take(max).map(due).collect()
    }

    pub(crate) fn claim(&mut self, who: &WorkerId, now: Timestamp, want: &[KeyQuota], lease: Duration) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        for quota in want {
            if self.gate_of(&quota.key).is_none_or(|from| from > now) {
                continue;
            }
            for id in self.due_units(quota, now) {
                claimed.extend(self.lease(id, who, now, lease));
            }
        }
        claimed
    }

    /// When the key may be claimed from; none while it is paused.
    fn gate_of(&self, key: &QueueKey) -> Option<Timestamp> {
        match self.gates.get(key) {
            None | Some(Gate::Open) => Some(Timestamp::from_millis(i64::MIN)),
            Some(Gate::NotBefore(from)) => Some(*from),
            Some(Gate::Paused) => None,
        }
    }

    fn due_units(&mut self, quota: &KeyQuota, now: Timestamp) -> Vec<UnitId> {
        let max = quota.max as usize;
        let Some(key) = self.keys.get(&quota.key) else { return Vec::new() };
        let mut due: Vec<_> = key.ready.iter().take_while(|(due, _)| *due <= now).take(max).copied().collect();
        let overrun: Vec<_> = key.leased.iter().take_while(|(expires, _)| *expires <= now).map(|&(_, id)| id).collect();
        for id in overrun {
            let Some(slot) = self.slot(id) else { continue };
            let asked = slot.live.as_ref().and_then(|live| live.asked);
            if slot.unit.hold.is_some() || asked.is_some_and(|asked| asked > now) {
                // What a person asked for takes effect now that the lease is over.
                self.change(id, |slot| {
                    slot.live = None;
                    slot.unit.due = asked.unwrap_or(slot.unit.due);
                });
            } else {
                due.push((asked.unwrap_or(slot.unit.due), id));
            }
        }
        due.sort_unstable();
        due.truncate(max);
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn lease(&mut self, id: UnitId, who: &WorkerId, now: Timestamp, lease: Duration) -> Option<Claimed> {
        self.token += 1;
        let token = FenceToken::new(self.token);
        let expires = now.saturating_add(lease);
        self.change(id, |slot| {
            let expired = slot.unit.expires <= now;
            slot.live = Some(Live { token, expires, by: who.clone(), expired, asked: None });
        });
        let message = self.messages.get(&id.msg)?;
        let unit = &message.slots.get(&id.unit)?.unit;
        let open = unit.rcpts.iter().filter(|rcpt| !rcpt.state.is_final()).cloned().collect();
        let lease = Lease { unit: id, token, expires };
        let mut claimed = Claimed::new(lease, unit.key.clone(), Arc::clone(&message.envelope), open, message.size);
        claimed.attempts = unit.attempts;
        claimed.first_attempt = unit.first_attempt;
        claimed.expired = unit.expires <= now;
        Some(claimed)
    }

    pub(crate) fn extend(&mut self, lease: &Lease, by: Duration) -> Result<Lease> {
        let expires = self.current(lease)?.expires.saturating_add(by);
        self.change(lease.unit, |slot| {
            if let Some(live) = &mut slot.live {
                live.expires = expires;
            }
        });
        Ok(Lease { expires, ..*lease })
    }

    pub(crate) fn release(&mut self, lease: &Lease, due: Timestamp) -> Result<()> {
        let asked = self.current(lease)?.asked;
        self.change(lease.unit, |slot| {
            slot.live = None;
            slot.unit.due = asked.unwrap_or(due).min(slot.unit.expires);
        });
        Ok(())
    }

    /// The gates that are not open, of all keys or of one.
    pub(crate) fn closed(&self, of: Option<&QueueKey>) -> Vec<(QueueKey, Gate)> {
        let own = |(key, gate): (&QueueKey, &Gate)| (key.clone(), *gate);
        match of {
            Some(key) => self.gates.get_key_value(key).map(own).into_iter().collect(),
            None => self.gates.iter().map(own).collect(),
        }
    }

    pub(crate) fn set_gate(&mut self, key: &QueueKey, gate: Gate) {
        match gate {
            Gate::Open => self.gates.remove(key),
            gate => self.gates.insert(key.clone(), gate),
        };
        self.relist(key);
        let listed = self.keys.get(key).and_then(|key| key.listed);
        self.tell(listed);
    }

    /// The lease, if it is the current one.
    fn current(&self, lease: &Lease) -> Result<&Live> {
        let slot = self.slot(lease.unit).ok_or(QueueError::LeaseLost)?;
        slot.live.as_ref().filter(|live| live.token == lease.token).ok_or(QueueError::LeaseLost)
    }

    fn slot(&self, id: UnitId) -> Option<&Slot> {
        self.messages.get(&id.msg)?.slots.get(&id.unit)
    }

    fn slot_mut(&mut self, id: UnitId) -> Option<&mut Slot> {
        self.messages.get_mut(&id.msg)?.slots.get_mut(&id.unit)
    }

    /// Changes a slot and keeps the keys in step.
    fn change(&mut self, id: UnitId, change: impl FnOnce(&mut Slot)) {
        self.unlink(id);
        if let Some(slot) = self.slot_mut(id) {
            change(slot);
        }
        self.link(id);
    }

    fn link(&mut self, id: UnitId) {
        let Some(slot) = self.messages.get(&id.msg).and_then(|message| message.slots.get(&id.unit)) else { return };
        let name = slot.unit.key.clone();
        let key = self.keys.entry(name.clone()).or_default();
        key.all.insert(id);
        let mut ready = None;
        if let Some(live) = &slot.live {
            key.leased.insert((live.expires, id));
        } else if slot.unit.hold.is_some() {
            key.held += 1;
        } else {
            key.ready.insert((slot.unit.due, id));
            ready = Some(slot.unit.due);
        }
        self.relist(&name);
        let from = self.gate_of(&name);
        self.tell(ready.and_then(|due| Some(due.max(from?))));
    }

    fn unlink(&mut self, id: UnitId) {
        let Some(slot) = self.messages.get(&id.msg).and_then(|message| message.slots.get(&id.unit)) else { return };
        let name = slot.unit.key.clone();
        let Some(key) = self.keys.get_mut(&name) else { return };
        if !key.all.remove(&id) {
            return;
        }
        if let Some(live) = &slot.live {
            key.leased.remove(&(live.expires, id));
        } else if slot.unit.hold.is_some() {
            key.held -= 1;
        } else {
            key.ready.remove(&(slot.unit.due, id));
        }
        self.relist(&name);
    }

    /// Puts a key where it belongs in the order of due times.
    fn relist(&mut self, name: &QueueKey) {
        let from = self.gate_of(name);
        let Some(key) = self.keys.get_mut(name) else { return };
        let first = [key.ready.first(), key.leased.first()].into_iter().flatten().map(|&(at, _)| at).min();
        let due = first.and_then(|first| Some(first.max(from?)));
        if due != key.listed {
            if let Some(due) = key.listed {
                self.due.remove(&KeyCursor { due, key: name.clone() });
            }
            if let Some(due) = due {
                self.due.insert(KeyCursor { due, key: name.clone() });
            }
            key.listed = due;
        }
        if key.all.is_empty() {
            self.keys.remove(name);
        }
    }

    fn tell(&mut self, due: Option<Timestamp>) {
        self.news = [self.news, due].into_iter().flatten().min();
    }

    fn finish(&mut self, id: MsgId) {
        self.messages.remove(&id);
        if self.finished.insert(id) {
            self.finished_age.push_back(id);
        }
        while self.finished_age.len() > FINISHED {
            if let Some(old) = self.finished_age.pop_front() {
                self.finished.remove(&old);
            }
        }
    }
}
