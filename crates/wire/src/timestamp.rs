//! The one wall-clock type of the workspace.
//!
//! ```
//! use hikyaku_wire::Timestamp;
//!
//! let time: Timestamp = "2026-11-24T05:52:00.250Z".parse().unwrap();
//! assert_eq!(time, Timestamp::from_millis(1_795_499_520_250));
//! ```

use std::{fmt, str::FromStr, time::Duration};

/// A moment in UTC, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// It is only ever made from an argument: nothing in this workspace below the top floor reads a
/// clock. It prints in the form of RFC 3339, `2026-11-24T05:52:00.123Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A [`Timestamp`] broken down into the fields of the Gregorian calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, may be negative.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Millisecond, 0 to 999.
    pub millisecond: u16,
    /// Day of the week, 0 is Sunday.
    pub weekday: u8,
}

/// The text is not a moment in the form `2026-11-24T05:52:00.123Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a moment in UTC of the form 2026-11-24T05:52:00.123Z")]
pub struct TimestampError;

const DAY: i64 = 86_400_000;

impl Timestamp {
    /// The moment `millis` milliseconds after the beginning of 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The moment of a date and time in UTC; `None` if there is no such day or time.
    pub fn from_civil(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Self> {
        let valid = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60
            && year.unsigned_abs() < 200_000_000;
        valid.then(|| {
            let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
            Self(days_from_civil(year, month, day) * DAY + seconds * 1000)
        })
    }

    /// Milliseconds since the beginning of 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment `duration` later; it stops at the end of time instead of wrapping.
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The moment `duration` earlier; it stops at the beginning of time instead of wrapping.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The date and time of this moment in UTC.
    pub fn civil(self) -> Civil {
        let days = self.0.div_euclid(DAY);
        let rest = self.0.rem_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        let field = |divisor: i64, modulus: i64| (rest / divisor % modulus) as u8;
        Civil {
            year,
            month,
            day,
            hour: field(3_600_000, 24),
            minute: field(60_000, 60),
            second: field(1000, 60),
            millisecond: (rest % 1000) as u16,
            // 1970-01-01 was a Thursday.
            weekday: (days + 4).rem_euclid(7) as u8,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Years are counted from March, so that the leap day is the last one, in eras of 400 years.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * from_march + 2) / 5 + 1) as u8;
    let month = (if from_march < 10 { from_march + 3 } else { from_march - 9 }) as u8;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, millisecond, .. } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let (date, time) = text.strip_suffix('Z').and_then(|t| t.rsplit_once('T')).ok_or(TimestampError)?;
        let (year, month, day) = (|| {
            let (rest, day) = date.rsplit_once('-')?;
            let (year, month) = rest.rsplit_once('-')?;
            Some((year.parse().ok()?, digits(month, 2)?, digits(day, 2)?))
        })()
        .ok_or(TimestampError)?;
        let (hour, minute, second, fraction) = (|| {
            let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
            let mut parts = clock.split(':');
            let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
            parts.next().is_none().then_some(())?;
            Some((digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?, fraction))
        })()
        .ok_or(TimestampError)?;
        if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TimestampError);
        }
        let millis = fraction.bytes().chain(*b"00").take(3).fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        let whole = Self::from_civil(year, month, day, hour, minute, second).ok_or(TimestampError)?;
        Ok(Self(whole.0 + millis))
    }
}

fn digits(text: &str, width: usize) -> Option<u8> {
    (text.len() == width && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (text, millis) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29T12:34:56.789Z", 951_827_696_789),
            ("2026-11-24T05:52:00.000Z", 1_795_499_520_000),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(millis)), "{text}");
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
        assert_eq!(Timestamp::from_millis(1_795_499_520_000).civil().weekday, 2);
        assert_eq!("2026-11-24T05:52:00Z".parse::<Timestamp>().map(|t| t.as_millis() % 1000), Ok(0));
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "Z",
            "2026-11-24",
            "2026-02-29T00:00:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T05:52:00.Z",
            "2026-11-24T05:52:00+01:00",
            "2026-1-24T05:52:00Z",
            "2026-11-24T05:52:00:00Z",
            "é-11-24T05:52:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn prints_what_it_parses(millis in -60_000_000_000_000i64..200_000_000_000_000) {
            let moment = Timestamp::from_millis(millis);
            proptest::prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        }

        #[test]
        fn arithmetic_never_wraps(millis: i64, seconds: u64) {
            let moment = Timestamp::from_millis(millis);
            let later = moment.saturating_add(Duration::from_secs(seconds));
            proptest::prop_assert!(later >= moment);
            proptest::prop_assert!(moment.saturating_sub(Duration::from_secs(seconds)) <= moment);
        }
    }
}
