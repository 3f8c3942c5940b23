//! Messages that are counted, and the reports about them.

use std::sync::Arc;

use super::*;
use crate::dmarc::{Identifiers, Outcome, OverrideReason, evaluate};
use crate::{dkim, spf};

fn outcome(zone: &Zone, author: &str, dkim: &[(results::Dkim, Name)]) -> Outcome {
    let records = Records::new(zone);
    let author = name(author);
    now(evaluate(
        &records.lookups(Instant::now(), Budget::default()),
        &Identifiers { author: &author, spf: None, dkim },
    ))
}

fn verified(result: results::Dkim, domain: &str) -> dkim::Verified {
    dkim::Verified { domain: Some(name(domain)), selector: Some("s".to_owned()), ..dkim::Verified::new(result) }
}

const REPORTER: &str = "report.example";

fn reporter() -> Reporter {
    Reporter {
        org_name: REPORTER.to_owned(),
        email: format!("dmarc@{REPORTER}"),
        extra_contact_info: None,
        generator: None,
    }
}

fn collected(collector: Collector) -> Vec<(Name, Arc<Record>, Report)> {
    let (begin, end) = (Timestamp::from_millis(1_000_000), Timestamp::from_millis(2_000_999));
    collector.reports(&reporter(), begin, end, |domain| format!("1.{domain}"))
}

/// RFC 9990 §3.1: one report a policy domain, one row for messages that have all in common.
#[test]
fn messages_are_counted_by_policy_domain() {
    let zone = zone(&[
        ("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:a@example.com"),
        ("_dmarc.bar.example.com", "v=DMARC1; p=none; rua=mailto:b@example.com; ruf=mailto:b@example.com; fo=1"),
        ("_dmarc.silent.example", "v=DMARC1; p=reject"),
        ("_dmarc.broken.example", "SERVFAIL"),
    ]);
    let mut collector = Collector::new(CollectorLimits::default());
    let signed = [(results::Dkim::Pass, name("example.com")), (results::Dkim::Fail, name("example.net"))];
    let signatures = [
        verified(results::Dkim::Fail, "example.com"),
        verified(results::Dkim::Pass, "example.net"),
        verified(results::Dkim::Pass, "a.example.com"),
        verified(results::Dkim::Pass, "example.com"),
        dkim::Verified { domain: None, ..verified(results::Dkim::PermError, "x.example") },
    ];
    let client: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    let mut add = |author: &str, dkim: &[(results::Dkim, Name)], client: IpAddr| {
        let outcome = outcome(&zone, author, dkim);
        let message = Message { client, envelope_from: None, outcome: &outcome, spf: None, dkim: &signatures };
        collector.add(&message);
    };
    add("example.com", &signed, client);
    add("example.com", &signed, "192.0.2.1".parse().unwrap());
    add("example.com", &[], client);
    add("foo.example.com", &[], client);
    add("example.com", &[], "192.0.2.2".parse().unwrap());
    add("bar.example.com", &signed[..1], client);
    for nobody in ["silent.example", "broken.example", "nothing.example"] {
        add(nobody, &[], client);
    }
    assert_eq!(collector.dropped(), 0);
    let reports = collected(collector);
    let domains: Vec<String> = reports.iter().map(|(domain, ..)| domain.to_string()).collect();
    assert_eq!(domains, ["example.com", "bar.example.com"]);

    let (_, record, report) = &reports[0];
    assert_eq!(record.rua[0].mailbox().as_deref(), Some("a@example.com"));
    assert_eq!(
        (report.metadata.report_id.as_str(), report.published.domain.as_str()),
        ("1.example.com", "example.com")
    );
    assert_eq!(report.published.fo, None);
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.source_ip.to_string(), row.count, row.disposition, row.header_from.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("192.0.2.1".to_owned(), 2, Disposition::Pass, "example.com"),
            ("192.0.2.1".to_owned(), 1, Disposition::Reject, "example.com"),
            ("192.0.2.1".to_owned(), 1, Disposition::Reject, "foo.example.com"),
            ("192.0.2.2".to_owned(), 1, Disposition::Reject, "example.com"),
        ]
    );
    assert_eq!(report.rows[0].envelope_from.as_deref(), Some(""));
    // The most telling signatures first: strictly aligned, other good ones, those that fail.
    let order: Vec<_> = report.rows[0].dkim.iter().map(|one| (one.domain.as_str(), one.result)).collect();
    use results::Dkim::{Fail, Pass};
    assert_eq!(order, [("example.com", Pass), ("example.net", Pass), ("a.example.com", Pass), ("example.com", Fail)]);

    let (_, _, report) = &reports[1];
    assert_eq!(report.rows[0].disposition, Disposition::None);
    assert!(report.rows[0].dkim_aligned);
    // Its organization was looked up here, and tells which are aligned.
    let order: Vec<_> = report.rows[0].dkim.iter().map(|one| one.domain.as_str()).collect();
    assert_eq!(order, ["a.example.com", "example.com", "example.net", "example.com"]);
    assert_eq!(report.published.fo, Some(FailureOptions { any: true, dkim: false, spf: false }));
    assert_eq!(read_xml(&report.to_xml()).as_ref().map(|read| &read.rows), Ok(&report.rows));
}

/// What was done instead stands in the report with its reason, and SPF as it was checked.
#[test]
fn overrides_and_spf_are_reported() {
    let zone = zone(&[("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:a@example.com")]);
    let mut outcome = outcome(&zone, "example.com", &[]);
    let reason = Override { reason: OverrideReason::TrustedForwarder, comment: Some("arc\r\n=pass".to_owned()) };
    outcome.override_with(Policy::None, reason);
    outcome.override_with(Policy::None, Override { reason: OverrideReason::Forwarded, comment: None });
    let checked = spf::Outcome {
        identity: spf::Identity::MailFrom,
        result: results::Spf::SoftFail,
        domain: Some(name("lists.example")),
        explanation: None,
        reason: None,
    };
    let sender = name("lists.example");
    let mut collector = Collector::new(CollectorLimits::default());
    collector.add(&Message {
        client: "192.0.2.1".parse().unwrap(),
        envelope_from: Some(&sender),
        outcome: &outcome,
        spf: Some(&checked),
        dkim: &[],
    });
    let reports = collected(collector);
    let row = &reports[0].2.rows[0];
    assert_eq!((row.disposition, row.dkim_aligned, row.spf_aligned), (Disposition::None, false, false));
    let reasons: Vec<_> = row.reasons.iter().map(|one| (one.reason, one.comment.as_deref().unwrap_or(""))).collect();
    let expected = [(OverrideReason::TrustedForwarder, "arc  =pass"), (OverrideReason::Other, "forwarded")];
    assert_eq!(reasons, expected);
    assert_eq!(row.envelope_from.as_deref(), Some("lists.example"));
    let expected = SpfResult {
        domain: "lists.example".to_owned(),
        scope: Some(SpfScope::MailFrom),
        result: results::Spf::SoftFail,
        human_result: None,
    };
    assert_eq!(row.spf, [expected]);
}

/// RFC 9990 §3.1: where the policy changes within the period, the last is reported.
#[test]
fn the_last_policy_is_reported() {
    let mut collector = Collector::new(CollectorLimits::default());
    for policy in ["none", "reject", "quarantine"] {
        let record = format!("v=DMARC1; p={policy}; rua=mailto:a@example.com");
        let outcome = outcome(&zone(&[("_dmarc.example.com", &record)]), "example.com", &[]);
        let client = "192.0.2.1".parse().unwrap();
        collector.add(&Message { client, envelope_from: None, outcome: &outcome, spf: None, dkim: &[] });
    }
    let reports = collected(collector);
    assert_eq!((reports[0].1.p, reports[0].2.published.p), (Some(Policy::Quarantine), Policy::Quarantine));
    let done: Vec<_> = reports[0].2.rows.iter().map(|row| row.disposition).collect();
    assert_eq!(done, [Disposition::None, Disposition::Reject, Disposition::Quarantine]);
}

/// However much comes in, what is kept has bounds, and what is left out is said.
#[test]
fn collecting_is_bounded() {
    let zone = zone(&[
        ("_dmarc.a.example", "v=DMARC1; p=none; rua=mailto:a@a.example"),
        ("_dmarc.b.example", "v=DMARC1; p=none; rua=mailto:a@b.example"),
    ]);
    let mut collector = Collector::new(CollectorLimits { domains: 1, rows: 2 });
    let (a, b) = (outcome(&zone, "a.example", &[]), outcome(&zone, "b.example", &[]));
    for last in 0..10_u8 {
        for outcome in [&a, &b] {
            let client = [192, 0, 2, last].into();
            collector.add(&Message { client, envelope_from: None, outcome, spf: None, dkim: &[] });
        }
    }
    assert_eq!(collector.dropped(), 10);
    let reports = collected(collector);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].2.rows.iter().map(|row| row.count).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(reports[0].2.metadata.errors, ["8 more messages were not counted"]);
}
