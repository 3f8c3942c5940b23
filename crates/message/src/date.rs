//! Dates of header fields (RFC 5322 §3.3, obsolete forms §4.3).
//!
//! ```
//! use hikyaku_message::Date;
//!
//! let date: Date = "24 nov 2026 07:52 EST (noon in Europe)".parse().unwrap();
//! assert_eq!(date.to_string().parse(), Ok(date));
//! ```

use std::fmt;
use std::str::FromStr;

use hikyaku_wire::{Civil, Timestamp};

use crate::lexer::Lexer;

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The date of a header field (RFC 5322 §3.3), to the second.
///
/// Prints in UTC, `Tue, 24 Nov 2026 05:52:00 +0000`. Reads every current and
/// obsolete form in time linear in the length of the text: comments (at most 32 deep), folding,
/// years of two or three digits, seconds left out, zones by name (an unknown
/// one is UTC, RFC 5322 §4.3).
///
/// # Incomplete support
/// The offset is not kept, a wrong day of the week is not noticed, a leap
/// second is the next minute, and years are 1900 to 999999.
///
/// ```
/// use hikyaku_message::Date;
///
/// let date: Date = "24 Nov 26 06:52 (lunch) +0100".parse()?;
/// assert_eq!(date.to_string(), "Tue, 24 Nov 2026 05:52:00 +0000");
/// # Ok::<(), hikyaku_message::DateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(Timestamp);

impl Date {
    /// Reads the value of a field: `date-time = [ day-of-week "," ] date time [CFWS]`.
    ///
    /// # Errors
    /// Where the value is not a date.
    pub fn parse(value: &[u8]) -> Result<Self, DateError> {
        Reader { lexer: Lexer::new(value) }.date_time()
    }

    /// The moment, in whole seconds.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for Date {
    fn from(time: Timestamp) -> Self {
        Self(Timestamp::from_millis(time.as_millis().div_euclid(1000).saturating_mul(1000)))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, weekday, .. } = self.0.civil();
        let weekday = WEEKDAYS[usize::from(weekday)];
        let month = MONTHS[usize::from(month) - 1];
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
    }
}

/// The text is not a date of RFC 5322 §3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date of a header field, at octet {at}")]
pub struct DateError {
    /// The octet at which something else was expected.
    pub at: usize,
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        Self::parse(text.as_bytes())
    }
}

struct Reader<'a> {
    lexer: Lexer<'a>,
}

impl<'a> Reader<'a> {
    fn date_time(&mut self) -> Result<Date, DateError> {
        self.skip()?;
        if self.peek().is_some_and(|octet| octet.is_ascii_alphabetic()) {
            self.name(&WEEKDAYS)?;
            self.skip()?;
            self.expect(b',')?;
            self.skip()?;
        }
        let (day, _) = self.number(1, 2)?;
        self.skip()?;
        let month = self.name(&MONTHS)? + 1;
        self.skip()?;
        let year = match self.number(2, 6)? {
            (year, 2) if year < 50 => year + 2000,
            (year, 2 | 3) => year + 1900,
            (year, _) => year,
        };
        self.skip()?;
        let (hour, _) = self.number(1, 2)?;
        self.skip()?;
        self.expect(b':')?;
        self.skip()?;
        let (minute, _) = self.number(2, 2)?;
        self.skip()?;
        let mut second = 0;
        if self.lexer.take(b':') {
            self.skip()?;
            (second, _) = self.number(2, 2)?;
            self.skip()?;
        }
        let zone = self.zone()?;
        self.skip()?;
        if self.peek().is_some() || second > 60 {
            return Err(self.error());
        }
        let leap = i64::from(second == 60);
        // Numbers of at most two digits fit an octet.
        Timestamp::from_civil(i64::from(year), month as u8, day as u8, hour as u8, minute as u8, second.min(59) as u8)
            .map(|local| Timestamp::from_millis(local.as_millis() + (leap - zone * 60) * 1000))
            .filter(|time| (1900..=999_999).contains(&time.civil().year))
            .map(Date)
            .ok_or(self.error())
    }

    /// `zone = (FWS ( "+" / "-" ) 4DIGIT) / obs-zone`, in minutes east of UTC.
    fn zone(&mut self) -> Result<i64, DateError> {
        match self.peek() {
            Some(sign @ (b'+' | b'-')) => {
                self.lexer.take(sign);
                let (zone, _) = self.number(4, 4)?;
                let (hours, minutes) = (i64::from(zone / 100), i64::from(zone % 100));
                if minutes > 59 {
                    return Err(self.error());
                }
                let zone = hours * 60 + minutes;
                Ok(if sign == b'-' { -zone } else { zone })
            }
            Some(octet) if octet.is_ascii_alphabetic() => {
                let start = self.lexer.at();
                let word = self.word();
                let is = |zone: &str| word.eq_ignore_ascii_case(zone.as_bytes());
                // Of a clock of twelve hours, and the letter that is no zone (RFC 5322 §4.3): whatever
                // was meant, it was not UTC.
                if is("AM") || is("PM") || is("J") {
                    return Err(DateError { at: start });
                }
                let zones = [
                    ("EDT", -4),
                    ("EST", -5),
                    ("CDT", -5),
                    ("CST", -6),
                    ("MDT", -6),
                    ("MST", -7),
                    ("PDT", -7),
                    ("PST", -8),
                ];
                let hours = zones.iter().find(|(zone, _)| is(zone)).map_or(0, |(_, hours)| *hours);
                Ok(hours * 60)
            }
            _ => Err(self.error()),
        }
    }

    /// Skips white space, folding and comments (`[CFWS]`), which may nest.
    fn skip(&mut self) -> Result<(), DateError> {
        self.lexer.skip().map(|_| ()).map_err(|error| DateError { at: error.at })
    }

    fn peek(&self) -> Option<u8> {
        self.lexer.peek()
    }

    fn expect(&mut self, octet: u8) -> Result<(), DateError> {
        self.lexer.expect(octet).map_err(|error| DateError { at: error.at })
    }

    /// A number of `min` to `max` digits, and how many there were.
    fn number(&mut self, min: usize, max: usize) -> Result<(u32, usize), DateError> {
        let start = self.lexer.at();
        let digits = self.lexer.take_while(|octet| octet.is_ascii_digit());
        if !(min..=max).contains(&digits.len()) {
            return Err(DateError { at: start });
        }
        let value = digits.iter().fold(0, |value, octet| value * 10 + u32::from(octet - b'0'));
        Ok((value, digits.len()))
    }

    /// One of `names` in any case, by its position.
    fn name(&mut self, names: &[&str]) -> Result<usize, DateError> {
        let start = self.lexer.at();
        let word = self.word();
        names.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word)).ok_or(DateError { at: start })
    }

    /// The letters from here on.
    fn word(&mut self) -> &'a [u8] {
        self.lexer.take_while(|octet| octet.is_ascii_alphabetic())
    }

    fn error(&self) -> DateError {
        DateError { at: self.lexer.at() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(text: &str) -> String {
        match text.parse::<Date>() {
            Ok(date) => date.to_string(),
            Err(error) => format!("error at {}", error.at),
        }
    }

    #[test]
    fn prints_utc_with_the_day_of_the_week() {
        let time = Timestamp::from_millis(1_795_499_520_123);
        assert_eq!(Date::from(time).to_string(), "Tue, 24 Nov 2026 05:52:00 +0000");
        let before = Timestamp::from_millis(-1);
        assert_eq!(Date::from(before).to_string(), "Wed, 31 Dec 1969 23:59:59 +0000");
    }

    #[test]
    fn reads_current_and_obsolete_forms() {
        let cases = [
            // RFC 5322 appendix A.
            ("Fri, 21 Nov 1997 09:55:06 -0600", "Fri, 21 Nov 1997 15:55:06 +0000"),
            ("Tue, 1 Jul 2003 10:52:37 +0200", "Tue, 01 Jul 2003 08:52:37 +0000"),
            (
                "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
                "Fri, 14 Feb 1969 03:02:00 +0000",
            ),
            ("21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000"),
            ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "Fri, 21 Nov 1997 15:55:06 +0000"),
            // RFC 5322 section 4.3.
            ("1 Jan 49 00:00 UT", "Fri, 01 Jan 2049 00:00:00 +0000"),
            ("1 Jan 50 00:00 UT", "Sun, 01 Jan 1950 00:00:00 +0000"),
            ("1 Jan 126 00:00 UT", "Thu, 01 Jan 2026 00:00:00 +0000"),
            ("1 Jan 2026 00:00 EST", "Thu, 01 Jan 2026 05:00:00 +0000"),
            ("1 Jan 2026 00:00 pdt", "Thu, 01 Jan 2026 07:00:00 +0000"),
            ("1 Jan 2026 00:00 Z", "Thu, 01 Jan 2026 00:00:00 +0000"),
            ("1 Jan 2026 00:00 A", "Thu, 01 Jan 2026 00:00:00 +0000"),
            ("1 Jan 2026 00:00:00 -0000", "Thu, 01 Jan 2026 00:00:00 +0000"),
            ("(a(b\\)c)d) 1 Jan 2026 00:00 +0000 (x) ", "Thu, 01 Jan 2026 00:00:00 +0000"),
            ("29 Feb 2024 12:00 +0000", "Thu, 29 Feb 2024 12:00:00 +0000"),
            ("31 Dec 2016 23:59:60 +0000", "Sun, 01 Jan 2017 00:00:00 +0000"),
            ("1 Jan 2026 00:30 +0100", "Wed, 31 Dec 2025 23:30:00 +0000"),
        ];
        for (text, expected) in cases {
            assert_eq!(printed(text), expected, "{text}");
        }
    }

    #[test]
    fn zones_by_name() {
        let zones = ["UT", "GMT", "EDT", "EST", "CDT", "CST", "MDT", "MST", "PDT", "PST", "CET", "K"];
        let hours = [0, 0, 4, 5, 5, 6, 6, 7, 7, 8, 0, 0];
        for (zone, hour) in zones.iter().zip(hours) {
            let expected = format!("Thu, 01 Jan 2026 {hour:02}:00:00 +0000");
            assert_eq!(printed(&format!("1 Jan 2026 00:00 {zone}")), expected, "{zone}");
        }
    }

    #[test]
    fn says_where_it_is_wrong() {
        let cases = [
            ("", 0),
            ("Foo, 1 Jan 2026 00:00 +0000", 0),
            ("Fri 1 Jan 2026 00:00 +0000", 4),
            ("1 Jaan 2026 00:00 +0000", 2),
            ("111 Jan 2026 00:00 +0000", 0),
            ("1 Jan 2 00:00 +0000", 6),
            ("1 Jan 2026 0000 +0000", 11),
            ("1 Jan 2026 00:0 +0000", 14),
            ("1 Jan 2026 00:00", 16),
            ("1 Jan 2026 00:00 +00", 18),
            ("1 Jan 2026 00:00 +0060", 22),
            ("1 Jan 2026 00:00 +00000", 18),
            ("1 Jan 2026 00:00 +0000 x", 23),
            ("1 Jan 2026 00:00 +0000 (", 23),
            ("1 Jan 2026 00:00 +0000 (\\", 23),
            ("1 Jan 2026 00:00 PM", 17),
            ("1 Jan 2026 00:00 am", 17),
            ("1 Jan 2026 00:00 j", 17),
            ("1 Jan 2026\r00:00 UT", 10),
            ("1 Jan 2026\n00:00 UT", 10),
            ("1 Jan 2026\r\n00:00 UT", 10),
            ("1 Jan 2026 00:00 UT (a\0)", 22),
            ("1 Jan 2026 00:00 +0000 )", 23),
            ("30 Feb 2026 00:00 +0000", 23),
            ("1 Jan 2026 24:00 +0000", 22),
            ("1 Jan 2026 00:00:61 +0000", 25),
            ("1 Jan 1900 00:00 +0100", 22),
            ("1 Jan 0026 00:00 +0000", 22),
        ];
        for (text, at) in cases {
            assert_eq!(printed(text), format!("error at {at}"), "{text}");
        }
    }

    /// C1.34: comments nest 32 deep, and no deeper.
    #[test]
    fn c1_34_deep_comments() {
        let nested = |depth: usize| format!("{}{} 1 Jan 2026 00:00 UT", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(printed(&nested(32)), "Thu, 01 Jan 2026 00:00:00 +0000");
        assert_eq!(printed(&nested(33)), "error at 32");
        assert_eq!(printed(&"(".repeat(1_000_000)), "error at 32");
    }

    proptest! {
        #[test]
        fn printed_dates_are_read(seconds in -2_208_988_800_i64..253_402_300_800) {
            let date = Date::from(Timestamp::from_millis(seconds * 1000));
            prop_assert_eq!(date.to_string().parse(), Ok(date));
        }

        #[test]
        fn nothing_panics(text in "[ (),:+\\\\0-9a-zA-Zü\r\n]{0,60}") {
            crate::fuzzing::date(text.as_bytes());
        }
    }
}
