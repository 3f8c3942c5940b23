//! What the fuzz targets call: each function takes any octets and panics if
//! something does not hold.

use crate::{Name, Zone};

/// A master file that is read and printed reads back as the same records.
pub fn zone(data: &[u8]) {
    let origin: Name = "origin.test".parse().expect("a name");
    let Ok(zone) = Zone::read(data, &origin) else {
        return;
    };
    let printed = zone.to_string();
    assert!(printed.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet)));
    assert_eq!(printed.parse().as_ref(), Ok(&zone), "{printed}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_corpus_is_replayed() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/dns_zone");
        let seeds: Vec<_> = corpus.read_dir().expect("the corpus").collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            super::zone(&std::fs::read(seed.expect("a seed").path()).expect("a file"));
        }
    }
}
