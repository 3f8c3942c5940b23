use std::time::Instant;

use hikyaku_dns::{Data, Zone};
use hikyaku_message::{Header, results};
use proptest::prelude::*;

use super::*;
use crate::dkim::{Rules, Signatures, Verified};
use crate::now::now;
use crate::{Budget, Records};
use Canonicalization::{Relaxed, Simple};

const RSA: &str = include_str!("../../crypto/keys/rsa2048-pkcs8.pem");
const ED25519: &str = include_str!("../../crypto/keys/ed25519.pem");

const TIME: Timestamp = Timestamp::from_millis(1_795_500_000_000);

const MESSAGE: &str = "Received: from x\r\nFrom: Joe <joe@football.example.com>\r\nTo: Suzie <suzie@shopping.example.net>\r\n\
    subject:  Is   dinner\r\n\tready? \r\nMessage-ID: <1@football.example.com>\r\nX-Other: x\r\n\r\nHi.\r\n\r\nWe lost  the game. \r\n\r\n\r\n";

fn signer(selector: &str, pem: &str, header: Canonicalization, body: Canonicalization) -> Signer {
    let key = Arc::new(SigningKey::from_pem(pem).expect("a key"));
    let signer = Signer::new("football.example.com".parse().expect("a name"), selector.parse().expect("a name"), key);
    Signer { header, body, ..signer }
}

fn rsa() -> Signer {
    signer("rsa", RSA, Relaxed, Relaxed)
}

fn ed25519() -> Signer {
    signer("ed", ED25519, Relaxed, Relaxed)
}

/// What is published for the keys of some signers.
fn zone(signers: &[Signer]) -> Zone {
    let mut zone = Zone::default();
    for Signer { domain, selector, key, .. } in signers {
        let name: Name = format!("{selector}._domainkey.{domain}").parse().expect("a name");
        if !zone.records.contains_key(&name) {
            zone.add(name, 60, Data::Txt(key.record().as_str().into()));
        }
    }
    zone
}

fn sign(signers: &[Signer], message: &[u8]) -> Result<String, SignError> {
    let mut signing = Signing::new(signers.to_vec());
    signing.push(message);
    signing.finish("", TIME)
}

fn verify(zone: &Zone, message: &[u8]) -> Vec<Verified> {
    verify_at(zone, message, TIME)
}

fn verify_at(zone: &Zone, message: &[u8], at: Timestamp) -> Vec<Verified> {
    let header =
        Header::parse(message, HeaderLimits { octets: u64::MAX, fields: u64::MAX, hops: 100 }).expect("a header");
    let mut bodies = BodyHashes::default();
    let signatures = Signatures::find(&header, &Rules::default(), &mut bodies);
    bodies.push(&message[header.octets().len()..]);
    let records = Records::new(zone.clone());
    let lookups = records.lookups(Instant::now(), Budget::default());
    now(signatures.verify(&header, &bodies.finish(), &lookups, at))
}

fn results(verified: &[Verified]) -> Vec<results::Dkim> {
    verified.iter().map(|one| one.result).collect()
}

const PASS: results::Dkim = results::Dkim::Pass;
const FAIL: results::Dkim = results::Dkim::Fail;

/// The same key, time and message always give the same field.
#[test]
fn a_signature_in_full() {
    let field = sign(&[ed25519()], MESSAGE.as_bytes()).expect("signed");
    assert_eq!(field, include_str!("signed.txt").replace('\n', "\r\n"));
}

#[test]
fn all_forms_and_keys_verify_whatever_the_pieces() {
    let forms = [(Simple, Simple), (Simple, Relaxed), (Relaxed, Simple), (Relaxed, Relaxed)];
    let signers: Vec<Signer> = forms
        .iter()
        .flat_map(|&(header, body)| [signer("rsa", RSA, header, body), signer("ed", ED25519, header, body)])
        .collect();
    let fields = sign(&signers, MESSAGE.as_bytes()).expect("signed");
    let verified = verify(&zone(&signers), format!("{fields}{MESSAGE}").as_bytes());
    assert_eq!(results(&verified), [PASS; 8]);
    for (signer, one) in signers.iter().zip(&verified) {
        assert_eq!(one.domain.as_ref(), Some(&signer.domain));
        assert_eq!(one.selector.as_deref(), Some(&*signer.selector.to_string()));
        assert_eq!(one.canonicalization, Some((signer.header, signer.body)));
        assert_eq!(one.algorithm.map(|algorithm| algorithm.as_str()), Some(signer.key.algorithm()));
        assert_eq!(one.timestamp, Some(TIME));
        assert_eq!((one.expiration, one.is_partial()), (None, false));
    }
    for size in [1, 2, 3, 7, 64] {
        let mut signing = Signing::new(signers.clone());
        MESSAGE.as_bytes().chunks(size).for_each(|piece| signing.push(piece));
        assert_eq!(signing.finish("", TIME).as_ref(), Ok(&fields), "{size}");
    }
    for line in fields.split("\r\n") {
        assert!(line.len() <= 78, "{line}");
    }
    // Each field is one, and names nothing of the way.
    assert_eq!(fields.matches("DKIM-Signature:").count(), 8);
    for never in ["Received", "Return-Path", "Authentication-Results", "ARC-", "l="] {
        assert!(!fields.contains(never), "{never}");
    }
}

/// A body is hashed once for each form, not for each key.
#[test]
fn one_hash_for_each_form() {
    let signing = Signing::new(vec![rsa(), ed25519(), rsa()]);
    assert_eq!(signing.gathered.hashes(), 1);
    let signing = Signing::new(vec![rsa(), ed25519(), signer("rsa", RSA, Simple, Simple)]);
    assert_eq!(signing.gathered.hashes(), 2);
}

#[test]
fn nothing_can_be_added_to_what_is_signed() {
    let fields = sign(&[rsa()], MESSAGE.as_bytes()).expect("signed");
    let zone = zone(&[rsa()]);
    let signed = format!("{fields}{MESSAGE}");
    for name in CLOSED {
        for added in [format!("{name}: x\r\n{signed}"), format!("{}: x\r\n{signed}", name.to_ascii_uppercase())] {
            assert_eq!(results(&verify(&zone, added.as_bytes())), [FAIL], "{name} on top");
        }
        let below = signed.replacen("X-Other:", &format!("{name}: x\r\nX-Other:"), 1);
        assert_eq!(results(&verify(&zone, below.as_bytes())), [FAIL], "{name} below");
    }
    for name in ["Received", "Return-Path", "Authentication-Results", "ARC-Seal", "X-Any", "Sender", "List-Id"] {
        assert_eq!(results(&verify(&zone, format!("{name}: x\r\n{signed}").as_bytes())), [PASS], "{name}");
    }
    for name in OPEN {
        let message = format!("{name}: one\r\n{name}: two\r\n{MESSAGE}");
        let signed = format!("{}{message}", sign(&[rsa()], message.as_bytes()).expect("signed"));
        assert_eq!(results(&verify(&zone, signed.as_bytes())), [PASS], "{name}");
        for (from, to) in [("one", "won"), ("two", "too")] {
            let changed = signed.replacen(&format!("{name}: {from}"), &format!("{name}: {to}"), 1);
            assert_eq!(results(&verify(&zone, changed.as_bytes())), [FAIL], "{name}: {from}");
        }
    }
    assert_eq!(results(&verify(&zone, format!("{signed}more\r\n").as_bytes())), [FAIL], "more body");
}

#[test]
fn what_goes_in_front_is_signed_too() {
    let prepended = "Received: by here\r\nDate: Tue, 24 Nov 2026 18:00:00 +0000\r\nMessage-ID: <x@y>\r\n";
    let mut signing = Signing::new(vec![rsa()]);
    signing.push(MESSAGE.as_bytes());
    let fields = signing.finish(prepended, TIME).expect("signed");
    let whole = format!("{fields}{prepended}{MESSAGE}");
    assert_eq!(results(&verify(&zone(&[rsa()]), whole.as_bytes())), [PASS]);
    let without = format!("{fields}{MESSAGE}");
    assert_eq!(results(&verify(&zone(&[rsa()]), without.as_bytes())), [FAIL]);
    for bad in ["Date: x", "no field\r\n", "Date: x\r\n\r\n", "Date: x\n", " x: y\r\n", "\r\n"] {
        let mut signing = Signing::new(vec![rsa()]);
        signing.push(MESSAGE.as_bytes());
        assert_eq!(signing.finish(bad, TIME), Err(SignError::Prepended), "{bad:?}");
    }
}

#[test]
fn signatures_expire_when_they_are_to() {
    let expiring = |lifetime| {
        let mut signing = Signing::new(vec![ed25519()]).expiring(lifetime);
        signing.push(MESSAGE.as_bytes());
        format!("{}{MESSAGE}", signing.finish("", TIME).expect("signed"))
    };
    let week = expiring(Duration::from_secs(604_800));
    let zone = zone(&[ed25519()]);
    let verified = verify(&zone, week.as_bytes());
    assert_eq!(results(&verified), [PASS]);
    let expires = TIME.saturating_add(Duration::from_secs(604_800));
    assert_eq!(verified[0].expiration, Some(expires));
    let late = verify_at(&zone, week.as_bytes(), expires.saturating_add(Duration::from_secs(301)));
    assert_ne!(results(&late), [PASS]);
    // Less than a second would be a signature that no verifier takes.
    assert_eq!(results(&verify(&zone, expiring(Duration::from_millis(1)).as_bytes())), [PASS]);
}

#[test]
fn messages_of_any_form() {
    let zone = zone(&[rsa()]);
    for message in [
        "From: a@b\r\n\r\n",
        "From: a@b\r\n",
        "From: a@b",
        "From: a@b\r\n\r\n\r\n \r\n\r\n",
        "From: a@b\r\n\r\nno end of line",
        "From: a@b\r\n\r\nbare\rcr and bare\nlf\r",
        "FROM : a@b\r\nto:\r\nTo:\r\n \r\n\r\nx",
        "Subject:\u{fc}\r\nFrom: \u{fc}@b\r\n\r\n\u{fc}",
    ] {
        for (header, body) in [(Simple, Simple), (Relaxed, Relaxed)] {
            let field = sign(&[signer("rsa", RSA, header, body)], message.as_bytes()).expect("signed");
            // What has no end of line gets one on the way.
            let end = if message.contains("\r\n") { "" } else { "\r\n" };
            let signed = format!("{field}{message}{end}");
            assert_eq!(results(&verify(&zone, signed.as_bytes())), [PASS], "{message:?} {header:?}");
        }
    }
}

#[test]
fn messages_that_are_not_signed() {
    for (message, error) in [
        ("", SignError::NoFrom),
        ("\r\nbody", SignError::NoFrom),
        ("To: a@b\r\n\r\nFrom: a@b\r\n", SignError::NoFrom),
        (" From: a@b\r\nFrom: a@b\r\n\r\n", SignError::Malformed),
        ("From: a@b\r\nno colon\r\n\r\n", SignError::Malformed),
        ("From: a@b\r\nno colon", SignError::Malformed),
        ("From: a@b\r\n\r", SignError::Malformed),
        // Who reads bare LF or CR as the end of a line sees other fields.
        ("From: a@b\nTo: a@b\n\nno CR LF at all", SignError::Malformed),
        ("From: a@b\r\nSubject: x\nFrom: c@d\r\n\r\n", SignError::Malformed),
        ("From: a@b\r\nSubject: x\rFrom: c@d\r\n\r\n", SignError::Malformed),
        ("From: a@b\r\nFr\0om: c@d\r\n\r\n", SignError::Malformed),
        ("From: a@b\r\n: c@d\r\n\r\n", SignError::Malformed),
        ("From: a@b\r\nFrom : c@d\r\n\r\n", SignError::SeveralFrom),
    ] {
        let found = sign(&[ed25519()], message.as_bytes());
        assert_eq!(found, Err(error), "{message:?}");
        assert_eq!(sign(&[], message.as_bytes()), Ok(String::new()), "nobody signs");
    }
    let limits = HeaderLimits { octets: 100, fields: 10, hops: 1 };
    for (fields, limit) in [
        (format!("X: {}\r\n", "1".repeat(100)), HeaderLimit::Octets),
        ("X:\r\n".repeat(10), HeaderLimit::Fields),
        ("Received:\r\n".repeat(2), HeaderLimit::Hops),
    ] {
        let mut signing = Signing::with_limits(vec![ed25519()], limits);
        let message = format!("From: a@b\r\n{fields}\r\n{}", "body".repeat(100));
        message.as_bytes().chunks(8).for_each(|piece| signing.push(piece));
        assert_eq!(signing.gathered.kept(), 0, "nothing is kept");
        assert_eq!(signing.finish("", TIME), Err(SignError::Limit(limit)));
    }
    // The field that goes over a limit is the last, and the message ends within it.
    let mut signing = Signing::with_limits(vec![ed25519()], limits);
    signing.push(format!("From: a@b\r\n{}Y: z", "X:\r\n".repeat(9)).as_bytes());
    assert_eq!(signing.finish("", TIME), Err(SignError::Limit(HeaderLimit::Fields)));
}

#[test]
fn names_that_no_verifier_reads_do_not_sign() {
    let with = |domain: &str, selector: &str| {
        let name = |text: &str| -> Name { text.parse().expect("a name") };
        sign(&[Signer { domain: name(domain), selector: name(selector), ..ed25519() }], MESSAGE.as_bytes())
    };
    assert!(with("a.b", "s").is_ok());
    assert!(with("xn--bcher-kva.example", "s_1.2026").is_ok());
    for domain in ["example", ".", "a\\032b.example", "a\\;x=1.example", "-a.example", "a.example-"] {
        assert!(matches!(with(domain, "s"), Err(SignError::Domain(_))), "{domain}");
    }
    for selector in [".", "a\\.b", "a\\;b", "a-"] {
        assert!(matches!(with("example.org", selector), Err(SignError::Selector(_))), "{selector}");
    }
    let long = ["a23456789"; 24].join(".");
    assert!(matches!(with(&format!("{long}.org"), "selector"), Err(SignError::Selector(_))));
}

/// Memory is the header section: of the body nothing is kept.
#[test]
fn bodies_are_not_kept() {
    let mut signing = Signing::new(vec![ed25519()]);
    signing.push(b"From: a@b\r\n\r\n");
    (0..1000).for_each(|_| signing.push(&[b'x'; 1000]));
    assert_eq!(signing.gathered.kept(), 13);
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec!["To", "subject", "X-A", "Received", "List-Id", "DATE"]);
    let value = "[ \\ta-z\u{fc}\\x00]{0,12}(\r\n[ \\t][a-z ]{0,5}){0,2}";
    let fields = prop::collection::vec((name, value), 0..6);
    let body = prop::collection::vec(prop::sample::select(b"ab \t\r\n=\0\xff".to_vec()), 0..40);
    (fields, body).prop_map(|(fields, body)| {
        let mut message = b"From: x@y\r\n".to_vec();
        for (name, value) in fields {
            message.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&body);
        message
    })
}

proptest! {
    #[test]
    fn what_is_signed_verifies(
        message in message(), simple_header: bool, simple_body: bool, size in 1_usize..50, at: prop::sample::Index,
    ) {
        let form = |simple| if simple { Simple } else { Relaxed };
        let signer = signer("ed", ED25519, form(simple_header), form(simple_body));
        let mut signing = Signing::new(vec![signer.clone()]);
        message.chunks(size).for_each(|piece| signing.push(piece));
        let field = signing.finish("", TIME).expect("signed");
        let zone = zone(&[signer]);
        let mut signed = field.into_bytes();
        let start = signed.len();
        signed.extend_from_slice(&message);
        prop_assert_eq!(results(&verify(&zone, &signed)), [PASS]);

        // A letter that is another one is seen, wherever it stands in what is signed.
        let at = start + at.index(message.len());
        let header = Header::parse(&signed, HeaderLimits::default()).expect("a header");
        let other = signed[..at].rsplit(|octet| *octet == b'\n').next().is_some_and(|line| line.starts_with(b"X-A") || line.starts_with(b"Rec"));
        let in_value = at < header.octets().len() && header.fields().any(|field| {
            let start = field.octets().as_ptr() as usize - signed.as_ptr() as usize;
            let covered = !field.is("X-A") && !field.is("Received");
            covered && (start + field.octets().len() - field.raw_value().len()..start + field.octets().len()).contains(&at)
        });
        if !other && (in_value || at >= header.octets().len()) && signed[at].is_ascii_lowercase() {
            let mut changed = signed.clone();
            changed[at] = if signed[at] == b'z' { b'y' } else { signed[at] + 1 };
            prop_assert_eq!(results(&verify(&zone, &changed)), [FAIL]);
        }
    }
}
