//! `HOLDFOR` and `HOLDUNTIL` (RFC 4865 §3).

use std::{fmt, str::FromStr};

use super::{ValueError, ValueErrorKind, date_time, nine_digits};
use crate::{Timestamp, text::wire_text};

/// When a message is to be released for delivery (RFC 4865 §3): one of two parameters, never
/// both.
///
/// It prints only the value, as the other types of values do; [`keyword`](Self::keyword) belongs
/// in front.
///
/// ```
/// use hikyaku_wire::{Hold, HoldFor};
///
/// let hold = Hold::<&str>::For(HoldFor::parse("3600").unwrap());
/// assert_eq!(format!("{}={hold}", hold.keyword()), "HOLDFOR=3600");
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Hold<T = Box<str>> {
    /// `HOLDFOR`: after a number of seconds.
    For(HoldFor),
    /// `HOLDUNTIL`: at a moment.
    Until(HoldUntil<T>),
}

/// The value of `HOLDFOR` (RFC 4865 §3): 1 to 999999999 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldFor(u32);

/// The value of `HOLDUNTIL` (RFC 4865 §3 with erratum 2040): a `date-time` of RFC 3339, kept as
/// received. Two are equal if they are written the same; compare
/// [`timestamp`](Self::timestamp) to compare the moments.
///
/// ```
/// use hikyaku_wire::HoldUntil;
///
/// let until = HoldUntil::parse("2026-11-24T06:52:00+01:00").unwrap();
/// assert_eq!(until.timestamp().to_string(), "2026-11-24T05:52:00.000Z");
/// assert_eq!(until.to_string(), "2026-11-24T06:52:00+01:00");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HoldUntil<T = Box<str>> {
    text: T,
    timestamp: Timestamp,
}

impl<T> Hold<T> {
    /// The keyword of the parameter.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::For(_) => "HOLDFOR",
            Self::Until(_) => "HOLDUNTIL",
        }
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> Hold
    where
        T: Into<Box<str>>,
    {
        match self {
            Self::For(seconds) => Hold::For(seconds),
            Self::Until(moment) => Hold::Until(moment.into_owned()),
        }
    }
}

impl<T: AsRef<str>> Hold<T> {
    /// The same without its own text.
    pub fn borrowed(&self) -> Hold<&str> {
        match self {
            Self::For(seconds) => Hold::For(*seconds),
            Self::Until(moment) => Hold::Until(moment.borrowed()),
        }
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Hold<U>> for Hold<T> {
    fn eq(&self, other: &Hold<U>) -> bool {
        match (self, other) {
            (Self::For(one), Hold::For(other)) => one == other,
            (Self::Until(one), Hold::Until(other)) => one == other,
            _ => false,
        }
    }
}

impl<T: AsRef<str>> Eq for Hold<T> {}

impl<T: AsRef<str>> fmt::Display for Hold<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(seconds) => seconds.fmt(f),
            Self::Until(moment) => moment.fmt(f),
        }
    }
}

impl HoldFor {
    /// A number of seconds; `None` if it is not one of 1 to 999999999.
    pub fn new(seconds: u32) -> Option<Self> {
        (1..=999_999_999).contains(&seconds).then_some(Self(seconds))
    }

    /// The seconds, 1 to 999999999.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// Reads the value: `future-release-integer = %x31-39 *8DIGIT`.
    ///
    /// # Errors
    /// Anything else, a leading zero among it.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let seconds = nine_digits(text, 0)?;
        if text.starts_with('0') {
            return Err(if seconds == 0 { ValueErrorKind::Range } else { ValueErrorKind::Number }.at(0));
        }
        Ok(Self(seconds))
    }
}

impl FromStr for HoldFor {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for HoldFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'a> HoldUntil<&'a str> {
    /// Reads the value, a `date-time` of RFC 3339 §5.6 with any offset; nothing is copied.
    ///
    /// # Errors
    /// Anything else, days and times that do not exist, and more than nine digits of a second's
    /// fraction.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        date_time::parse(text).map(|timestamp| Self { text, timestamp })
    }
}

impl HoldUntil {
    /// The value that means a moment; `None` outside the years 0 to 9999.
    pub fn new(moment: Timestamp) -> Option<Self> {
        (0..=9999).contains(&moment.civil().year).then(|| Self { text: moment.to_string().into(), timestamp: moment })
    }
}

impl<T: AsRef<str>> HoldUntil<T> {
    /// The text as received.
    pub fn as_str(&self) -> &str {
        self.text.as_ref()
    }

    /// The same without its own text.
    pub fn borrowed(&self) -> HoldUntil<&str> {
        HoldUntil { text: self.as_str(), timestamp: self.timestamp }
    }
}

impl<T> HoldUntil<T> {
    /// The moment; what is finer than a millisecond is dropped, and a leap second is the second
    /// behind it.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> HoldUntil
    where
        T: Into<Box<str>>,
    {
        HoldUntil { text: self.text.into(), timestamp: self.timestamp }
    }
}

wire_text!(HoldUntil, ValueError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4865_hold_for() {
        for (text, seconds) in [("1", 1), ("60", 60), ("999999999", 999_999_999)] {
            let hold: HoldFor = text.parse().unwrap();
            assert_eq!((hold.seconds(), hold.to_string().as_str()), (seconds, text));
            assert_eq!(HoldFor::new(seconds), Some(hold));
        }
        use ValueErrorKind::*;
        for (text, kind, at) in [
            ("", Number, 0),
            ("0", Range, 0),
            ("000000000", Range, 0),
            ("01", Number, 0),
            ("1000000000", Number, 9),
            ("99999999999999999999999", Number, 9),
            ("-1", Number, 0),
            ("+1", Number, 0),
            ("1s", Number, 1),
        ] {
            assert_eq!(HoldFor::parse(text), Err(kind.at(at)), "{text}");
        }
        assert_eq!((HoldFor::new(0), HoldFor::new(1_000_000_000)), (None, None));
    }

    #[test]
    fn rfc3339_moments() {
        for (text, moment) in [
            ("2026-11-24T05:52:00Z", "2026-11-24T05:52:00.000Z"),
            ("2026-11-24t05:52:00z", "2026-11-24T05:52:00.000Z"),
            ("2026-11-24T05:52:00.1Z", "2026-11-24T05:52:00.100Z"),
            ("2026-11-24T05:52:00.123456789Z", "2026-11-24T05:52:00.123Z"),
            ("2026-11-24T05:52:00+23:59", "2026-11-23T05:53:00.000Z"),
            ("2026-11-24T05:52:00-00:00", "2026-11-24T05:52:00.000Z"),
            ("2024-02-29T23:30:00-01:00", "2024-03-01T00:30:00.000Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
            ("1990-12-31T15:59:60.5-08:00", "1991-01-01T00:00:00.000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            let until: HoldUntil = text.parse().unwrap();
            assert_eq!(until.timestamp().to_string(), moment, "{text}");
            assert_eq!(until.to_string(), text);
        }
    }

    #[test]
    fn rfc3339_what_is_no_moment() {
        use ValueErrorKind::*;
        for (text, kind, at) in [
            ("", DateTime, 0),
            ("2026-11-24", DateTime, 10),
            ("2026-11-24 05:52:00Z", DateTime, 10),
            ("2026-11-24T05:52:00", DateTime, 19),
            ("2026-11-24T05:52Z", DateTime, 16),
            ("2026-11-24T05:52:00.Z", DateTime, 20),
            ("2026-11-24T05:52:00.1234567890Z", DateTime, 29),
            ("2026-11-24T05:52:00,1Z", DateTime, 19),
            ("2026-11-24T05:52:00ZZ", DateTime, 19),
            ("2026-11-24T05:52:00+0100", DateTime, 19),
            ("2026-11-24T05:52:00+1:00", DateTime, 19),
            ("2026-11-24T05:52:00.5+0x:00", DateTime, 21),
            ("26-11-24T05:52:00Z", DateTime, 2),
            ("+2026-11-24T05:52:00Z", DateTime, 0),
            ("2026-11-24T05:52:00é", DateTime, 19),
            ("2026-02-29T00:00:00Z", NoSuchTime, 0),
            ("2026-00-01T00:00:00Z", NoSuchTime, 0),
            ("2026-13-01T00:00:00Z", NoSuchTime, 0),
            ("2026-11-31T00:00:00Z", NoSuchTime, 0),
            ("2026-11-24T24:00:00Z", NoSuchTime, 0),
            ("2026-11-24T23:60:00Z", NoSuchTime, 0),
            ("2026-11-24T23:59:61Z", NoSuchTime, 17),
            ("2026-11-24T23:59:60Z", NoSuchTime, 17),
            ("2026-12-31T22:59:60Z", NoSuchTime, 17),
            ("2016-12-31T23:59:61Z", NoSuchTime, 17),
            ("2016-12-31T23:59:99Z", NoSuchTime, 17),
            ("2026-11-24T05:52:00+24:00", NoSuchTime, 19),
            ("2026-11-24T05:52:00-00:60", NoSuchTime, 19),
        ] {
            assert_eq!(HoldUntil::parse(text).map(HoldUntil::into_owned), Err(kind.at(at)), "{text}");
        }
    }

    #[test]
    fn one_or_the_other() {
        let until = Hold::Until(HoldUntil::parse("2026-11-24T05:52:00Z").unwrap());
        let four = Hold::<&str>::For(HoldFor::parse("4").unwrap());
        assert_eq!((until.keyword(), until.to_string().as_str()), ("HOLDUNTIL", "2026-11-24T05:52:00Z"));
        assert_eq!((four.keyword(), four.to_string().as_str()), ("HOLDFOR", "4"));
        assert_eq!(until.into_owned(), until);
        assert_eq!(four.into_owned().borrowed(), four);
        assert_ne!(until, four);
        assert_ne!(four, Hold::<&str>::For(HoldFor(5)));
    }

    proptest::proptest! {
        #[test]
        fn every_moment_is_kept(millis in -62_167_219_200_000i64..=253_402_300_799_999) {
            let moment = Timestamp::from_millis(millis);
            let until = HoldUntil::new(moment).unwrap();
            proptest::prop_assert_eq!(until.timestamp(), moment);
            let again = HoldUntil::parse(until.as_str()).unwrap();
            proptest::prop_assert_eq!((again.timestamp(), again == until), (moment, true));
        }

        #[test]
        fn outside_of_the_calendar_there_is_none(years in 0i64..100_000) {
            let before = Timestamp::from_millis(-62_167_219_200_001 - years * 31_556_952_000);
            let after = Timestamp::from_millis(253_402_300_800_000 + years * 31_556_952_000);
            proptest::prop_assert_eq!((HoldUntil::new(before), HoldUntil::new(after)), (None, None));
        }
    }
}
