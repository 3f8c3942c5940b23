//! The two things that everything below takes as arguments: the time and random octets.

use std::time::{SystemTime, UNIX_EPOCH};

use hikyaku_wire::Timestamp;

/// The time on the wall.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Octets that nobody can guess, from the operating system.
///
/// # Panics
/// If the operating system gives none: then neither names nor keys are safe.
pub fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).expect("the operating system has entropy");
    octets
}

/// A name for a connection: 16 hexadecimal digits of entropy.
pub fn id() -> String {
    format!("{:016x}", u64::from_be_bytes(random()))
}
