//! What a server keeps of a password for SCRAM.

use std::fmt;

/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677). Who has it
/// cannot log in with it, but can try passwords, and can pose as the server.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Random octets, the user's own.
    pub salt: Vec<u8>,
    /// How often the hash is repeated, 4,096 at least.
    pub iterations: u32,
    /// `H(HMAC(SaltedPassword, "Client Key"))`.
    pub stored_key: [u8; 32],
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: [u8; 32],
}

/// What makes the salt of users who do not exist: 32 random octets, the same for as long as
/// the users are, and known to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl ScramKeys {
    /// Computes the keys of a password, which takes as long as `iterations` says.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let _ = (password, salt, iterations);
        unimplemented!()
    }
}

impl Secret {
    /// Takes the octets.
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
