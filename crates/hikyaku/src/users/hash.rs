//! Hashes of passwords: argon2id (RFC 9106) in PHC form.

use std::{fmt, str::FromStr};

use argon2::{
    ARGON2ID_IDENT, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use hikyaku_session::sasl::Password;

use crate::random;

/// The hash of a password, with its salt.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hash(PasswordHash);

/// What one verification takes: KiB of memory, passes, lanes, and octets of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost(u32, u32, u32, usize);

/// The most that a hash in a file may cost: who writes the file may not stop the program by a slip.
const MOST: Cost = Cost(1 << 20, 1_000, 64, 64);
const OUTPUT: usize = 32;

impl Default for Cost {
    fn default() -> Self {
        let params = Params::DEFAULT;
        Self(params.m_cost(), params.t_cost(), params.p_cost(), OUTPUT)
    }
}

impl Hash {
    /// Hashes a password, with a salt of its own and the default parameters.
    ///
    /// # Errors
    /// There is not enough memory, or the password is longer than any.
    pub(super) fn new(password: &Password) -> Result<Self, String> {
        let hash = Argon2::default().hash_password_with_salt(password.as_str().as_bytes(), &random::<16>());
        hash.map(Self).map_err(|error| error.to_string())
    }

    /// A hash that no known password fits, and that costs this much to try.
    pub(super) fn of_nobody(cost: Cost) -> Self {
        let Cost(memory, passes, lanes, output) = cost;
        let params = Params::new(memory, passes, lanes, Some(output));
        let octets = random::<{ MOST.3 }>();
        Self(PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13 as u32),
            params: params
                .ok()
                .and_then(|params| ParamsString::try_from(params).ok())
                .expect("what one hash costs another one can"),
            salt: Some(Salt::new(&random::<16>()).expect("16 octets are a salt")),
            hash: Some(Output::new(&octets[..output]).expect("what one hash holds another one can")),
        })
    }

    /// Whether it is the hash of this password. The time does not tell how much of it is right.
    pub(super) fn fits(&self, password: &Password) -> bool {
        Argon2::default().verify_password(password.as_str().as_bytes(), &self.0).is_ok()
    }

    pub(super) fn cost(&self) -> Cost {
        Self::read_cost(&self.0).expect("a hash has parameters")
    }

    fn read_cost(hash: &PasswordHash) -> Option<Cost> {
        let params = Params::try_from(hash).ok()?;
        Some(Cost(params.m_cost(), params.t_cost(), params.p_cost(), hash.hash.as_ref()?.len()))
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hash = PasswordHash::new(text).ok().filter(|hash| hash.algorithm == ARGON2ID_IDENT && hash.salt.is_some());
        let hash = hash.filter(|hash| hash.version == Some(Version::V0x13 as u32));
        let Some((hash, cost)) = hash.and_then(|hash| Self::read_cost(&hash).map(|cost| (hash, cost))) else {
            return Err("expected an argon2id hash, `$argon2id$v=19$...`, as `relay user add` makes them");
        };
        let most = MOST;
        if cost.0 > most.0 || cost.1 > most.1 || cost.2 > most.2 || cost.3 > most.3 {
            return Err("this hash takes too much to compute: 1 GiB, 1,000 passes and 64 lanes at the most");
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}
