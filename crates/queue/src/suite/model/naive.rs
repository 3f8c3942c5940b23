//! A queue that is nothing but what the documentation of [`Queue`](crate::Queue) says, unit by unit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hikyaku_wire::{ForwardPath, Timestamp};

use crate::{
    Action, Count, Entry, Envelope, Filter, Gate, HoldReason, Lease, MsgId, NewUnit, Next, QueueKey, Rcpt, RcptNo,
    RcptState, Settled, StateKind, UnitId, UnitState, WorkerId,
};

/// What a message is known by.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) envelope: Arc<Envelope>,
    pub(super) size: u64,
    pub(super) text: Vec<u8>,
    pub(super) next_unit: u16,
}

#[derive(Clone, PartialEq)]
pub(super) struct Unit {
    pub(super) key: QueueKey,
    pub(super) due: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) hold: Option<HoldReason>,
    pub(super) attempts: u32,
    pub(super) first_attempt: Option<Timestamp>,
    pub(super) rcpts: Vec<Rcpt>,
    pub(super) held_by: Option<Held>,
    /// What it was before changes that need not be durable yet.
    pub(super) before: Vec<Self>,
}

#[derive(Clone, PartialEq)]
pub(super) struct Held {
    pub(super) lease: Lease,
    pub(super) past: bool,
    pub(super) asked: Option<Timestamp>,
}

/// Why a settlement is refused.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    Lost,
    Invalid,
}

#[derive(Default)]
pub(super) struct Naive {
    pub(super) messages: BTreeMap<MsgId, Message>,
    pub(super) units: BTreeMap<UnitId, Unit>,
    pub(super) finished: BTreeSet<MsgId>,
    pub(super) gates: BTreeMap<QueueKey, Gate>,
}

impl Unit {
    pub(super) fn new(new: NewUnit) -> Self {
        let rcpts = new.rcpts.into_iter().zip(0..).map(|(rcpt, no)| Rcpt::new(RcptNo(no), rcpt)).collect();
        Self {
            key: new.key,
            due: new.due.min(new.expires),
            expires: new.expires,
            hold: new.hold,
            attempts: 0,
            first_attempt: None,
            rcpts,
            held_by: None,
            before: Vec::new(),
        }
    }

    pub(super) fn open(&self) -> Vec<Rcpt> {
        self.rcpts
            .iter()
            .filter(|rcpt| matches!(rcpt.state, RcptState::Pending | RcptState::Deferred(_)))
            .cloned()
            .collect()
    }

    pub(super) fn state(&self, who: &WorkerId) -> UnitState {
        match (&self.held_by, &self.hold) {
            (Some(held), _) => UnitState::Leased { by: who.clone(), expires: held.lease.expires },
            (None, Some(why)) => UnitState::Held(why.clone()),
            (None, None) => UnitState::Ready,
        }
    }

    /// The lease ran out at one time or another, and something else than a new lease may come of that.
    pub(super) fn may_be_let_go(&self, latest: Timestamp) -> bool {
        let held = self.held_by.as_ref();
        held.is_some_and(|held| held.lease.expires <= latest && (self.hold.is_some() || held.asked.is_some()))
    }

    /// Without its lease and what it was before.
    fn bare(&self) -> Self {
        Self { held_by: None, before: Vec::new(), ..self.clone() }
    }

    /// It becomes this; a crash may still undo it.
    fn lazily(&mut self, change: impl FnOnce(&mut Self)) {
        let (mut before, bare) = (std::mem::take(&mut self.before), self.bare());
        before.push(bare);
        change(self);
        self.before = before;
    }
}

impl Naive {
    pub(super) fn insert(&mut self, id: MsgId, message: Message, units: Vec<NewUnit>) {
        for (unit, new) in (0..).zip(units) {
            self.units.insert(UnitId { msg: id, unit }, Unit::new(new));
        }
        self.messages.insert(id, message);
    }

    pub(super) fn opens(&self, key: &QueueKey) -> Option<Timestamp> {
        match self.gates.get(key) {
            None | Some(Gate::Open) => Some(Timestamp::from_millis(i64::MIN)),
            Some(Gate::NotBefore(from)) => Some(*from),
            Some(Gate::Paused) => None,
        }
    }

    /// The units of a key that may be leased now, in order.
    pub(super) fn claimable(&self, key: &QueueKey, now: Timestamp) -> Vec<UnitId> {
        if self.opens(key).is_none_or(|from| from > now) {
            return Vec::new();
        }
        let free = |unit: &Unit| unit.held_by.as_ref().is_none_or(|held| held.lease.expires <= now);
        let due = self
            .units
            .iter()
            .filter(|(_, unit)| unit.key == *key && unit.hold.is_none() && unit.due <= now && free(unit));
        let mut due: Vec<_> = due.map(|(id, unit)| (unit.due, *id)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// The unit under this lease, if it is the current one.
    pub(super) fn held(&mut self, lease: &Lease) -> Option<(&mut Unit, Held)> {
        let unit = self.units.get_mut(&lease.unit)?;
        let held = unit.held_by.clone().filter(|held| held.lease.token == lease.token)?;
        Some((unit, held))
    }

    pub(super) fn settle(
        &mut self,
        lease: &Lease,
        results: &[(RcptNo, RcptState)],
        next: &Next,
        lazy: bool,
    ) -> Result<Settled, Refused> {
        let (unit, held) = self.held(lease).ok_or(Refused::Lost)?;
        let mut new = unit.bare();
        for (no, state) in results {
            let rcpt = new.rcpts.iter_mut().find(|rcpt| rcpt.no == *no).ok_or(Refused::Invalid)?;
            if rcpt.state.is_final() {
                return Err(Refused::Invalid);
            }
            rcpt.state = state.clone();
            let when = state.attempt().map(|attempt| attempt.when);
            new.first_attempt =
                if unit.attempts > 0 { unit.first_attempt } else { new.first_attempt.min(when).or(when) };
        }
        new.attempts += u32::from(!results.is_empty());
        let any_final = results.iter().any(|(_, state)| state.is_final());
        let open = new.open();
        let mut parts = Vec::new();
        let stays = !open.is_empty() && !matches!(next, Next::Split(_));
        match next {
            _ if open.is_empty() => {}
            Next::Finish => return Err(Refused::Invalid),
            Next::RetryAt(at) => {
                let at = held.asked.unwrap_or(*at);
                new.due = if held.past { at } else { at.min(new.expires) };
            }
            Next::Hold(why) => new.hold = Some(why.clone()),
            Next::Split(news) => {
                let went: BTreeSet<&ForwardPath> =
                    news.iter().flat_map(|new| &new.rcpts).map(|rcpt| &rcpt.addr).collect();
                if !open.iter().all(|rcpt| went.contains(&rcpt.addr)) || news.iter().any(|new| new.rcpts.is_empty()) {
                    return Err(Refused::Invalid);
                }
                for part in news {
                    let mut part = Unit::new(part.clone());
                    part.hold = part.hold.or_else(|| new.hold.clone());
                    for rcpt in &mut part.rcpts {
                        if let Some(old) = open.iter().find(|old| old.addr == rcpt.addr) {
                            *rcpt = Rcpt { no: rcpt.no, ..old.clone() };
                        }
                    }
                    parts.push(part);
                }
            }
        }
        if stays {
            match lazy && !any_final && matches!(next, Next::RetryAt(_)) {
                true => unit.lazily(|unit| *unit = new),
                false => *unit = new,
            }
            return Ok(Settled { unit_done: false, message_done: false });
        }
        self.units.remove(&lease.unit);
        let msg = lease.unit.msg;
        for part in parts {
            if let Some(message) = self.messages.get_mut(&msg) {
                self.units.insert(UnitId { msg, unit: message.next_unit }, part);
                message.next_unit += 1;
            }
        }
        Ok(Settled { unit_done: true, message_done: self.sweep() })
    }

    pub(super) fn release(&mut self, lease: &Lease, due: Timestamp) -> bool {
        let Some((unit, held)) = self.held(lease) else { return false };
        unit.lazily(|unit| {
            unit.held_by = None;
            unit.due = held.asked.unwrap_or(due).min(unit.expires);
        });
        true
    }

    /// Does something to these units; says to how many.
    pub(super) fn act(&mut self, meant: &BTreeSet<UnitId>, action: &Action) -> u64 {
        let mut met = 0;
        self.units.retain(|id, unit| {
            if !meant.contains(id) {
                return true;
            }
            match action {
                Action::Hold(why) if unit.hold.is_none() => unit.hold = Some(why.clone()),
                Action::Release(due) if unit.hold.is_some() => unit.ask(*due),
                Action::Retry(due) if unit.hold.is_none() => unit.ask(*due),
                Action::Rekey(key) => unit.key = key.clone(),
                Action::Remove => {}
                _ => return true,
            }
            unit.before.clear();
            met += 1;
            *action != Action::Remove
        });
        self.sweep();
        met
    }

    /// Takes out messages without units; says whether there was one.
    fn sweep(&mut self) -> bool {
        let left: BTreeSet<MsgId> = self.units.keys().map(|id| id.msg).collect();
        let gone: Vec<MsgId> = self.messages.keys().filter(|id| !left.contains(id)).copied().collect();
        for id in &gone {
            self.messages.remove(id);
            self.finished.insert(*id);
        }
        !gone.is_empty()
    }

    pub(super) fn entry(&self, id: UnitId, unit: &Unit, who: &WorkerId) -> Option<Entry> {
        let message = self.messages.get(&id.msg)?;
        Some(Entry {
            unit: id,
            key: unit.key.clone(),
            state: unit.state(who),
            due: unit.due,
            expires: unit.expires,
            attempts: unit.attempts,
            size: message.size,
            envelope: message.envelope.clone(),
            rcpts: unit.rcpts.clone(),
        })
    }

    pub(super) fn entries(&self, who: &WorkerId) -> Vec<Entry> {
        self.units.iter().filter_map(|(id, unit)| self.entry(*id, unit, who)).collect()
    }

    /// The units that a filter means, said once more in other words.
    pub(super) fn meant(&self, filter: &Filter, who: &WorkerId) -> BTreeSet<UnitId> {
        let entries = self.entries(who).into_iter();
        let meant = entries.filter(|entry| {
            let rcpts = || entry.rcpts.iter().map(|rcpt| rcpt.addr.to_string());
            let at = |path: String, domain: &str| path.ends_with(&format!("@{domain}>"));
            let wrong = [
                filter.msg.is_some_and(|msg| msg != entry.unit.msg),
                filter.unit.is_some_and(|unit| unit != entry.unit.unit),
                filter.key.as_ref().is_some_and(|key| *key != entry.key),
                filter.state.is_some_and(|state| state != entry.state.kind()),
                filter.sender.as_ref().is_some_and(|sender| sender.to_string() != entry.envelope.sender.to_string()),
                filter
                    .sender_domain
                    .as_ref()
                    .is_some_and(|domain| !at(entry.envelope.sender.to_string(), domain.as_str())),
                filter.rcpt.as_ref().is_some_and(|path| !rcpts().any(|rcpt| rcpt == path.to_string())),
                filter.rcpt_domain.as_ref().is_some_and(|domain| !rcpts().any(|rcpt| at(rcpt, domain.as_str()))),
                filter.user.is_some() && filter.user != entry.envelope.origin.user,
                filter.received_from.is_some_and(|from| entry.envelope.received < from),
                filter.received_before.is_some_and(|before| entry.envelope.received >= before),
            ];
            !wrong.contains(&true)
        });
        meant.map(|entry| entry.unit).collect()
    }

    /// How many units there are, by key.
    pub(super) fn counts(&self, who: &WorkerId) -> BTreeMap<QueueKey, Count> {
        let mut counts = BTreeMap::new();
        for (id, unit) in &self.units {
            let none = Count { key: Some(unit.key.clone()), ready: 0, leased: 0, held: 0, oldest: None };
            let count = counts.entry(unit.key.clone()).or_insert(none);
            match unit.state(who).kind() {
                StateKind::Ready => count.ready += 1,
                StateKind::Leased => count.leased += 1,
                StateKind::Held => count.held += 1,
            }
            let made = id.msg.timestamp();
            count.oldest = Some(count.oldest.map_or(made, |oldest| oldest.min(made)));
        }
        counts
    }
}

impl Unit {
    fn ask(&mut self, due: Timestamp) {
        self.hold = None;
        self.due = due;
        if let Some(held) = &mut self.held_by {
            held.asked = Some(due);
        }
    }
}
