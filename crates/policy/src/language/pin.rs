//! Digests of public keys as RFC 7469 §2.4 writes them: `sha256/` and base64 (RFC 4648 §4). Read is
//! also `sha256//`, as curl writes them and an audit log has them.

use std::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) struct Pin<'a>(pub(super) &'a [u8; 32]);

impl fmt::Display for Pin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256/")?;
        for chunk in self.0.chunks(3) {
            let bits = chunk.iter().fold(0, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - chunk.len()));
            for digit in 0..4 {
                let value = (bits >> (18 - 6 * digit)) & 63;
                write!(f, "{}", if digit > chunk.len() { '=' } else { char::from(ALPHABET[value as usize]) })?;
            }
        }
        Ok(())
    }
}

/// The digest, if the text is one, with no bit set that none of its octets holds.
pub(super) fn parse(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256/")?.strip_suffix('=')?;
    // A slash is a digit too: only the length tells which it is.
    let digits = if digits.len() == 44 { digits.strip_prefix('/')? } else { digits };
    if digits.len() != 43 {
        return None;
    }
    let (mut bits, mut held, mut pin, mut next) = (0_u32, 0, [0; 32], 0);
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|other| *other == digit)?;
        bits = (bits << 6 | value as u32) & 0x3fff;
        held += 6;
        if held >= 8 {
            held -= 8;
            *pin.get_mut(next)? = (bits >> held) as u8;
            next += 1;
        }
    }
    (bits & ((1 << held) - 1) == 0).then_some(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        for seed in 0..=255_u8 {
            let pin: [u8; 32] = std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ seed);
            let printed = Pin(&pin).to_string();
            assert_eq!(parse(&printed), Some(pin));
            assert_eq!(parse(&printed.replacen('/', "//", 1)), Some(pin));
        }
        let zero = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(Pin(&[0; 32]).to_string(), zero);
        // One that begins with a slash of its own.
        let slash = zero.replacen("/A", "//", 1);
        assert_eq!(parse(&slash).unwrap()[..2], [0xfc, 0]);
        assert_eq!(parse(&slash.replacen('/', "//", 1)), parse(&slash));
        // The digest of nothing (FIPS 180-4), as base64.
        let nothing = parse("sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").unwrap();
        assert_eq!(nothing[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert_eq!(nothing[30..], [0xb8, 0x55]);
        for text in [
            "",
            "sha256/",
            "sha256///47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256/A47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha1/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
            "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF=",
            "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUU=",
            "sha256/47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256/üüDEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu=",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
