//! What the fuzz targets of this crate assert; the corpora are replayed by tests.

use crate::{Date, HeaderLimits, HeaderScan};

/// Every split of a message gives the same result. The first octet says where
/// to split.
pub fn header(data: &[u8]) {
    let Some((&seed, message)) = data.split_first() else {
        return;
    };
    let limits = HeaderLimits { octets: 200, fields: 8, hops: 2 };
    let mut whole = HeaderScan::new(limits);
    let used = whole.push(message);
    assert!(used <= message.len());
    assert_eq!(whole.octets(), used as u64);
    assert!(whole.hops() <= whole.fields());
    assert!(whole.is_done() || used == message.len());
    for step in [1, 1 + usize::from(seed)] {
        let mut split = HeaderScan::new(limits);
        let mut total = 0;
        for piece in message.chunks(step) {
            total += split.push(piece);
        }
        assert_eq!(total, used);
        let view = |scan: &HeaderScan| {
            let from = scan.count("From");
            (scan.is_done(), scan.fields(), scan.hops(), from, scan.malformed(), scan.over())
        };
        assert_eq!(view(&split), view(&whole));
    }
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
