//! Dates of header fields (RFC 5322 §3.3, obsolete forms §4.3).

use std::fmt;
use std::str::FromStr;

use hikyaku_wire::{Civil, Timestamp};

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The date of a header field (RFC 5322 §3.3), to the second.
///
/// Prints in UTC, `Tue, 24 Nov 2026 05:52:00 +0000`. Reads every current and
/// obsolete form in time linear in the length of the text: comments, folding,
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

    /// `date-time = [ day-of-week "," ] date time [CFWS]`
    fn from_str(text: &str) -> Result<Self, DateError> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        reader.date_time()
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
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
        if self.peek() == Some(b':') {
            self.at += 1;
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
                self.at += 1;
                let (zone, _) = self.number(4, 4)?;
                let (hours, minutes) = (i64::from(zone / 100), i64::from(zone % 100));
                if minutes > 59 {
                    return Err(self.error());
                }
                let zone = hours * 60 + minutes;
                Ok(if sign == b'-' { -zone } else { zone })
            }
            Some(octet) if octet.is_ascii_alphabetic() => {
                let hours = match self.word().to_ascii_uppercase().as_slice() {
                    b"EDT" => -4,
                    b"EST" | b"CDT" => -5,
                    b"CST" | b"MDT" => -6,
                    b"MST" | b"PDT" => -7,
                    b"PST" => -8,
                    _ => 0,
                };
                Ok(hours * 60)
            }
            _ => Err(self.error()),
        }
    }

    /// Skips white space, folding and comments (`[CFWS]`), which may nest.
    fn skip(&mut self) -> Result<(), DateError> {
        let mut depth = 0_usize;
        while let Some(octet) = self.peek() {
            match octet {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => self.at += 1,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if depth > 0 => {}
                _ => break,
            }
            self.at += 1;
        }
        if depth == 0 && self.at <= self.text.len() { Ok(()) } else { Err(self.error()) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, octet: u8) -> Result<(), DateError> {
        if self.peek() != Some(octet) {
            return Err(self.error());
        }
        self.at += 1;
        Ok(())
    }

    /// A number of `min` to `max` digits, and how many there were.
    fn number(&mut self, min: usize, max: usize) -> Result<(u32, usize), DateError> {
        let digits = self.text[self.at.min(self.text.len())..]
            .iter()
            .take_while(|octet| octet.is_ascii_digit())
            .take(max + 1)
            .fold((0, 0), |(value, count), octet| (value * 10 + u32::from(octet - b'0'), count + 1));
        if !(min..=max).contains(&digits.1) {
            return Err(self.error());
        }
        self.at += digits.1;
        Ok(digits)
    }

    /// One of `names` in any case, by its position.
    fn name(&mut self, names: &[&str]) -> Result<usize, DateError> {
        let start = self.at;
        let word = self.word();
        names.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word)).ok_or(DateError { at: start })
    }

    /// The letters from here on.
    fn word(&mut self) -> &[u8] {
        let start = self.at;
        while self.peek().is_some_and(|octet| octet.is_ascii_alphabetic()) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn error(&self) -> DateError {
        DateError { at: self.at.min(self.text.len()) }
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
            ("1 Jan 2026 00:00 +0000 (", 24),
            ("1 Jan 2026 00:00 +0000 (\\", 25),
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

    /// C1.34: nesting costs neither stack nor more than linear time.
    #[test]
    fn deep_comments_are_skipped() {
        let text = format!("{}{} 1 Jan 2026 00:00 UT", "(".repeat(1_000_000), ")".repeat(1_000_000));
        assert_eq!(printed(&text), "Thu, 01 Jan 2026 00:00:00 +0000");
        assert_eq!(printed(&"(".repeat(1_000_000)), "error at 1000000");
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
