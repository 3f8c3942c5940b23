//! What stands in the files of a spool.
//!
//! A small file is a frame: a magic number, the length and the checksum of a JSON text, and the
//! text. A message file begins with the message's text, so that it can be streamed to the disk
//! before the envelope is known, and ends with what tells the parts apart:
//!
//! ```text
//! text | prepend | JSON | text length u64 | prepend length u32 | JSON length u32 | checksum u32 | zero u32 | magic
//! ```
//!
//! All numbers are big-endian; the lengths must add up to the file's. Everything that came from a
//! peer is inside a JSON string or counted by a length, so it cannot begin a record of its own.

use std::collections::BTreeMap;

use hikyaku_wire::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(super) use crate::record::Fault;
use crate::record::{EnvelopeRecord, UnitRecord};
use crate::unit::Unit;
use crate::{Envelope, Gate, IdemKey, MsgId, QueueKey};

const FRAME: &[u8; 8] = b"HKYFRM01";
const MESSAGE: &[u8; 8] = b"HKYMSG01";
/// The length of what ends a message file.
pub(super) const TRAILER: usize = 32;
/// No JSON text is longer: 65,535 units of many recipients do not come near it.
const LONGEST: u32 = 256 << 20;

/// The envelope and the units of a message as it was committed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageRecord {
    pub(super) id: String,
    envelope: EnvelopeRecord,
    idem: Option<String>,
    next_unit: u16,
    units: BTreeMap<u16, UnitRecord>,
}

/// The units of a message as they are since, and the messages that followed with the last change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateRecord {
    pub(super) id: String,
    next_unit: u16,
    units: BTreeMap<u16, UnitRecord>,
    pub(super) follow_up: Vec<String>,
}

/// The gates that are not open.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct GatesRecord(BTreeMap<String, GateRecord>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GateRecord {
    NotBefore(i64),
    Paused,
}

impl MessageRecord {
    pub(super) fn new(
        id: MsgId,
        envelope: &Envelope,
        idem: Option<IdemKey>,
        units: (u16, BTreeMap<u16, Unit>),
    ) -> Self {
        let hex = |idem: IdemKey| idem.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let idem = idem.map(hex);
        let (next_unit, units) = (units.0, write_units(&units.1));
        Self { id: id.to_string(), envelope: envelope.into(), idem, next_unit, units }
    }

    pub(super) fn envelope(&self) -> Result<Envelope, Fault> {
        self.envelope.read()
    }

    pub(super) fn idem(&self) -> Result<Option<IdemKey>, Fault> {
        let Some(text) = &self.idem else { return Ok(None) };
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("the idempotence key is not one");
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| "the idempotence key is not one")?;
        }
        Ok(Some(IdemKey::new(digest)))
    }

    pub(super) fn units(&self) -> Result<(u16, BTreeMap<u16, Unit>), Fault> {
        read_units(self.next_unit, &self.units)
    }
}

impl StateRecord {
    pub(super) fn new(id: MsgId, units: (u16, BTreeMap<u16, Unit>), follow_up: &[MsgId]) -> Self {
        let follow_up = follow_up.iter().map(MsgId::to_string).collect();
        Self { id: id.to_string(), next_unit: units.0, units: write_units(&units.1), follow_up }
    }

    pub(super) fn units(&self) -> Result<(u16, BTreeMap<u16, Unit>), Fault> {
        read_units(self.next_unit, &self.units)
    }
}

impl GatesRecord {
    pub(super) fn new(gates: &BTreeMap<QueueKey, Gate>) -> Self {
        let record = |(key, gate): (&QueueKey, &Gate)| {
            let gate = match gate {
                Gate::Open => return None,
                Gate::NotBefore(at) => GateRecord::NotBefore(at.as_millis()),
                Gate::Paused => GateRecord::Paused,
            };
            Some((key.as_str().to_owned(), gate))
        };
        Self(gates.iter().filter_map(record).collect())
    }

    pub(super) fn read(self) -> BTreeMap<QueueKey, Gate> {
        let gate = |(key, gate)| {
            let gate = match gate {
                GateRecord::NotBefore(at) => Gate::NotBefore(Timestamp::from_millis(at)),
                GateRecord::Paused => Gate::Paused,
            };
            (QueueKey::new(String::as_str(&key)), gate)
        };
        self.0.into_iter().map(gate).collect()
    }
}

fn write_units(units: &BTreeMap<u16, Unit>) -> BTreeMap<u16, UnitRecord> {
    units.iter().map(|(&number, unit)| (number, unit.into())).collect()
}

fn read_units(next_unit: u16, units: &BTreeMap<u16, UnitRecord>) -> Result<(u16, BTreeMap<u16, Unit>), Fault> {
    if units.last_key_value().is_some_and(|(&last, _)| last >= next_unit) {
        return Err("a unit's number is not below the next one");
    }
    let units = units.iter().map(|(&number, unit)| Ok((number, unit.read()?))).collect::<Result<_, Fault>>()?;
    Ok((next_unit, units))
}

/// The lengths that end a message file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) text: u64,
    pub(super) prepend: u32,
    pub(super) json: u32,
    check: u32,
}

impl Lengths {
    /// Reads the end of a file that is `file` bytes long.
    pub(super) fn read(trailer: &[u8; TRAILER], file: u64) -> Result<Self, Fault> {
        if trailer[24..] != *MESSAGE {
            return Err("the end is missing, or of another version");
        }
        let u32_at = |at: usize| trailer[at..at + 4].iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
        let text = u64::from(u32_at(0)) << 32 | u64::from(u32_at(4));
        let lengths = Self { text, prepend: u32_at(8), json: u32_at(12), check: u32_at(16) };
        let sum = text.checked_add(u64::from(lengths.prepend) + u64::from(lengths.json) + TRAILER as u64);
        if sum != Some(file) || u32_at(20) != 0 {
            return Err("the lengths do not add up to the file's");
        }
        if lengths.json > LONGEST {
            return Err("the record is too long");
        }
        Ok(lengths)
    }

    /// Reads the record whose lengths these are.
    pub(super) fn record(&self, json: &[u8]) -> Result<MessageRecord, Fault> {
        if crc32c(&[json, &self.bytes()]) != self.check {
            return Err("the record's checksum is wrong");
        }
        parse(json)
    }

    /// The lengths as they stand in the file, which the checksum covers too.
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.text.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.prepend.to_be_bytes());
        bytes[12..].copy_from_slice(&self.json.to_be_bytes());
        bytes
    }
}

/// What follows the text in a message file.
pub(super) fn message_end(text: u64, prepend: &[u8], record: &MessageRecord) -> Result<Vec<u8>, Fault> {
    let json = print(record)?;
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| "the part before the text is too long");
    let mut lengths = Lengths { text, prepend: length(prepend)?, json: length(&json)?, check: 0 };
    lengths.check = crc32c(&[&json, &lengths.bytes()]);
    let mut end = Vec::with_capacity(prepend.len() + json.len() + TRAILER);
    end.extend_from_slice(prepend);
    end.extend_from_slice(&json);
    end.extend_from_slice(&lengths.bytes());
    end.extend_from_slice(&lengths.check.to_be_bytes());
    end.extend_from_slice(&[0; 4]);
    end.extend_from_slice(MESSAGE);
    Ok(end)
}

/// A small file.
pub(super) fn frame(record: &impl Serialize) -> Result<Vec<u8>, Fault> {
    let json = print(record)?;
    let mut file = FRAME.to_vec();
    file.extend_from_slice(&u32::try_from(json.len()).map_err(|_| "the record is too long")?.to_be_bytes());
    file.extend_from_slice(&crc32c(&[&json]).to_be_bytes());
    file.extend_from_slice(&json);
    Ok(file)
}

/// Reads a small file.
pub(super) fn unframe<T: DeserializeOwned>(file: &[u8]) -> Result<T, Fault> {
    let (head, json) = file.split_at_checked(16).ok_or("it is too short")?;
    if head[..8] != *FRAME {
        return Err("the beginning is missing, or of another version");
    }
    if head[8..12] != u32::try_from(json.len()).map_err(|_| "it is too long")?.to_be_bytes() {
        return Err("the length is not the file's");
    }
    if head[12..] != crc32c(&[json]).to_be_bytes() {
        return Err("the checksum is wrong");
    }
    parse(json)
}

pub(super) fn print(record: &impl Serialize) -> Result<Vec<u8>, Fault> {
    let json = serde_json::to_vec(record).map_err(|_| "the record cannot be written as JSON")?;
    if json.len() > LONGEST as usize { Err("the record is too long") } else { Ok(json) }
}

pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(json).map_err(|_| "the record is not one of this version")
}

/// CRC-32C (RFC 9260 Appendix A) of the parts, one after the other.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(!0, |crc: u32, &byte| (crc >> 8) ^ CRC[(crc as u8 ^ byte) as usize])
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};
