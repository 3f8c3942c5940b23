//! What is wrong with the records of mail authentication in a zone: for a person who is about to
//! publish them.

use hikyaku_dns::{Data, Zone};

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
        let begins = |word: &str| {
            texts.iter().filter(|text| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))).count()
        };
        let dmarc = name.labels().next().is_some_and(|label| label.eq_ignore_ascii_case(b"_dmarc"));
        if dmarc {
            let read = texts.iter().filter(|text| hikyaku_mailauth::dmarc::Record::parse(text).is_some()).count();
            match read {
                0 if !texts.is_empty() => note("no DMARC record can be read here (RFC 9989 §4.8)".to_owned()),
                2.. => note(format!("{read} DMARC records, so none of them counts (RFC 9989 §4.10)")),
                _ => {}
            }
        }
        if begins("v=spf1") > 1 {
            note("more than one SPF record, which is an error (RFC 7208 §4.5)".to_owned());
        }
    }
    notes
}
