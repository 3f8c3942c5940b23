//! What is wrong with the records of mail authentication in a zone: for a person who is about to
//! publish them.

use hikyaku_dns::{Data, Zone};
use hikyaku_mailauth::{dkim, dmarc, spf};

/// One line for each record that its readers cannot use.
pub(crate) fn of(zone: &Zone) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, records) in &zone.records {
        let texts = records.iter().filter_map(|record| match &record.data {
            Data::Txt(text) => Some(text.concat()),
            _ => None,
        });
        let texts: Vec<Vec<u8>> = texts.collect();
        let mut note = |what: String| notes.push(format!("{name} TXT: {what}"));
        let is_dmarc = name.labels().next().is_some_and(|label| label.eq_ignore_ascii_case(b"_dmarc"));
        if is_dmarc {
            let read: Vec<_> = texts.iter().filter_map(|text| dmarc::Record::parse(text)).collect();
            match &read[..] {
                [] if !texts.is_empty() => note("no DMARC record can be read here (RFC 9989 §4.8)".to_owned()),
                [one] if one.p.is_none() && one.rua.is_empty() => {
                    note("DMARC: without a valid p= or rua= the record does not count (RFC 9989 §4.10.1)".to_owned());
                }
                [one] if one.p.is_none() => note("DMARC: without a valid p= the policy is none".to_owned()),
                [] | [_] => {}
                several => note(format!("{} DMARC records, so none counts (RFC 9989 §4.10)", several.len())),
            }
        }
        if name.labels().nth(1).is_some_and(|label| label.eq_ignore_ascii_case(b"_domainkey")) {
            match &texts[..] {
                [] => {}
                [text] => {
                    if let Some(problem) = dkim::key_problem(text) {
                        note(format!("DKIM: {problem}"));
                    }
                }
                several => note(format!("{} texts where one key is looked for (RFC 6376 §3.6.2.2)", several.len())),
            }
        }
        let spf: Vec<_> = texts.iter().filter(|text| is_spf(text)).collect();
        match &spf[..] {
            [] => {}
            [text] => {
                if let Err(error) = spf::Record::parse(text) {
                    note(format!("SPF: {error}"));
                }
            }
            several => note(format!("{} SPF records, which is an error (RFC 7208 §4.5)", several.len())),
        }
    }
    notes
}

/// RFC 7208 §4.5.
fn is_spf(text: &[u8]) -> bool {
    text.split(|octet| *octet == b' ').next().is_some_and(|version| version.eq_ignore_ascii_case(b"v=spf1"))
}
