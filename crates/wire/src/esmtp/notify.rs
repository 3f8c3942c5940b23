//! `NOTIFY` (RFC 3461 §4.1).

use std::{fmt, str::FromStr};

use super::{ValueError, ValueErrorKind};
use crate::grammar::{number, number_at};

/// The value of `NOTIFY` (RFC 3461 §4.1): `NEVER`, or when a report is asked for. At least one
/// condition is in it.
///
/// ```
/// use hikyaku_wire::Notify;
///
/// let notify = Notify::parse("FAILURE,SUCCESS").unwrap();
/// assert!(notify.on_success() && notify.on_failure() && !notify.on_delay());
/// assert_eq!(notify.to_string(), "SUCCESS,FAILURE");
/// assert!(Notify::parse("NEVER,FAILURE").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Notify(u8);

const SUCCESS: u8 = 1;
const FAILURE: u8 = 2;
const DELAY: u8 = 4;
const WORDS: [(&str, u8); 3] = [("SUCCESS", SUCCESS), ("FAILURE", FAILURE), ("DELAY", DELAY)];

impl Notify {
    /// `NEVER`: nobody is told anything.
    pub const NEVER: Self = Self(0);

    /// The conditions; `None` if there are none, which is not the same as [`NEVER`](Self::NEVER)
    /// but an absent parameter.
    pub fn new(success: bool, failure: bool, delay: bool) -> Option<Self> {
        let bit = |condition, bit| if condition { bit } else { 0 };
        let bits = bit(success, SUCCESS) | bit(failure, FAILURE) | bit(delay, DELAY);
        (bits != 0).then_some(Self(bits))
    }

    /// Reads the value, in any case.
    ///
    /// ```text
    /// notify-esmtp-value  = "NEVER" / 1#notify-list-element
    /// notify-list-element = "SUCCESS" / "FAILURE" / "DELAY"
    /// ```
    ///
    /// # Errors
    /// Other words, empty elements, a word that comes twice, and `NEVER` beside another one.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if text.is_empty() {
            return Err(ValueErrorKind::Empty.at(0));
        }
        let (mut bits, mut never, mut at) = (0, false, 0);
        while let Some(rest) = text.as_bytes().get(at..) {
            let (bit, length) = word(rest).ok_or(ValueErrorKind::Word.at(at))?;
            match bit {
                0 if never => return Err(ValueErrorKind::Duplicate.at(at)),
                0 if bits != 0 => return Err(ValueErrorKind::NeverWithOthers.at(at)),
                0 => never = true,
                bit if bits & bit != 0 => return Err(ValueErrorKind::Duplicate.at(at)),
                _ if never => return Err(ValueErrorKind::NeverWithOthers.at(at)),
                bit => bits |= bit,
            }
            at += length + 1;
        }
        Ok(Self(bits))
    }

    /// Whether it is `NEVER`.
    pub fn is_never(self) -> bool {
        self == Self::NEVER
    }

    /// Whether a report of delivery is asked for.
    pub fn on_success(self) -> bool {
        self.0 & SUCCESS != 0
    }

    /// Whether a report of failure is asked for.
    pub fn on_failure(self) -> bool {
        self.0 & FAILURE != 0
    }

    /// Whether a report of delay is asked for.
    pub fn on_delay(self) -> bool {
        self.0 & DELAY != 0
    }
}

/// The word at the start of `text`, up to a comma, as its bit and its length; `NEVER` has no bit.
fn word(text: &[u8]) -> Option<(u8, usize)> {
    const SEVEN: [(u64, u8); 2] = [(number(b"SUCCESS"), SUCCESS), (number(b"FAILURE"), FAILURE)];
    const FIVE: [(u64, u8); 2] = [(number(b"DELAY"), DELAY), (number(b"NEVER"), 0)];
    let of = |words: [(u64, u8); 2], length| {
        let found = text.len() >= length && matches!(text.get(length), None | Some(b','));
        let number = found.then(|| number_at(text, length))?;
        words.into_iter().find(|(word, _)| *word == number).map(|(_, bit)| (bit, length))
    };
    of(SEVEN, 7).or_else(|| of(FIVE, 5))
}

impl FromStr for Notify {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() {
            return f.write_str("NEVER");
        }
        let mut separator = "";
        for (word, _) in WORDS.iter().filter(|(_, bit)| self.0 & bit != 0) {
            write!(f, "{separator}{word}")?;
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d20_notify() {
        use ValueErrorKind::*;
        for (text, kind, at) in [
            ("", Empty, 0),
            ("NEVER,FAILURE", NeverWithOthers, 6),
            ("NEVER,SUCCESS", NeverWithOthers, 6),
            ("SUCCESS,NEVER", NeverWithOthers, 8),
            ("NEVER,NEVER", Duplicate, 6),
            ("DELAY,DELAY", Duplicate, 6),
            ("SUCCESS,FAILURE,success", Duplicate, 16),
            ("SUCCESS,", Word, 8),
            (",SUCCESS", Word, 0),
            ("SUCCESS,,DELAY", Word, 8),
            ("NEVER,", Word, 6),
            ("ALWAYS", Word, 0),
            ("SUCCESS, DELAY", Word, 8),
            ("SUCCESSS", Word, 0),
        ] {
            assert_eq!(Notify::parse(text), Err(kind.at(at)), "{text}");
        }
    }

    #[test]
    fn every_set_prints_and_parses() {
        assert_eq!(Notify::parse("never"), Ok(Notify::NEVER));
        assert_eq!(Notify::NEVER.to_string(), "NEVER");
        assert_eq!(Notify::parse("delay,Success").unwrap().to_string(), "SUCCESS,DELAY");
        assert_eq!(Notify::new(false, false, false), None);
        let mut printed = Vec::new();
        for bits in 1..8 {
            let conditions = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            let notify = Notify::new(conditions.0, conditions.1, conditions.2).unwrap();
            assert_eq!((notify.on_success(), notify.on_failure(), notify.on_delay()), conditions);
            assert_eq!(notify.to_string().parse(), Ok(notify));
            assert!(!notify.is_never());
            printed.push(notify.to_string());
        }
        assert_eq!(printed[6], "SUCCESS,FAILURE,DELAY");
    }
}
