use proptest::prelude::*;

use super::*;

const RSA2048: &str = include_str!("keys/rsa2048-pkcs8.pem");
const RSA2048_PKCS1: &str = include_str!("keys/rsa2048-pkcs1.pem");
const RSA1024: &str = include_str!("keys/rsa1024.pem");
const ED25519: &str = include_str!("keys/ed25519.pem");
const ED25519_V2: &str = include_str!("keys/ed25519-v2.pem");

const RSA2048_SPKI: &[u8] = include_bytes!("keys/rsa2048-spki.der");
const RSA1024_SPKI: &[u8] = include_bytes!("keys/rsa1024-spki.der");
const ED25519_PUBLIC: &[u8] = include_bytes!("keys/ed25519.pub");

/// What OpenSSL has signed.
const SIGNED: &[u8] = b"what is signed";

/// An RSA key in PKCS#1 with a modulus of so many bits, all of them set, and this exponent.
fn pkcs1(bits: usize, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= bits.div_ceil(8) * 8 - bits;
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    let mut fields = der::element(der::INTEGER, &modulus);
    fields.extend(der::element(der::INTEGER, exponent));
    der::element(der::SEQUENCE, &fields)
}

const E65537: &[u8] = &[1, 0, 1];

fn rsa_error(der: &[u8]) -> PublicKeyError {
    PublicKey::rsa(der).expect_err("no usable key")
}

#[test]
fn hashes_are_those_of_the_standards() {
    let hex = |hash, pieces: &[&[u8]]| {
        let mut hasher = Hasher::new(hash);
        pieces.iter().for_each(|piece| hasher.push(piece));
        hasher.clone().finish().as_ref().iter().map(|octet| format!("{octet:02x}")).collect::<String>()
    };
    // FIPS 180-2, appendices A.1 and B.1.
    assert_eq!(hex(Hash::Sha1, &[b"abc"]), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(
        hex(Hash::Sha256, &[b"a", b"", b"bc"]),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn a_key_takes_what_its_octets_take() {
    let size = |bits| PublicKey::rsa(&pkcs1(bits, E65537)).expect("a key").size();
    assert!((256..16 * 1024).contains(&size(2048)) && (1024..16 * 1024).contains(&size(8192)));
    assert_eq!(PublicKey::ed25519(ED25519_PUBLIC).expect("a key").size(), 0);
}

#[test]
fn signatures_of_openssl_verify_and_no_others() {
    let rsa = PublicKey::rsa(RSA2048_SPKI).expect("a key");
    let weak = PublicKey::rsa(RSA1024_SPKI).expect("a key");
    let ed25519 = PublicKey::ed25519(ED25519_PUBLIC).expect("a key");
    let sha256: &[u8] = include_bytes!("keys/rsa2048-sha256.sig");
    let sha1: &[u8] = include_bytes!("keys/rsa2048-sha1.sig");
    let signatures: [(&PublicKey, Hash, &[u8]); 4] = [
        (&rsa, Hash::Sha256, sha256),
        (&rsa, Hash::Sha1, sha1),
        (&weak, Hash::Sha256, include_bytes!("keys/rsa1024-sha256.sig")),
        (&ed25519, Hash::Sha256, include_bytes!("keys/ed25519.sig")),
    ];
    for (at, (key, hash, signature)) in signatures.into_iter().enumerate() {
        assert!(key.verifies(hash, SIGNED, signature), "{at}");
        assert!(!key.verifies(hash, b"what is signee", signature), "{at}");
        let other = if hash == Hash::Sha1 { Hash::Sha256 } else { Hash::Sha1 };
        assert!(!key.verifies(other, SIGNED, signature), "{at}: another hash");
        for octet in [0, signature.len() / 2, signature.len() - 1] {
            let mut bent = signature.to_vec();
            bent[octet] ^= 1;
            assert!(!key.verifies(hash, SIGNED, &bent), "{at}: octet {octet}");
        }
        assert!(!key.verifies(hash, SIGNED, &signature[1..]), "{at}: cut off");
        assert!(!key.verifies(hash, SIGNED, &[signature, &[0]].concat()), "{at}: longer");
        assert!(!key.verifies(hash, SIGNED, &[&[0], signature].concat()), "{at}: longer in front");
        assert!(!key.verifies(hash, SIGNED, &[]), "{at}: nothing");
    }
    // An Ed25519 key makes nothing of a hash that its algorithm does not have.
    let key = SigningKey::from_pem(ED25519).expect("a key");
    let over_sha1 = key.sign(SIGNED).expect("signed");
    assert!(!ed25519.verifies(Hash::Sha1, SIGNED, &over_sha1));
}

#[test]
fn a_public_key_is_read_with_and_without_its_frame() {
    let bare = der::rsa_spki(RSA2048_SPKI).expect("a frame");
    let key = PublicKey::rsa(bare).expect("a key");
    assert!(key.verifies(Hash::Sha256, SIGNED, include_bytes!("keys/rsa2048-sha256.sig")));
    assert_eq!(der::rsa_spki_of(bare), RSA2048_SPKI);
    // Without the NULL behind the algorithm.
    let mut without = RSA2048_SPKI.to_vec();
    without.drain(17..19);
    without[3] -= 2;
    without[5] -= 2;
    assert_eq!(der::rsa_spki(&without), Some(bare));
    for (what, der) in [
        ("nothing", &[][..]),
        ("cut off", &RSA2048_SPKI[..RSA2048_SPKI.len() - 1]),
        ("more behind it", &[RSA2048_SPKI, &[0]].concat()),
        ("more behind the bare key", &[bare, &[0]].concat()),
        (
            "more within the frame",
            &der::element(der::SEQUENCE, &[der::only(RSA2048_SPKI, der::SEQUENCE).expect("a frame"), &[5, 0]].concat()),
        ),
        (
            "the frame of an Ed25519 key",
            &[&[0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 33, 0][..], &[1; 32]].concat(),
        ),
        ("an even modulus", &{
            let mut even = pkcs1(2048, E65537);
            let last = even.len() - 6;
            even[last] = 0xfe;
            even
        }),
    ] {
        assert_eq!(rsa_error(der), PublicKeyError::Malformed, "{what}");
    }
    assert_eq!(PublicKey::ed25519(&[1; 32]).map(|key| key.bits()), Ok(256));
    for octets in [&[][..], &[1; 31], &[1; 33]] {
        assert_eq!(PublicKey::ed25519(octets).map(drop), Err(PublicKeyError::Malformed));
    }
}

#[test]
fn d57_sizes_and_exponents_of_rsa() {
    for bits in [1, 512, 1016, 1023, 8193, 16384] {
        assert_eq!(rsa_error(&pkcs1(bits, E65537)), PublicKeyError::Size(bits));
    }
    for bits in [1024, 1025, 2048, 4096, 8192] {
        assert_eq!(PublicKey::rsa(&pkcs1(bits, E65537)).map(|key| key.bits()), Ok(bits));
    }
    // 3, 2^33 - 1; then 1, 2, 0, 65536, 2^33 + 1, 2^64 + 1.
    for good in [&[3][..], &[1, 0xff, 0xff, 0xff, 0xff]] {
        assert!(PublicKey::rsa(&pkcs1(1024, good)).is_ok(), "{good:?}");
    }
    for bad in [&[1][..], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 0, 0, 0, 1]] {
        assert_eq!(rsa_error(&pkcs1(1024, bad)), PublicKeyError::Exponent, "{bad:?}");
    }
    for bad in [&[0][..], &[], &[0, 3], &[0x83]] {
        let result = PublicKey::rsa(&pkcs1(1024, bad)).map(drop);
        assert!(matches!(result, Err(PublicKeyError::Malformed | PublicKeyError::Exponent)), "{bad:?} {result:?}");
    }
}

#[test]
fn keys_are_read_in_each_form() {
    for (pem, algorithm) in [
        (RSA2048, "rsa-sha256"),
        (RSA2048_PKCS1, "rsa-sha256"),
        (&format!("text before\n{RSA2048}text after"), "rsa-sha256"),
        (&RSA2048.replace('\n', "\r\n"), "rsa-sha256"),
        (ED25519, "ed25519-sha256"),
        (ED25519_V2, "ed25519-sha256"),
    ] {
        let key = SigningKey::from_pem(pem).expect("a key");
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(format!("{key:?}"), format!("SigningKey({algorithm})"), "nothing of the key is shown");
        let signature = key.sign(SIGNED).expect("a signature");
        let (public, expected): (_, &[u8]) = match algorithm {
            "rsa-sha256" => (PublicKey::rsa(RSA2048_SPKI), include_bytes!("keys/rsa2048-sha256.sig")),
            _ => (PublicKey::ed25519(ED25519_PUBLIC), include_bytes!("keys/ed25519.sig")),
        };
        assert_eq!(signature, expected, "both algorithms give one signature only");
        assert!(public.expect("a key").verifies(Hash::Sha256, SIGNED, &signature));
    }
}

#[test]
fn the_record_holds_the_public_half() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let key = SigningKey::from_pem(RSA2048).expect("a key");
    assert_eq!(key.record(), format!("v=DKIM1; k=rsa; p={}", BASE64_STANDARD.encode(RSA2048_SPKI)));
    let key = SigningKey::from_pem(ED25519).expect("a key");
    assert_eq!(key.record(), format!("v=DKIM1; k=ed25519; p={}", BASE64_STANDARD.encode(ED25519_PUBLIC)));
    // RFC 8463 appendix A.2: the key pair of RFC 8032 §7.1, test 1.
    let seed = BASE64_STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").expect("base64");
    let (key, pem) = SigningKey::ed25519(seed.as_slice().try_into().expect("32 octets")).expect("a key");
    assert_eq!(key.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let again = SigningKey::from_pem(&pem).expect("a key");
    assert_eq!(again.record(), key.record());
    assert_eq!(again.sign(SIGNED), key.sign(SIGNED));
}

#[test]
fn what_is_no_key_to_sign_with_says_why() {
    let inconsistent = {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let text: String = RSA2048_PKCS1.lines().filter(|line| !line.starts_with('-')).collect();
        let mut der = BASE64_STANDARD.decode(text).expect("base64");
        // An octet of the first prime, which stands behind modulus and exponents.
        der[560] ^= 1;
        format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", BASE64_STANDARD.encode(der))
    };
    let second = |pem: &str, text: &str| {
        let mut lines: Vec<&str> = pem.lines().collect();
        lines[1] = text;
        lines.join("\n")
    };
    for (pem, error) in [
        ("", SigningKeyError::NoKey),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", SigningKeyError::NoKey),
        (&RSA2048[..RSA2048.len() - 30], SigningKeyError::Pem),
        (&second(ED25519, "*"), SigningKeyError::Pem),
        (&second(ED25519, "AAAA"), SigningKeyError::Malformed),
        (include_str!("keys/encrypted.pem"), SigningKeyError::Encrypted),
        (include_str!("keys/encrypted-old.pem"), SigningKeyError::Encrypted),
        (include_str!("keys/ec.pem"), SigningKeyError::Algorithm),
        (RSA1024, SigningKeyError::Size(1024)),
        (&inconsistent, SigningKeyError::Inconsistent),
    ] {
        let found = SigningKey::from_pem(pem).expect_err("no key");
        assert_eq!(found, error, "{pem}");
        // Nothing of the text is in the error's.
        let shown = format!("{found} {found:?}");
        assert!(!pem.lines().any(|line| line.len() > 20 && !line.starts_with('-') && shown.contains(line)), "{shown}");
    }
}

/// A private key in PKCS#1 of this version, with a modulus of so many bits and nothing else that is
/// right.
fn private(version: u8, bits: usize) -> Vec<u8> {
    let public = pkcs1(bits, E65537);
    let numbers = der::only(&public, der::SEQUENCE).expect("a sequence");
    der::element(der::SEQUENCE, &[&[2, 1, version], numbers].concat())
}

#[test]
fn sizes_of_keys_to_sign_with() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    for (version, bits, error) in [
        (0, 2047, SigningKeyError::Size(2047)),
        (0, 2048, SigningKeyError::Inconsistent),
        (0, 4096, SigningKeyError::Inconsistent),
        (0, 4097, SigningKeyError::Size(4097)),
        // More than two primes (RFC 8017 appendix A.1.2).
        (1, 2048, SigningKeyError::Malformed),
    ] {
        let text = BASE64_STANDARD.encode(private(version, bits));
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n");
        assert_eq!(SigningKey::from_pem(&pem).expect_err("no key"), error, "{version} {bits}");
    }
}

#[test]
fn der_has_one_form_only() {
    for (octets, content) in [
        (&[2, 0][..], Some(&[][..])),
        (&[2, 1, 7], Some(&[7][..])),
        (&[2, 1], None),
        (&[2], None),
        (&[], None),
        (&[3, 1, 7], None),
        // Lengths that are too long, indefinite, or reach past the end.
        (&[2, 0x81, 1, 7], None),
        (&[2, 0x80, 7], None),
        (&[2, 0x82, 0, 0x81], None),
        (&[2, 0x84, 0xff, 0xff, 0xff, 0xff], None),
        (&[2, 0x85, 1, 0, 0, 0, 0], None),
        (&[2, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
    ] {
        assert_eq!(der::take(&mut &*octets, der::INTEGER), content, "{octets:?}");
    }
    let long = [&[2, 0x81, 0x80][..], &[7; 0x80]].concat();
    assert_eq!(der::only(&long, der::INTEGER), Some(&[7; 0x80][..]));
    // A length of 127 in the long form, and one of 128 with a zero in front.
    assert_eq!(der::only(&[&[2, 0x82, 0, 0x80][..], &[7; 0x80]].concat(), der::INTEGER), None);
    assert_eq!(der::only(&[&[2, 0x81, 0x7f][..], &[7; 0x7f]].concat(), der::INTEGER), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read(tag in 0u8..31, content in prop::collection::vec(any::<u8>(), 0..700)) {
        let written = der::element(tag, &content);
        prop_assert_eq!(der::only(&written, tag), Some(&content[..]));
    }

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = PublicKey::rsa(&octets);
        let _ = der::pkcs8(&octets).is_some();
    }
}
