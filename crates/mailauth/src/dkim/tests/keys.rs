//! Records of keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::crypto::PublicKeyError;
use crate::dkim::key::KeyRecord;
use crate::lookups::Published as _;

const P: &str = "p=iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=";

fn with(record: &str, more: &str) -> Verified {
    let zone = zone(&[("sel._domainkey.example.test", record)]);
    let message = signed(MESSAGE, &Draft { more: more.to_owned(), ..Draft::default() });
    check(&message, &zone, &Rules::default(), NOW).0.remove(0)
}

#[test]
fn d57_records() {
    for (record, expected) in [
        (format!("v=DKIM1; k=ed25519; {P}"), None),
        (format!("k=ed25519;{P};"), None),
        (format!("v=DKIM1; n=notes; g=*; x_y=z; k=ed25519; {P}"), None),
        ("v=DKIM1; k=ed25519; p= iojj3XQJ8ZX9UtstPL \t pdcspnCb8dlBIb83SIAbQPb1w".to_owned(), None),
        (format!("k=ed25519; {P}; h=sha1:sha256; s=email"), None),
        (format!("k=ed25519; {P}; h=sha256; s=other : *; t=y:s:x"), None),
        (format!("k=ed25519; {P}; h=sha1"), Some(Problem::KeyHash)),
        (format!("k=ed25519; {P}; h="), Some(Problem::KeyHash)),
        (format!("k=ed25519; {P}; h=SHA256"), Some(Problem::KeyHash)),
        (format!("k=ed25519; {P}; s=tlsrpt"), Some(Problem::KeyService)),
        (format!("k=ed25519; {P}; s="), Some(Problem::KeyService)),
        (format!("k=dsa; {P}"), Some(Problem::KeyType)),
        (format!("k=Ed25519; {P}"), Some(Problem::KeyType)),
        (P.to_owned(), Some(Problem::Key(PublicKeyError::Malformed))),
        (format!("v=DKIM2; k=ed25519; {P}"), Some(Problem::KeyVersion)),
        (format!("v=dkim1; k=ed25519; {P}"), Some(Problem::KeyVersion)),
        (format!("v=; k=ed25519; {P}"), Some(Problem::KeyVersion)),
        (format!("k=ed25519; v=DKIM1; {P}"), Some(Problem::KeyVersion)),
        (format!("v=DKIM1: k=ed25519; {P}"), Some(Problem::KeyVersion)),
        ("v=spf1 -all".to_owned(), Some(Problem::KeyVersion)),
        ("v=DKIM1; p=".to_owned(), Some(Problem::Revoked)),
        ("v=DKIM1; k=rsa; p= ;".to_owned(), Some(Problem::Revoked)),
        ("v=DKIM1; k=ed25519".to_owned(), Some(Problem::KeyMissing)),
        ("v=DKIM1; k=ed25519; p=!".to_owned(), Some(Problem::KeyTag("p"))),
        ("v=DKIM1; k=ed25519; p=6kps".to_owned(), Some(Problem::Key(PublicKeyError::Malformed))),
        (format!("v=DKIM1; k=ed25519; {P}; {P}"), Some(Problem::KeySyntax)),
        ("not a key".to_owned(), Some(Problem::KeySyntax)),
        (String::new(), Some(Problem::KeySyntax)),
        (format!("k=ed25519; {P}; n={}", "x".repeat(5000)), Some(Problem::KeySyntax)),
    ] {
        let verified = with(&record, "");
        assert_eq!(verified.reason, expected, "{record}");
        assert!(expected.is_none() || verified.result == PermError);
    }
}

#[test]
fn d57_records_that_are_none_or_several() {
    let message = signed(MESSAGE, &Draft::default());
    let name = "sel._domainkey.example.test";
    for (records, expected) in [
        (vec![], Problem::NoKey),
        (vec![("x.sel._domainkey.example.test", RECORD)], Problem::NoKey),
        (vec![(name, RECORD), (name, "v=spf1 -all")], Problem::SeveralKeys),
        (vec![(name, RECORD), (name, P)], Problem::SeveralKeys),
    ] {
        let (verified, asked, _) = check(&message, &zone(&records), &Rules::default(), NOW);
        assert_eq!((verified[0].reason.clone(), verified[0].result, asked), (Some(expected), PermError, 1));
    }
    // The strings of one record are one text.
    let mut zone = Zone::default();
    let strings = RECORD.as_bytes().chunks(9).map(<[u8]>::to_vec).collect();
    zone.add(name.parse().unwrap(), 300, Data::Txt(Txt { strings }));
    assert_eq!(check(&message, &zone, &Rules::default(), NOW).0[0].reason, None);
}

#[test]
fn flags() {
    for (flags, more, testing, expected) in [
        ("", "", false, None),
        ("t=y;", "", true, None),
        ("t=x : y;", " i=@a.example.test;", true, None),
        ("t=s;", " i=@example.test;", false, None),
        ("t=s;", "", false, None),
        ("t=y:s;", " i=@a.example.test;", true, Some(Problem::KeyStrict)),
        ("t=S:Y;", " i=@a.example.test;", false, None),
    ] {
        let verified = with(&format!("{flags} k=ed25519; {P}"), more);
        assert_eq!((verified.testing, verified.reason, verified.key_bits), (testing, expected, Some(256)), "{flags}");
    }
}

/// An RSA key in PKCS#1 form, with an odd modulus of so many bits.
fn rsa(bits: usize, exponent: &[u8]) -> String {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    let fields = [integer(&modulus), integer(exponent)].concat();
    format!("v=DKIM1; p={}", STANDARD.encode(tagged(0x30, &fields)))
}

fn integer(number: &[u8]) -> Vec<u8> {
    let zero: &[u8] = if number[0] >= 0x80 { &[0] } else { &[] };
    tagged(2, &[zero, number].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let length = match content.len() {
        0..0x80 => vec![low],
        0x80..0x100 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag][..], &length, content].concat()
}

#[test]
fn a_record_takes_what_its_key_takes() {
    let size = |record: &str| {
        let answer = hikyaku_dns::Answer {
            records: vec![Txt::from(record)],
            presence: hikyaku_dns::Presence::Found,
            security: hikyaku_dns::Security::Insecure,
            ttl: std::time::Duration::from_secs(60),
        };
        KeyRecord::read(&answer).size()
    };
    let none = size("v=DKIM1; p=");
    assert_eq!((none, size(&format!("k=ed25519; {P}"))), (size_of::<KeyRecord>(), none));
    assert!(size(&rsa(8192, &[3])) >= none + 1024);
}

/// D57, C2: sizes and exponents of RSA keys, whatever rules there are.
#[test]
fn d57_rsa_keys() {
    let message = String::from_utf8(signed(MESSAGE, &Draft::default())).unwrap().replace("a=ed25519", "a=rsa");
    let three: &[u8] = &[3];
    for (bits, exponent, expected) in [
        (512, three, Problem::Key(PublicKeyError::Size(512))),
        (1023, three, Problem::Key(PublicKeyError::Size(1023))),
        (1024, three, Problem::Signature),
        (8192, three, Problem::Signature),
        (8193, three, Problem::Key(PublicKeyError::Size(8193))),
        (16384, three, Problem::Key(PublicKeyError::Size(16384))),
        (2048, &[1], Problem::Key(PublicKeyError::Exponent)),
        (2048, &[2], Problem::Key(PublicKeyError::Exponent)),
        (2048, &[1, 0, 0, 0, 0, 0, 0, 0, 1], Problem::Key(PublicKeyError::Exponent)),
    ] {
        for allow_legacy in [false, true] {
            let zone = zone(&[("sel._domainkey.example.test", &rsa(bits, exponent))]);
            let rules = Rules { allow_legacy, ..Rules::default() };
            let (verified, ..) = check(message.as_bytes(), &zone, &rules, NOW);
            assert_eq!(verified[0].reason, Some(expected.clone()), "{bits}");
        }
    }
}
