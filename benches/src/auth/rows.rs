//! The rows of message authentication: which work, and what is asked of it.

use super::work::{self, Algorithm, Bound, Work};
use crate::rows::{Asked, NOTHING, Per};

/// One row.
pub type Row = crate::rows::Row<Work>;

macro_rules! names {
    (
        compared $($compared:ident)*;
        alone $($alone:ident)*;
        policy $($_policy:ident)*;
        auth $($auth:ident)*;
        timed $($timed:ident)*
    ) => {
        /// The names of all rows, in the order of the table.
        pub const NAMES: &[&str] = &[$(stringify!($auth),)* $(stringify!($timed)),*];
    };
}
crate::with_every_row!(names);

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const EACH: Per = Per::Each(1);

const fn of_limit(most: f64) -> Asked {
    Asked { of_limit: Some(most), ..NOTHING }
}

const fn of_peer(most: f64) -> Asked {
    Asked { of_peer: Some(most), ..NOTHING }
}

/// Half as fast again as the peer, where both must hash what they have made.
const CANONICAL: Asked = Asked { of_peer_beyond: Some(1.0 / 1.5), ..NOTHING };

fn verify(message: Vec<u8>, algorithm: Algorithm) -> Work {
    Work::Verify { message: work::signed(&message, algorithm), algorithm }
}

fn text(length: usize) -> Vec<u8> {
    work::message(length, work::text)
}

/// The row of this name.
///
/// # Panics
/// There is none.
pub fn row(name: &'static str) -> Row {
    let sign = if cfg!(feature = "aws-lc-rs") { Some(1.0) } else { None };
    let (what, work, per, asked): (_, fn() -> Work, _, _) = match name {
        "verify_rsa_4k" => {
            ("verify RSA-2048, 4 KiB text", || verify(text(4 * KIB), Algorithm::Rsa), EACH, of_limit(1.1))
        }
        "verify_rsa_64k" => (
            "verify RSA-2048, 64 KiB text",
            || verify(text(64 * KIB), Algorithm::Rsa),
            EACH,
            Asked { goal: Some(1.15), ..of_limit(1.3) },
        ),
        "verify_rsa_10m" => (
            "verify RSA-2048, 10 MiB base64",
            || verify(work::message(10 * MIB, crate::work::base64), Algorithm::Rsa),
            EACH,
            of_limit(1.1),
        ),
        "verify_ed25519_4k" => {
            ("verify Ed25519, 4 KiB text", || verify(text(4 * KIB), Algorithm::Ed25519), EACH, NOTHING)
        }
        "hash_relaxed_64k" => {
            ("relaxed body hash, 64 KiB text", || Work::Hash(work::text(64 * KIB)), Per::Octets, CANONICAL)
        }
        "hash_relaxed_10m" => {
            ("relaxed body hash, 10 MiB base64", || Work::Hash(crate::work::base64(10 * MIB)), Per::Octets, NOTHING)
        }
        "hash_relaxed_ragged" => (
            "relaxed body hash, 64 KiB text that it changes",
            || Work::Hash(work::ragged(64 * KIB)),
            Per::Octets,
            NOTHING,
        ),
        "sign_rsa_4k" => (
            "sign RSA-2048, 4 KiB text",
            || Work::Sign { message: text(4 * KIB), algorithm: Algorithm::Rsa },
            EACH,
            Asked { of_peer: sign, ..of_limit(1.05) },
        ),
        "sign_rsa_64k" => (
            "sign RSA-2048, 64 KiB text",
            || Work::Sign { message: text(64 * KIB), algorithm: Algorithm::Rsa },
            EACH,
            NOTHING,
        ),
        "sign_ed25519_4k" => (
            "sign Ed25519, 4 KiB text",
            || Work::Sign { message: text(4 * KIB), algorithm: Algorithm::Ed25519 },
            EACH,
            NOTHING,
        ),
        "spf_includes" => ("SPF, match in the fifth of five includes", || Work::Spf, EACH, of_peer(1.0)),
        "dmarc" => ("DMARC, SPF and DKIM align", || Work::Dmarc, EACH, of_peer(1.0)),
        "check_4k" => (
            "SPF, DKIM and DMARC of a message of 4 KiB",
            || Work::Check(work::signed(&text(4 * KIB), Algorithm::Rsa)),
            EACH,
            NOTHING,
        ),
        "bound_signatures" => ("10,000 signatures", || Work::Bound(Bound::Signatures), EACH, NOTHING),
        "bound_names" => ("16,000 fields, 16,000 names in `h=`", || Work::Bound(Bound::Names), EACH, NOTHING),
        "bound_from" => ("From of 64 KiB `((((`", || Work::Bound(Bound::From), EACH, NOTHING),
        "bound_includes" => ("SPF, 10 x 10 x 10 includes", || Work::Bound(Bound::Includes), EACH, NOTHING),
        other => panic!("there is no row {other}"),
    };
    Row { name, what, work, per, asked }
}

/// Every row, in the order of the table.
pub fn all() -> impl Iterator<Item = Row> {
    NAMES.iter().map(|name| row(name))
}
