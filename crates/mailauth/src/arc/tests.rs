use std::sync::Arc;
use std::time::{Duration, Instant};

use hikyaku_dns::{Data, Zone};
use hikyaku_message::results::{AuthenticationResults, Value};
use hikyaku_message::{Header, HeaderLimits};
use hikyaku_wire::Timestamp;
use results::Arc::{Fail, None as Nothing, Pass};

use super::*;
use crate::dkim::{Problem as Dkim, Rules, Signer};
use crate::now::now;
use crate::{BodyHashes, Budget, LookupError, PublicKeyError, Records, SigningKey};

pub(super) const TIME: Timestamp = Timestamp::from_millis(1_795_500_000_000);
pub(super) const LIMITS: HeaderLimits = HeaderLimits { octets: 1 << 20, fields: 1000, hops: 100 };

pub(super) const MESSAGE: &str =
    "From: a@b.example\r\nTo: c@d.example\r\nSubject: one\r\nDKIM-Signature: v=1; x\r\n\r\nHello,  world\r\n";

pub(super) fn signer(domain: &str) -> Signer {
    let pem = include_str!("../crypto/keys/ed25519.pem");
    let key = Arc::new(SigningKey::from_pem(pem).expect("a key"));
    Signer::new(domain.parse().expect("a name"), "arc".parse().expect("a name"), key)
}

/// The keys of domains.
pub(super) fn zone(domains: &[&str]) -> Zone {
    let mut zone = Zone::default();
    for domain in domains {
        let name = format!("arc._domainkey.{domain}").parse().expect("a name");
        if !zone.records.contains_key(&name) {
            zone.add(name, 60, Data::Txt(signer(domain).key.record().as_str().into()));
        }
    }
    zone
}

pub(super) fn found(authserv_id: &str) -> AuthenticationResults {
    let results = AuthenticationResults::new(Value::new(authserv_id).expect("a value")).expect("an identifier");
    results.with(results::Spf::Fail.into()).with(results::Arc::None.into())
}

pub(super) fn seal(signer: Signer, message: &str, chain: &Outcome) -> Result<String, SealError> {
    let mut sealing = Sealing::new(signer, LIMITS);
    message.as_bytes().chunks(11).for_each(|piece| sealing.push(piece));
    sealing.finish(chain, &found("mx.example.net"), TIME)
}

/// What becomes of a chain, and how many names were looked up.
pub(super) fn check(message: &str, zone: &Zone, budget: u32, rules: &Rules) -> (Outcome, u32) {
    check_at(TIME, message, zone, budget, rules)
}

fn check_at(time: Timestamp, message: &str, zone: &Zone, budget: u32, rules: &Rules) -> (Outcome, u32) {
    let header = Header::parse(message.as_bytes(), LIMITS).expect("a header");
    let mut bodies = BodyHashes::default();
    let chain = Chain::find(&header, rules, &mut bodies);
    assert!(bodies.count() <= 1);
    bodies.push(&message.as_bytes()[header.octets().len()..]);
    let records = Records::new(zone.clone());
    let lookups = records.lookups(Instant::now(), Budget { queries: budget });
    let outcome = now(chain.verify(&header, &bodies.finish(), &lookups, time));
    (outcome, lookups.asked())
}

pub(super) fn verify(message: &str, zone: &Zone) -> Outcome {
    check(message, zone, 60, &Rules::default()).0
}

/// The message sealed by each domain in turn.
pub(super) fn sealed(domains: &[&str]) -> String {
    let zone = zone(domains);
    domains.iter().fold(String::from(MESSAGE), |message, domain| {
        let set = seal(signer(domain), &message, &verify(&message, &zone)).expect("sealed");
        format!("{set}{message}")
    })
}

const THREE: [&str; 3] = ["one.example", "two.example", "three.example"];

#[test]
fn chains_pass_and_name_their_sealers() {
    for count in 0..=3 {
        let outcome = verify(&sealed(&THREE[..count]), &zone(&THREE));
        let sealers: Vec<String> = outcome.sealers.iter().map(ToString::to_string).collect();
        assert_eq!((outcome.result, outcome.reason), (if count == 0 { Nothing } else { Pass }, None));
        assert_eq!(sealers, THREE[..count]);
    }
}

/// RFC 8617 §5.2: the highest signature and all seals; of older signatures nothing is verified.
#[test]
fn whoever_changes_something_seals_it() {
    let zone = zone(&THREE);
    let one = sealed(&THREE[..1]);
    let changed = one.replace("Subject: one", "Subject: [list] one").replace("Hello", "Bye");
    assert_eq!(verify(&changed, &zone).reason, Some(Problem::Message(1, Dkim::BodyHash)));
    let chain = verify(&one, &zone);
    let two = format!("{}{changed}", seal(signer(THREE[1]), &changed, &chain).expect("sealed"));
    assert_eq!(verify(&two, &zone).result, Pass);
}

#[test]
fn what_is_covered_cannot_be_changed() {
    let zone = zone(&THREE);
    let three = sealed(&THREE);
    for (from, to, problem) in [
        ("Hello,  world", "Hello, worlds", Problem::Message(3, Dkim::BodyHash)),
        ("Subject: one", "Subject: two", Problem::Message(3, Dkim::Signature)),
        ("DKIM-Signature: v", "DKIM-Signature: w", Problem::Message(3, Dkim::Signature)),
        ("From: a", "Cc: a@b\r\nFrom: a", Problem::Message(3, Dkim::Signature)),
        ("ARC-Message-Signature: i=3;", "ARC-Message-Signature: i=3; z=1;", Problem::Message(3, Dkim::Signature)),
        ("ARC-Message-Signature: i=2;", "ARC-Message-Signature: i=2; z=1;", Problem::Seal(3, Dkim::Signature)),
        (
            "ARC-Authentication-Results: i=3; mx",
            "ARC-Authentication-Results: i=3; my",
            Problem::Seal(3, Dkim::Signature),
        ),
        (
            "ARC-Authentication-Results: i=1; mx",
            "ARC-Authentication-Results: i=1; my",
            Problem::Seal(3, Dkim::Signature),
        ),
        ("ARC-Seal: i=3;", "ARC-Seal: i=3; z=1;", Problem::Seal(3, Dkim::Signature)),
        ("ARC-Seal: i=1;", "ARC-Seal: i=1; z=1;", Problem::Seal(3, Dkim::Signature)),
    ] {
        let changed = three.replacen(from, to, 1);
        assert_ne!(changed, three, "{from}");
        let outcome = verify(&changed, &zone);
        assert_eq!((outcome.result, outcome.reason, outcome.sealers), (Fail, Some(problem), vec![]), "{from}");
    }
    // Relaxed: white space may change.
    let folded = three.replace("ARC-Seal: i=2;", "arc-seal:\r\n\ti=2; ").replace("Subject: one", "SUBJECT:\tone ");
    assert_eq!(verify(&folded, &zone).result, Pass);
    // A seal that its own sealer could have made, but for an older set.
    let mut one = sealed(&THREE[..1]);
    one = one.replacen("ARC-Seal: i=1;", "ARC-Seal: i=1; z=1;", 1);
    let believed = Outcome::new(Pass, vec!["one.example".parse().expect("a name")], None);
    let two = format!("{}{one}", seal(signer(THREE[1]), &one, &believed).expect("sealed"));
    assert_eq!(verify(&two, &zone).reason, Some(Problem::Seal(1, Dkim::Signature)));
}

#[test]
fn d62_sets_that_are_not_whole() {
    let zone = zone(&THREE);
    let three = sealed(&THREE);
    let two = sealed(&THREE[..2]);
    let without = |message: &str, start: &str| {
        let at = message.find(start).expect("it is there");
        let length = message[at..].match_indices("\r\n").find(|(end, _)| !message[at + end + 2..].starts_with('\t'));
        format!("{}{}", &message[..at], &message[at + length.expect("it ends").0 + 2..])
    };
    let set = ["ARC-Seal: i=2;", "ARC-Message-Signature: i=2;", "ARC-Authentication-Results: i=2;"];
    let gap = set.iter().fold(three.clone(), |message, field| without(&message, field));
    let edit = |from: &str, to: &str| three.replacen(from, to, 1);
    let add = |field: &str| format!("{field}\r\n{three}");
    use Field::{Message, Results, Seal};
    for (message, problem) in [
        (gap, Problem::Missing(2, Results)),
        (without(&three, set[0]), Problem::Missing(2, Seal)),
        (without(&three, set[1]), Problem::Missing(2, Message)),
        (without(&three, set[2]), Problem::Missing(2, Results)),
        (without(&two, "ARC-Seal: i=1;"), Problem::Missing(1, Seal)),
        (add("ARC-Seal: i=51; a=b"), Problem::Instance(Seal)),
        (add("ARC-Seal: i=0; a=b"), Problem::Instance(Seal)),
        (add("ARC-Seal: i=100"), Problem::Instance(Seal)),
        (add("ARC-Seal: i=50"), Problem::Missing(4, Results)),
        (add("ARC-Seal: i=4"), Problem::Missing(4, Results)),
        (add("ARC-Seal: a=b"), Problem::Instance(Seal)),
        (add("ARC-Seal: i="), Problem::Instance(Seal)),
        (add("ARC-Seal: i=x"), Problem::Instance(Seal)),
        (add("ARC-Seal: I=4"), Problem::Instance(Seal)),
        (add("ARC-Seal: i=4; i=4"), Problem::Instance(Seal)),
        (add("ARC-Seal: no tags"), Problem::Instance(Seal)),
        (add("ARC-Message-Signature: i=51"), Problem::Instance(Message)),
        (add("ARC-Message-Signature: i=1"), Problem::Twice(1, Message)),
        (add("ARC-Message-Signature: i=3"), Problem::Twice(3, Message)),
        (add("ARC-Seal: i=01"), Problem::Twice(1, Seal)),
        (add("ARC-Authentication-Results: i=2; x"), Problem::Twice(2, Results)),
        (add("ARC-Authentication-Results: (a (b) \\) ) i (c)\r\n = 2 ; x"), Problem::Twice(2, Results)),
        (add("ARC-Authentication-Results: i=2 x; y"), Problem::Instance(Results)),
        (add("ARC-Authentication-Results: (i=2; x"), Problem::Instance(Results)),
        (add("ARC-Authentication-Results: ) i=2; x"), Problem::Instance(Results)),
        (add("ARC-Authentication-Results: x; i=2"), Problem::Instance(Results)),
        (add("ARC-Authentication-Results: i=; x"), Problem::Instance(Results)),
        (add("ARC-Authentication-Results: i=51; x"), Problem::Instance(Results)),
        (add("ARC-Authentication-Results: i=4"), Problem::Instance(Results)),
        (add("ARC-Authentication-Results:"), Problem::Instance(Results)),
        (edit("cv=none", "cv=pass"), Problem::Status(1)),
        (edit("cv=none", "cv=fail"), Problem::Status(1)),
        (edit("cv=pass", "cv=fail"), Problem::Failed(3)),
        (edit("cv=pass", "cv=none"), Problem::Status(3)),
        (edit("cv=pass", "cv="), Problem::Status(3)),
        (edit("cv=pass", "cv=passed"), Problem::Status(3)),
        (edit("cv=pass", "CV=pass"), Problem::Status(3)),
        (edit("ARC-Seal: i=3;", "ARC-Seal: i=3; h=from;"), Problem::SealWithNames(3)),
        (edit("h=From:", "h=ARC-seal:From:"), Problem::SealCovered(3)),
    ] {
        let (outcome, asked) = check(&message, &zone, 60, &Rules::default());
        assert_eq!((outcome.result, outcome.reason.as_ref()), (Fail, Some(&problem)), "{message}");
        assert_eq!(asked, 0, "nothing is looked up of a chain whose form is wrong");
        assert!(!problem.to_string().is_empty());
    }
}

#[test]
fn seals_and_signatures_that_cannot_be_verified() {
    let zone = zone(&THREE);
    let two = sealed(&THREE[..2]);
    for (from, to, problem) in [
        ("a=ed25519-sha256", "a=rsa-sha1", Dkim::Sha1),
        ("a=ed25519-sha256", "a=rsa-sha256", Dkim::KeyType),
        ("a=ed25519-sha256", "a=ed25519-sha512", Dkim::Algorithm),
        ("a=ed25519-sha256", "a=", Dkim::Algorithm),
        ("a=ed25519-sha256", "A=ed25519-sha256", Dkim::MissingTag("a")),
        ("d=two.example", "d=two.example/", Dkim::BadTag("d")),
        ("d=two.example", "D=two.example", Dkim::MissingTag("d")),
        ("d=two.example", "d=2.example", Dkim::NoKey),
        ("s=arc", "s=", Dkim::BadTag("s")),
        ("s=arc", "S=arc", Dkim::MissingTag("s")),
        ("t=1795500000", "t=", Dkim::BadTag("t")),
        ("t=1795500000", "t=x", Dkim::BadTag("t")),
        (" b=", " b=*", Dkim::BadTag("b")),
        (" b=", " b=; B=", Dkim::BadTag("b")),
        (" b=", " B=", Dkim::MissingTag("b")),
    ] {
        for (field, instance) in [("ARC-Seal: i=2;", 2), ("ARC-Message-Signature: i=2;", 2)] {
            let at = two.find(field).expect("it is there");
            // The last tag of a seal stands in a line of its own.
            let (from, to) = match field {
                "ARC-Seal: i=2;" => (from.replace(" b", "\tb"), to.replace(" b", "\tb").replace(" B", "\tB")),
                _ => (from.to_owned(), to.to_owned()),
            };
            let message = format!("{}{}", &two[..at], two[at..].replacen(&from, &to, 1));
            let problem = problem.clone();
            let reason = verify(&message, &zone).reason;
            let expected = match field {
                // The signature is verified first.
                "ARC-Seal: i=2;" => Problem::Seal(instance, problem),
                _ => Problem::Message(instance, problem),
            };
            assert_eq!(reason, Some(expected), "{from} {to} {message}");
        }
    }
    // SHA-1 is never allowed.
    let sha1 = two.replace("a=ed25519-sha256", "a=rsa-sha1");
    let legacy = Rules { allow_legacy: true, ..Rules::default() };
    assert_eq!(check(&sha1, &zone, 60, &legacy).0.result, Fail);
    // An older signature is only read, and covered by the seal.
    let at = two.rfind("bh=").expect("there are two");
    let older = format!("{}xx={}", &two[..at], &two[at + 3..]);
    assert_eq!(verify(&older, &zone).reason, Some(Problem::Seal(2, Dkim::Signature)));
    let at = two.rfind("h=From").expect("there are two");
    let older = format!("{}h=ARC-Seal:{}", &two[..at], &two[at + 2..]);
    assert_eq!(verify(&older, &zone).reason, Some(Problem::SealCovered(1)));
    // A key that must not be used.
    let mut weak = Zone::default();
    let name = "arc._domainkey.two.example".parse().expect("a name");
    weak.add(name, 60, Data::Txt("k=ed25519; p=AAAA".into()));
    let key = Dkim::Key(PublicKeyError::Malformed);
    assert_eq!(verify(&two, &weak).reason, Some(Problem::Message(2, key)));
}

#[test]
fn an_open_end_and_a_past_end() {
    let zone = zone(&THREE);
    let signer = signer(THREE[0]);
    // A signature that does not cover the end of the body, and one that has expired, well sealed.
    for (tag, problem) in [
        ("l=5;", None),
        ("l=15;", None),
        ("l=14;", None),
        ("l=16;", Some(Dkim::ShortBody)),
        ("x=1795500010;", Some(Dkim::Expired)),
        ("x=1795500011;", None),
        ("x=1795499999;", Some(Dkim::ExpiresBefore)),
    ] {
        let message = "From: a@b\r\n\r\nHello, world.\r\n";
        let set = seal::tests::with_tag(&signer, message, tag, found("x"));
        // 311 seconds later: 300 are for the difference of clocks.
        let later = TIME.saturating_add(Duration::from_secs(311));
        let (outcome, _) = check_at(later, &format!("{set}{message}"), &zone, 60, &Rules::default());
        assert_eq!(outcome.reason, problem.clone().map(|problem| Problem::Message(1, problem)), "{tag}");
        assert_eq!(outcome.is_partial, tag == "l=5;" || tag == "l=14;", "{tag}");
    }
}

/// Each key is asked for once, and what a message may cause bounds them.
#[test]
fn lookups_are_counted() {
    let same = sealed(&[THREE[0]; 50]);
    let (outcome, asked) = check(&same, &zone(&THREE), 50, &Rules::default());
    assert_eq!((outcome.result, outcome.sealers.len(), asked), (Pass, 50, 1));

    let names: Vec<String> = (0..12).map(|at| format!("d{at}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = sealed(&names);
    assert_eq!(check(&many, &zone(&names), 12, &Rules::default()).0.result, Pass);
    let (outcome, _) = check(&many, &zone(&names), 11, &Rules::default());
    assert_eq!(outcome.reason, Some(Problem::Seal(1, Dkim::Lookup(LookupError::Budget))));
    assert!(outcome.is_temporary(), "the chain may be whole");
    assert!(!check(&many, &zone(&names[1..]), 12, &Rules::default()).0.is_temporary());

    // A message of seals and nothing else is read once.
    let noise = "ARC-Seal: i=7\r\n".repeat(900) + MESSAGE;
    let (outcome, asked) = check(&noise, &zone(&names), 50, &Rules::default());
    assert_eq!((outcome.reason, asked), (Some(Problem::Twice(7, Field::Seal)), 0));
}
