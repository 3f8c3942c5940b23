//! What the fuzz targets of this crate assert; the corpora are replayed by tests.

use crate::{Date, Field, FieldSpan, Header, HeaderLimits, HeaderScan, unfold};

/// Every split of a message gives the same result, and the fields are the octets of the section.
/// The first octet says where to split.
pub fn header(data: &[u8]) {
    let Some((&seed, message)) = data.split_first() else {
        return;
    };
    let limits = HeaderLimits { octets: 200, fields: 8, hops: 2 };
    let (whole, spans) = scan(message, message.len().max(1), limits);
    assert!(whole.hops() <= whole.fields());
    assert_eq!(whole.fields(), spans.len() as u64);
    for step in [1, 2 + usize::from(seed)] {
        let (split, found) = scan(message, step, limits);
        let view = |scan: &HeaderScan| {
            let from = scan.count("From");
            (scan.octets(), scan.fields(), scan.hops(), from, scan.malformed(), scan.over())
        };
        assert_eq!(view(&split), view(&whole));
        assert_eq!(found, spans);
    }
    let Ok(header) = Header::parse(message, limits) else {
        assert!(whole.over().is_some());
        return;
    };
    assert_eq!((whole.over(), whole.malformed()), (None, header.malformed()));
    assert_eq!(header.octets().len() as u64, whole.octets());
    let fields: Vec<Field<'_>> = header.fields().collect();
    let spanned: Vec<Field<'_>> = spans.iter().filter_map(|span| span.field(message)).collect();
    assert_eq!(fields, spanned);
    let mut from_below: Vec<Field<'_>> = header.fields().rev().collect();
    from_below.reverse();
    assert_eq!(fields, from_below);
    assert_eq!(header.octets()[header.span()], fields.iter().map(Field::octets).collect::<Vec<_>>().concat());
    for field in fields {
        // Unfolding takes only CR LF out, and what it leaves is not folded.
        let value = field.value();
        assert_eq!(*unfold(&value), *value);
        let visible = |text: &[u8]| text.iter().filter(|octet| !octet.is_ascii_whitespace()).count();
        assert_eq!(visible(&value), visible(field.raw_value()));
        assert!(field.is(std::str::from_utf8(field.name()).unwrap_or("")) || !field.name().is_ascii());
    }
}

fn scan(message: &[u8], step: usize, limits: HeaderLimits) -> (HeaderScan, Vec<FieldSpan>) {
    let mut scan = HeaderScan::new(limits);
    let mut spans = Vec::new();
    let mut used = 0;
    for piece in message.chunks(step) {
        used += scan.push_each(piece, |span| spans.push(span));
    }
    assert_eq!(scan.octets(), used as u64);
    assert!(scan.is_done() || used == message.len());
    spans.extend(scan.finish());
    (scan, spans)
}

/// A date that is read is printed so that it reads the same.
pub fn date(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Date>() {
        Ok(date) => assert_eq!(date.to_string().parse(), Ok(date)),
        Err(error) => assert!(error.at <= text.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    fn replay(target: &str, function: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files: Vec<_> = fs::read_dir(&corpus)
            .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!files.is_empty(), "{} is empty", corpus.display());
        for file in files {
            function(&fs::read(file).unwrap());
        }
    }

    #[test]
    fn corpus_of_message_header() {
        replay("message_header", super::header);
    }

    #[test]
    fn corpus_of_message_date() {
        replay("message_date", super::date);
    }
}
