//! The same as the catalog, slowly; and moves for both.

use std::collections::BTreeSet;

use super::*;

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) messages: BTreeMap<MsgId, MessageRow>,
    gates: BTreeMap<QueueKey, Gate>,
    finished: Vec<MsgId>,
    idem: Vec<(IdemKey, MsgId, Timestamp)>,
}

impl Model {
    pub(super) fn op(&mut self, op: &Op) -> Applied {
        match op {
            Op::Message { id, row, idem } => {
                let old = self.messages.get(id).cloned();
                if let (None, Some((key, at))) = (&old, idem) {
                    let known = self.idem.iter().position(|(known, ..)| known == key);
                    let newer = known.is_none_or(|known| self.idem[known].2 <= *at);
                    if newer && known.is_none_or(|known| self.idem[known] != (*key, *id, *at)) {
                        known.map(|known| self.idem.remove(known));
                        self.idem.push((*key, *id, *at));
                    }
                }
                let mut row = row.clone();
                row.units = row.units.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
                let waits = |units: &[(u16, UnitRow)]| -> BTreeSet<(u16, QueueKey, Timestamp)> {
                    let ready = units.iter().filter(|(_, unit)| !unit.held);
                    ready.map(|(number, unit)| (*number, unit.key.clone(), unit.due)).collect()
                };
                let before = old.as_ref().map_or_else(BTreeSet::new, |old| waits(&old.units));
                let ready = waits(&row.units).difference(&before).map(|(_, _, due)| *due).min();
                self.put(*id, old, row, ready)
            }
            Op::Units { id, next_unit, changed } => {
                let Some(old) = self.messages.get(id).cloned() else {
                    self.finish(*id);
                    return Applied::default();
                };
                let mut row = MessageRow { next_unit: old.next_unit.max(*next_unit), ..old.clone() };
                let mut units: BTreeMap<u16, UnitRow> = row.units.into_iter().collect();
                for (number, unit) in changed {
                    match unit {
                        Some(unit) => units.insert(*number, unit.clone()),
                        None => units.remove(number),
                    };
                }
                let numbers: BTreeSet<u16> = changed.iter().map(|(number, _)| *number).collect();
                let now = units.iter().filter(|(number, unit)| numbers.contains(number) && !unit.held);
                let ready = now.map(|(_, unit)| unit.due).min();
                row.units = units.into_iter().collect();
                self.put(*id, Some(old), row, ready)
            }
            Op::Gate(key, Gate::Open) => {
                self.gates.remove(key);
                Applied::default()
            }
            Op::Gate(key, gate) => {
                self.gates.insert(key.clone(), *gate);
                Applied::default()
            }
            Op::Snapshot(snapshot) => {
                self.gates = snapshot.gates.iter().cloned().filter(|(_, gate)| *gate != Gate::Open).collect();
                let mut finished: Vec<MsgId> = Vec::new();
                for id in snapshot.finished.iter().rev() {
                    if !self.finished.contains(id) && !finished.contains(id) {
                        finished.insert(0, *id);
                    }
                }
                self.finished.splice(0..0, finished);
                let mut idem: Vec<(IdemKey, MsgId, Timestamp)> = Vec::new();
                for one in snapshot.idem.iter().rev() {
                    if !self.idem.iter().chain(&idem).any(|known| known.0 == one.0) {
                        idem.insert(0, *one);
                    }
                }
                self.idem.splice(0..0, idem);
                Applied::default()
            }
        }
    }

    fn put(&mut self, id: MsgId, old: Option<MessageRow>, row: MessageRow, ready: Option<Timestamp>) -> Applied {
        if row.units.is_empty() {
            self.messages.remove(&id);
            self.finish(id);
            return Applied { finished: old.map(|old| (id, old.blob)), ready: None };
        }
        self.messages.insert(id, row);
        Applied { finished: None, ready }
    }

    fn finish(&mut self, id: MsgId) {
        self.finished.retain(|known| *known != id);
        self.finished.push(id);
    }

    pub(super) fn known(&self, id: MsgId) -> bool {
        self.messages.contains_key(&id) || self.finished.contains(&id)
    }

    pub(super) fn say(&self) -> Said {
        let mut ready: BTreeMap<QueueKey, Vec<(Timestamp, UnitId)>> = BTreeMap::new();
        let mut units: BTreeMap<QueueKey, Vec<UnitId>> = BTreeMap::new();
        let mut live: BTreeMap<u32, u64> = BTreeMap::new();
        for (&msg, row) in &self.messages {
            let mut places = BTreeSet::from([row.place]);
            for (number, unit) in &row.units {
                let id = UnitId { msg, unit: *number };
                places.insert(unit.place);
                units.entry(unit.key.clone()).or_default().push(id);
                let ready = ready.entry(unit.key.clone()).or_default();
                if !unit.held {
                    ready.push((unit.due, id));
                }
            }
            for place in places {
                *live.entry(place.segment).or_default() += u64::from(place.bytes);
            }
        }
        ready.values_mut().for_each(|ready| ready.sort_unstable());
        let mut due: Vec<_> =
            ready.iter().filter_map(|(key, ready)| Some((ready.first()?.0, key.clone(), ready.len() as u64))).collect();
        due.sort();
        let counts = units.iter().map(|(key, units)| {
            let count = ready[key].len() as u64;
            let held = units.len() as u64 - count;
            (key.clone(), KeyCount { key: key.clone(), ready: count, held, oldest: units[0].msg })
        });
        Said {
            due,
            counts: counts.collect(),
            messages: self.messages.iter().map(|(id, row)| (*id, row.clone())).collect(),
            ready,
            units,
            live: live.into_iter().collect(),
            snapshot: Snapshot {
                gates: self.gates.iter().map(|(key, gate)| (key.clone(), *gate)).collect(),
                finished: self.finished.clone(),
                idem: self.idem.clone(),
            },
        }
    }
}

/// Changes that follow from a seed: few messages, keys and times, so that they meet.
pub(super) struct Moves(u64, i64);

impl Moves {
    pub(super) const MESSAGES: u8 = 12;

    pub(super) fn new(seed: u64) -> Self {
        Self(seed, 0)
    }

    pub(super) fn batch(&mut self) -> Vec<Op> {
        (0..self.below(6)).map(|_| self.op()).collect()
    }

    /// Changes as a spool makes them: no id and no number of a unit is used twice.
    pub(super) fn proper(&mut self, model: &mut Model) -> Vec<Op> {
        (0..self.below(6))
            .map(|_| {
                let op = self.proper_op(model);
                model.op(&op);
                op
            })
            .collect()
    }

    fn proper_op(&mut self, model: &Model) -> Op {
        let place = self.place();
        let alive = model.messages.len() as u64;
        if alive == 0 || (alive < 20 && self.below(3) == 0) {
            let next_unit = 1 + self.below(3) as u16;
            let units = (0..next_unit).map(|number| (number, self.unit(place))).collect();
            let row = MessageRow { place, blob: self.below(2) == 0, size: self.below(9), next_unit, units };
            self.1 += 1;
            let idem = (self.below(2) == 0).then(|| (self.idem(), at(self.1)));
            let mut id = [0; 16];
            id.iter_mut().for_each(|byte| *byte = self.below(256) as u8);
            return Op::Message { id: MsgId::from_bytes(id), row, idem };
        }
        let (&id, row) = model.messages.iter().nth(self.below(alive) as usize).unwrap();
        match self.below(10) {
            0 => Op::Gate(self.key(), [Gate::Open, Gate::Paused][self.below(2) as usize]),
            1 => Op::Snapshot(model.say().snapshot),
            2 => {
                let mut row = row.clone();
                row.units
                    .iter_mut()
                    .filter(|(_, unit)| unit.place == row.place)
                    .for_each(|(_, unit)| unit.place = place);
                row.place = place;
                Op::Message { id, row, idem: None }
            }
            _ => {
                let (number, _) = row.units[self.below(row.units.len() as u64) as usize];
                let mut changed = vec![(number, (self.below(3) > 0).then(|| self.unit(place)))];
                let next_unit = row.next_unit + u16::from(self.below(4) == 0);
                if next_unit > row.next_unit {
                    changed.push((row.next_unit, Some(self.unit(place))));
                }
                Op::Units { id, next_unit, changed }
            }
        }
    }

    fn op(&mut self) -> Op {
        match self.below(20) {
            0 => {
                let gate = [Gate::Open, Gate::Paused, Gate::NotBefore(self.time())][self.below(3) as usize];
                Op::Gate(self.key(), gate)
            }
            1 => Op::Snapshot(Snapshot {
                gates: vec![(key("a"), Gate::Paused), (self.key(), Gate::Open)],
                finished: (0..self.below(4)).map(|_| self.id()).collect(),
                idem: (0..self.below(3)).map(|_| (self.idem(), self.id(), self.time())).collect(),
            }),
            2..8 => {
                let idem = (self.below(2) == 0).then(|| (self.idem(), self.time()));
                let place = self.place();
                let empty = self.below(12) == 0;
                let count = if empty { 0 } else { 1 + self.below(3) };
                let units = (0..count).map(|_| (self.number(), self.unit(place))).collect();
                let row = MessageRow {
                    place,
                    blob: self.below(2) == 0,
                    size: self.below(9),
                    next_unit: self.number(),
                    units,
                };
                Op::Message { id: self.id(), row, idem }
            }
            _ => {
                let place = self.place();
                let count = self.below(4);
                let change = |moves: &mut Self| {
                    let unit = (moves.below(2) == 0).then(|| moves.unit(place));
                    (moves.number(), unit)
                };
                let changed = (0..count).map(|_| change(self)).collect();
                Op::Units { id: self.id(), next_unit: self.number(), changed }
            }
        }
    }

    fn unit(&mut self, place: Place) -> UnitRow {
        let attempts = self.below(3) as u32;
        let place = if self.below(4) == 0 { self.place() } else { place };
        UnitRow { key: self.key(), due: self.time(), expires: self.time(), held: self.below(4) == 0, attempts, place }
    }

    fn id(&mut self) -> MsgId {
        id(self.below(Self::MESSAGES.into()) as u8)
    }

    fn key(&mut self) -> QueueKey {
        key(["a", "b", "bb", ""][self.below(4) as usize])
    }

    fn idem(&mut self) -> IdemKey {
        IdemKey::new([self.below(5) as u8; 32])
    }

    fn time(&mut self) -> Timestamp {
        at([i64::MIN, -1, 0, 1, 2, 255, 256, i64::MAX][self.below(8) as usize])
    }

    fn number(&mut self) -> u16 {
        [0, 1, 2, 255, 256, u16::MAX][self.below(6) as usize]
    }

    fn place(&mut self) -> Place {
        place(self.below(3) as u32, self.below(5) as u32)
    }

    /// SplitMix64.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }
}
