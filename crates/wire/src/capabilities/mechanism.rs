//! The names of SASL mechanisms (RFC 4422 §3.1) as bits.

use super::packed::word;

macro_rules! mechanisms {
    ($($constant:ident $text:literal)*) => {
        #[repr(u32)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "the names of the registry")]
        enum Place { $($constant),* }

        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$($text),*];

        mod names {
            $(pub(super) const $constant: [u64; 3] = super::word($text.as_bytes()).0;)*
        }

        /// A bit of its own for each name in use, none for others.
        #[inline(always)]
        const fn bit_of_word(word: [u64; 3]) -> u32 {
            match word {
                $(names::$constant => 1 << Place::$constant as u32,)*
                _ => 0,
            }
        }
    };
}

mechanisms! {
    PLAIN "PLAIN"
    LOGIN "LOGIN"
    CRAM_MD5 "CRAM-MD5"
    DIGEST_MD5 "DIGEST-MD5"
    NTLM "NTLM"
    GSSAPI "GSSAPI"
    GSS_SPNEGO "GSS-SPNEGO"
    GS2_KRB5 "GS2-KRB5"
    GS2_KRB5_PLUS "GS2-KRB5-PLUS"
    SCRAM_SHA_1 "SCRAM-SHA-1"
    SCRAM_SHA_1_PLUS "SCRAM-SHA-1-PLUS"
    SCRAM_SHA_256 "SCRAM-SHA-256"
    SCRAM_SHA_256_PLUS "SCRAM-SHA-256-PLUS"
    SCRAM_SHA_512 "SCRAM-SHA-512"
    SCRAM_SHA_512_PLUS "SCRAM-SHA-512-PLUS"
    XOAUTH2 "XOAUTH2"
    OAUTHBEARER "OAUTHBEARER"
    EXTERNAL "EXTERNAL"
    ANONYMOUS "ANONYMOUS"
    OTP "OTP"
}

/// The bit of one name.
pub(super) fn bit(name: &str) -> u32 {
    let (word, length) = word(name.as_bytes());
    if length == name.len() { bit_of_word(word) } else { 0 }
}

/// The bits of all names in the parameters of AUTH.
pub(super) fn bits(params: &str) -> u32 {
    let mut bits = 0;
    let mut rest = params.as_bytes();
    while let [_, behind @ ..] = rest {
        match word(rest) {
            ([0, ..], 0) => rest = behind,
            // Too long for a name, and not read whole.
            ([0, ..], length) => {
                let end = rest[length..].iter().position(|&b| b <= b' ').unwrap_or(rest.len() - length);
                rest = &rest[length + end..];
            }
            (word, length) => {
                bits |= bit_of_word(word);
                rest = &rest[length..];
            }
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_bit() {
        let mut all = 0;
        for name in NAMES {
            assert_eq!(bit(name).count_ones(), 1, "{name}");
            assert_eq!(all & bit(name), 0, "{name}");
            all |= bit(name);
            assert_eq!(bits(&format!(" X  {}\t{name}X X{name} ", name.to_lowercase())), bit(name));
            for other in [format!("{name}X"), format!("X{name}"), format!("{name} "), name[1..].to_owned()] {
                assert_eq!(bit(&other), 0, "{other}");
            }
        }
        assert_eq!(bits(&NAMES.join(" ")), all);
        assert_eq!((bits(""), bit(""), bits(&format!("{}PLAIN", "X".repeat(24)))), (0, 0, 0));
    }
}
