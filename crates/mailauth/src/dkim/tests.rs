mod keys;
mod read;
mod vectors;

use std::time::Instant;

use hikyaku_dns::{Data, Error, RecordType, Txt, Zone};
use hikyaku_message::{Header, HeaderLimits};
use results::Dkim::{Fail, PermError, Policy, TempError};

use super::slow::{Draft, RECORD, sign};
use super::*;
use crate::Canonicalization::{Relaxed, Simple};
use crate::{BodyHashes, Budget, LookupError, Records};

/// 2026-11-24T12:00:00Z
const NOW: i64 = 1_795_521_600;
const MESSAGE: &str = "From: Ann <ann@example.test>\r\nTo: bob@example.net\r\nSubject: A  test\r\n\
    \tof folding\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\nHello,  Bob \r\n\r\nBye\r\n\r\n";

fn now<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("the future waits for something"),
    }
}

fn zone(records: &[(&str, &str)]) -> Zone {
    let mut zone = Zone::default();
    for (name, text) in records {
        zone.add(name.parse().unwrap(), 300, Data::Txt(Txt::from(*text)));
    }
    zone
}

/// The results, how many names were looked up, and how many hashes of the body were made.
fn check(message: &[u8], zone: &Zone, rules: &Rules, seconds: i64) -> (Vec<Verified>, u32, usize) {
    let limits = HeaderLimits { octets: 64 << 20, fields: 1 << 20, hops: 1 << 20 };
    let header = Header::parse(message, limits).unwrap();
    let mut bodies = BodyHashes::default();
    let signatures = Signatures::find(&header, rules, &mut bodies);
    let hashes = bodies.count();
    message[header.octets().len()..].chunks(7).for_each(|piece| bodies.push(piece));
    let records = Records::new(zone);
    let lookups = records.lookups(Instant::now(), Budget::default());
    let at = Timestamp::from_millis(seconds * 1000);
    let verified = now(signatures.verify(&header, &bodies.finish(), &lookups, at));
    for one in &verified {
        assert_eq!(one.reason.is_none(), one.result == results::Dkim::Pass);
        assert_eq!(one.reason.as_ref().map_or(results::Dkim::Pass, Problem::result), one.result);
    }
    (verified, lookups.asked(), hashes)
}

/// The one result of a message that is signed with the key of [`RECORD`].
fn one(message: &[u8]) -> Verified {
    let (mut verified, ..) = check(message, &key(), &Rules::default(), NOW);
    assert_eq!(verified.len(), 1);
    verified.remove(0)
}

fn key() -> Zone {
    zone(&[("sel._domainkey.example.test", RECORD)])
}

fn signed(message: &str, draft: &Draft) -> Vec<u8> {
    [sign(message.as_bytes(), draft), message.as_bytes().to_vec()].concat()
}

fn reason(message: &[u8]) -> Option<Problem> {
    one(message).reason
}

#[test]
fn each_pair_of_forms_passes_and_tells_what_it_is() {
    for (header, body) in [(Simple, Simple), (Simple, Relaxed), (Relaxed, Simple), (Relaxed, Relaxed)] {
        let more = format!(" i=ann@example.test; t={NOW}; x={};", NOW + 1);
        let verified = one(&signed(MESSAGE, &Draft { header, body, more, ..Draft::default() }));
        let length = if body == Simple { 21 } else { 19 };
        let expected = Verified {
            domain: Some("example.test".parse().unwrap()),
            selector: Some("sel".to_owned()),
            signature: verified.signature.clone(),
            algorithm: Some(Algorithm::Ed25519Sha256),
            identity: Some("ann@example.test".to_owned()),
            canonicalization: Some((header, body)),
            timestamp: Some(Timestamp::from_millis(NOW * 1000)),
            expiration: Some(Timestamp::from_millis(NOW * 1000 + 1000)),
            covered: Some(length),
            body: Some(length),
            key_bits: Some(256),
            ..Verified::new(results::Dkim::Pass)
        };
        assert_eq!(verified, expected);
        assert_eq!(verified.signature.map(|start| start.len()), Some(8));
    }
}

/// The relaxed form hides changes of white space, the simple one none.
#[test]
fn changes_on_the_way() {
    let folded =
        MESSAGE.replace("A  test\r\n\tof", "A\r\n   test of").replace("To:", "tO  : ").replace("  Bob \r", " Bob\r");
    for (header, body, expected) in [
        (Relaxed, Relaxed, None),
        (Simple, Relaxed, Some(Problem::Signature)),
        (Relaxed, Simple, Some(Problem::BodyHash)),
    ] {
        let field = sign(MESSAGE.as_bytes(), &Draft { header, body, ..Draft::default() });
        assert_eq!(reason(&[&field, folded.as_bytes()].concat()), expected);
        assert_eq!(reason(&[&field, MESSAGE.replace("bob", "bop").as_bytes()].concat()), Some(Problem::Signature));
        assert_eq!(reason(&[&field, MESSAGE.replace("Bob", "Bop").as_bytes()].concat()), Some(Problem::BodyHash));
        // What is not named may change.
        assert_eq!(reason(&[&field, MESSAGE.replace("Tue,", "Wed,").as_bytes()].concat()), None);
    }
}

/// D58
#[test]
fn d58_forms_of_fields_and_bodies() {
    let head = "From: ann@example.test\r\nSubject: one\r\nSubject: two\r\n\r\n";
    for body in ["", "\r\n\r\n", "a\r\n \t\r\n", "no end of line", "\r\n", "a\r\n\r\n\r\n"] {
        for form in [Simple, Relaxed] {
            let draft = Draft {
                header: form,
                body: form,
                names: "subject:subject:subject:from:from:x-none".to_owned(),
                ..Draft::default()
            };
            let message = format!("{head}{body}");
            let field = String::from_utf8(sign(message.as_bytes(), &draft)).unwrap();
            // b= folded with tabs; the simple form of the rest of the field stays.
            let start = field.rfind(" b=").unwrap() + 3;
            let (before, value) = field.split_at(start);
            let folded = format!("{before}\r\n\t{}\r\n\t\t{}", &value[..20], &value[20..]);
            for field in [&field, &folded] {
                assert_eq!(reason(format!("{field}{message}").as_bytes()), None, "{body:?}");
                // A field of a name that was signed once more than it was there.
                for added in ["Subject: three\r\n", "subject : three\r\n", "From: x@evil.test\r\n", "X-None: \r\n"] {
                    let added = format!("{added}{field}{message}");
                    assert_eq!(reason(added.as_bytes()), Some(Problem::Signature), "{body:?}");
                }
                // And one that is not named.
                assert_eq!(reason(format!("X: y\r\n{field}{message}").as_bytes()), None);
            }
        }
    }
}

/// D59: what is wrong with a signature by itself is found without a lookup and a hash.
#[test]
fn d59_what_a_signature_cannot_say() {
    for (more, domain, names, expected) in [
        (" i=@evil.test;", "example.test", "from", Problem::ForeignIdentity),
        (" i=@xexample.test;", "example.test", "from", Problem::ForeignIdentity),
        (" i=@test;", "example.test", "from", Problem::BadTag("i")),
        (" i=example.test;", "example.test", "from", Problem::BadTag("i")),
        (" i=@;", "example.test", "from", Problem::BadTag("i")),
        (" t=2; x=1;", "example.test", "from", Problem::ExpiresBefore),
        (" t=2; x=2;", "example.test", "from", Problem::ExpiresBefore),
        ("", "example.test", "to:subject", Problem::FromNotSigned),
        ("", "exa\0mple.test", "from", Problem::Syntax),
        ("", "exa'mple.test", "from", Problem::BadTag("d")),
        ("", "(.example.test", "from", Problem::BadTag("d")),
        ("", "example\\.test", "from", Problem::BadTag("d")),
        ("", "a.example\\.test", "from", Problem::BadTag("d")),
        ("", "ex ample.test", "from", Problem::BadTag("d")),
        ("", "test", "from", Problem::BadTag("d")),
        ("", "example.test.", "from", Problem::BadTag("d")),
        ("", ".example.test", "from", Problem::BadTag("d")),
        ("", "-.example.test", "from", Problem::BadTag("d")),
        (" v=1;", "example.test", "from", Problem::TagTwice),
        (" q=dns/none;", "example.test", "from", Problem::BadTag("q")),
        (" l=;", "example.test", "from", Problem::BadTag("l")),
        (" l=-1;", "example.test", "from", Problem::BadTag("l")),
        (" t=1x;", "example.test", "from", Problem::BadTag("t")),
        (" x=;", "example.test", "from", Problem::BadTag("x")),
        ("", "example.test", ":to", Problem::FromNotSigned),
        ("", "example.test", "from:t o", Problem::BadTag("h")),
        ("", "example.test", "from:t\u{f6}", Problem::BadTag("h")),
        ("", "example.test", "from:\r\n t\r\n o :x", Problem::BadTag("h")),
    ] {
        let draft =
            Draft { more: more.to_owned(), domain: domain.to_owned(), names: names.to_owned(), ..Draft::default() };
        let (verified, asked, hashes) = check(&signed(MESSAGE, &draft), &key(), &Rules::default(), NOW);
        assert_eq!(verified[0].reason, Some(expected), "{more} {domain:?} {names}");
        assert_eq!((verified[0].result, asked, hashes), (PermError, 0, 0));
    }
}

#[test]
fn identities_below_the_domain_and_methods_beside_dns_are_good() {
    for more in [" i=ann@a.Example.test;", " i=@example.test;", " q=x/y : dns/txt;", " z=From:x|To:y; zz=;", ""] {
        assert_eq!(reason(&signed(MESSAGE, &Draft { more: more.to_owned(), ..Draft::default() })), None, "{more}");
    }
}

/// D59: `x=`, with the skew of clocks; the time of making may be a day ahead.
#[test]
fn d59_times() {
    for (more, expected) in [
        (format!(" x={};", NOW - 300), None),
        (format!(" x={};", NOW - 301), Some(Problem::Expired)),
        (" t=0; x=1;".to_owned(), Some(Problem::Expired)),
        (" x=99999999999999999999999999;".to_owned(), None),
        (format!(" t={};", NOW + 86_400), None),
        (format!(" t={};", NOW + 86_401), Some(Problem::Future)),
        (" t=0;".to_owned(), None),
    ] {
        let (verified, asked, _) =
            check(&signed(MESSAGE, &Draft { more: more.clone(), ..Draft::default() }), &key(), &Rules::default(), NOW);
        assert_eq!(asked, u32::from(expected.is_none()), "what has expired is not looked up");
        assert_eq!(verified[0].reason, expected, "{more}");
    }
}

/// D59, C2: `l=` counts octets of the canonical form, and what lies behind may be anybody's.
#[test]
fn d59_lengths() {
    let pass = Rules { partial: Partial::Pass, ..Rules::default() };
    for (length, policy, passes) in
        [(0, Some(Problem::Partial), true), (18, Some(Problem::Partial), true), (19, None, true)]
    {
        let message = signed(MESSAGE, &Draft { length: Some(length), ..Draft::default() });
        let verified = one(&message);
        assert_eq!((verified.covered, verified.body), (Some(length as u64), Some(19)));
        assert_eq!((verified.reason.clone(), verified.is_partial()), (policy.clone(), policy.is_some()), "{length}");
        assert_eq!(verified.result == Policy, policy.is_some());
        assert_eq!(check(&message, &key(), &pass, NOW).0[0].reason.is_none(), passes);
        // Octets behind it do not matter to the hash, those before do.
        let longer = [&message[..], b"more"].concat();
        assert_eq!(reason(&longer), Some(Problem::Partial));
        let changed = String::from_utf8(message).unwrap().replace("Hello", "hello");
        let expected = if length == 0 { policy } else { Some(Problem::BodyHash) };
        assert_eq!(reason(changed.as_bytes()), expected);
    }
    let mut short = signed(MESSAGE, &Draft { length: Some(19), ..Draft::default() });
    short.truncate(short.len() - 7);
    let (verified, asked, _) = check(&short, &key(), &pass, NOW);
    assert_eq!((verified[0].reason.clone(), asked), (Some(Problem::ShortBody), 0));
    assert_eq!(verified[0].result, PermError);
    // One octet too few is too few.
    let message = signed(MESSAGE, &Draft { length: Some(19), ..Draft::default() });
    let changed = String::from_utf8(message).unwrap().replace("Bye", "By");
    assert_eq!(reason(changed.as_bytes()), Some(Problem::ShortBody));
    // A wrong signature that covers a part is wrong, and not only partial.
    let message = signed(MESSAGE, &Draft { length: Some(3), ..Draft::default() });
    let changed = String::from_utf8(message).unwrap().replace("Ann", "Eve");
    assert_eq!(reason(changed.as_bytes()), Some(Problem::Signature));
}

/// D59, C2: of many signatures ten are verified, those first that may align with the author.
#[test]
fn d59_many_signatures() {
    let others = Draft { domain: "other.test".to_owned(), ..Draft::default() };
    let below = Draft { domain: "mail.example.test".to_owned(), ..Draft::default() };
    let zone = zone(&[
        ("sel._domainkey.example.test", RECORD),
        ("sel._domainkey.mail.example.test", RECORD),
        ("sel._domainkey.other.test", RECORD),
    ]);
    let other = sign(MESSAGE.as_bytes(), &others);
    let broken = b"DKIM-Signature: v=1\r\n".repeat(5000);
    let own = [sign(MESSAGE.as_bytes(), &Draft::default()), sign(MESSAGE.as_bytes(), &below)].concat();
    for count in [8, 9, 10_000] {
        let message = [&other.repeat(count)[..], &broken, &own, MESSAGE.as_bytes()].concat();
        let (verified, asked, hashes) = check(&message, &zone, &Rules::default(), NOW);
        assert_eq!((verified.len(), hashes), (count + 5002, 1));
        assert_eq!(asked, 10);
        let passed: Vec<usize> = (0..verified.len()).filter(|&at| verified[at].reason.is_none()).collect();
        let expected: Vec<usize> = (0..8).chain([count + 5000, count + 5001]).collect();
        assert_eq!(passed, expected);
        assert!(verified[8..count].iter().all(|one| one.result == Policy && one.reason == Some(Problem::TooMany)));
        assert!(verified[count..count + 5000].iter().all(|one| one.reason == Some(Problem::MissingTag("a"))));
    }
    // Without an author who is known, those at the top.
    for from in ["From: x\r\nFrom: y\r\n", "From: (\r\n", "From: a@b.test, c@d.test\r\n"] {
        let message = [&other.repeat(10)[..], &own, from.as_bytes(), MESSAGE.as_bytes()].concat();
        let (verified, ..) = check(&message, &zone, &Rules::default(), NOW);
        assert!(verified[10..].iter().all(|one| one.reason == Some(Problem::TooMany)), "{from}");
    }
    let (verified, asked, hashes) =
        check(&signed(MESSAGE, &Draft::default()), &zone, &Rules { signatures: 0, ..Rules::default() }, NOW);
    assert_eq!((verified[0].result, asked, hashes), (Policy, 0, 0));
}

/// Each distinct form and length is hashed once.
#[test]
fn hashes_are_shared() {
    let draft = |body, length| sign(MESSAGE.as_bytes(), &Draft { body, length, ..Draft::default() });
    let fields = [draft(Simple, None), draft(Relaxed, None), draft(Relaxed, None), draft(Relaxed, Some(3))].concat();
    let message = [&fields[..], MESSAGE.as_bytes()].concat();
    let (verified, asked, hashes) = check(&message, &key(), &Rules::default(), NOW);
    let passed: Vec<bool> = verified.iter().map(|one| one.reason.is_none()).collect();
    assert_eq!((passed, asked, hashes), (vec![true, true, true, false], 4, 3));
}

/// A name that is signed, with a space before its colon, is the same name.
#[test]
fn space_before_the_colon() {
    let message = MESSAGE.replace("From:", "From :").replace("Subject:", "Subject\t :");
    for header in [Simple, Relaxed] {
        let field = sign(message.as_bytes(), &Draft { header, ..Draft::default() });
        assert_eq!(reason(&[&field, message.as_bytes()].concat()), None);
    }
}

#[test]
fn what_is_not_signed_has_no_results() {
    for message in ["", "\r\n", MESSAGE, "DKIM-Signature\r\n", "X-DKIM-Signature: v=1\r\n\r\nDKIM-Signature: v=1\r\n"] {
        assert_eq!(check(message.as_bytes(), &Zone::default(), &Rules::default(), NOW).0, []);
    }
    // A header section that the end of the message cuts.
    assert_eq!(reason(b"DKIM-Signature:"), Some(Problem::Syntax));
}

/// RFC 8616: U-labels in the signature, A-labels in the DNS.
#[test]
fn u_labels() {
    let zone = zone(&[("sel._domainkey.xn--bcher-kva.example", RECORD)]);
    for (domain, more) in [
        ("b\u{fc}cher.example", " i=\u{e4}@b\u{fc}cher.example;"),
        ("xn--bcher-kva.example", " i=@sub.b\u{fc}cher.example;"),
        ("b\u{fc}cher.example", " i=@XN--bcher-KVA.example;"),
    ] {
        let draft = Draft { domain: domain.to_owned(), more: more.to_owned(), ..Draft::default() };
        let (verified, ..) = check(&signed(MESSAGE, &draft), &zone, &Rules::default(), NOW);
        assert_eq!(verified[0].reason, None, "{domain}");
        assert_eq!(verified[0].domain, Some("xn--bcher-kva.example".parse().unwrap()));
    }
    let draft = Draft { domain: "b\u{ff0e}cher.example".to_owned(), ..Draft::default() };
    let (verified, asked, _) = check(&signed(MESSAGE, &draft), &zone, &Rules::default(), NOW);
    assert_eq!((verified[0].reason.clone(), asked), (Some(Problem::BadTag("d")), 0));
}

#[test]
fn failures_of_the_dns_are_temporary() {
    let message = signed(MESSAGE, &Draft::default());
    let name = "sel._domainkey.example.test".parse().unwrap();
    for error in [Error::ServerFailure, Error::Timeout, Error::Bogus] {
        let mut zone = key();
        zone.failures.insert((Name::clone(&name), RecordType::TXT), hikyaku_dns::Failure::Error(error));
        let (verified, ..) = check(&message, &zone, &Rules::default(), NOW);
        assert_eq!(verified[0].reason, Some(Problem::Lookup(LookupError::Dns(error))));
        assert_eq!(verified[0].result, TempError);
        // What cannot pass anyway does not wait for the DNS.
        let changed = [&message[..], b"x"].concat();
        assert_eq!(check(&changed, &zone, &Rules::default(), NOW).0[0].result, Fail);
    }
}
