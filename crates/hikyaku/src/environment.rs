//! What everything below takes as arguments: the time and random octets; and how many files the
//! process may have open.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use hikyaku_wire::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

/// Lets the process have as many files and sockets open as the system allows it at all, and says
/// how many that are; a connection needs one, and one more while it sends a message.
///
/// # Errors
/// The system does not let it.
pub fn raise_open_files() -> io::Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_as_the_system_allows() {
        let allowed = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(128), maximum: allowed }).unwrap();
        assert_eq!(raise_open_files().ok(), Some(allowed.unwrap_or(u64::MAX)));
        assert_eq!(getrlimit(Resource::Nofile).current, allowed);
    }
}
