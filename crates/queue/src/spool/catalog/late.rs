//! What is written late: much that each change touches and few ask for.
//!
//! The table of the units of a key has a page of its own for nearly each unit that is added, and
//! most messages are gone before anybody asks for it. It is brought up to date now and then, with
//! many units at once; so are the bytes of the segments and what is remembered of finished
//! messages, which are in memory. Until then the catalog is not whole, and has no mark: if it were
//! found like that, it would begin anew.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use redb::{ReadableTable, WriteTransaction};

use super::error::{CatalogError, Result};
use super::tables::{self, State};
use super::{Memory, lock};

/// After so many units of a key that are to be written, they are.
pub(super) const UNITS: usize = 4_096;
/// And after so many changes of any kind.
const CHANGES: usize = 65_536;

/// Whoever has it is the only one who writes.
pub(super) struct Late {
    /// Rows to be put into the table, or taken out of it.
    units: BTreeMap<[u8; 22], bool>,
    /// Bytes of entries that something points to, by segment.
    live: BTreeMap<u32, u64>,
    /// The segments that the table has otherwise.
    segments: BTreeSet<u32>,
    pub(super) state: State,
    /// Nothing is to be written.
    whole: bool,
    changes: usize,
}

impl Late {
    pub(super) fn load(write: &WriteTransaction) -> Result<Self> {
        let state = match write.open_table(tables::STATE)?.get(0)? {
            Some(row) => State::read(row.value())?,
            None => State { mark: None, next_key: 0 },
        };
        let mut live = BTreeMap::new();
        for row in write.open_table(tables::SEGMENT)?.iter()? {
            let (segment, bytes) = row?;
            live.insert(segment.value(), bytes.value());
        }
        Ok(Self { units: BTreeMap::new(), live, segments: BTreeSet::new(), state, whole: true, changes: 0 })
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// How many units of keys are to be written.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.units.len()
    }

    pub(super) fn live(&self) -> &BTreeMap<u32, u64> {
        &self.live
    }

    pub(super) fn add_unit(&mut self, row: [u8; 22]) {
        self.unit(row, true);
    }

    pub(super) fn remove_unit(&mut self, row: [u8; 22]) {
        self.unit(row, false);
    }

    /// A row that came and went was never written.
    fn unit(&mut self, row: [u8; 22], there: bool) {
        match self.units.entry(row) {
            Entry::Occupied(other) => drop(other.remove()),
            Entry::Vacant(vacant) => drop(vacant.insert(there)),
        }
    }

    pub(super) fn count(&mut self, segment: u32, change: i64) -> Result<()> {
        let bytes = self.live.entry(segment).or_default();
        *bytes = bytes.checked_add_signed(change).ok_or(CatalogError::Damaged("a segment holds less than nothing"))?;
        if *bytes == 0 {
            self.live.remove(&segment);
        }
        self.segments.insert(segment);
        Ok(())
    }

    /// Ends a batch of so many changes.
    pub(super) fn end(&mut self, write: &WriteTransaction, memory: &Mutex<Memory>, changes: usize) -> Result<()> {
        self.changes += changes;
        if self.units.len() >= UNITS || self.changes >= CHANGES {
            return self.flush(write, memory);
        }
        if self.whole {
            self.whole = false;
            write_state(write, State { mark: None, ..self.state })?;
        }
        Ok(())
    }

    /// Writes all that is to be written.
    pub(super) fn flush(&mut self, write: &WriteTransaction, memory: &Mutex<Memory>) -> Result<()> {
        let mut units = write.open_table(tables::UNIT)?;
        for (row, there) in std::mem::take(&mut self.units) {
            if there {
                units.insert(&row, ())?;
            } else {
                units.remove(&row)?;
            }
        }
        let mut segments = write.open_table(tables::SEGMENT)?;
        for segment in std::mem::take(&mut self.segments) {
            match self.live.get(&segment) {
                Some(bytes) => segments.insert(segment, bytes)?,
                None => segments.remove(segment)?,
            };
        }
        let mut memory = lock(memory);
        memory.finished.flush(&mut write.open_table(tables::FINISHED)?)?;
        memory.idem.flush(&mut write.open_table(tables::IDEM)?)?;
        write_state(write, self.state)?;
        (self.whole, self.changes) = (true, 0);
        Ok(())
    }
}

fn write_state(write: &WriteTransaction, state: State) -> Result<()> {
    let mut row = Vec::new();
    state.write(&mut row);
    write.open_table(tables::STATE)?.insert(0, row.as_slice())?;
    Ok(())
}
