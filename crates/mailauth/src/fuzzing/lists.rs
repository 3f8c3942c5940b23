//! Of DNS lists.

use std::net::Ipv4Addr;

use crate::lists::Filter;

/// A filter: whatever parses prints, what prints parses to the same filter, and nothing outside of
/// 127.0.0.0/8 is ever taken. An error points into the text.
pub fn list_filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(filter) = text.parse::<Filter>() else {
        return;
    };
    let printed = filter.to_string();
    assert!(printed.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{printed:?}");
    let again: Filter = printed.parse().unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again, filter);
    assert_eq!(again.to_string(), printed);
    let last = data.iter().rev().copied().chain(std::iter::repeat(0));
    for (number, octet) in last.take(16).enumerate() {
        let outside = Ipv4Addr::new(if octet == 127 { 0 } else { octet }, 0, 0, number as u8);
        assert!(!filter.takes(outside), "{printed} takes {outside}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_corpus_is_replayed() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/mailauth_list_filter");
        let seeds: Vec<_> = corpus.read_dir().expect("the corpus").collect();
        assert!(seeds.len() >= 10);
        for seed in seeds {
            super::list_filter(&std::fs::read(seed.expect("a seed").path()).expect("a file"));
        }
    }
}
