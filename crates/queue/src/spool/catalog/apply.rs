//! One batch of changes as one transaction.

use std::collections::BTreeMap;
use std::sync::Mutex;

use redb::{Database, Durability, ReadableTable, Table, WriteTransaction};

use super::error::{CatalogError, Result};
use super::keys::Keys;
use super::recent::{Finished, Idem};
use super::tables::{self, Message, State, Unit};
use super::{Applied, Memory, Op, Snapshot, UnitRow};
use crate::spool::journal::{Mark, Place};
use crate::{MsgId, UnitId};

pub(super) fn apply(db: &Database, memory: &Mutex<Memory>, ops: &[Op], mark: Mark) -> Result<Vec<Applied>> {
    let mut write = db.begin_write()?;
    write.set_durability(Durability::None)?;
    let mut batch = Batch::begin(&write, memory)?;
    let applied = ops.iter().map(|op| batch.op(op)).collect::<Result<_>>()?;
    batch.end(mark)?;
    write.commit()?;
    Ok(applied)
}

/// The tables that nearly each batch changes, and what is written once a batch.
struct Batch<'t> {
    write: &'t WriteTransaction,
    memory: &'t Mutex<Memory>,
    messages: Table<'t, &'static [u8; 16], &'static [u8]>,
    ready: Table<'t, &'static [u8; 30], ()>,
    units: Table<'t, &'static [u8; 22], ()>,
    keys: Keys<'t>,
    /// How many bytes more or less are pointed to, by segment.
    live: BTreeMap<u32, i64>,
    row: Vec<u8>,
}

impl<'t> Batch<'t> {
    fn begin(write: &'t WriteTransaction, memory: &'t Mutex<Memory>) -> Result<Self> {
        Ok(Self {
            write,
            memory,
            messages: write.open_table(tables::MESSAGE)?,
            ready: write.open_table(tables::READY)?,
            units: write.open_table(tables::UNIT)?,
            keys: Keys::begin(write)?,
            live: BTreeMap::new(),
            row: Vec::new(),
        })
    }

    fn op(&mut self, op: &Op) -> Result<Applied> {
        match op {
            Op::Message { id, row, idem } => {
                let old = self.stored(*id)?;
                if let Some((key, at)) = *idem
                    && old.is_none()
                {
                    let mut table = self.write.open_table(tables::IDEM)?;
                    super::lock(self.memory).idem.push(&mut table, Idem { key, msg: *id, at })?;
                }
                let units = self.named(row.units.iter().map(|(number, unit)| (*number, Some(unit))))?;
                let new = Message {
                    place: row.place,
                    blob: row.blob,
                    size: row.size,
                    next_unit: row.next_unit,
                    units: units.into_values().flatten().collect(),
                };
                let before = old.as_ref().map_or_else(Vec::new, |old| old.units.clone());
                self.replace(*id, old, new, |unit| {
                    !find(&before, unit.number).is_some_and(|before| same_turn(before, unit))
                })
            }
            Op::Units { id, next_unit, changed } => match self.stored(*id)? {
                Some(old) => {
                    let changed = self.named(changed.iter().map(|(number, unit)| (*number, unit.as_ref())))?;
                    let mut new = Message { next_unit: old.next_unit.max(*next_unit), ..old.clone() };
                    new.units.retain(|unit| !changed.contains_key(&unit.number));
                    new.units.extend(changed.values().flatten());
                    new.units.sort_unstable_by_key(|unit| unit.number);
                    self.replace(*id, Some(old), new, |unit| changed.contains_key(&unit.number))
                }
                None => {
                    self.finish(*id)?;
                    Ok(Applied::default())
                }
            },
            Op::Gate(key, gate) => {
                let mut gates = self.write.open_table(tables::GATE)?;
                match tables::gate_row(*gate) {
                    Some(row) => gates.insert(key.as_str().as_bytes(), row)?,
                    None => gates.remove(key.as_str().as_bytes())?,
                };
                Ok(Applied::default())
            }
            Op::Snapshot(snapshot) => {
                self.snapshot(snapshot)?;
                Ok(Applied::default())
            }
        }
    }

    fn stored(&self, id: MsgId) -> Result<Option<Message>> {
        match self.messages.get(id.as_bytes())? {
            Some(row) => Ok(Some(Message::read(row.value())?)),
            None => Ok(None),
        }
    }

    /// Units as they are stored, in order of their numbers; of those with one number the last counts.
    fn named<'a>(
        &mut self,
        rows: impl Iterator<Item = (u16, Option<&'a UnitRow>)>,
    ) -> Result<BTreeMap<u16, Option<Unit>>> {
        rows.map(|(number, row)| Ok((number, row.map(|row| self.unit(number, row)).transpose()?))).collect()
    }

    fn unit(&mut self, number: u16, row: &UnitRow) -> Result<Unit> {
        let key = self.keys.number(&row.key)?;
        let &UnitRow { due, expires, held, attempts, place, .. } = row;
        Ok(Unit { number, key, due, expires, held, attempts, place })
    }

    /// Puts a message in the place of what is known of it; `news` says which of its units, if
    /// they are ready, are so by this change.
    fn replace(
        &mut self,
        id: MsgId,
        old: Option<Message>,
        new: Message,
        news: impl Fn(&Unit) -> bool,
    ) -> Result<Applied> {
        let known: &[Unit] = old.as_ref().map_or(&[], |old| &old.units);
        for unit in known {
            self.unlink(id, unit, find(&new.units, unit.number))?;
        }
        for unit in &new.units {
            self.link(id, unit, find(known, unit.number))?;
        }
        if let Some(old) = &old {
            self.count_live(old, -1);
        }
        if !new.units.is_empty() {
            self.count_live(&new, 1);
            new.write(&mut self.row);
            self.messages.insert(id.as_bytes(), self.row.as_slice())?;
            let ready = new.units.iter().filter(|unit| !unit.held && news(unit)).map(|unit| unit.due).min();
            return Ok(Applied { finished: None, ready });
        }
        self.finish(id)?;
        if let Some(old) = &old {
            self.messages.remove(id.as_bytes())?;
            return Ok(Applied { finished: Some((id, old.blob)), ready: None });
        }
        Ok(Applied::default())
    }

    /// Takes a unit out of the tables, but for what `stays` as it is.
    fn unlink(&mut self, id: MsgId, unit: &Unit, stays: Option<&Unit>) -> Result<()> {
        let at = UnitId { msg: id, unit: unit.number };
        if stays.is_none_or(|stays| stays.key != unit.key) {
            self.units.remove(&tables::unit_key(unit.key, at))?;
        }
        if stays.is_some_and(|stays| same_turn(stays, unit)) {
            return Ok(());
        }
        if !unit.held {
            self.ready.remove(&tables::ready_key(unit.key, unit.due, at))?;
        }
        self.keys.remove(unit)
    }

    /// Puts a unit into the tables, but for what stood there `before`.
    fn link(&mut self, id: MsgId, unit: &Unit, before: Option<&Unit>) -> Result<()> {
        let at = UnitId { msg: id, unit: unit.number };
        if before.is_none_or(|before| before.key != unit.key) {
            self.units.insert(&tables::unit_key(unit.key, at), ())?;
        }
        if before.is_some_and(|before| same_turn(before, unit)) {
            return Ok(());
        }
        if !unit.held {
            self.ready.insert(&tables::ready_key(unit.key, unit.due, at), ())?;
        }
        self.keys.insert(unit)
    }

    fn finish(&mut self, id: MsgId) -> Result<()> {
        let mut table = self.write.open_table(tables::FINISHED)?;
        super::lock(self.memory).finished.push(&mut table, Finished(id))
    }

    fn snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut gates = self.write.open_table(tables::GATE)?;
        gates.retain(|_, _| false)?;
        for (key, gate) in &snapshot.gates {
            if let Some(row) = tables::gate_row(*gate) {
                gates.insert(key.as_str().as_bytes(), row)?;
            }
        }
        let finished: Vec<_> = snapshot.finished.iter().copied().map(Finished).collect();
        super::lock(self.memory).finished.adopt(&mut self.write.open_table(tables::FINISHED)?, &finished)?;
        let idem: Vec<_> = snapshot.idem.iter().map(|&(key, msg, at)| Idem { key, msg, at }).collect();
        super::lock(self.memory).idem.adopt(&mut self.write.open_table(tables::IDEM)?, &idem)
    }

    /// Counts the entries that a message points to, each once.
    fn count_live(&mut self, message: &Message, sign: i64) {
        let mut count = |place: Place| {
            *self.live.entry(place.segment).or_default() += sign * i64::from(place.bytes);
        };
        count(message.place);
        let mut elsewhere: Vec<Place> =
            message.units.iter().map(|unit| unit.place).filter(|&place| place != message.place).collect();
        elsewhere.sort_unstable();
        elsewhere.dedup();
        elsewhere.into_iter().for_each(count);
    }

    fn end(mut self, mark: Mark) -> Result<()> {
        let next_key = self.keys.end(&self.ready)?;
        let mut segments = self.write.open_table(tables::SEGMENT)?;
        for (segment, change) in self.live {
            if change == 0 {
                continue;
            }
            let before = segments.get(segment)?.map_or(0, |row| row.value());
            match before.checked_add_signed(change) {
                Some(0) => segments.remove(segment)?,
                Some(bytes) => segments.insert(segment, bytes)?,
                None => return Err(CatalogError::Damaged("a segment holds less than nothing")),
            };
        }
        State { mark: Some(mark), next_key }.write(&mut self.row);
        self.write.open_table(tables::STATE)?.insert(0, self.row.as_slice())?;
        Ok(())
    }
}

/// Whether the units wait alike, so that neither turn nor counts change.
fn same_turn(a: &Unit, b: &Unit) -> bool {
    a.key == b.key && a.held == b.held && (a.held || a.due == b.due)
}

fn find(units: &[Unit], number: u16) -> Option<&Unit> {
    units.binary_search_by_key(&number, |unit| unit.number).ok().map(|at| &units[at])
}
