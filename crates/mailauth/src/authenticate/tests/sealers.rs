//! Whose word on a failure of DMARC is believed.

use super::*;

fn vouched(fields: &str, sealers: &[&str], trusted: &[&str]) -> Option<u8> {
    let names = |names: &[&str]| names.iter().map(|text| name(text)).collect::<Vec<_>>();
    let header = Header::parse(fields.as_bytes(), HeaderLimits::default()).unwrap();
    trust::vouched(&header, &names(sealers), &name("author.test"), &names(trusted))
}

#[test]
fn only_trusted_sealers_vouch_and_only_for_this_author() {
    let set = |instance: u8, results: &str| format!("ARC-Authentication-Results: i={instance}; x.test; {results}\r\n");
    let pass = "dmarc=pass header.from=author.test";
    let list = set(1, pass);
    assert_eq!(vouched(&list, &["list.test"], &["list.test"]), Some(1));
    assert_eq!(vouched(&list, &["list.test"], &[]), None);
    assert_eq!(vouched(&list, &[], &["list.test"]), None);
    assert_eq!(vouched(&list, &["other.test"], &["list.test"]), None);
    assert_eq!(vouched(&list, &["a.list.test"], &["list.test"]), None);
    // Whoever sealed later could have changed the message.
    assert_eq!(vouched(&list, &["list.test", "evil.test"], &["list.test"]), None);
    assert_eq!(vouched(&list, &["list.test", "good.test"], &["list.test", "good.test"]), Some(1));
    // What was said before the trusted ones is not theirs.
    assert_eq!(vouched(&list, &["evil.test", "list.test"], &["list.test"]), None);
    let both = format!("{}{}", set(2, pass), set(1, "dmarc=fail header.from=author.test"));
    assert_eq!(vouched(&both, &["evil.test", "list.test"], &["list.test"]), Some(2));
    assert_eq!(vouched(&both, &["list.test", "list.test"], &["list.test"]), Some(2));
    for results in [
        "dmarc=fail header.from=author.test",
        "dmarc=none header.from=author.test",
        "dmarc=pass",
        "dmarc=pass header.from=other.test",
        "dmarc=pass header.from=a.author.test",
        "dmarc=pass smtp.from=author.test",
        "dmarc/2=pass header.from=author.test",
        "dmarc=pass header.from=other.test; dmarc=pass header.from=author.test",
        "dmarc=fail header.from=author.test; dmarc=pass header.from=author.test",
        "dmarc=pass header.from=author.test; dmarc=fail header.from=author.test",
        "dmarc=pass header.from=author.test; dmarc=pass header.from=other.test",
        "spf=pass smtp.mailfrom=author.test; dkim=pass header.d=author.test; arc=pass",
        "none",
    ] {
        assert_eq!(vouched(&set(1, results), &["list.test"], &["list.test"]), None, "{results}");
    }
    let version = "ARC-Authentication-Results: i=1; x.test 2; dmarc=pass header.from=author.test\r\n";
    assert_eq!(vouched(version, &["list.test"], &["list.test"]), None);
    let other = "Authentication-Results: x.test; dmarc=pass header.from=author.test\r\n";
    assert_eq!(vouched(other, &["list.test"], &["list.test"]), None);
}

/// The message behind a mailing list that has sealed what it saw.
fn sealed(results: &str) -> Vec<u8> {
    let signer = dkim::Signer::new(name("list.test"), name("s"), Arc::new(key()));
    let mut sealing = arc::Sealing::new(signer, HeaderLimits::default());
    sealing.push(MESSAGE);
    let none = arc::Outcome::new(results::Arc::None, Vec::new(), None);
    let set = sealing.finish(&none, &results.parse().unwrap(), NOW).unwrap();
    [set.as_bytes(), MESSAGE].concat()
}

#[test]
fn only_the_seal_of_a_trusted_host_excuses() {
    let mut zone = zone();
    let keys = format!("s._domainkey.list.test. 300 TXT \"{}\"", key().record());
    zone.records.extend(keys.parse::<Zone>().unwrap().records);
    let judge = |trusted: &[&str], message: &[u8]| {
        let trusted_sealers = trusted.iter().map(|text| name(text)).collect();
        let rules = Rules { trusted_sealers, ..Rules::default() };
        judge_with(&rules, zone.clone(), ["198.51.100.9", "list.test", "x@list.test", "r"], message)
    };
    let message = sealed("list.test; dmarc=pass header.from=author.test");
    let reject = (results::Dmarc::Fail, dmarc::Policy::Reject);
    for trusted in [&[][..], &["other.test"]] {
        let done = judge(trusted, &message);
        assert_eq!(done.arc.as_ref().unwrap().result, results::Arc::Pass);
        assert_eq!(dmarc(&done), reject);
        assert!(field(&done).to_string().contains("; arc=pass smtp.remote-ip=198.51.100.9; dmarc=fail header.from="));
    }
    let done = judge(&["list.test"], &message);
    assert_eq!(dmarc(&done), (results::Dmarc::Fail, dmarc::Policy::None));
    assert!(done.dmarc.as_ref().unwrap().overrides[0].comment.as_ref().unwrap().contains("as[1].d=list.test"));
    // The list has seen it fail, or somebody has changed it since.
    assert_eq!(dmarc(&judge(&["list.test"], &sealed("list.test; dmarc=fail header.from=author.test"))), reject);
    let changed = String::from_utf8(message.clone()).unwrap().replace("Bert", "Bart");
    let done = judge(&["list.test"], changed.as_bytes());
    assert_eq!(done.arc.as_ref().unwrap().result, results::Arc::Fail);
    assert_eq!(dmarc(&done), reject);
    // What passes anyway, or has no author, is not excused.
    let records = Records::new(zone.clone());
    let lookups = records.lookups(Instant::now(), Budget::default());
    let rules = Rules { trusted_sealers: vec![name("list.test")], ..Rules::default() };
    let done = self::judge(&rules, &lookups, FULL, &[&message]);
    assert_eq!(dmarc(&done), (results::Dmarc::Pass, dmarc::Policy::None));
    assert_eq!(done.dmarc.unwrap().overrides, []);
}

/// Of a message that grew since it was sealed, the sealer has not seen what the reader sees.
#[test]
fn a_seal_that_leaves_the_end_of_the_body_open_excuses_nothing() {
    let mut zone = zone();
    let keys = format!("s._domainkey.list.test. 300 TXT \"{}\"", key().record());
    zone.records.extend(keys.parse::<Zone>().unwrap().records);
    let rules = Rules { trusted_sealers: vec![name("list.test")], ..Rules::default() };
    let signer = dkim::Signer::new(name("list.test"), name("s"), Arc::new(key()));
    let results = || "list.test; dmarc=pass header.from=author.test".parse().unwrap();
    let message = std::str::from_utf8(MESSAGE).unwrap();
    // The canonical body has 17 octets.
    for (tag, policy) in [("l=17;", dmarc::Policy::None), ("l=16;", dmarc::Policy::Reject)] {
        let set = arc::with_tag(&signer, message, tag, results());
        let said = ["198.51.100.9", "list.test", "x@list.test", "r"];
        let done = judge_with(&rules, zone.clone(), said, &[set.as_bytes(), MESSAGE].concat());
        assert_eq!(done.arc.as_ref().unwrap().result, results::Arc::Pass, "{tag}");
        assert_eq!(dmarc(&done), (results::Dmarc::Fail, policy), "{tag}");
    }
}

/// What was held for the policy of the author while keys were looked up is there for the chain:
/// the last lookup of the budget is asked.
#[test]
fn what_was_held_for_dmarc_is_there_for_the_chain() {
    let mut zone = zone();
    let keys = format!("s._domainkey.list.test. 300 TXT \"{}\"", key().record());
    zone.records.extend(keys.parse::<Zone>().unwrap().records);
    let records = Records::new(zone);
    let rules = Rules { dkim: Some(dkim::Rules::default()), dmarc: true, arc: true, ..Rules::none() };
    let message = sealed("list.test; dmarc=pass header.from=author.test");
    let judged = |queries| {
        let lookups = records.lookups(Instant::now(), Budget { queries });
        let done = judge(&rules, &lookups, ["198.51.100.9", "list.test", "x@list.test", "r"], &[&message]);
        (done.arc.unwrap().result, lookups.asked())
    };
    let (result, asked) = judged(50);
    assert_eq!((result, judged(asked)), (results::Arc::Pass, (results::Arc::Pass, asked)));
    assert_eq!(judged(asked - 1).0, results::Arc::Fail, "the last one is a key of the chain");
}

#[test]
fn what_is_excused_fails_and_is_not_refused() {
    let mut done = check(["198.51.100.9", "x.test", "", "r"], MESSAGE);
    assert_eq!(dmarc(&done), (results::Dmarc::Fail, dmarc::Policy::Reject));
    trust::excuse(done.dmarc.as_mut().unwrap(), 1, &[name("list.test")]);
    assert_eq!(dmarc(&done), (results::Dmarc::Fail, dmarc::Policy::None));
    let read = field(&done);
    let last = read.results().last().unwrap();
    assert_eq!(
        last.to_string(),
        "dmarc=fail reason=\"trusted_forwarder: arc=pass as[1].d=list.test\" header.from=author.test policy.dmarc=reject"
    );
}
