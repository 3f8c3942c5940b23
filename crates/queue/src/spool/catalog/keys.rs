//! The keys that a batch touches: read when they are first met, written once at its end.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hikyaku_wire::Timestamp;
use redb::{ReadableTable, Table, WriteTransaction};

use super::error::{CatalogError, Result};
use super::tables::{self, Key, State, Unit};
use crate::QueueKey;

pub(super) struct Keys<'t> {
    rows: Table<'t, u32, &'static [u8]>,
    names: Table<'t, &'static [u8], u32>,
    due: Table<'t, &'static [u8], u32>,
    met: BTreeMap<u32, Met>,
    numbers: BTreeMap<QueueKey, u32>,
    next: u32,
}

struct Met {
    /// As it stands in the table; none if it is new.
    stored: Option<Key>,
    now: Key,
    /// The first due time went: it is looked up at the end.
    search: bool,
}

impl<'t> Keys<'t> {
    pub(super) fn begin(write: &'t WriteTransaction) -> Result<Self> {
        let state = write.open_table(tables::STATE)?;
        let next = match state.get(0)? {
            Some(row) => State::read(row.value())?.next_key,
            None => 0,
        };
        Ok(Self {
            rows: write.open_table(tables::KEY)?,
            names: write.open_table(tables::NAME)?,
            due: write.open_table(tables::DUE)?,
            met: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next,
        })
    }

    /// The number of the key with this name; a new one if there is none.
    pub(super) fn number(&mut self, name: &QueueKey) -> Result<u32> {
        if let Some(&number) = self.numbers.get(name) {
            return Ok(number);
        }
        let known = self.names.get(name.as_str().as_bytes())?.map(|row| row.value());
        let number = match known {
            Some(number) => {
                self.load(number)?;
                number
            }
            None => self.add(name)?,
        };
        self.numbers.insert(name.clone(), number);
        Ok(number)
    }

    fn add(&mut self, name: &QueueKey) -> Result<u32> {
        // After four thousand million keys it begins again, and passes over those that are still there.
        while self.rows.get(self.next)?.is_some() || self.met.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = number.wrapping_add(1);
        let now = Key { name: name.as_str().into(), ready: 0, held: 0, first: None };
        self.met.insert(number, Met { stored: None, now, search: false });
        Ok(number)
    }

    fn load(&mut self, number: u32) -> Result<&mut Met> {
        match self.met.entry(number) {
            Entry::Occupied(met) => Ok(met.into_mut()),
            Entry::Vacant(vacant) => {
                let row = self.rows.get(number)?.ok_or(CatalogError::Damaged("a key has no row"))?;
                let key = Key::read(row.value())?;
                Ok(vacant.insert(Met { stored: Some(key.clone()), now: key, search: false }))
            }
        }
    }

    /// Counts a unit.
    pub(super) fn insert(&mut self, unit: &Unit) -> Result<()> {
        let met = self.load(unit.key)?;
        if unit.held {
            met.now.held += 1;
        } else {
            met.now.ready += 1;
            met.now.first = Some(met.now.first.map_or(unit.due, |first| first.min(unit.due)));
        }
        Ok(())
    }

    /// Counts a unit no more.
    pub(super) fn remove(&mut self, unit: &Unit) -> Result<()> {
        let met = self.load(unit.key)?;
        let count = if unit.held { &mut met.now.held } else { &mut met.now.ready };
        *count = count.checked_sub(1).ok_or(CatalogError::Damaged("a key has less than no units"))?;
        met.search |= !unit.held && met.now.first == Some(unit.due);
        Ok(())
    }

    /// Writes what changed; gives the number that the next new key gets.
    pub(super) fn end(mut self, ready: &impl ReadableTable<&'static [u8; 30], ()>) -> Result<u32> {
        let mut row = Vec::new();
        for (number, met) in std::mem::take(&mut self.met) {
            let Met { stored, mut now, search } = met;
            if search {
                now.first = first_due(ready, number)?;
                if now.first.is_some() != (now.ready > 0) {
                    return Err(CatalogError::Damaged("a key's count is wrong"));
                }
            }
            if stored.as_ref() == Some(&now) {
                continue;
            }
            let first = stored.as_ref().and_then(|key| key.first);
            if first != now.first {
                if let Some(first) = first {
                    self.due.remove(tables::due_key(first, &now.name).as_slice())?;
                }
                if let Some(first) = now.first {
                    self.due.insert(tables::due_key(first, &now.name).as_slice(), number)?;
                }
            }
            if now.ready == 0 && now.held == 0 {
                if stored.is_some() {
                    self.rows.remove(number)?;
                    self.names.remove(now.name.as_bytes())?;
                }
                continue;
            }
            now.write(&mut row);
            self.rows.insert(number, row.as_slice())?;
            if stored.is_none() {
                self.names.insert(now.name.as_bytes(), number)?;
            }
        }
        Ok(self.next)
    }
}

fn first_due(ready: &impl ReadableTable<&'static [u8; 30], ()>, key: u32) -> Result<Option<Timestamp>> {
    let (from, to) = tables::bounds::<30>(key);
    match ready.range::<&[u8; 30]>(&from..=&to)?.next() {
        Some(row) => Ok(Some(tables::read_ready_key(row?.0.value()).0)),
        None => Ok(None),
    }
}
