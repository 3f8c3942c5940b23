//! What is remembered of messages that may be gone: a bounded list, oldest first, in a table and in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hikyaku_wire::Timestamp;
use redb::{ReadableTable, Table};

use super::FINISHED;
use super::error::Result;
use super::tables::Input;
use crate::{IdemKey, MsgId};

/// One thing that is remembered, under its key.
pub(super) trait Item: Copy + PartialEq {
    type Key: Copy + Ord;

    fn key(&self) -> Self::Key;
    /// Whether it is news where the other is known, and not the same or older.
    fn follows(&self, known: &Self) -> bool;
    fn write(&self, out: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Result<Self>;
}

/// A message that is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finished(pub(super) MsgId);

/// An idempotence key, its message, and when that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Idem {
    pub(super) key: IdemKey,
    pub(super) msg: MsgId,
    pub(super) at: Timestamp,
}

/// The newest [`FINISHED`] items, one for each key.
#[derive(Debug)]
pub(super) struct Recent<T: Item> {
    /// By the number of the row in the table; lower is older.
    order: BTreeMap<u64, T::Key>,
    known: BTreeMap<T::Key, (u64, T)>,
}

impl<T: Item> Default for Recent<T> {
    fn default() -> Self {
        Self { order: BTreeMap::new(), known: BTreeMap::new() }
    }
}

/// Rows are numbered upwards from here, and downwards for what turns out to be older.
const MIDDLE: u64 = 1 << 63;

impl<T: Item> Recent<T> {
    pub(super) fn load(table: &impl ReadableTable<u64, &'static [u8]>) -> Result<Self> {
        let mut recent = Self::default();
        for row in table.iter()? {
            let (number, bytes) = row?;
            let item = T::read(bytes.value())?;
            recent.order.insert(number.value(), item.key());
            recent.known.insert(item.key(), (number.value(), item));
        }
        Ok(recent)
    }

    pub(super) fn get(&self, key: T::Key) -> Option<&T> {
        self.known.get(&key).map(|(_, item)| item)
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.order.values().filter_map(|&key| self.get(key))
    }

    /// Remembers what happened now.
    pub(super) fn push(&mut self, table: &mut Table<'_, u64, &'static [u8]>, item: T) -> Result<()> {
        let number = self.order.last_key_value().map_or(MIDDLE, |(last, _)| last + 1);
        match self.known.entry(item.key()) {
            Entry::Occupied(mut known) => {
                let (old, before) = *known.get();
                if !item.follows(&before) {
                    return Ok(());
                }
                known.insert((number, item));
                self.order.remove(&old);
                table.remove(old)?;
            }
            Entry::Vacant(vacant) => {
                vacant.insert((number, item));
            }
        }
        self.put(table, number, item)?;
        if self.order.len() > FINISHED
            && let Some((oldest, key)) = self.order.pop_first()
        {
            self.known.remove(&key);
            table.remove(oldest)?;
        }
        Ok(())
    }

    /// Remembers what happened earlier, oldest first: what is not known is older than all that is.
    pub(super) fn adopt(&mut self, table: &mut Table<'_, u64, &'static [u8]>, items: &[T]) -> Result<()> {
        for &item in items.iter().rev() {
            if self.order.len() >= FINISHED {
                break;
            }
            if self.known.contains_key(&item.key()) {
                continue;
            }
            let number = self.order.first_key_value().map_or(MIDDLE, |(first, _)| first - 1);
            self.known.insert(item.key(), (number, item));
            self.put(table, number, item)?;
        }
        Ok(())
    }

    fn put(&mut self, table: &mut Table<'_, u64, &'static [u8]>, number: u64, item: T) -> Result<()> {
        self.order.insert(number, item.key());
        let mut row = Vec::with_capacity(56);
        item.write(&mut row);
        table.insert(number, row.as_slice())?;
        Ok(())
    }
}

impl Item for Finished {
    type Key = MsgId;

    fn key(&self) -> MsgId {
        self.0
    }

    fn follows(&self, _: &Self) -> bool {
        true
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let mut input = Input(bytes);
        let item = Self(input.msg_id()?);
        input.end()?;
        Ok(item)
    }
}

impl Item for Idem {
    type Key = IdemKey;

    fn key(&self) -> IdemKey {
        self.key
    }

    fn follows(&self, known: &Self) -> bool {
        self.at >= known.at && self != known
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(self.msg.as_bytes());
        out.extend_from_slice(&self.at.as_millis().to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let mut input = Input(bytes);
        let item = Self { key: IdemKey::new(input.array()?), msg: input.msg_id()?, at: input.time()? };
        input.end()?;
        Ok(item)
    }
}
