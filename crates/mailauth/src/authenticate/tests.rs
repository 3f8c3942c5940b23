mod hostile;
mod sealers;

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_dns::{Name, RecordType, Zone};
use hikyaku_message::results::{self, AuthenticationResults, Value};
use hikyaku_message::{Header, HeaderLimits};
use hikyaku_wire::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::now::now;
use crate::{Budget, Lookups, Records, SigningKey};

const NOW: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const MESSAGE: &[u8] =
    b"From: Anna <anna@author.test>\r\nTo: b@example.test\r\nSubject: A letter\r\n\r\nHello,\r\n\r\nBert.\r\n\r\n";
const FULL: [&str; 4] = ["192.0.2.7", "mx.author.test", "anna@author.test", "mx.hik.test"];

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn key() -> SigningKey {
    SigningKey::ed25519(&[7; 32]).unwrap().0
}

fn zone() -> Zone {
    let text = format!(
        r#"
$ORIGIN author.test.
@                 300 TXT "v=spf1 a:mx.author.test -all"
mx                300 A   192.0.2.7
mx                300 TXT "v=spf1 a -all"
_dmarc            300 TXT "v=DMARC1; p=reject"
s._domainkey      300 TXT "{key}"
7.2.0.192.in-addr.arpa. 300 PTR mx
attacker.test.    300 TXT "v=spf1 +all"
s._domainkey.attacker.test. 300 TXT "{key}"
"#,
        key = key().record()
    );
    text.parse().unwrap()
}

fn sign(domain: &str, message: &[u8]) -> Vec<u8> {
    let mut signing = dkim::Signing::new(vec![dkim::Signer::new(name(domain), name("s"), Arc::new(key()))]);
    signing.push(message);
    [signing.finish("", NOW).unwrap().as_bytes(), message].concat()
}

fn client<'a>([address, hello, sender, receiver]: [&'a str; 4]) -> Client<'a> {
    Client { address: address.parse().unwrap(), hello, sender, receiver }
}

/// All checks but ARC.
fn rules() -> Rules {
    Rules { arc: false, ..Rules::default() }
}

fn judge(rules: &Rules, lookups: &Lookups<'_, Zone>, said: [&str; 4], pieces: &[&[u8]]) -> Authentication {
    let results = now(ClientResults::check(rules, lookups, &client(said), NOW));
    let mut verifier = Verifier::new(rules);
    pieces.iter().for_each(|piece| verifier.push(piece));
    now(verifier.finish(lookups, results, NOW))
}

fn judge_with(rules: &Rules, zone: Zone, said: [&str; 4], message: &[u8]) -> Authentication {
    let records = Records::new(zone);
    judge(rules, &records.lookups(Instant::now(), Budget::default()), said, &[message])
}

fn check(said: [&str; 4], message: &[u8]) -> Authentication {
    judge_with(&rules(), zone(), said, message)
}

fn field(done: &Authentication) -> AuthenticationResults {
    let results = done.results(Value::lossy("mx.hik.test"));
    let field = results.field();
    // One field, and nothing that looks like the end of one within it.
    let header = Header::parse(field.as_bytes(), HeaderLimits::default()).unwrap();
    assert_eq!((header.fields().count(), header.malformed()), (1, None), "{field}");
    let value = header.first("Authentication-Results").unwrap();
    let read = AuthenticationResults::parse(value.raw_value()).unwrap().into_owned();
    assert_eq!(read, results, "{field}");
    assert!(field.is_ascii() || field.chars().all(|c| !c.is_control() || "\r\n\t".contains(c)));
    read
}

fn dmarc(done: &Authentication) -> (results::Dmarc, dmarc::Policy) {
    let dmarc = done.dmarc.as_ref().unwrap();
    (dmarc.result, dmarc.disposition)
}

fn only_helo(outcome: &ClientResults) -> (results::Spf, results::Spf) {
    (outcome.helo.as_ref().unwrap().result, outcome.mail_from.as_ref().unwrap().result)
}

#[test]
fn all_of_a_good_message() {
    let done = check(FULL, &sign("author.test", MESSAGE));
    let b = done.dkim.as_ref().unwrap()[0].signature.clone().unwrap();
    let expected = format!(
        "mx.hik.test; iprev=pass policy.iprev=192.0.2.7; spf=pass smtp.helo=mx.author.test; \
         spf=pass smtp.mailfrom=anna@author.test; dkim=pass header.d=author.test header.i=@author.test header.s=s \
         header.a=ed25519-sha256 header.b={}; dmarc=pass header.from=author.test policy.dmarc=reject",
        Value::lossy(&b)
    );
    let expected: AuthenticationResults = expected.parse().unwrap();
    let mut got = field(&done).to_string();
    // Who signed for whom may be left to the default (RFC 6376 §3.5).
    if done.dkim.as_ref().unwrap()[0].identity.is_none() {
        got = got.replace(" header.s=s", " header.i=@author.test header.s=s");
    }
    assert_eq!(got, expected.to_string());
}

#[test]
fn a_message_that_nobody_sealed_is_none_of_anybody() {
    let text = field(&judge_with(&Rules::default(), zone(), FULL, MESSAGE)).to_string();
    assert!(text.contains("; arc=none; dmarc="), "{text}");
}

#[test]
fn a_message_in_any_pieces_is_the_same() {
    let message = sign("author.test", MESSAGE);
    let records = Records::new(zone());
    let lookups = || records.lookups(Instant::now(), Budget::default());
    let whole = judge(&rules(), &lookups(), FULL, &[&message]);
    assert_eq!(whole.dkim.as_ref().unwrap()[0].result, results::Dkim::Pass);
    for at in 0..=message.len() {
        let (one, other) = message.split_at(at);
        assert_eq!(judge(&rules(), &lookups(), FULL, &[one, b"", other]), whole, "split at {at}");
    }
    let octets: Vec<_> = message.chunks(1).collect();
    assert_eq!(judge(&rules(), &lookups(), FULL, &octets), whole);
}

#[test]
fn a_message_that_ends_within_its_header_section() {
    for message in [&b""[..], b"From: anna@author.test", b"From: anna@author.test\r\n", b"From: anna@author.test\r\n\r"]
    {
        let done = check(["198.51.100.1", "x.test", "", "mx.hik.test"], message);
        assert_eq!(done.dkim, Some(Vec::new()));
        let from = message.starts_with(b"From");
        let expected = if from { results::Dmarc::Fail } else { results::Dmarc::PermError };
        assert_eq!(dmarc(&done).0, expected, "{:?}", String::from_utf8_lossy(message));
    }
}

#[test]
fn what_is_off_is_neither_looked_up_nor_told() {
    let records = Records::new(zone());
    let lookups = records.lookups(Instant::now(), Budget::default());
    let done = judge(&Rules::none(), &lookups, FULL, &[&sign("author.test", MESSAGE)]);
    assert_eq!(lookups.asked(), 0);
    assert_eq!((&done.dkim, &done.arc, &done.dmarc, done.over), (&None, &None, &None, None));
    assert_eq!(field(&done).results().len(), 0);
    for (one, queries) in [
        (Rules { iprev: true, ..Rules::none() }, 2),
        (Rules { spf: true, ..Rules::none() }, 4),
        (Rules { dkim: Some(dkim::Rules::default()), ..Rules::none() }, 1),
        (Rules { dmarc: true, ..Rules::none() }, 1),
    ] {
        let lookups = records.lookups(Instant::now(), Budget::default());
        let done = judge(&one, &lookups, FULL, &[&sign("author.test", MESSAGE)]);
        assert_eq!(lookups.asked(), queries, "{one:?}");
        assert_eq!(field(&done).results().len(), if one.spf { 2 } else { 1 });
    }
}

#[test]
fn the_null_path_is_postmaster_at_the_name_of_helo_and_asked_once() {
    let records = Records::new(zone());
    let lookups = records.lookups(Instant::now(), Budget::default()).logged();
    let rules = Rules { spf: true, dmarc: true, ..Rules::none() };
    let done = judge(&rules, &lookups, ["192.0.2.7", "mx.author.test", "", "r"], &[MESSAGE]);
    assert_eq!(only_helo(&done.client), (results::Spf::Pass, results::Spf::Pass));
    assert_eq!(done.client.helo.as_ref().unwrap().identity, crate::spf::Identity::Helo);
    assert_eq!(done.client.mail_from.as_ref().unwrap().identity, crate::spf::Identity::MailFrom);
    let asked = lookups.log().into_iter().filter(|one| one.record_type == RecordType::A).count();
    assert_eq!(asked, 1);
    assert!(field(&done).to_string().contains("smtp.mailfrom=postmaster@mx.author.test"));
    // It aligns, as a subdomain.
    assert_eq!(dmarc(&done).0, results::Dmarc::Pass);
}

#[test]
fn what_was_held_for_the_message_is_there_behind_the_client() {
    let records = Records::new(zone());
    let lookups = records.lookups(Instant::now(), Budget { queries: 20 });
    now(ClientResults::check(&rules(), &lookups, &client(FULL), NOW));
    assert_eq!(lookups.asked(), 6);
    for _ in 6..20 {
        now(lookups.a(&name("mx.author.test"))).unwrap();
    }
}

#[test]
fn helo_alone_never_makes_dmarc_pass() {
    let done = check(["192.0.2.7", "mx.author.test", "x@attacker.test", "r"], MESSAGE);
    assert_eq!(only_helo(&done.client), (results::Spf::Pass, results::Spf::Pass));
    assert_eq!(dmarc(&done), (results::Dmarc::Fail, dmarc::Policy::Reject));
}

#[test]
fn a_from_field_without_exactly_one_domain_is_permerror() {
    for (from, reason) in [
        ("", "the message has no From field"),
        ("From: a@author.test\r\nFrom: b@author.test\r\n", "the message has more than one From field"),
        ("From: a@author.test\r\nfrom : b@attacker.test\r\n", "the message has more than one From field"),
        ("From: a@author.test, b@attacker.test\r\n", "the From field names authors of different domains"),
        ("From: undisclosed:;\r\n", "the From field names nobody"),
        ("From:\r\n", "the From field names nobody"),
        ("From: a@[192.0.2.1]\r\n", "the From field names an address literal in place of a domain"),
        ("From: <@attacker.test:a@author.test>\r\n", "the From field can be read in two ways"),
        ("From: a@author.test <a@attacker.test>\r\n", "the From field can be read in two ways"),
        ("From: a@author.test b@attacker.test\r\n", "the From field: "),
        ("From: a\r\n", "the From field: "),
        ("From: a@-\r\n", "the From field names no domain of SMTP"),
    ] {
        let message = [from.as_bytes(), b"To: x@example.test\r\n\r\nHello\r\n"].concat();
        let records = Records::new(zone());
        let lookups = records.lookups(Instant::now(), Budget::default());
        let rules = Rules { dmarc: true, ..Rules::none() };
        let done = judge(&rules, &lookups, FULL, &[&message]);
        assert_eq!(dmarc(&done), (results::Dmarc::PermError, dmarc::Policy::None), "{from}");
        let told = done.dmarc.as_ref().unwrap().reason.as_ref().unwrap();
        assert!(told.starts_with(reason), "{from}: {told}");
        assert_eq!(lookups.asked(), 0);
        assert_eq!(field(&done).results()[0].reason().unwrap().as_str(), told);
    }
    // Several authors of one domain, in any case of its letters, are one.
    let done = check(FULL, b"From: a@author.test, b@AUTHOR.TEST\r\n\r\n");
    assert_eq!(dmarc(&done).0, results::Dmarc::Pass);
}

/// A line without a colon in place of the empty line: readers differ on what the body is.
#[test]
fn a_line_that_is_no_field_is_the_first_of_the_body() {
    let message = sign("author.test", MESSAGE);
    let at = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let (fields, body) = (&message[..at + 2], &message[at + 4..]);
    let with = |line: &[u8]| check(["198.51.100.9", "x.test", "", "r"], &[fields, line, b"\r\n", body].concat());
    assert_eq!(with(b"").dkim.unwrap()[0].result, results::Dkim::Pass);
    let done = with(b"Click here");
    assert_eq!(done.dkim.as_ref().unwrap()[0].result, results::Dkim::Fail);
    assert_eq!(dmarc(&done).0, results::Dmarc::PermError);
}

#[test]
fn a_header_section_over_the_limits_is_not_looked_at() {
    let small = |header| Rules { header, arc: true, ..rules() };
    let limits = HeaderLimits { octets: 400, fields: 8, hops: 3 };
    let mut long = sign("author.test", MESSAGE);
    long.splice(0..0, b"X: ".iter().copied().chain([b'x'; 300]).chain(*b"\r\n"));
    let many = [b"A: b\r\n".repeat(9), MESSAGE.to_vec()].concat();
    let loops = [b"Received: x\r\n".repeat(4), MESSAGE.to_vec()].concat();
    for (message, limit) in [(long, HeaderLimit::Octets), (many, HeaderLimit::Fields), (loops, HeaderLimit::Hops)] {
        let records = Records::new(zone());
        let lookups = records.lookups(Instant::now(), Budget::default());
        let mut verifier = Verifier::new(&small(limits));
        for piece in message.chunks(16) {
            verifier.push(piece);
            assert!(verifier.kept() <= 400 + 16);
        }
        assert_eq!(verifier.kept(), 0);
        let done = now(verifier.finish(&lookups, ClientResults::default(), NOW));
        assert_eq!((done.over, lookups.asked()), (Some(limit), 0));
        let told = field(&done);
        let words: Vec<_> = told.results().iter().map(|one| format!("{}={}", one.method(), one.result())).collect();
        assert_eq!(words, ["dkim=neutral", "arc=fail", "dmarc=permerror"]);
        assert!(told.results().iter().all(|one| one.reason().unwrap().as_str() == limit.to_string()));
    }
    // At the limit it is.
    let limits = HeaderLimits { fields: 3, ..HeaderLimits::default() };
    let done = judge_with(&Rules { header: limits, ..rules() }, zone(), FULL, MESSAGE);
    assert_eq!((done.over, dmarc(&done).0), (None, results::Dmarc::Pass));
}

/// Only what was asked for is told of a header section that is too large.
#[test]
fn what_is_off_is_not_told_of_a_section_over_the_limits() {
    let limits = HeaderLimits { fields: 2, ..HeaderLimits::default() };
    let rules = Rules { header: limits, dmarc: true, ..Rules::none() };
    let done = judge_with(&rules, zone(), FULL, MESSAGE);
    assert_eq!(done.over, Some(HeaderLimit::Fields));
    let words: Vec<_> = field(&done).results().iter().map(|one| one.method().to_string()).collect();
    assert_eq!(words, ["dmarc"]);
}

#[test]
fn the_field_tells_of_sixteen_signatures_and_how_many_more() {
    let signed = sign("author.test", MESSAGE);
    let fields = &signed[..signed.len() - MESSAGE.len()];
    for (count, told) in [(16, 16), (17, 17), (40, 17)] {
        let done = check(FULL, &[&fields.repeat(count), MESSAGE].concat());
        assert_eq!(done.dkim.as_ref().unwrap().len(), count);
        let read = field(&done);
        let dkim: Vec<_> = read.results().iter().filter(|one| *one.method() == *"dkim").collect();
        assert_eq!(dkim.len(), told);
        let last = dkim[told - 1];
        let more = format!("{} more signatures", count - 16);
        assert_eq!(last.reason().is_some_and(|reason| reason.as_str() == more), count > 16);
    }
}

#[test]
fn a_signature_that_leaves_the_end_open_does_not_make_dmarc_pass() {
    let mut loose = rules();
    let signed = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=author.test; s=s; h=from; l=0; \
                  bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=";
    let hashed =
        format!("from:Anna <anna@author.test>\r\n{}", signed.replacen("DKIM-Signature: ", "dkim-signature:", 1));
    let signature = STANDARD.encode(key().sign(hashed.as_bytes()).unwrap());
    let message = [format!("{signed}{signature}\r\n").as_bytes(), MESSAGE].concat();
    let said = ["198.51.100.9", "x.test", "", "r"];
    let strict = judge_with(&rules(), zone(), said, &message);
    assert_eq!(strict.dkim.as_ref().unwrap()[0].result, results::Dkim::Policy);
    assert_eq!(dmarc(&strict).0, results::Dmarc::Fail);
    loose.dkim.as_mut().unwrap().partial = dkim::Partial::Pass;
    let done = judge_with(&loose, zone(), said, &message);
    assert_eq!(done.dkim.as_ref().unwrap()[0].result, results::Dkim::Pass);
}

#[test]
fn the_record_of_the_organization_is_named() {
    let done = check(["198.51.100.9", "x.test", "", "r"], b"From: a@sub.author.test\r\n\r\n");
    let text = field(&done).to_string();
    assert!(
        text.ends_with("dmarc=fail header.from=sub.author.test policy.dmarc=reject polrec.domain=author.test"),
        "{text}"
    );
    assert!(!field(&check(FULL, MESSAGE)).to_string().contains("polrec"));
}

proptest! {
    #[test]
    fn the_field_reads_as_it_was_meant_whatever_the_peer_says(
        hello in "[ -~\t\r\n\0é]{0,20}|[a-z.]{0,12}",
        sender in "[ -~\t\r\n\0é]{0,20}|[a-z]{1,5}@[a-z.]{0,12}",
        from in "[ -~\té]{0,24}",
        tags in "([a-z]{1,2}=[ -:<-~]{0,9};){0,5}",
    ) {
        let message = format!("DKIM-Signature: v=1; {tags}\r\nFrom: {from}\r\n\r\n");
        field(&check(["192.0.2.7", &hello, &sender, "r"], message.as_bytes()));
    }
}
