//! When a deferred unit is tried again, warned about and given up.

use std::time::Duration;

use hikyaku_wire::Timestamp;

/// The retry schedule: plain data and pure functions of it (RFC 5321 §4.5.4.1).
///
/// ```
/// use std::time::Duration;
/// use hikyaku_queue::Schedule;
///
/// let schedule = Schedule { jitter: 0, ..Schedule::default() };
/// assert_eq!(schedule.delay(1, 0), Duration::from_secs(5 * 60));
/// assert_eq!(schedule.delay(2, 0), Duration::from_secs(10 * 60));
/// assert_eq!(schedule.delay(60, 0), Duration::from_secs(4 * 3600));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The delay after the first attempt.
    pub first: Duration,
    /// Each delay is so many times the one before it.
    pub factor: u32,
    /// No delay is longer, but for the jitter.
    pub cap: Duration,
    /// How many per cent a delay is made longer or shorter at random, at most 100.
    pub jitter: u8,
    /// A unit is given up so long after its message was received.
    pub expiry: Duration,
    /// The sender is warned so long after the message was received.
    pub warning: Duration,
}

impl Default for Schedule {
    /// 5 minutes, doubled up to 4 hours, 10 % of jitter; warning after 4 hours, given up after 5 days.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5 * 60),
            factor: 2,
            cap: Duration::from_secs(4 * 3600),
            jitter: 10,
            expiry: Duration::from_secs(5 * 24 * 3600),
            warning: Duration::from_secs(4 * 3600),
        }
    }
}

impl Schedule {
    /// The delay after attempt number `attempt` (from 1), with the jitter that `random` chooses.
    ///
    /// For one `random` it never gets shorter from attempt to attempt.
    pub fn delay(&self, attempt: u32, random: u32) -> Duration {
        let mut delay = self.first.min(self.cap);
        let mut left = attempt.saturating_sub(1);
        while left > 0 && delay < self.cap && self.factor > 1 && !delay.is_zero() {
            delay = delay.saturating_mul(self.factor).min(self.cap);
            left -= 1;
        }
        // In thousandths, so that the product of the longest delay stays exact in 128 bits.
        let jitter = i128::from(self.jitter.min(100)) * 10;
        let permille = 1000 - jitter + i128::from(random) * 2 * jitter / i128::from(u32::MAX);
        let millis = delay.as_millis().cast_signed() * permille / 1000;
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// When to try again after attempt number `attempt` (from 1), which ended at `now`.
    pub fn next(&self, now: Timestamp, attempt: u32, random: u32) -> Timestamp {
        now.saturating_add(self.delay(attempt, random))
    }

    /// When a message received at `received` is given up.
    pub fn expires(&self, received: Timestamp) -> Timestamp {
        received.saturating_add(self.expiry)
    }

    /// From when on the sender of a message received at `received` is warned that it is late.
    pub fn warns(&self, received: Timestamp) -> Timestamp {
        received.saturating_add(self.warning)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_default_in_the_middle_of_the_jitter() {
        let schedule = Schedule { jitter: 0, ..Schedule::default() };
        let minutes: Vec<_> = (1..=9).map(|attempt| schedule.delay(attempt, 7).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 240, 240, 240]);
        let now = Timestamp::from_millis(1_000);
        assert_eq!(schedule.next(now, 1, 0), Timestamp::from_millis(301_000));
        assert_eq!(schedule.expires(now), now.saturating_add(MINUTE * 60 * 24 * 5));
        assert_eq!(schedule.warns(now), now.saturating_add(MINUTE * 240));
    }

    #[test]
    fn jitter_reaches_both_ends() {
        let schedule = Schedule::default();
        assert_eq!(schedule.delay(1, 0), MINUTE * 5 * 9 / 10);
        assert_eq!(schedule.delay(1, u32::MAX), MINUTE * 5 * 11 / 10);
        assert_eq!(schedule.delay(99, u32::MAX), MINUTE * 240 * 11 / 10);
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        let schedule =
            Schedule { first: Duration::MAX, cap: Duration::MAX, factor: u32::MAX, jitter: 255, ..Schedule::default() };
        assert_eq!(schedule.delay(u32::MAX, u32::MAX), Duration::from_millis(u64::MAX));
        let zero = Schedule { first: Duration::ZERO, factor: 0, ..Schedule::default() };
        assert_eq!(zero.delay(u32::MAX, 1), Duration::ZERO);
    }

    proptest! {
        // D68: a jump of the clock moves the next attempt, but never before `now`.
        #[test]
        fn monotone_and_bounded(
            first in 0_u64..100_000, cap in 0_u64..1_000_000, factor in 0_u32..5, jitter in 0_u8..=100,
            attempt in 1_u32..200, random in any::<u32>(), now in -1_000_000_000_i64..i64::MAX / 2,
        ) {
            let schedule = Schedule {
                first: Duration::from_millis(first), cap: Duration::from_millis(cap), factor, jitter,
                ..Schedule::default()
            };
            let delay = schedule.delay(attempt, random);
            prop_assert!(delay <= schedule.delay(attempt + 1, random));
            prop_assert!(schedule.delay(attempt, 0) <= delay && delay <= schedule.delay(attempt, u32::MAX));
            prop_assert!(delay <= schedule.cap.min(Duration::MAX) * 2);
            prop_assert!(delay.as_millis() * 100 <= schedule.cap.as_millis() * u128::from(100 + jitter));
            let now = Timestamp::from_millis(now);
            prop_assert!(schedule.next(now, attempt, random) >= now);
            prop_assert!(schedule.next(now, attempt, random) <= schedule.next(now, attempt + 1, random));
        }
    }
}
