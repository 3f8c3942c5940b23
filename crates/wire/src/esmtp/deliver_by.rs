//! `BY` (RFC 2852 §4).

use std::{fmt, str::FromStr};

use super::{ValueError, ValueErrorKind, nine_digits};

/// Seconds of a deadline at the most, in both directions: nine digits (RFC 2852 §4).
const LIMIT: i32 = 999_999_999;

/// The value of `BY` (RFC 2852 §4): in how many seconds, from the moment of MAIL on, the message
/// has to be delivered, and what happens when it has not been.
///
/// ```
/// use hikyaku_wire::{ByMode, DeliverBy};
///
/// let by = DeliverBy::parse("120;R").unwrap();
/// assert_eq!((by.seconds(), by.mode(), by.trace()), (120, ByMode::Return, false));
/// assert_eq!(by.to_string(), "120;R");
/// assert!(DeliverBy::parse("0;R").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    seconds: i32,
    mode: ByMode,
    trace: bool,
}

/// `by-mode = "N" / "R"` (RFC 2852 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByMode {
    /// `N`: the sender is told of the delay, and the message is tried further.
    Notify,
    /// `R`: the message is returned.
    Return,
}

impl DeliverBy {
    /// A deadline; `None` if it has more than nine digits, or is not in the future and the mode is
    /// [`ByMode::Return`].
    pub fn new(seconds: i32, mode: ByMode, trace: bool) -> Option<Self> {
        let allowed = (-LIMIT..=LIMIT).contains(&seconds) && (seconds > 0 || mode == ByMode::Notify);
        allowed.then_some(Self { seconds, mode, trace })
    }

    /// The seconds that are left, -999999999 to 999999999; positive in mode [`ByMode::Return`].
    pub fn seconds(self) -> i32 {
        self.seconds
    }

    /// What happens when the time is over.
    pub fn mode(self) -> ByMode {
        self.mode
    }

    /// Whether the sender asks for a report where the message leaves the servers that know `BY`.
    pub fn trace(self) -> bool {
        self.trace
    }

    /// Reads the value; the letters in any case.
    ///
    /// ```text
    /// by-value = by-time ";" by-mode [by-trace]
    /// by-time  = ["-" / "+"] 1*9digit
    /// by-mode  = "N" / "R"
    /// by-trace = "T"
    /// ```
    ///
    /// # Errors
    /// Anything else, and a time that is not positive in mode `R`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let (time, words) = text.split_once(';').ok_or(ValueErrorKind::Number.at(text.len()))?;
        let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
        let number = nine_digits(digits, time.len() - digits.len())?.cast_signed();
        let seconds = if time.starts_with('-') { -number } else { number };
        let at = time.len() + 1;
        let (mode, trace) = match words.as_bytes() {
            [mode] => (mode, false),
            [mode, b'T' | b't'] => (mode, true),
            _ => return Err(ValueErrorKind::Word.at(at)),
        };
        let mode = match mode {
            b'N' | b'n' => ByMode::Notify,
            b'R' | b'r' => ByMode::Return,
            _ => return Err(ValueErrorKind::Word.at(at)),
        };
        Self::new(seconds, mode, trace).ok_or(ValueErrorKind::Range.at(0))
    }
}

impl FromStr for DeliverBy {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Notify => "N",
            ByMode::Return => "R",
        };
        write!(f, "{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2852_what_is_no_deadline() {
        use ValueErrorKind::*;
        for (text, kind, at) in [
            ("", Number, 0),
            ("120", Number, 3),
            (";R", Number, 0),
            ("-;N", Number, 1),
            ("+-1;N", Number, 1),
            ("1x;N", Number, 1),
            ("1000000000;N", Number, 9),
            ("-1000000000;N", Number, 10),
            ("99999999999999999999;R", Number, 9),
            ("0;R", Range, 0),
            ("-0;R", Range, 0),
            ("-1;R", Range, 0),
            ("-1;RT", Range, 0),
            ("1;", Word, 2),
            ("1;T", Word, 2),
            ("1;X", Word, 2),
            ("1;XT", Word, 2),
            ("1;RR", Word, 2),
            ("1;RTT", Word, 2),
            ("1;R;T", Word, 2),
            ("1; R", Word, 2),
            (" 1;R", Number, 0),
        ] {
            assert_eq!(DeliverBy::parse(text), Err(kind.at(at)), "{text}");
        }
    }

    #[test]
    fn rfc2852_deadlines() {
        use ByMode::*;
        for (text, seconds, mode, trace, printed) in [
            ("120;R", 120, Return, false, "120;R"),
            ("+1;rt", 1, Return, true, "1;RT"),
            ("0;N", 0, Notify, false, "0;N"),
            ("-999999999;nT", -999_999_999, Notify, true, "-999999999;NT"),
            ("999999999;R", 999_999_999, Return, false, "999999999;R"),
            ("000000007;N", 7, Notify, false, "7;N"),
        ] {
            let by: DeliverBy = text.parse().unwrap();
            assert_eq!((by.seconds(), by.mode(), by.trace()), (seconds, mode, trace), "{text}");
            assert_eq!(Some(by), DeliverBy::new(seconds, mode, trace));
            assert_eq!(by.to_string(), printed);
            assert_eq!(printed.parse(), Ok(by));
        }
        for seconds in [-1_000_000_000, 1_000_000_000, i32::MIN, i32::MAX] {
            assert_eq!(DeliverBy::new(seconds, Notify, false), None);
        }
    }
}
