//! `MT-PRIORITY` (RFC 6710 §3).

use std::{fmt, str::FromStr};

use super::{ValueError, ValueErrorKind};

/// The value of `MT-PRIORITY` (RFC 6710 §3): -9 is the lowest, 9 the highest, 0 what a message
/// without the parameter has. Whether a client may ask for it is the policy's decision.
///
/// ```
/// use hikyaku_wire::Priority;
///
/// assert_eq!(Priority::parse("-3").unwrap().get(), -3);
/// assert!(Priority::parse("+3").is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i8);

impl Priority {
    /// A priority; `None` if it is not one of -9 to 9.
    pub fn new(priority: i8) -> Option<Self> {
        (-9..=9).contains(&priority).then_some(Self(priority))
    }

    /// The number, -9 to 9.
    pub fn get(self) -> i8 {
        self.0
    }

    /// Reads the value: `priority-value = (["-"] NZDIGIT) / "0"`.
    ///
    /// # Errors
    /// Anything else, `+1`, `-0` and `01` among it.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        match text.as_bytes() {
            [] => Err(ValueErrorKind::Empty.at(0)),
            [digit @ b'0'..=b'9'] => Ok(Self((digit - b'0') as i8)),
            [b'-', digit @ b'1'..=b'9'] => Ok(Self(-((digit - b'0') as i8))),
            [b'0'..=b'9' | b'-', ..] => Err(ValueErrorKind::Number.at(1)),
            _ => Err(ValueErrorKind::Number.at(0)),
        }
    }
}

impl FromStr for Priority {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6710_every_priority_and_no_other() {
        let mut seen = 0;
        for number in i8::MIN..=i8::MAX {
            let priority = Priority::new(number);
            assert_eq!(priority.is_some(), (-9..=9).contains(&number));
            assert_eq!(Priority::parse(&number.to_string()).ok(), priority);
            if let Some(priority) = priority {
                assert_eq!((priority.get(), priority.to_string()), (number, number.to_string()));
                seen += 1;
            }
        }
        assert_eq!(seen, 19);
        for (text, kind, at) in [
            ("", ValueErrorKind::Empty, 0),
            ("+1", ValueErrorKind::Number, 0),
            ("-0", ValueErrorKind::Number, 1),
            ("-", ValueErrorKind::Number, 1),
            ("01", ValueErrorKind::Number, 1),
            ("10", ValueErrorKind::Number, 1),
            ("-10", ValueErrorKind::Number, 1),
            ("--1", ValueErrorKind::Number, 1),
            ("1 ", ValueErrorKind::Number, 1),
            ("x", ValueErrorKind::Number, 0),
            ("99999999999999999999", ValueErrorKind::Number, 1),
        ] {
            assert_eq!(text.parse::<Priority>(), Err(kind.at(at)), "{text}");
        }
    }
}
