//! `date-time` (RFC 3339 §5.6).

use super::{ValueError, ValueErrorKind};
use crate::Timestamp;

/// Digits of a fraction of a second at the most. RFC 3339 has no limit; nanoseconds are what
/// anybody counts.
const FRACTION: usize = 9;

/// The moment that a text in the form of RFC 3339 means, to the millisecond.
///
/// ```text
/// date-time    = full-date "T" full-time
/// full-date    = date-fullyear "-" date-month "-" date-mday
/// full-time    = partial-time time-offset
/// partial-time = time-hour ":" time-minute ":" time-second [time-secfrac]
/// time-secfrac = "." 1*DIGIT
/// time-offset  = "Z" / time-numoffset
/// time-numoffset = ("+" / "-") time-hour ":" time-minute
/// ```
pub(super) fn parse(text: &str) -> Result<Timestamp, ValueError> {
    const SYNTAX: ValueErrorKind = ValueErrorKind::DateTime;
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    for (at, shape) in SHAPE.iter().enumerate() {
        let fits = bytes.get(at).is_some_and(|byte| match shape {
            b'0' => byte.is_ascii_digit(),
            shape => byte.eq_ignore_ascii_case(shape),
        });
        if !fits {
            return Err(SYNTAX.at(at));
        }
    }
    let two = |at: usize| (bytes[at] - b'0') * 10 + (bytes[at + 1] - b'0');
    let year = i64::from(two(0)) * 100 + i64::from(two(2));
    let (month, day, hour, minute, second) = (two(5), two(8), two(11), two(14), two(17));

    let mut at = SHAPE.len();
    let mut millis = 0;
    if bytes.get(at) == Some(&b'.') {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=FRACTION).contains(&digits) {
            return Err(SYNTAX.at(at + 1 + digits.min(FRACTION)));
        }
        let fraction = &bytes[at + 1..=at + digits];
        millis = fraction.iter().chain(b"00").take(3).fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        at += 1 + digits;
    }
    let offset = offset_minutes(&bytes[at..]).ok_or(SYNTAX.at(at))?;

    const NO_SUCH: ValueErrorKind = ValueErrorKind::NoSuchTime;
    let leap = second == 60;
    let whole = Timestamp::from_civil(year, month, day, hour, minute, if leap { 59 } else { second });
    let local = whole.ok_or(NO_SUCH.at(if second > 60 { 17 } else { 0 }))?.as_millis();
    let offset = offset.ok_or(NO_SUCH.at(at))?;
    let utc = local - offset * 60_000;
    if leap {
        // A leap second is the last one of a month in UTC, and the same moment as the first of
        // the next one as far as this clock goes (RFC 3339 §5.7).
        let next = Timestamp::from_millis(utc + 1000);
        let civil = next.civil();
        let first = civil.day == 1 && (civil.hour, civil.minute, civil.second) == (0, 0, 0);
        return if first { Ok(next) } else { Err(NO_SUCH.at(17)) };
    }
    Ok(Timestamp::from_millis(utc + millis))
}

/// Minutes east of Greenwich: `None` if it is no offset, `Some(None)` if there is no such time.
fn offset_minutes(text: &[u8]) -> Option<Option<i64>> {
    let (sign, h1, h2, m1, m2) = match text {
        [b'Z' | b'z'] => return Some(Some(0)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => (*sign, h1, h2, m1, m2),
        _ => return None,
    };
    if ![h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit) {
        return None;
    }
    let two = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let (hours, minutes) = (two(h1, h2), two(m1, m2));
    let total = hours * 60 + minutes;
    Some((hours < 24 && minutes < 60).then_some(if sign == b'-' { -total } else { total }))
}
