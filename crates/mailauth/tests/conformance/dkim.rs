//! RFC 6376, RFC 8301 and RFC 8463: messages of dkimpy and of go-msgauth.

use hikyaku_mailauth::dkim::Partial;
use hikyaku_mailauth::{ClientResults, Rules, Verifier};
use serde_json::Value;

use crate::{Row, lookups, now, one_of, run};

#[test]
fn every_row_with_what_was_allowed_before_rfc_8301() {
    run("dkim", &[], |row| {
        // Keys under 1024 bit are refused whatever else is allowed (RFC 8301 §3.2: "Verifiers MUST
        // NOT consider signatures using RSA keys of less than 1024 bits as valid signatures").
        let short = |one: &Value| one["bits"].as_u64().is_some_and(|bits| bits < 1024);
        let short = row.value["signatures"].as_array().is_some_and(|all| !all.is_empty() && all.iter().all(short));
        let expected = if short { &row.value["expected_rfc8301"] } else { &row.value["expected"] };
        one_of(if expected.is_null() { &row.value["expected"] } else { expected }, &result(row, true))
    });
}

#[test]
fn every_row_of_today() {
    run("dkim", &[], |row| {
        let strict = &row.value["expected_rfc8301"];
        one_of(if strict.is_null() { &row.value["expected"] } else { strict }, &result(row, false))
    });
}

/// Pass if one signature is good, else what the first came to.
fn result(row: &Row, allow_legacy: bool) -> String {
    let mut rules = Rules::none();
    let mut dkim = hikyaku_mailauth::dkim::Rules::default();
    dkim.allow_legacy = allow_legacy;
    // Four rows have an `l=` short of the body, and expect what the standard alone says.
    dkim.partial = Partial::Pass;
    rules.dkim = Some(dkim);
    let records = row.records();
    let mut verifier = Verifier::new(&rules);
    verifier.push(&row.message());
    let done = now(verifier.finish(&lookups(&records), ClientResults::default(), row.now()));
    let words: Vec<_> = done.dkim.iter().flatten().map(|one| one.result.as_str()).collect();
    words.iter().find(|word| **word == "pass").or(words.first()).unwrap_or(&"none").to_string()
}
