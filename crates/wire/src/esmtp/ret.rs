//! `RET` (RFC 3461 §4.3).

use std::{fmt, str::FromStr};

use super::{ValueError, ValueErrorKind};

/// `ret-value = "FULL" / "HDRS"` (RFC 3461 §4.3): how much of the message a report of failure
/// carries back.
///
/// ```
/// use hikyaku_wire::Ret;
///
/// assert_eq!("hdrs".parse(), Ok(Ret::Headers));
/// assert_eq!(Ret::Headers.to_string(), "HDRS");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: its header section only.
    Headers,
}

impl Ret {
    /// Reads the value, in any case.
    ///
    /// # Errors
    /// Any other word.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let word = [Self::Full, Self::Headers].into_iter().find(|ret| ret.as_str().eq_ignore_ascii_case(text));
        word.ok_or(ValueErrorKind::Word.at(0))
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

impl FromStr for Ret {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d20_ret() {
        for (text, ret) in [("FULL", Ret::Full), ("full", Ret::Full), ("Hdrs", Ret::Headers)] {
            assert_eq!(Ret::parse(text), Ok(ret));
            assert_eq!(ret.to_string().parse(), Ok(ret));
        }
        for text in ["ALL", "", "FULL,HDRS", "FUL", "FULL ", "HDRSX"] {
            assert_eq!(Ret::parse(text), Err(ValueErrorKind::Word.at(0)), "{text}");
        }
    }
}
