//! The names of things in the queue: messages, units, keys, holders and tokens.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hikyaku_wire::Timestamp;

/// The id of a message: 16 bytes in the layout of UUIDv7 (RFC 9562 §5.7), made by the caller.
///
/// It prints as 26 characters of lower-case Crockford base32; ids and their printed forms sort by
/// the time they were made at.
///
/// ```
/// use hikyaku_queue::MsgId;
/// use hikyaku_wire::Timestamp;
///
/// let id = MsgId::new(Timestamp::from_millis(1_764_000_000_000), [0xab; 10]);
/// assert_eq!(id.to_string().len(), 26);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert_eq!(id.timestamp().as_millis(), 1_764_000_000_000);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsgId([u8; 16]);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl MsgId {
    /// Makes an id from the time (48 bits of milliseconds; earlier than 1970 counts as 1970) and
    /// 74 of the 80 random bits.
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(bytes)
    }

    /// The id of these 16 bytes, taken as they are.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The time the id was made at, to the millisecond.
    pub fn timestamp(&self) -> Timestamp {
        let millis = self.0[..6].iter().fold(0, |sum, &byte| sum << 8 | i64::from(byte));
        Timestamp::from_millis(millis)
    }
}

impl fmt::Display for MsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        let mut text = [0; 26];
        for (at, byte) in text.iter_mut().enumerate() {
            *byte = ALPHABET[(number >> (125 - 5 * at)) as usize & 31];
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for MsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MsgId({self})")
    }
}

impl FromStr for MsgId {
    type Err = IdError;

    /// Takes the printed form only: one id has one name.
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != 26 {
            return Err(IdError);
        }
        let mut number: u128 = 0;
        for (at, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|&known| known == byte).ok_or(IdError)?;
            if at == 0 && digit > 7 {
                return Err(IdError);
            }
            number = number << 5 | digit as u128;
        }
        Ok(Self(number.to_be_bytes()))
    }
}

/// A text that is not the printed form of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 26 characters of lower-case Crockford base32, with \".<number>\" for a unit")]
pub struct IdError;

/// The piece of a message that is scheduled on its own: all its recipients with one [`QueueKey`].
///
/// It prints as the message's id, a dot and the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId {
    /// The message.
    pub msg: MsgId,
    /// The number within the message, from 0; a number is never used twice.
    pub unit: u16,
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.msg, self.unit)
    }
}

impl FromStr for UnitId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (msg, number) = text.split_once('.').ok_or(IdError)?;
        let unit: u16 = number.parse().map_err(|_| IdError)?;
        if unit.to_string() != number {
            return Err(IdError);
        }
        Ok(Self { msg: msg.parse()?, unit })
    }
}

/// Where a unit waits to go, as the router names it: `example.com`, `smarthost:[relay]:587`, `local`.
///
/// The queue compares it byte by byte and reads nothing into it. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey(Arc<str>);

impl QueueKey {
    /// The key with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who holds a lease: a name for people who look at the queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

impl WorkerId {
    /// The worker with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a unit is held, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldReason(Arc<str>);

impl HoldReason {
    /// The reason with this text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The number that makes a lease the current one: it only ever grows for a unit, over the whole
/// life of the store and across crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FenceToken(u64);

impl FenceToken {
    /// The token of this number; for back-ends.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// What makes two submissions the same one: a digest that the caller makes of client, sender,
/// recipients and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdemKey([u8; 32]);

impl IdemKey {
    /// The key of this digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layout_is_uuid_version_7() {
        let id = MsgId::new(Timestamp::from_millis(0x0123_4567_89ab), [0xff; 10]);
        assert_eq!(&id.as_bytes()[..6], &[0x01, 0x23, 0x45, 0x67, 0x89, 0xab]);
        assert_eq!(id.as_bytes()[6], 0x7f);
        assert_eq!(id.as_bytes()[8], 0xbf);
        assert_eq!(id.timestamp(), Timestamp::from_millis(0x0123_4567_89ab));
        assert_eq!(MsgId::new(Timestamp::from_millis(-5), [0; 10]).timestamp().as_millis(), 0);
    }

    #[test]
    fn printed_forms() {
        assert_eq!(MsgId::from_bytes([0; 16]).to_string(), "00000000000000000000000000");
        assert_eq!(MsgId::from_bytes([0xff; 16]).to_string(), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        let bad = [
            "",
            "0000000000000000000000000",
            "000000000000000000000000000",
            "8zzzzzzzzzzzzzzzzzzzzzzzzz", // 130 bits
            "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", // one id, one name
            "0000000000000000000000000i",
            "0000000000000000000000000u",
            "../00000000000000000000000",
        ];
        for text in bad {
            assert_eq!(text.parse::<MsgId>(), Err(IdError), "{text}");
        }
        let unit = UnitId { msg: MsgId::from_bytes([0; 16]), unit: 12 };
        assert_eq!(unit.to_string(), "00000000000000000000000000.12");
        for text in ["00000000000000000000000000", "00000000000000000000000000.+1", "00000000000000000000000000.65536"]
        {
            assert_eq!(text.parse::<UnitId>(), Err(IdError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip_and_order(a in any::<[u8; 16]>(), b in any::<[u8; 16]>(), unit in any::<u16>()) {
            let (a, b) = (MsgId::from_bytes(a), MsgId::from_bytes(b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            let unit = UnitId { msg: a, unit };
            prop_assert_eq!(unit.to_string().parse(), Ok(unit));
        }

        #[test]
        fn sorts_by_time(early in 0..1_i64 << 47, gap in 1..1_i64 << 40, x in any::<[u8; 10]>(), y in any::<[u8; 10]>()) {
            let first = MsgId::new(Timestamp::from_millis(early), x);
            let second = MsgId::new(Timestamp::from_millis(early + gap), y);
            prop_assert!(first < second && first.to_string() < second.to_string());
        }
    }
}
