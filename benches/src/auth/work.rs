//! The messages and records that both sides get: made up, and the same in each run.

use std::net::IpAddr;
use std::sync::Arc;

use hikyaku_dns::{Data, Name, Zone};
use hikyaku_mailauth::SigningKey;
use hikyaku_mailauth::dkim::{Signer, Signing};
use hikyaku_wire::Timestamp;

use crate::work;

/// A private key that everybody knows: it signs nothing but these messages.
pub const RSA: &str = include_str!("../../../crates/mailauth/src/crypto/keys/rsa2048-pkcs8.pem");
/// Another.
pub const ED25519: &str = include_str!("../../../crates/mailauth/src/crypto/keys/ed25519.pem");
/// The signing domain.
pub const DOMAIN: &str = "example.com";
/// The time of every check: 2026-11-24.
pub const NOW: Timestamp = Timestamp::from_millis(1_795_500_000_000);

/// The algorithm of a signature, which is also the selector of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// rsa-sha256 with a key of 2048 bit.
    Rsa,
    /// ed25519-sha256.
    Ed25519,
}

/// What there is to do.
#[derive(Clone)]
pub enum Work {
    /// Verify the one signature of a message.
    Verify {
        /// The message.
        message: Vec<u8>,
        /// How it is signed.
        algorithm: Algorithm,
    },
    /// Hash a body in its relaxed form.
    Hash(Vec<u8>),
    /// Sign a message.
    Sign {
        /// The message.
        message: Vec<u8>,
        /// How.
        algorithm: Algorithm,
    },
    /// SPF of a client that matches in the fifth of five included records.
    Spf,
    /// DMARC of a message that SPF and DKIM pass for.
    Dmarc,
    /// SPF, DKIM and DMARC of a message that comes in pieces.
    Check(Vec<u8>),
    /// Something that a stranger has made to take long.
    Bound(Bound),
}

/// What a stranger has made to take long.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// 10,000 signatures, each of which must be looked at to find the ten that are verified.
    Signatures,
    /// 16,000 fields, and a signature with as many names in `h=`.
    Names,
    /// A From field of 64 KiB of `(`.
    From,
    /// A tree of SPF records: ten includes, in each of them ten, in each of them ten.
    Includes,
}

impl Work {
    /// Octets that go in.
    pub fn octets(&self) -> usize {
        match self {
            Self::Verify { message, .. } | Self::Sign { message, .. } | Self::Check(message) => message.len(),
            Self::Hash(body) => body.len(),
            Self::Bound(bound) => bound.message().len(),
            Self::Spf | Self::Dmarc => 0,
        }
    }
}

impl Algorithm {
    /// The selector of its key.
    pub fn selector(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed",
        }
    }

    /// Its private key.
    pub fn key(self) -> SigningKey {
        SigningKey::from_pem(match self {
            Self::Rsa => RSA,
            Self::Ed25519 => ED25519,
        })
        .expect("a private key")
    }

    /// The DER of its private key (PKCS#8).
    pub fn der(self) -> Vec<u8> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;

        let pem = if self == Self::Rsa { RSA } else { ED25519 };
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(lines).expect("a key in base64")
    }
}

/// Fields as a mailing platform writes them, about 1.4 KiB, with the empty line.
fn header() -> Vec<u8> {
    include_str!("header.txt").replace('\n', "\r\n").into_bytes()
}

/// English words in lines of 76 octets, none of which begins or ends in a space: a relaxed form
/// has to look at it, and changes nothing.
pub fn text(length: usize) -> Vec<u8> {
    let mut text = work::text(length);
    for line in text.chunks_mut(78) {
        for at in [0, 75] {
            if let Some(octet @ b' ') = line.get_mut(at) {
                *octet = b'x';
            }
        }
    }
    text
}

/// The same with what the relaxed form changes: two spaces or a tab in every other line, and white
/// space at the end of every fourth.
pub fn ragged(length: usize) -> Vec<u8> {
    let mut ragged = Vec::with_capacity(length);
    for (number, line) in text(length).chunks(78).enumerate() {
        let (line, end) = line.split_at(line.len() - 2);
        match number % 4 {
            0 => ragged.extend_from_slice(line),
            1 => ragged.extend(line.iter().map(|octet| if *octet == b' ' { b'\t' } else { *octet })),
            2 => ragged.extend_from_slice(&[line, b" \t"].concat()),
            _ => ragged.extend(
                line.iter().flat_map(|octet| if *octet == b' ' { &b"  "[..] } else { std::slice::from_ref(octet) }),
            ),
        }
        ragged.extend_from_slice(end);
    }
    ragged
}

/// A message of about this length with a body of that kind.
pub fn message(length: usize, body: fn(usize) -> Vec<u8>) -> Vec<u8> {
    let header = header();
    let body = body(length - header.len());
    [header, body].concat()
}

/// The body of a message.
pub fn body(message: &[u8]) -> &[u8] {
    let end = memchr::memmem::find(message, b"\r\n\r\n").expect("the message has a body");
    &message[end + 4..]
}

/// Who signs, relaxed in both parts.
pub fn signer(algorithm: Algorithm) -> Signer {
    let name = |text: &str| text.parse().expect("a name");
    Signer::new(name(DOMAIN), name(algorithm.selector()), Arc::new(algorithm.key()))
}

/// The message with its signature on top.
pub fn signed(message: &[u8], algorithm: Algorithm) -> Vec<u8> {
    let mut signing = Signing::new(vec![signer(algorithm)]);
    signing.push(message);
    let fields = signing.finish("", NOW).expect("the message can be signed");
    [fields.as_bytes(), message].concat()
}

/// The client of the SPF row: in the fifth include.
pub fn client() -> IpAddr {
    [198, 22, 88, 9].into()
}

/// The TXT records, by name.
pub fn records() -> Vec<(String, String)> {
    let includes: Vec<_> = (1..=5).map(|number| format!("include:_spf{number}.{DOMAIN}")).collect();
    let mut records = vec![
        (DOMAIN.into(), format!("v=spf1 ip4:203.0.113.0/28 ip6:2001:db8:1::/48 {} -all", includes.join(" "))),
        (
            format!("_dmarc.{DOMAIN}"),
            "v=DMARC1; p=reject; sp=quarantine; adkim=r; aspf=r; rua=mailto:dmarc@example.com; fo=1".into(),
        ),
    ];
    for number in 1..=5 {
        let v4 = (0..12).map(|network| format!("ip4:198.{}.{}.0/24", 17 + number, network * 8));
        let v6 = (0..4).map(|network| format!("ip6:2001:db8:{number}{network}::/48"));
        let networks: Vec<_> = v4.chain(v6).collect();
        records.push((format!("_spf{number}.{DOMAIN}"), format!("v=spf1 {} ~all", networks.join(" "))));
    }
    for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
        records.push((format!("{}._domainkey.{DOMAIN}", algorithm.selector()), algorithm.key().record()));
    }
    records
}

/// The DNS of all rows.
pub fn zone() -> Zone {
    let mut zone = Zone::default();
    let mut add = |name: &str, text: &str| {
        let name: Name = name.parse().expect("a name");
        zone.add(name, 86_400, Data::Txt(text.into()));
    };
    for (name, text) in records() {
        add(&name, &text);
    }
    let include = |parent: &str| {
        let includes: Vec<_> = (0..10).map(|number| format!("include:e{number}{parent}.tree.test")).collect();
        format!("v=spf1 {} -all", includes.join(" "))
    };
    add("tree.test", &include(""));
    for first in 0..10 {
        add(&format!("e{first}.tree.test"), &include(&format!("e{first}")));
        for second in 0..10 {
            let name = format!("e{second}e{first}");
            add(&format!("{name}.tree.test"), &include(&name));
        }
    }
    zone
}

impl Bound {
    /// The message.
    pub fn message(self) -> Vec<u8> {
        let from = "From: a@example.com\r\n";
        let signature = |names: &str| {
            format!(
                "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=rsa; h={names};\r\n\
                 \tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b={}\r\n",
                "A".repeat(342),
            )
        };
        let header = match self {
            Self::Signatures => signature("from").repeat(10_000) + from,
            Self::Names => {
                let names = ["x"; 15_999].join(":");
                signature(&format!("from:{names}")) + from + &"X: y\r\n".repeat(15_999)
            }
            Self::From => format!("From: {}\r\n", "(".repeat(64 << 10)),
            Self::Includes => from.into(),
        };
        (header + "\r\n").into_bytes()
    }
}
