//! What a server keeps of a password for SCRAM.

use std::{fmt, num::NonZeroU32, str::FromStr};

use hikyaku_wire::Base64;
use zeroize::Zeroizing;

use super::{
    Unprepared,
    crypto::{Hash, hash, hmac, salted, same},
    prepare,
};

/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677). Who has it
/// cannot log in with it, but can try passwords, and can pose as the server.
///
/// Written out (RFC 5803 §2) it is `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER`, for a file or
/// a data base, never for a log. `Debug` shows the iterations only.
///
/// ```
/// # use hikyaku_session::sasl::ScramKeys;
/// let keys = ScramKeys::derive("pencil", b"sixteen octets..", 4096).unwrap();
/// let kept = keys.to_string();
/// assert!(kept.starts_with("SCRAM-SHA-256$4096:c2l4dGVlbiBvY3RldHMuLg==$"));
/// assert_eq!(kept.parse(), Ok(keys));
/// ```
#[derive(Clone)]
pub struct ScramKeys {
    /// 8 to 64 random octets, the user's own.
    pub salt: Vec<u8>,
    /// How often the hash is repeated: 4,096 to 10,000,000 times.
    pub iterations: u32,
    /// `H(HMAC(SaltedPassword, "Client Key"))`.
    pub stored_key: [u8; 32],
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: [u8; 32],
}

/// What makes the salt of users who do not exist: 32 random octets, the same for as long as
/// the users are, and known to nobody.
#[derive(Clone)]
pub struct Secret([u8; 32]);

/// Why keys cannot be made of a password, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The password has no form in which it could be compared.
    #[error("this password cannot be used with SCRAM: {0}")]
    Password(Unprepared),
    /// The salt, of so many octets, is too short or too long.
    #[error("a salt of {0} octets: 8 to 64 are accepted, 16 random ones are best")]
    Salt(usize),
    /// So many iterations are too few or too many.
    #[error("{0} iterations: 4,096 to 10,000,000 are accepted")]
    Iterations(u32),
    /// It is not written as keys are.
    #[error("not SCRAM keys: the form is SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER, the last three in base64")]
    Form,
}

impl ScramKeys {
    /// Octets of a salt that cannot be told from that of a user who does not exist.
    pub const SALT: usize = 16;

    const MECHANISM: &str = "SCRAM-SHA-256";

    /// Computes the keys of a password, which takes as long as `iterations` says (some 0.2 µs
    /// each). The password is [prepared](prepare()) first. For `salt` take [`SALT`](Self::SALT)
    /// random octets.
    ///
    /// # Errors
    /// A password that is empty or cannot be prepared, a salt of less than 8 or more than 64
    /// octets, less than 4,096 or more than 10,000,000 iterations.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Result<Self, KeysError> {
        let password = Zeroizing::new(prepare(password).map_err(KeysError::Password)?.into_owned());
        check(salt, iterations)?;
        let rounds = NonZeroU32::new(iterations).ok_or(KeysError::Iterations(iterations))?;
        let salted = salted(&password, salt, rounds);
        let client_key = Zeroizing::new(hmac(&*salted, &[b"Client Key"]));
        Ok(Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: hash(&*client_key),
            server_key: hmac(&*salted, &[b"Server Key"]),
        })
    }

    /// Keys that no password has, always the same for a name. The case of ASCII letters does not
    /// matter: where two spellings are one user with one salt, those of nobody must not have two.
    pub(super) fn of_nobody(secret: &Secret, user: &str, iterations: u32) -> Self {
        let (Secret(secret), user) = (secret, user.to_ascii_lowercase());
        Self {
            salt: hmac(secret, &[b"salt", user.as_bytes()])[..Self::SALT].to_vec(),
            iterations,
            stored_key: hmac(secret, &[b"stored", user.as_bytes()]),
            server_key: hmac(secret, &[b"server", user.as_bytes()]),
        }
    }

    /// Whether a client could take them: what [`derive`](Self::derive) makes can be.
    pub(super) fn are_usable(&self) -> bool {
        check(&self.salt, self.iterations).is_ok()
    }
}

/// Iterations that are neither unsafe (RFC 7677 §4) nor an attack.
pub(super) fn reasonable(iterations: u32) -> bool {
    (4096..=10_000_000).contains(&iterations)
}

fn check(salt: &[u8], iterations: u32) -> Result<(), KeysError> {
    if !(8..=64).contains(&salt.len()) {
        return Err(KeysError::Salt(salt.len()));
    }
    if reasonable(iterations) { Ok(()) } else { Err(KeysError::Iterations(iterations)) }
}

impl Secret {
    /// Takes the octets.
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }
}

impl FromStr for ScramKeys {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        let parts = text.strip_prefix(Self::MECHANISM).and_then(|rest| rest.strip_prefix('$'));
        let (info, value) = parts.and_then(|rest| rest.split_once('$')).ok_or(KeysError::Form)?;
        let (count, salt) = info.split_once(':').ok_or(KeysError::Form)?;
        let (stored, server) = value.split_once(':').ok_or(KeysError::Form)?;
        let octets = |text: &str| Base64::parse(text).map(|base64| base64.decode()).map_err(|_| KeysError::Form);
        let key = |text: &str| -> Result<Hash, KeysError> { octets(text)?.try_into().map_err(|_| KeysError::Form) };
        let keys = Self {
            salt: octets(salt)?,
            iterations: number(count).ok_or(KeysError::Form)?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        };
        check(&keys.salt, keys.iterations).map(|()| keys)
    }
}

/// `posit-number = %x31-39 *DIGIT` (RFC 5802 §7); what is more than fits is as much as fits.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !text.starts_with('0') && !text.is_empty()).then(|| text.parse().unwrap_or(u32::MAX))
}

/// The form for a file (RFC 5803 §2); whoever reads it can pose as the server.
impl fmt::Display for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base64 = |octets: &[u8]| Base64::encode(octets).map_err(|_| fmt::Error);
        write!(f, "{}${}:{}", Self::MECHANISM, self.iterations, base64(&self.salt)?)?;
        write!(f, "${}:{}", base64(&self.stored_key)?, base64(&self.server_key)?)
    }
}

impl PartialEq for ScramKeys {
    fn eq(&self, other: &Self) -> bool {
        self.salt == other.salt
            && self.iterations == other.iterations
            && same(&self.stored_key, &other.stored_key) & same(&self.server_key, &other.server_key)
    }
}

impl Eq for ScramKeys {}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for Secret {}

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

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &[u8] = b"sixteen octets..";

    fn keys() -> ScramKeys {
        ScramKeys::derive("pencil", SALT, 4096).unwrap()
    }

    #[test]
    fn passwords_are_prepared() {
        assert_eq!(ScramKeys::derive("pen\u{ad}cil", SALT, 4096), Ok(keys()));
        for (password, error) in
            [("", Unprepared::Empty), ("a\0b", Unprepared::Prohibited), ("\u{1f600}", Unprepared::Prohibited)]
        {
            assert_eq!(ScramKeys::derive(password, SALT, 4096), Err(KeysError::Password(error)));
        }
    }

    #[test]
    fn limits() {
        for (salt, iterations, error) in [
            (7, 4096, Some(KeysError::Salt(7))),
            (8, 4096, None),
            (64, 4096, None),
            (65, 4096, Some(KeysError::Salt(65))),
            (16, 4095, Some(KeysError::Iterations(4095))),
            (16, 1, Some(KeysError::Iterations(1))),
            (16, 10_000_001, Some(KeysError::Iterations(10_000_001))),
        ] {
            assert_eq!(ScramKeys::derive("pencil", &[7; 64 + 1][..salt], iterations).err(), error);
            let written = ScramKeys { salt: vec![7; salt], iterations, ..keys() }.to_string();
            assert_eq!(written.parse::<ScramKeys>().err(), error, "{written}");
        }
        let most = ScramKeys { iterations: 10_000_000, ..keys() };
        assert_eq!(most.to_string().parse(), Ok(most));
    }

    #[test]
    fn what_are_no_keys() {
        let good = keys().to_string();
        for bad in [
            "".to_owned(),
            good.replace("SHA-256", "SHA-1"),
            good.replacen('$', "", 1),
            good.replacen(':', "", 1),
            good.replace("$4096", "$04096"),
            good.replace("$4096", "$+4096"),
            good.replace("$4096", "$"),
            good.replace("==$", "$"),
            good[..good.len() - 4].to_owned(),
            format!("{good} "),
            format!("{good}:"),
            format!("{{{good}"),
        ] {
            assert_eq!(bad.parse::<ScramKeys>(), Err(KeysError::Form), "{bad}");
        }
        let many = good.replace("$4096", "$99999999999999999999");
        assert_eq!(many.parse::<ScramKeys>(), Err(KeysError::Iterations(u32::MAX)));
    }

    #[test]
    fn each_part_makes_a_difference() {
        let keys = keys();
        let mut others = vec![keys.clone(); 4];
        others[0].salt[15] ^= 1;
        others[1].iterations += 1;
        others[2].stored_key[31] ^= 1;
        others[3].server_key[31] ^= 1;
        assert!(others.iter().all(|other| *other != keys));
        assert_eq!(Secret::new([1; 32]), Secret::new([1; 32]));
        assert_ne!(Secret::new([1; 32]), Secret::new([2; 32]));
    }

    #[test]
    fn nobody_is_always_the_same_and_each_name_another() {
        let of = |secret, user| ScramKeys::of_nobody(&Secret::new([secret; 32]), user, 4096);
        assert_eq!(of(1, "a"), of(1, "a"));
        for other in [of(1, "b"), of(2, "a")] {
            assert_ne!(of(1, "a").salt, other.salt);
            assert_ne!(of(1, "a").stored_key, other.stored_key);
        }
        assert_eq!(of(1, "a").salt.len(), ScramKeys::SALT);
        assert_eq!(of(1, "ALICE"), of(1, "alice"));
        // An application that folds ASCII takes these for two users, one of whom may exist.
        assert_ne!(of(1, "\u{dc}").salt, of(1, "\u{fc}").salt);
        assert_eq!(of(1, "a").salt, hmac(&[1; 32], &[b"salta"])[..16]);
    }

    #[test]
    fn secrets_are_not_printed_by_debug() {
        assert_eq!(format!("{:?}", keys()), "ScramKeys { iterations: 4096, .. }");
        assert_eq!(format!("{:?}", Secret::new([65; 32])), "Secret(..)");
    }
}
