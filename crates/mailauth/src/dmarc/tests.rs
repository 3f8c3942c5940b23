//! Rows of `tests/rows.txt`, each with the section of RFC 9989 that it shows.

use std::collections::BTreeMap;
use std::time::Instant;

use hikyaku_dns::{Data, Error, Name, RecordType, Zone};
use hikyaku_message::results;

use super::*;
use crate::now::now;
use crate::{Budget, Records};

fn name(text: &str) -> Name {
    Name::from_domain(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// One row: what stands in the zone, what was authenticated, what comes out.
#[derive(Debug, Default)]
struct Row<'a> {
    title: &'a str,
    zone: Zone,
    budget: Option<u32>,
    from: &'a str,
    spf: Option<(results::Spf, Name)>,
    dkim: Vec<(results::Dkim, Name)>,
    expected: BTreeMap<&'a str, &'a str>,
    queries: Vec<&'a str>,
}

/// Reads the rows: lines `key: value` under a line `# section: title`.
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
        if let Some(title) = line.strip_prefix("# ") {
            rows.push(Row { title, ..Row::default() });
            continue;
        }
        let row = rows.last_mut().expect("a title comes first");
        let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("no key: {line}"));
        let value = value.trim();
        match key {
            "zone" => {
                let (owner, data) = value.split_once(' ').unwrap_or((value, ""));
                let owner = name(owner);
                match data.trim() {
                    "A" => row.zone.add(owner, 60, Data::A([192, 0, 2, 1].into())),
                    "SERVFAIL" => {
                        for record_type in [RecordType::TXT, RecordType::A] {
                            row.zone.failures.insert((owner.clone(), record_type), Error::ServerFailure.into());
                        }
                    }
                    text => row.zone.add(owner, 60, Data::Txt(text.into())),
                }
            }
            "budget" => row.budget = value.parse().ok(),
            "from" => row.from = value,
            "spf" => {
                let (result, domain) = value.split_once(' ').expect("result and domain");
                row.spf = Some((results::Spf::parse(result).expect(result), name(domain)));
            }
            "dkim" => {
                let (result, domain) = value.split_once(' ').expect("result and domain");
                row.dkim.push((results::Dkim::parse(result).expect(result), name(domain)));
            }
            "queries" => row.queries = value.split_whitespace().collect(),
            "result" | "policy" | "do" | "at" | "org" | "aligned" | "why" => {
                row.expected.insert(key, value);
            }
            _ => panic!("unknown key: {line}"),
        }
    }
    rows
}

/// What a row gives, in the words of the table.
fn run(row: &Row<'_>) -> (BTreeMap<&'static str, String>, Vec<String>) {
    let records = Records::new(&row.zone);
    let mut budget = Budget::default();
    if let Some(queries) = row.budget {
        budget.queries = queries;
    }
    let lookups = records.lookups(Instant::now(), budget).logged();
    let author = name(row.from);
    let spf = row.spf.as_ref().map(|(result, domain)| (*result, domain));
    let outcome = now(evaluate(&lookups, &Identifiers { author: &author, spf, dkim: &row.dkim }));
    let word = |policy: Option<Policy>| policy.map_or("-", Policy::as_str).to_owned();
    let aligned = match (outcome.spf_aligned, outcome.dkim_aligned) {
        (true, true) => "spf dkim",
        (true, false) => "spf",
        (false, true) => "dkim",
        (false, false) => "-",
    };
    let org = now(organizational_domain(&records.lookups(Instant::now(), Budget::default()), &author));
    let found = BTreeMap::from([
        ("result", outcome.result.to_string()),
        ("policy", word(outcome.policy)),
        ("do", word(Some(outcome.disposition))),
        ("at", outcome.found_at.map_or("-".to_owned(), |name| name.to_string())),
        ("aligned", aligned.to_owned()),
        ("org", org.map_or_else(|error| error.to_string(), |name| name.to_string())),
        ("why", outcome.reason.unwrap_or_else(|| "-".to_owned())),
    ]);
    let kind = |record_type: RecordType| {
        if record_type == RecordType::TXT { String::new() } else { format!("{record_type}:") }
    };
    let queries = lookups.log().into_iter().map(|lookup| format!("{}{}", kind(lookup.record_type), lookup.name));
    (found, queries.collect())
}

/// `_dmarc.` goes without saying in a list of queries, where there is no type.
fn full(query: &str) -> String {
    if query.contains(':') { query.to_owned() } else { format!("_dmarc.{}", name(query)) }
}

#[test]
fn every_row_of_the_table() {
    let rows = rows(include_str!("tests/rows.txt"));
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let mut failures = String::new();
    for row in &rows {
        let (found, queries) = run(row);
        for (key, expected) in &row.expected {
            let is = &found[key];
            if is != expected {
                failures += &format!("{}: {key} is {is}, not {expected}\n", row.title);
            }
        }
        let expected: Vec<String> = row.queries.iter().map(|query| full(query)).collect();
        if queries != expected {
            failures += &format!("{}: asked for {queries:?}, not {expected:?}\n", row.title);
        }
        if !row.expected.contains_key("result") || !row.expected.contains_key("policy") {
            failures += &format!("{}: a row says result and policy\n", row.title);
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// D61, RFC 9989 §3.2.4: SPF of HELO is not asked for; only what was checked for MAIL FROM is
/// given, and a pass that is not given cannot align.
#[test]
fn d61_spf_of_helo_alone_is_nothing() {
    let zone: Zone = "_dmarc.example.org. 60 TXT \"v=DMARC1; p=reject\"".parse().unwrap();
    let records = Records::new(&zone);
    let author = name("example.org");
    let identifiers = Identifiers { author: &author, spf: None, dkim: &[] };
    let outcome = now(evaluate(&records.lookups(Instant::now(), Budget::default()), &identifiers));
    assert_eq!((outcome.result, outcome.disposition), (results::Dmarc::Fail, Policy::Reject));
}

/// D64, RFC 9989 §5.3.1: no domain, or several, is nothing that DMARC could say pass of.
#[test]
fn d64_no_author_or_several() {
    let outcome = Outcome::without_author("two domains in From");
    assert_eq!(outcome.result, results::Dmarc::PermError);
    assert_eq!((outcome.author, outcome.policy, outcome.disposition), (None, None, Policy::None));
    assert_eq!(outcome.reason.as_deref(), Some("two domains in From"));
}

/// RFC 9990 §3.1.6: what was done instead is kept with its reason, and the result stays.
#[test]
fn reasons_for_another_disposition() {
    let failed = |record: &str| {
        let mut zone = Zone::default();
        zone.add(name("_dmarc.example.org"), 60, Data::Txt(record.into()));
        let records = Records::new(&zone);
        let author = name("example.org");
        let identifiers = Identifiers { author: &author, spf: None, dkim: &[] };
        now(evaluate(&records.lookups(Instant::now(), Budget::default()), &identifiers))
    };
    let mut outcome = failed("v=DMARC1; p=reject");
    assert_eq!(outcome.overrides, []);
    let reason = Override { reason: OverrideReason::TrustedForwarder, comment: Some("arc=pass".to_owned()) };
    outcome.override_with(Policy::None, reason.clone());
    assert_eq!((outcome.result, outcome.policy), (results::Dmarc::Fail, Some(Policy::Reject)));
    assert_eq!((outcome.disposition, outcome.overrides), (Policy::None, vec![reason]));

    let tested = failed("v=DMARC1; p=reject; t=y");
    assert_eq!((tested.published, tested.policy), (Some(Policy::Reject), Some(Policy::Quarantine)));
    assert_eq!(tested.overrides, [Override { reason: OverrideReason::PolicyTestMode, comment: None }]);
    assert_eq!(failed("v=DMARC1; p=none; t=y").overrides, []);
}

/// RFC 9989 §4.10: a name that is too long to stand below `_dmarc` has no record, and is not
/// asked for.
#[test]
fn a_name_too_long_for_its_record() {
    let label = "a".repeat(63);
    let long = [&*label, &*label, &*label, &"b".repeat(49), "example.org"].join(".");
    let zone: Zone = "_dmarc.example.org. 60 TXT \"v=DMARC1; p=reject\"".parse().unwrap();
    let records = Records::new(&zone);
    let author = name(&long);
    let lookups = records.lookups(Instant::now(), Budget::default()).logged();
    let outcome = now(evaluate(&lookups, &Identifiers { author: &author, spf: None, dkim: &[] }));
    assert_eq!((outcome.result, outcome.found_at), (results::Dmarc::Fail, Some(name("example.org"))));
    assert_eq!(lookups.log().len(), 5, "{:?}", lookups.log());
}
