//! The few functions of hashes that SCRAM is made of (RFC 5802 §2.2).

use std::{hint::black_box, num::NonZeroU32};

use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

/// Octets of SHA-256.
pub(super) type Hash = [u8; 32];

/// `HMAC(key, parts)`, the parts one after the other.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Hash {
    #[cfg(test)]
    HMACS.with(|count| count.set(count.get() + 1));
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    array(context.sign().as_ref())
}

/// `H(octets)`.
pub(super) fn hash(octets: &[u8]) -> Hash {
    array(digest::digest(&digest::SHA256, octets).as_ref())
}

/// `SaltedPassword := Hi(Normalize(password), salt, i)`, of a password that is prepared.
pub(super) fn salted(password: &str, salt: &[u8], iterations: NonZeroU32) -> Zeroizing<Hash> {
    let mut salted = Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut *salted);
    salted
}

/// `left XOR right`.
pub(super) fn xor(left: &Hash, right: &Hash) -> Hash {
    std::array::from_fn(|i| left[i] ^ right[i])
}

/// Whether both are the same. What it takes depends on their lengths only, not on where they
/// differ.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    left.len() == right.len() && black_box(differences) == 0
}

fn array(octets: &[u8]) -> Hash {
    octets.try_into().expect("SHA-256 has 32 octets")
}

#[cfg(test)]
thread_local! {
    /// How often [`hmac`] was called: the work that must not tell whether a user exists.
    pub(super) static HMACS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_in_each_octet() {
        let octets: Vec<u8> = (0..=255).collect();
        assert!(same(&octets, &octets.clone()) && same(b"", b""));
        for i in 0..octets.len() {
            for bit in 0..8 {
                let mut other = octets.clone();
                other[i] ^= 1 << bit;
                assert!(!same(&octets, &other), "{i} {bit}");
            }
            assert!(!same(&octets, &octets[..i]) && !same(&octets[..i], &octets), "{i}");
        }
    }
}
