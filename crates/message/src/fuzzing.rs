//! What the fuzz targets of this crate assert; the corpora are replayed by tests.

use crate::results::{ArcAuthenticationResults, AuthenticationResults, must_remove};
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

/// Authentication results that are read print so that they read the same, in one line and
/// folded, and such a field is removed if it is ours.
pub fn results(data: &[u8]) {
    let name = b"Authentication-Results";
    match AuthenticationResults::parse(data) {
        Ok(results) => {
            let text = results.to_string();
            assert!(!text.contains(['\r', '\n', '\0']));
            assert_eq!(AuthenticationResults::parse(text.as_bytes()).as_ref(), Ok(&results));
            let field = results.field();
            assert!(field.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])));
            let (_, value) = field.split_once(':').expect("a field has a colon");
            assert_eq!(AuthenticationResults::parse(value.as_bytes()).as_ref(), Ok(&results));
            let id = results.authserv_id().as_str();
            assert!(must_remove(name, data, id) && must_remove(name, text.as_bytes(), id));
        }
        Err(error) => assert!(error.at <= data.len()),
    }
    match ArcAuthenticationResults::parse(data) {
        Ok(results) => assert_eq!(results.to_string().parse(), Ok(results.into_owned())),
        Err(error) => assert!(error.at <= data.len()),
    }
    // Whatever stands in front of the identifier that opens a field, it is found.
    let ours = [b" mx.example.net; ", data].concat();
    assert!(must_remove(name, &ours, "MX.example.net"));
    assert!(!must_remove(b"Received", &ours, "mx.example.net"));
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

    #[test]
    fn corpus_of_message_results() {
        replay("message_results", super::results);
    }
}
