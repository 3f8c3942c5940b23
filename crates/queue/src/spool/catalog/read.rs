//! What is asked of the catalog. Each answer is of one moment; the visitors should be quick,
//! because what they look at cannot be written over meanwhile.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Bound, ControlFlow};

use hikyaku_wire::Timestamp;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable};

use super::error::{CatalogError, Result};
use super::recent::{Finished, Idem};
use super::tables::{self, Key, Message};
use super::{Catalog, KeyCount, MessageRow, Snapshot, UnitRow, lock};
use crate::index::IDEM_WINDOW;
use crate::{Gate, IdemKey, MsgId, QueueError, QueueKey, UnitId};

impl Catalog {
    pub(crate) fn message(&self, id: MsgId) -> std::result::Result<Option<MessageRow>, QueueError> {
        self.read(|read| {
            let Some(row) = read.open_table(tables::MESSAGE)?.get(id.as_bytes())? else { return Ok(None) };
            Ok(Some(Names::of(read)?.message(Message::read(row.value())?)?))
        })
    }

    /// The message that a commit would repeat: one that is here or finished, or one with the same
    /// key within the window before `now`, the time beside the key.
    pub(crate) fn known(
        &self,
        id: MsgId,
        idem: Option<(IdemKey, Timestamp)>,
    ) -> std::result::Result<Option<MsgId>, QueueError> {
        // The table first: a message that has just left it is in memory already.
        if self.read(|read| Ok(read.open_table(tables::MESSAGE)?.get(id.as_bytes())?.is_some()))? {
            return Ok(Some(id));
        }
        let store = self.store();
        let memory = lock(&store.memory);
        if memory.finished.get(id).is_some() {
            return Ok(Some(id));
        }
        let Some((key, now)) = idem else { return Ok(None) };
        let old = now.saturating_sub(IDEM_WINDOW);
        Ok(memory.idem.get(key).filter(|idem| idem.at > old).map(|idem| idem.msg))
    }

    /// The gates that are not open, in the order of their keys.
    pub(crate) fn gates(&self) -> std::result::Result<Vec<(QueueKey, Gate)>, QueueError> {
        self.read(|read| {
            let mut gates = Vec::new();
            for row in read.open_table(tables::GATE)?.iter()? {
                let (name, gate) = row?;
                gates.push((QueueKey::new(tables::read_name(name.value())?), tables::read_gate(gate.value())));
            }
            Ok(gates)
        })
    }

    /// What the journal says at the beginning of a segment; of one moment only while nothing is applied.
    pub(crate) fn snapshot(&self) -> std::result::Result<Snapshot, QueueError> {
        let gates = self.gates()?;
        let store = self.store();
        let memory = lock(&store.memory);
        let finished = memory.finished.iter().map(|&Finished(id)| id).collect();
        let idem = memory.idem.iter().map(|&Idem { key, msg, at }| (key, msg, at)).collect();
        Ok(Snapshot { gates, finished, idem })
    }

    /// The keys that have ready units, in the order of their first due times and then of their
    /// names, from this place on, with how many they have; gates are not looked at. Costs as much
    /// as the keys that are visited.
    pub(crate) fn due_keys(
        &self,
        from: Option<(Timestamp, QueueKey)>,
        visit: &mut dyn FnMut(Timestamp, &QueueKey, u64) -> ControlFlow<()>,
    ) -> std::result::Result<(), QueueError> {
        let from = from.map_or_else(Vec::new, |(due, key)| tables::due_key(due, key.as_str()));
        self.read(|read| {
            let keys = read.open_table(tables::KEY)?;
            for row in read.open_table(tables::DUE)?.range(from.as_slice()..)? {
                let (key, number) = row?;
                let (due, name) = tables::read_due_key(key.value())?;
                let key = keys.get(number.value())?.ok_or(CatalogError::Damaged("a key has no row"))?;
                let ready = Key::read(key.value())?.ready;
                if visit(due, &QueueKey::new(name), ready).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// How many ready units a key has; none if the key has no units.
    pub(crate) fn waiting(&self, key: &QueueKey) -> std::result::Result<Option<u64>, QueueError> {
        self.read(|read| {
            let Some(number) = number(read, key)? else { return Ok(None) };
            let row = read.open_table(tables::KEY)?.get(number)?.ok_or(CatalogError::Damaged("a key has no row"))?;
            Ok(Some(Key::read(row.value())?.ready))
        })
    }

    /// The ready units of a key in the order (due, id).
    pub(crate) fn ready(
        &self,
        key: &QueueKey,
        visit: &mut dyn FnMut(Timestamp, UnitId) -> ControlFlow<()>,
    ) -> std::result::Result<(), QueueError> {
        self.read(|read| {
            let Some(number) = number(read, key)? else { return Ok(()) };
            let (from, to) = tables::bounds::<30>(number);
            for row in read.open_table(tables::READY)?.range::<&[u8; 30]>(&from..=&to)? {
                let (due, id) = tables::read_ready_key(row?.0.value());
                if visit(due, id).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The messages after this one, in the order of their ids.
    pub(crate) fn messages(
        &self,
        after: Option<MsgId>,
        visit: &mut dyn FnMut(MsgId, &MessageRow) -> ControlFlow<()>,
    ) -> std::result::Result<(), QueueError> {
        let after = after.map(|id| *id.as_bytes());
        self.read(|read| {
            let mut names = Names::of(read)?;
            let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            for row in read.open_table(tables::MESSAGE)?.range::<&[u8; 16]>((from, Bound::Unbounded))? {
                let (id, row) = row?;
                let row = names.message(Message::read(row.value())?)?;
                if visit(MsgId::from_bytes(*id.value()), &row).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The units of a key after this one, held ones too, in the order of their ids.
    pub(crate) fn units_of(
        &self,
        key: &QueueKey,
        after: Option<UnitId>,
        visit: &mut dyn FnMut(UnitId) -> ControlFlow<()>,
    ) -> std::result::Result<(), QueueError> {
        self.read_whole(|read| {
            let Some(number) = number(read, key)? else { return Ok(()) };
            let (first, to) = tables::bounds::<22>(number);
            let after = after.map(|id| tables::unit_key(number, id));
            let from = after.as_ref().map_or(Bound::Included(&first), Bound::Excluded);
            for row in read.open_table(tables::UNIT)?.range::<&[u8; 22]>((from, Bound::Included(&to)))? {
                if visit(tables::read_unit_key(row?.0.value())).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// How many units each key has; costs as much as the keys.
    pub(crate) fn counts(&self) -> std::result::Result<Vec<KeyCount>, QueueError> {
        self.read_whole(|read| {
            let units = read.open_table(tables::UNIT)?;
            let mut counts = Vec::new();
            for row in read.open_table(tables::KEY)?.iter()? {
                let (number, row) = row?;
                let Key { name, ready, held, .. } = Key::read(row.value())?;
                let (from, to) = tables::bounds::<22>(number.value());
                let first = units.range::<&[u8; 22]>(&from..=&to)?.next();
                let first = first.ok_or(CatalogError::Damaged("a key's count is wrong"))??;
                let oldest = tables::read_unit_key(first.0.value()).msg;
                counts.push(KeyCount { key: QueueKey::new(name), ready, held, oldest });
            }
            Ok(counts)
        })
    }

    /// How many bytes of entries that still matter each segment holds; segments without any are left out.
    pub(crate) fn live(&self) -> std::result::Result<Vec<(u32, u64)>, QueueError> {
        Ok(lock(&self.store().late).live().iter().map(|(&segment, &bytes)| (segment, bytes)).collect())
    }

    fn read<T>(&self, ask: impl FnOnce(&ReadTransaction) -> Result<T>) -> std::result::Result<T, QueueError> {
        let store = self.store();
        store.is_good()?;
        let read = store.db.begin_read().map_err(CatalogError::from)?;
        Ok(ask(&read)?)
    }

    /// The same of all tables, those too that are written late.
    fn read_whole<T>(&self, ask: impl FnOnce(&ReadTransaction) -> Result<T>) -> std::result::Result<T, QueueError> {
        let read = self.store().whole()?;
        Ok(ask(&read)?)
    }
}

fn number(read: &ReadTransaction, key: &QueueKey) -> Result<Option<u32>> {
    Ok(read.open_table(tables::NAME)?.get(key.as_str().as_bytes())?.map(|row| row.value()))
}

/// The names of the keys, each looked up once.
struct Names {
    keys: redb::ReadOnlyTable<u32, &'static [u8]>,
    known: BTreeMap<u32, QueueKey>,
}

impl Names {
    fn of(read: &ReadTransaction) -> Result<Self> {
        Ok(Self { keys: read.open_table(tables::KEY)?, known: BTreeMap::new() })
    }

    fn name(&mut self, number: u32) -> Result<QueueKey> {
        match self.known.entry(number) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(vacant) => {
                let row = self.keys.get(number)?.ok_or(CatalogError::Damaged("a key has no row"))?;
                Ok(vacant.insert(QueueKey::new(Key::read(row.value())?.name)).clone())
            }
        }
    }

    fn message(&mut self, message: Message) -> Result<MessageRow> {
        let Message { place, blob, size, next_unit, units } = message;
        let units = units.into_iter().map(|unit| {
            let tables::Unit { number, key, due, expires, held, attempts, place } = unit;
            Ok((number, UnitRow { key: self.name(key)?, due, expires, held, attempts, place }))
        });
        let units = units.collect::<Result<_>>()?;
        Ok(MessageRow { place, blob, size, next_unit, units })
    }
}
