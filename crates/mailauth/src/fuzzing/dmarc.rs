//! Of DMARC.

use std::time::Instant;

use hikyaku_dns::{Data, Error, Name, RecordType, Zone};
use hikyaku_message::results;

use crate::dmarc::{Identifiers, Policy, Record, evaluate, organizational_domain};
use crate::{Budget, Lookups, Records};

/// A record: whatever parses prints in ASCII, and parses to the same record.
pub fn dmarc_record(data: &[u8]) {
    let Some(record) = Record::parse(data) else {
        return;
    };
    let printed = record.to_string();
    assert!(printed.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{printed:?}");
    assert_eq!(Record::parse(printed.as_bytes()).as_ref(), Some(&record), "{printed}");
    assert!(record.p.is_some() || (record.sp, record.np) == (None, None));
    for destination in record.rua.iter().chain(&record.ruf) {
        assert!(destination.mailbox().is_none_or(|mailbox| !mailbox.contains(char::is_control)));
        let _ = destination.host();
    }
}

/// A report: whatever is read is written, and reads as the same report, packed or not.
#[cfg(feature = "report")]
pub fn dmarc_report(data: &[u8]) {
    use crate::dmarc::report::{Report, ReportLimits};

    let limits = ReportLimits { octets: 1 << 20, rows: 100 };
    let Ok(report) = Report::read(data, &limits) else {
        return;
    };
    assert!(report.rows.len() <= limits.rows);
    // Escapes take more octets than what they stand for.
    let limits = ReportLimits { octets: 16 << 20, ..limits };
    assert_eq!(Report::read(report.to_xml().as_bytes(), &limits).as_ref(), Ok(&report));
    assert_eq!(Report::read(&report.to_gzip(), &limits).as_ref(), Ok(&report));
    let receiver = Name::root();
    let name = report.file_name(&receiver, Some(&report.metadata.report_id));
    let harmless = |octet: u8| octet.is_ascii_alphanumeric() || b"-._!".contains(&octet);
    assert!(name.bytes().all(harmless), "{name}");
    assert!(report.subject(&receiver).bytes().all(|octet| (b' '..=b'~').contains(&octet)));
}

/// A script of one message, a move a line: what stands in the DNS, who wrote, what was
/// authenticated. No walk asks for more than 8 names, an evaluation for 24 and one address, and for
/// none twice; only what passed can align; and the same comes out again.
pub fn dmarc_walk(data: &[u8]) {
    let mut zone = Zone::default();
    let mut author = None;
    let mut spf = None;
    let mut dkim = Vec::new();
    for line in String::from_utf8_lossy(data).lines().take(64) {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        match key {
            "from" => author = Name::from_domain(first).ok(),
            "spf" => {
                spf = results::Spf::parse(first).zip(Name::from_domain(second).ok());
            }
            "dkim" => dkim.extend(results::Dkim::parse(first).zip(Name::from_domain(second).ok())),
            "fails" => {
                if let Ok(name) = Name::from_domain(first) {
                    for record_type in [RecordType::TXT, RecordType::A] {
                        zone.failures.insert((name.clone(), record_type), Error::ServerFailure.into());
                    }
                }
            }
            "txt" => {
                if let Ok(name) = Name::from_domain(first) {
                    zone.add(name, 60, Data::Txt(second.into()));
                }
            }
            _ => {}
        }
    }
    let Some(author) = author else {
        return;
    };
    let records = Records::new(&zone);
    let start = || records.lookups(Instant::now(), Budget::default()).logged();
    let identifiers =
        Identifiers { author: &author, spf: spf.as_ref().map(|(result, name)| (*result, name)), dkim: &dkim };
    let lookups = start();
    let outcome = now(evaluate(&lookups, &identifiers));
    let asked = distinct(&lookups, 25);

    assert_eq!(outcome.result == results::Dmarc::Pass, outcome.spf_aligned || outcome.dkim_aligned);
    assert!(outcome.result == results::Dmarc::Fail || outcome.disposition == Policy::None);
    assert!(!outcome.spf_aligned || spf.as_ref().is_some_and(|(result, _)| *result == results::Spf::Pass));
    assert!(!outcome.dkim_aligned || dkim.iter().any(|(result, _)| *result == results::Dkim::Pass));
    assert_eq!(outcome.record.is_some(), outcome.policy.is_some());
    assert!(outcome.found_at.is_none_or(|name| author.is_within(&name)));
    assert!(outcome.policy <= outcome.published);

    let again = start();
    let (outcome, first) = (now(evaluate(&again, &identifiers)), now(evaluate(&start(), &identifiers)));
    assert_eq!(outcome, first);
    assert_eq!(distinct(&again, 25), asked);

    let walk = start();
    if let Ok(organization) = now(organizational_domain(&walk, &author)) {
        assert!(author.is_within(&organization));
    }
    distinct(&walk, 8);
}

/// What was asked, which is no more than allowed and nothing twice.
fn distinct(lookups: &Lookups<'_, &Zone>, most: usize) -> usize {
    let log = lookups.log();
    assert!(log.len() <= most, "{log:?}");
    for (at, lookup) in log.iter().enumerate() {
        assert!(!log[..at].contains(lookup), "{lookup:?} was asked for twice");
    }
    log.len()
}

/// A zone in memory has its answers at once.
fn now<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Waker};

    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing is waited for"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn replay(target: &str, function: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let seeds: Vec<_> = corpus.read_dir().expect("the corpus").collect();
        assert!(seeds.len() >= 10, "{target}");
        for seed in seeds {
            function(&std::fs::read(seed.expect("a seed").path()).expect("a file"));
        }
    }

    #[test]
    fn the_corpora_are_replayed() {
        replay("mailauth_dmarc_record", super::dmarc_record);
        replay("mailauth_dmarc_walk", super::dmarc_walk);
        #[cfg(feature = "report")]
        replay("mailauth_dmarc_report", super::dmarc_report);
    }
}
