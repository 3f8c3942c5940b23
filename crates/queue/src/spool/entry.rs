//! What stands in the entries of the journal: JSON, made of the types of [`record`](crate::record).
//!
//! What an entry tells is a value here, the same whether it is about to be written or was read
//! again, and [`Told::op`] is the one way from it to the catalog. A message's entry carries, as its
//! body, what goes before the text and then the text, or, if the text is a file of its own, the
//! checksums of its blocks. Everything that came from a peer is inside a JSON string or counted by
//! a length, so it cannot begin a record of its own.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use hikyaku_wire::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, MessageRow, Op, Snapshot, UnitRow};
use super::journal::{Entry, Kind, Place};
use crate::record::{EnvelopeRecord, Fault, UnitRecord};
use crate::unit::Unit;
use crate::{Envelope, Gate, HoldReason, IdemKey, MsgId, QueueError, QueueKey};

/// What an entry tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most are messages, and none is kept")]
pub(super) enum Told {
    /// A message is in the queue, with these units.
    Message(Message),
    /// Units of a message became this, or are gone.
    Units(Units),
    /// A key's gate.
    Gate(QueueKey, Gate),
    /// The process began a new life.
    Boot,
    /// What is not told by messages.
    Snapshot(Snapshot),
}

/// A message as its entry tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: MsgId,
    pub(super) envelope: Envelope,
    pub(super) idem: Option<IdemKey>,
    pub(super) next_unit: u16,
    pub(super) units: BTreeMap<u16, Unit>,
    /// How long the part before the text is.
    pub(super) prepend: u32,
    /// How long the text is.
    pub(super) text: u64,
    /// The text is a file of its own; the entry's body has the checksums of its blocks.
    pub(super) blob: bool,
}

/// Changed units of one message as their entry tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) id: MsgId,
    pub(super) next_unit: u16,
    pub(super) changed: Vec<(u16, Option<Unit>)>,
}

/// A place that is not known yet: an operation has it until its entry was written.
const NOWHERE: Place = Place { segment: 0, offset: 0, bytes: 0 };

impl Told {
    /// The entry that tells it, with this body.
    ///
    /// # Errors
    /// What cannot be written, in words.
    pub(super) fn entry(&self, body: Vec<Bytes>) -> Result<Entry, Fault> {
        Ok(Entry::new(self.kind(), self.record()?, body))
    }

    /// What a new segment of this length begins with: all that was told by earlier ones and stands in
    /// no message.
    pub(super) fn snapshot(catalog: &Catalog, segment: u64) -> Result<Self, QueueError> {
        let mut snapshot = catalog.snapshot()?;
        // A small segment holds fewer of the old ids.
        let most = usize::try_from(segment / 512).unwrap_or(usize::MAX);
        let skip = |len: usize| len.saturating_sub(most);
        snapshot.finished.drain(..skip(snapshot.finished.len()));
        snapshot.idem.drain(..skip(snapshot.idem.len()));
        Ok(Self::Snapshot(snapshot))
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Message(_) => Kind::Message,
            Self::Units(_) => Kind::Units,
            Self::Gate(..) => Kind::Gate,
            Self::Boot => Kind::Boot,
            Self::Snapshot(_) => Kind::Snapshot,
        }
    }

    fn record(&self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Message(message) => message.write(),
            Self::Units(units) => units.write(),
            Self::Gate(key, gate) => print(&GateRecord { key: key.as_str().to_owned(), gate: (*gate).into() }),
            Self::Boot => print(&BootRecord {}),
            Self::Snapshot(snapshot) => print(&SnapshotRecord::from(snapshot)),
        }
    }

    /// Reads the record of an entry.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn read(kind: Kind, record: &[u8]) -> Result<Self, Fault> {
        match kind {
            Kind::Message => Message::read(record).map(Self::Message),
            Kind::Units => Units::read(record).map(Self::Units),
            Kind::Gate => {
                let record: GateRecord = parse(record)?;
                Ok(Self::Gate(QueueKey::new(record.key), record.gate.into()))
            }
            Kind::Boot => parse::<BootRecord>(record).map(|_| Self::Boot),
            Kind::Snapshot => parse::<SnapshotRecord>(record)?.read().map(Self::Snapshot),
        }
    }

    /// What the catalog makes of it; its place is given by [`put`] when it is known.
    pub(super) fn op(self) -> Option<Op> {
        match self {
            Self::Message(message) => Some(message.op()),
            Self::Units(units) => Some(units.op()),
            Self::Gate(key, gate) => Some(Op::Gate(key, gate)),
            Self::Boot => None,
            Self::Snapshot(snapshot) => Some(Op::Snapshot(snapshot)),
        }
    }
}

/// Says where the entry of an operation stands.
pub(super) fn put(op: &mut Op, place: Place) {
    match op {
        Op::Message { row, .. } => {
            row.place = place;
            row.units.iter_mut().for_each(|(_, unit)| unit.place = place);
        }
        Op::Units { changed, .. } => changed.iter_mut().filter_map(|(_, unit)| unit.as_mut()).for_each(|unit| {
            unit.place = place;
        }),
        Op::Gate(..) | Op::Snapshot(_) => {}
    }
}

fn row(unit: &Unit) -> UnitRow {
    UnitRow {
        key: unit.key.clone(),
        due: unit.due,
        expires: unit.expires,
        held: unit.hold.is_some() || unit.rcpts.is_empty(),
        attempts: unit.attempts,
        place: NOWHERE,
    }
}

impl Message {
    /// The length of the message in bytes, with what was put before the text.
    pub(super) fn size(&self) -> u64 {
        self.text.saturating_add(u64::from(self.prepend))
    }

    pub(super) fn op(&self) -> Op {
        let row = MessageRow {
            place: NOWHERE,
            blob: self.blob,
            size: self.size(),
            next_unit: self.next_unit,
            units: self.units.iter().map(|(&number, unit)| (number, row(unit))).collect(),
        };
        Op::Message { id: self.id, row, idem: self.idem.map(|idem| (idem, self.envelope.received)) }
    }

    fn write(&self) -> Result<Vec<u8>, Fault> {
        print(&MessageRecord {
            id: self.id.to_string(),
            envelope: EnvelopeRecord::from(&self.envelope),
            idem: self.idem.map(|idem| hex(idem.as_bytes())),
            next_unit: self.next_unit,
            units: whole(self.units.iter()).map(|(&number, unit)| (number, UnitRecord::from(unit))).collect(),
            prepend: self.prepend,
            text: self.text,
            blob: self.blob,
            lost: self.units.iter().filter_map(|(&number, unit)| Some((number, lost(unit)?))).collect(),
        })
    }

    fn read(record: &[u8]) -> Result<Self, Fault> {
        let record: MessageRecord = parse(record)?;
        let whole = record.units.iter().map(|(&number, unit)| Ok((number, unit.read()?)));
        let lost = record.lost.iter().map(|(&number, unit)| Ok((number, unit.read())));
        let units: BTreeMap<_, _> = whole.chain(lost).collect::<Result<_, Fault>>()?;
        if units.is_empty() {
            return Err("a message has no unit");
        }
        if units.keys().any(|&number| number >= record.next_unit) {
            return Err(NUMBER);
        }
        Ok(Self {
            id: id(&record.id)?,
            envelope: record.envelope.read()?,
            idem: record.idem.as_deref().map(unhex).transpose()?,
            next_unit: record.next_unit,
            units,
            prepend: record.prepend,
            text: record.text,
            blob: record.blob,
        })
    }
}

impl Units {
    fn op(&self) -> Op {
        let changed = self.changed.iter().map(|(number, unit)| (*number, unit.as_ref().map(row)));
        Op::Units { id: self.id, next_unit: self.next_unit, changed: changed.collect() }
    }

    fn write(&self) -> Result<Vec<u8>, Fault> {
        let is_whole = |unit: &Option<Unit>| unit.as_ref().is_none_or(|unit| !unit.rcpts.is_empty());
        let record = |(number, unit): &(u16, Option<Unit>)| (*number, unit.as_ref().map(UnitRecord::from));
        let lost = |(number, unit): &(u16, Option<Unit>)| Some((*number, lost(unit.as_ref()?)?));
        print(&UnitsRecord {
            id: self.id.to_string(),
            next_unit: self.next_unit,
            units: self.changed.iter().filter(|(_, unit)| is_whole(unit)).map(record).collect(),
            lost: self.changed.iter().filter_map(lost).collect(),
        })
    }

    fn read(record: &[u8]) -> Result<Self, Fault> {
        let record: UnitsRecord = parse(record)?;
        if record.units.keys().chain(record.lost.keys()).any(|&number| number >= record.next_unit) {
            return Err(NUMBER);
        }
        let lost = record.lost.iter().map(|(&number, unit)| Ok((number, Some(unit.read()))));
        let unit = |(&number, unit): (&u16, &Option<UnitRecord>)| {
            Ok((number, unit.as_ref().map(UnitRecord::read).transpose()?))
        };
        Ok(Self {
            id: id(&record.id)?,
            next_unit: record.next_unit,
            changed: record.units.iter().map(unit).chain(lost).collect::<Result<_, Fault>>()?,
        })
    }
}

/// Those of which more is left than that they were there.
fn whole<'a>(units: impl Iterator<Item = (&'a u16, &'a Unit)>) -> impl Iterator<Item = (&'a u16, &'a Unit)> {
    units.filter(|(_, unit)| !unit.rcpts.is_empty())
}

fn lost(unit: &Unit) -> Option<LostRecord> {
    unit.rcpts.is_empty().then(|| LostRecord::of(unit))
}

const NUMBER: Fault = "a unit's number is not below the next one";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageRecord {
    id: String,
    #[serde(rename = "e")]
    envelope: EnvelopeRecord,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    idem: Option<String>,
    #[serde(rename = "n")]
    next_unit: u16,
    #[serde(rename = "u")]
    units: BTreeMap<u16, UnitRecord>,
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    prepend: u32,
    #[serde(rename = "t", default, skip_serializing_if = "is_default")]
    text: u64,
    #[serde(rename = "b", default, skip_serializing_if = "is_default")]
    blob: bool,
    #[serde(rename = "l", default, skip_serializing_if = "BTreeMap::is_empty")]
    lost: BTreeMap<u16, LostRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitsRecord {
    id: String,
    #[serde(rename = "n")]
    next_unit: u16,
    #[serde(rename = "u")]
    units: BTreeMap<u16, Option<UnitRecord>>,
    #[serde(rename = "l", default, skip_serializing_if = "BTreeMap::is_empty")]
    lost: BTreeMap<u16, LostRecord>,
}

/// What is left of a unit whose record could not be read: it has no recipients, and is held.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LostRecord {
    #[serde(rename = "k")]
    key: String,
    #[serde(rename = "d")]
    due: i64,
    #[serde(rename = "x")]
    expires: i64,
    #[serde(rename = "h")]
    hold: String,
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    attempts: u32,
}

impl LostRecord {
    fn of(unit: &Unit) -> Self {
        Self {
            key: unit.key.as_str().to_owned(),
            due: unit.due.as_millis(),
            expires: unit.expires.as_millis(),
            hold: unit.hold.as_ref().map_or(LOST, HoldReason::as_str).to_owned(),
            attempts: unit.attempts,
        }
    }

    fn read(&self) -> Unit {
        Unit {
            key: QueueKey::new(self.key.as_str()),
            due: Timestamp::from_millis(self.due),
            expires: Timestamp::from_millis(self.expires),
            hold: Some(HoldReason::new(self.hold.as_str())),
            attempts: self.attempts,
            first_attempt: None,
            rcpts: Vec::new(),
        }
    }
}

/// Why a unit whose record could not be read is held.
pub(super) const LOST: &str = "its record is damaged: the recipients are not known any more";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GateRecord {
    #[serde(rename = "k")]
    key: String,
    #[serde(rename = "g")]
    gate: GateWord,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GateWord {
    Open,
    NotBefore(i64),
    Paused,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BootRecord {}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotRecord {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gates: Vec<GateRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    finished: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    idem: Vec<(String, String, i64)>,
}

impl From<&Snapshot> for SnapshotRecord {
    fn from(snapshot: &Snapshot) -> Self {
        let gate = |(key, gate): &(QueueKey, Gate)| GateRecord { key: key.as_str().to_owned(), gate: (*gate).into() };
        let idem = |(key, id, at): &(IdemKey, MsgId, Timestamp)| (hex(key.as_bytes()), id.to_string(), at.as_millis());
        Self {
            gates: snapshot.gates.iter().map(gate).collect(),
            finished: snapshot.finished.iter().map(MsgId::to_string).collect(),
            idem: snapshot.idem.iter().map(idem).collect(),
        }
    }
}

impl SnapshotRecord {
    fn read(self) -> Result<Snapshot, Fault> {
        let idem = |(key, msg, at): (String, String, i64)| {
            Ok::<_, Fault>((unhex(&key)?, id(&msg)?, Timestamp::from_millis(at)))
        };
        Ok(Snapshot {
            gates: self.gates.into_iter().map(|gate| (QueueKey::new(gate.key), gate.gate.into())).collect(),
            finished: self.finished.iter().map(|text| id(text)).collect::<Result<_, _>>()?,
            idem: self.idem.into_iter().map(idem).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Gate> for GateWord {
    fn from(gate: Gate) -> Self {
        match gate {
            Gate::Open => Self::Open,
            Gate::NotBefore(at) => Self::NotBefore(at.as_millis()),
            Gate::Paused => Self::Paused,
        }
    }
}

impl From<GateWord> for Gate {
    fn from(gate: GateWord) -> Self {
        match gate {
            GateWord::Open => Self::Open,
            GateWord::NotBefore(at) => Self::NotBefore(Timestamp::from_millis(at)),
            GateWord::Paused => Self::Paused,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn id(text: &str) -> Result<MsgId, Fault> {
    text.parse().map_err(|_| "an id is not one")
}

fn hex(digest: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Result<IdemKey, Fault> {
    const FAULT: Fault = "the idempotence key is not one";
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(FAULT),
    };
    let bytes: &[u8; 64] = text.as_bytes().try_into().map_err(|_| FAULT)?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(IdemKey::new(digest))
}

fn print(record: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(record).map_err(|_| "the record cannot be written as JSON")
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(json).map_err(|_| "the record is not one of this version")
}

/// The checksums of a blob's blocks as they stand in the body of its message's entry.
pub(super) fn write_checks(checks: &[u32]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(checks.len() * 4);
    checks.iter().for_each(|check| bytes.put_u32(*check));
    bytes.freeze()
}

/// The other way.
///
/// # Errors
/// What is wrong with them, in words.
pub(super) fn read_checks(bytes: &[u8]) -> Result<Vec<u32>, Fault> {
    let (checks, rest) = bytes.as_chunks::<4>();
    match rest.is_empty() {
        true => Ok(checks.iter().map(|check| u32::from_be_bytes(*check)).collect()),
        false => Err("the checksums of the text are cut"),
    }
}

/// What can be read as a record of any kind can be written, and read again as the same.
#[cfg(any(fuzzing, test))]
pub(crate) fn round_trip(data: &[u8]) {
    for kind in [Kind::Message, Kind::Units, Kind::Gate, Kind::Boot, Kind::Snapshot] {
        let Ok(told) = Told::read(kind, data) else { continue };
        let record = told.record().expect("what was read can be written");
        assert_eq!(Told::read(kind, &record).as_ref(), Ok(&told));
        if let Some(mut op) = told.op() {
            put(&mut op, NOWHERE);
        }
    }
}
