//! The tables, and how their keys and rows are written.
//!
//! ```text
//! message  id                        -> the message and all its units
//! ready    key | due | id | unit     -> (), of each unit that is not held
//! unit     key | id | unit           -> (), of each unit
//! key      number                    -> counts, first due time, name
//! name     name                      -> number
//! due      first due time | name     -> number, of each key with ready units
//! gate     name                      -> a gate that is not open
//! finished, idem  running number     -> what is remembered of messages that may be gone
//! segment  number                    -> bytes of entries that something points to
//! state    0                         -> format, mark, next number of a key
//! ```

use hikyaku_wire::Timestamp;
use redb::TableDefinition;

use super::error::{CatalogError, Result};
use crate::spool::journal::{Lsn, Mark, Place};
use crate::{Gate, MsgId, UnitId};

pub(super) const MESSAGE: TableDefinition<'static, &[u8; 16], &[u8]> = TableDefinition::new("message");
pub(super) const READY: TableDefinition<'static, &[u8; 30], ()> = TableDefinition::new("ready");
pub(super) const UNIT: TableDefinition<'static, &[u8; 22], ()> = TableDefinition::new("unit");
pub(super) const KEY: TableDefinition<'static, u32, &[u8]> = TableDefinition::new("key");
pub(super) const NAME: TableDefinition<'static, &[u8], u32> = TableDefinition::new("name");
pub(super) const DUE: TableDefinition<'static, &[u8], u32> = TableDefinition::new("due");
pub(super) const GATE: TableDefinition<'static, &[u8], Option<i64>> = TableDefinition::new("gate");
pub(super) const FINISHED: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("finished");
pub(super) const IDEM: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("idem");
pub(super) const SEGMENT: TableDefinition<'static, u32, u64> = TableDefinition::new("segment");
pub(super) const STATE: TableDefinition<'static, u8, &[u8]> = TableDefinition::new("state");

/// What the tables above look like; a catalog of another format is made again.
const FORMAT: u32 = 1;

/// A message as it is stored: its keys are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) place: Place,
    pub(super) blob: bool,
    pub(super) size: u64,
    pub(super) next_unit: u16,
    /// In order of their numbers, each once.
    pub(super) units: Vec<Unit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) number: u16,
    pub(super) key: u32,
    pub(super) due: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) held: bool,
    pub(super) attempts: u32,
    pub(super) place: Place,
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) ready: u64,
    pub(super) held: u64,
    /// Of the ready units; none without one.
    pub(super) first: Option<Timestamp>,
}

/// The one row of the table `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) mark: Option<Mark>,
    pub(super) next_key: u32,
}

const BLOB: u8 = 1;
const HELD: u8 = 1;
/// The unit is told by the message's own entry.
const SAME_PLACE: u8 = 2;

impl Message {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        write_place(self.place, out);
        out.push(if self.blob { BLOB } else { 0 });
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.next_unit.to_le_bytes());
        for unit in &self.units {
            let same = unit.place == self.place;
            out.extend_from_slice(&unit.number.to_le_bytes());
            out.push(if unit.held { HELD } else { 0 } | if same { SAME_PLACE } else { 0 });
            out.extend_from_slice(&unit.key.to_le_bytes());
            out.extend_from_slice(&unit.due.as_millis().to_le_bytes());
            out.extend_from_slice(&unit.expires.as_millis().to_le_bytes());
            out.extend_from_slice(&unit.attempts.to_le_bytes());
            if !same {
                write_place(unit.place, out);
            }
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut input = Input(bytes);
        let place = input.place()?;
        let blob = match input.array()? {
            [0] => false,
            [BLOB] => true,
            _ => return Err(CatalogError::Damaged("a message has unknown flags")),
        };
        let size = u64::from_le_bytes(input.array()?);
        let next_unit = u16::from_le_bytes(input.array()?);
        let mut units: Vec<Unit> = Vec::with_capacity(input.0.len() / 27);
        while !input.0.is_empty() {
            let number = u16::from_le_bytes(input.array()?);
            if units.last().is_some_and(|last| last.number >= number) {
                return Err(CatalogError::Damaged("the units of a message are not in order"));
            }
            let [flags] = input.array()?;
            if flags & !(HELD | SAME_PLACE) != 0 {
                return Err(CatalogError::Damaged("a unit has unknown flags"));
            }
            let key = u32::from_le_bytes(input.array()?);
            let due = input.time()?;
            let expires = input.time()?;
            let attempts = u32::from_le_bytes(input.array()?);
            let place = if flags & SAME_PLACE != 0 { place } else { input.place()? };
            units.push(Unit { number, key, due, expires, held: flags & HELD != 0, attempts, place });
        }
        if units.is_empty() {
            return Err(CatalogError::Damaged("a message has no units"));
        }
        Ok(Self { place, blob, size, next_unit, units })
    }
}

impl Key {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.ready.to_le_bytes());
        out.extend_from_slice(&self.held.to_le_bytes());
        // Without a ready unit there is no first, and its place says nothing.
        out.extend_from_slice(&self.first.map_or(0, Timestamp::as_millis).to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut input = Input(bytes);
        let ready = u64::from_le_bytes(input.array()?);
        let held = u64::from_le_bytes(input.array()?);
        let first = input.time()?;
        let name = std::str::from_utf8(input.0).map_err(|_| CatalogError::Damaged("a key is not text"))?;
        Ok(Self { name: name.into(), ready, held, first: (ready > 0).then_some(first) })
    }
}

impl State {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.next_key.to_le_bytes());
        if let Some(mark) = self.mark {
            out.extend_from_slice(&mark.lsn.0.to_le_bytes());
            out.extend_from_slice(&mark.segment.to_le_bytes());
            out.extend_from_slice(&mark.offset.to_le_bytes());
            out.extend_from_slice(&mark.check.to_le_bytes());
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut input = Input(bytes);
        if u32::from_le_bytes(input.array()?) != FORMAT {
            return Err(CatalogError::Damaged("it has another format"));
        }
        let next_key = u32::from_le_bytes(input.array()?);
        let mark = match input.0 {
            [] => None,
            _ => Some(Mark {
                lsn: Lsn(u64::from_le_bytes(input.array()?)),
                segment: u32::from_le_bytes(input.array()?),
                offset: u32::from_le_bytes(input.array()?),
                check: u32::from_le_bytes(input.array()?),
            }),
        };
        input.end()?;
        Ok(Self { mark, next_key })
    }
}

pub(super) fn ready_key(key: u32, due: Timestamp, id: UnitId) -> [u8; 30] {
    let mut out = [0; 30];
    out[..4].copy_from_slice(&key.to_be_bytes());
    out[4..12].copy_from_slice(&ordered(due));
    out[12..28].copy_from_slice(id.msg.as_bytes());
    out[28..].copy_from_slice(&id.unit.to_be_bytes());
    out
}

/// Between these two are all the rows of a key.
pub(super) fn bounds<const N: usize>(key: u32) -> ([u8; N], [u8; N]) {
    let (mut from, mut to) = ([0; N], [0xff; N]);
    from[..4].copy_from_slice(&key.to_be_bytes());
    to[..4].copy_from_slice(&key.to_be_bytes());
    (from, to)
}

pub(super) fn read_ready_key(bytes: &[u8; 30]) -> (Timestamp, UnitId) {
    let (_, rest) = bytes.split_at(4);
    let mut input = Input(rest);
    let due = input.ordered().expect("8 of 26 bytes");
    let id = input.unit_id().expect("18 bytes are left");
    (due, id)
}

pub(super) fn unit_key(key: u32, id: UnitId) -> [u8; 22] {
    let mut out = [0; 22];
    out[..4].copy_from_slice(&key.to_be_bytes());
    out[4..20].copy_from_slice(id.msg.as_bytes());
    out[20..].copy_from_slice(&id.unit.to_be_bytes());
    out
}

pub(super) fn read_unit_key(bytes: &[u8; 22]) -> UnitId {
    Input(&bytes[4..]).unit_id().expect("18 bytes")
}

pub(super) fn due_key(due: Timestamp, name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + name.len());
    out.extend_from_slice(&ordered(due));
    out.extend_from_slice(name.as_bytes());
    out
}

pub(super) fn read_due_key(bytes: &[u8]) -> Result<(Timestamp, &str)> {
    let mut input = Input(bytes);
    let due = input.ordered()?;
    Ok((due, read_name(input.0)?))
}

pub(super) fn read_name(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| CatalogError::Damaged("a key is not text"))
}

/// A gate that is not open; without a time it is paused.
pub(super) fn gate_row(gate: Gate) -> Option<Option<i64>> {
    match gate {
        Gate::Open => None,
        Gate::NotBefore(at) => Some(Some(at.as_millis())),
        Gate::Paused => Some(None),
    }
}

pub(super) fn read_gate(row: Option<i64>) -> Gate {
    row.map_or(Gate::Paused, |at| Gate::NotBefore(Timestamp::from_millis(at)))
}

/// Bytes whose order is that of the times.
fn ordered(at: Timestamp) -> [u8; 8] {
    (at.as_millis() ^ i64::MIN).to_be_bytes()
}

fn write_place(place: Place, out: &mut Vec<u8>) {
    for number in [place.segment, place.offset, place.bytes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// What is left of a row.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk().ok_or(CatalogError::Damaged("a row is too short"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(CatalogError::Damaged("a row is too long")) }
    }

    pub(super) fn time(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_millis(i64::from_le_bytes(self.array()?)))
    }

    pub(super) fn msg_id(&mut self) -> Result<MsgId> {
        Ok(MsgId::from_bytes(self.array()?))
    }

    fn ordered(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_millis(i64::from_be_bytes(self.array()?) ^ i64::MIN))
    }

    fn unit_id(&mut self) -> Result<UnitId> {
        Ok(UnitId { msg: self.msg_id()?, unit: u16::from_be_bytes(self.array()?) })
    }

    fn place(&mut self) -> Result<Place> {
        let mut number = || -> Result<u32> { Ok(u32::from_le_bytes(self.array()?)) };
        Ok(Place { segment: number()?, offset: number()?, bytes: number()? })
    }
}
