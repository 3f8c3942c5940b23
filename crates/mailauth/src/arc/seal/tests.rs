use std::sync::Arc;

use super::super::tests::{LIMITS, MESSAGE, TIME, seal, sealed, signer, verify, zone};
use super::*;
use crate::SigningKey;

const DOMAINS: [&str; 2] = ["one.example", "two.example"];

fn outcome(result: results::Arc, sealers: &[&str], reason: Option<Problem>) -> Outcome {
    Outcome::new(result, sealers.iter().map(|name| name.parse().expect("a name")).collect(), reason)
}

/// A set whose message signature has one more tag; the body is not hashed anew: `l=` is of the
/// whole, or of so many octets.
pub(crate) fn with_tag(signer: &Signer, message: &str, tag: &str, results: AuthenticationResults) -> String {
    let length = tag.strip_prefix("l=").and_then(|length| length.trim_end_matches(';').parse().ok());
    let section = message.find("\r\n\r\n").expect("a body") + 2;
    let mut bodies = BodyHashes::default();
    let hash = bodies.want(signer.body, length, Hash::Sha256);
    bodies.push(&message.as_bytes()[section + 2..]);
    let header = fields(&message.as_bytes()[..section]).expect("fields");
    let mut begun = TagField::new("ARC-Message-Signature");
    begun.tag("i", "1");
    let (name, value) = tag.trim_end_matches(';').split_once('=').expect("a tag");
    begun.tag(name, value);
    let form = Form { names: vec!["from"], fields: Fields::new(&header), now: TIME, lifetime: None };
    let field = form.sign(begun, signer, bodies.finish().digest(hash)).expect("signed");
    let results = ArcAuthenticationResults::new(1, results).expect("an instance").field();
    let set = format!("{field}{results}");
    let own = fields(set.as_bytes()).expect("fields");
    let mut covered = Covered::default();
    for kind in [Field::Results, Field::Message] {
        covered.push(&own.first(kind.as_str()).expect("it is there"), kind);
    }
    let mut last = TagField::new("ARC-Seal");
    last.tag("i", "1");
    begin(&mut last, signer, TIME).expect("names");
    last.tag("cv", "none");
    let last = finish(last.unsigned(), signer, Canonicalization::Relaxed, covered.octets()).expect("signed");
    format!("{last}{set}")
}

#[test]
fn a_set_in_full() {
    let set = sealed(&DOMAINS[..1]).replace(MESSAGE, "");
    let lines: Vec<&str> = set.split("\r\n").collect();
    assert!(lines.iter().all(|line| line.len() <= 78), "{set}");
    assert!(set.starts_with("ARC-Seal: i=1; a=ed25519-sha256; d=one.example; s=arc; t=1795500000; cv=none;\r\n\tb="));
    assert!(set.contains("\r\nARC-Message-Signature: i=1; a=ed25519-sha256; d=one.example; s=arc;\r\n\tt=1795500000; c=relaxed/relaxed; h=From:From:"));
    assert!(set.contains(":DKIM-Signature;"), "it should be covered (RFC 8617 §4.1.2)");
    assert!(
        set.ends_with("\r\nARC-Authentication-Results: i=1; mx.example.net;\r\n\tspf=fail;\r\n\tarc=none\r\n"),
        "{set}"
    );
}

/// RFC 8617 §5.1.2: a broken chain is sealed once more, the new set alone.
#[test]
fn a_broken_chain_is_sealed_once() {
    let zone = zone(&DOMAINS);
    let broken = sealed(&DOMAINS[..1]).replace("Hello", "Hallo");
    let chain = verify(&broken, &zone);
    assert_eq!(chain.reason, Some(Problem::Message(1, crate::dkim::Problem::BodyHash)));
    let set = seal(signer(DOMAINS[1]), &broken, &chain).expect("sealed");
    assert!(set.contains("ARC-Seal: i=2;") && set.contains("cv=fail;"), "{set}");
    let twice = format!("{set}{broken}");
    let chain = verify(&twice, &zone);
    assert_eq!(chain.reason, Some(Problem::Failed(2)));
    assert_eq!(seal(signer(DOMAINS[0]), &twice, &chain), Ok(String::new()));
    // By itself, as instance 1 of a chain that says so, it would be whole.
    let alone = set.replace("i=2;", "i=1;").replace("cv=fail", "cv=none");
    assert_eq!(verify(&format!("{alone}{MESSAGE}"), &zone).result, results::Arc::Fail);

    // Sets that are not whole: the next instance after the highest that is there.
    let missing = format!("ARC-Seal: i=7; cv=pass\r\nARC-Seal: no\r\n{MESSAGE}");
    let set = seal(signer(DOMAINS[1]), &missing, &verify(&missing, &zone)).expect("sealed");
    assert!(set.contains("ARC-Seal: i=8;"), "{set}");
    let full = format!("ARC-Seal: i=50; cv=pass\r\n{MESSAGE}");
    assert_eq!(seal(signer(DOMAINS[1]), &full, &verify(&full, &zone)), Err(SealError::Full));
}

#[test]
fn what_is_not_sealed() {
    let fifty = sealed(&[DOMAINS[0]; 50]);
    let chain = verify(&fifty, &zone(&DOMAINS));
    assert_eq!(seal(signer(DOMAINS[0]), &fifty, &chain), Err(SealError::Full));

    let none = outcome(results::Arc::None, &[], None);
    let one = outcome(results::Arc::Pass, &DOMAINS[..1], None);
    let nobody = outcome(results::Arc::Pass, &[], None);
    let two = outcome(results::Arc::Pass, &DOMAINS, None);
    let [once, twice] = [&DOMAINS[..1], &DOMAINS].map(sealed);
    let broken = format!("ARC-Seal: i=2\r\n{once}");
    for (message, chain) in
        [(&*once, &none), (MESSAGE, &one), (MESSAGE, &nobody), (&*broken, &one), (&*twice, &one), (&*once, &two)]
    {
        assert_eq!(seal(signer(DOMAINS[0]), message, chain), Err(SealError::OtherMessage));
    }
    for (message, error) in [("To: a\r\n\r\n", SignError::NoFrom), ("From: a\r\nx\r\n\r\n", SignError::Malformed)] {
        assert_eq!(seal(signer(DOMAINS[0]), message, &none), Err(SealError::Sign(error)));
    }
}

/// The tags of a field without white space, sorted.
fn sorted(value: &[u8]) -> Vec<String> {
    let value = std::str::from_utf8(value).expect("ASCII");
    let mut tags: Vec<String> = value.split(';').map(|tag| tag.split_whitespace().collect()).collect();
    tags.retain(|tag| !tag.is_empty());
    tags.sort_unstable();
    tags
}

/// The signing vectors of Valimail. Their key has 1024 bit, with which nobody should sign any
/// more; what is compared is all but the signatures, which ours do verify.
#[test]
fn vectors_of_valimail() {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE").map(std::path::PathBuf::from) else {
        println!("HIKYAKU_CONFORMANCE is not set: arc/arc_sign.jsonl was not run");
        return;
    };
    let rows = std::fs::read_to_string(folder.join("arc/arc_sign.jsonl")).expect("the rows");
    let mut count = 0;
    for row in rows.lines() {
        let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
        let text = |key: &str| row[key].as_str().expect("a text").to_owned();
        let case = text("case");
        let message = std::fs::read(folder.join(text("file"))).expect("the message");
        let message = String::from_utf8(message).expect("ASCII");
        let zone = hikyaku_dns::Zone::from_json(row["zone"].to_string().as_bytes()).expect("a zone");
        let seconds = row["timestamp"].as_i64().expect("a time");

        // What is known of the chain is what was found when it was sealed.
        let cv = row["expected"]["AS"].as_str().expect("a field");
        let chain = match cv {
            cv if cv.contains("cv=fail") => outcome(results::Arc::Fail, &[], None),
            cv if cv.contains("cv=pass") => outcome(results::Arc::Pass, &["example.org"; 2], None),
            _ => outcome(results::Arc::None, &[], None),
        };
        let section = Header::parse(message.as_bytes(), LIMITS).expect("a header");
        let found = section.first("Authentication-Results").expect("what was found");
        let found = AuthenticationResults::parse(found.raw_value()).expect("results").into_owned();

        let key = Arc::new(SigningKey::from_pem(include_str!("../../crypto/keys/rsa2048-pkcs8.pem")).expect("a key"));
        let name = |key: &str| text(key).parse().expect("a name");
        let mut sealing = Sealing::new(Signer::new(name("domain"), name("selector"), key), LIMITS);
        sealing.push(message.as_bytes());
        let names = text("sig_headers");
        let names = Some(names.split(':').collect());
        let set = sealing.seal(&chain, &found, Timestamp::from_millis(seconds * 1000), names).expect("sealed");
        let set = fields(set.as_bytes()).expect("fields");

        for (name, kind) in [("AS", Field::Seal), ("AMS", Field::Message)] {
            let expected = row["expected"][name].as_str().expect("a field");
            let ours = set.first(kind.as_str()).expect("it was written");
            let without = |value: &[u8]| -> Vec<String> {
                sorted(value).into_iter().filter(|tag| !tag.starts_with("b=")).collect()
            };
            assert_eq!(without(ours.raw_value()), without(expected.as_bytes()), "{case} {name}");
        }
        // Comments are not carried.
        let expected = row["expected"]["AAR"].as_str().expect("a field").replace('\n', "\r\n ");
        let expected = ArcAuthenticationResults::parse(expected.trim_end().as_bytes()).expect("results");
        let ours = set.first(Field::Results.as_str()).expect("it was written");
        assert_eq!(ArcAuthenticationResults::parse(ours.raw_value()).expect("results"), expected, "{case}");

        // Their signatures are over what we take for the octets to be signed.
        let theirs: String = [("AS", Field::Seal), ("AMS", Field::Message), ("AAR", Field::Results)]
            .iter()
            .map(|(name, kind)| {
                let value = row["expected"][name].as_str().expect("a field");
                // The form that was signed: tags sorted, and no white space within.
                let value = match kind {
                    Field::Results => value.trim_end().replace('\n', "\r\n "),
                    _ => sorted(value.as_bytes()).join("; "),
                };
                format!("{}: {value}\r\n", kind.as_str())
            })
            .collect();
        let outcome = verify(&format!("{theirs}{message}"), &zone);
        if chain.result == results::Arc::Fail {
            let Some(Problem::Failed(instance)) = outcome.reason else { panic!("{case}: {outcome:?}") };
            let set = fields(theirs.as_bytes()).expect("fields");
            let mut covered = Covered::default();
            for kind in Field::ALL {
                covered.push(&set.first(kind.as_str()).expect("it is there"), kind);
            }
            let field = set.first(Field::Seal.as_str()).expect("it is there");
            let seal = super::super::sets::Seal::parse(&field, instance).expect("a seal");
            let mut octets = Vec::new();
            covered.by(1, &field, seal.own.clone(), &mut octets);
            let record = zone.lookup(&seal.key, hikyaku_dns::RecordType::TXT).expect("a record");
            let hikyaku_dns::Data::Txt(record) = &record.records[0] else { panic!("no text") };
            let key = crate::dkim::key::Key::parse(&record.concat()).expect("a key");
            let key = key.verifier(seal.algorithm, false).expect("it may");
            assert!(key.verifies(Hash::Sha256, &octets, &seal.signature), "{case}");
        } else {
            // The older sets of the suite are not what was sealed; it is the new one that counts.
            let older = Problem::Seal(2, crate::dkim::Problem::Signature);
            let reason = (chain.result == results::Arc::Pass).then_some(older);
            assert_eq!(outcome.reason, reason, "{case}");
        }
        count += 1;
    }
    assert!(count > 0, "no rows");
}
