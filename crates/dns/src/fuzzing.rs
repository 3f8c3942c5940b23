//! What the fuzz targets call: each function takes any octets and panics if
//! something does not hold.

mod answers;

pub use answers::answers;

use crate::{Name, Zone};

/// A master file that is read and printed reads back as the same records.
pub fn zone(data: &[u8]) {
    let origin: Name = "origin.test".parse().expect("a name");
    let Ok((zone, warnings)) = Zone::read_with_warnings(data, &origin) else {
        return;
    };
    let semicolon = |warning: &crate::ZoneWarning| {
        let line = data.split(|octet| *octet == b'\n').nth(warning.line - 1);
        line.and_then(|line| line.get(warning.column - 1)) == Some(&b';')
    };
    assert!(warnings.iter().all(semicolon), "{warnings:?}");
    let printed = zone.to_string();
    assert!(printed.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet)));
    let again = Zone::read_with_warnings(printed.as_bytes(), &Name::root());
    assert_eq!(again, Ok((zone, Vec::new())), "{printed}");
}

/// A zone of JSON that is read says what it says, and has the same records as a master file, if
/// it is one that could be.
#[cfg(feature = "json")]
pub fn json(data: &[u8]) {
    use crate::{Data, Failure, RecordType};

    let mut zone = match Zone::from_json(data) {
        Ok(zone) => zone,
        Err(error) => {
            assert!(error.line <= data.iter().filter(|octet| **octet == b'\n').count() + 1, "{error}");
            return;
        }
    };
    for ((name, record_type), failure) in &zone.failures {
        assert!(zone.records.contains_key(name));
        if *record_type != RecordType::ANY {
            let answer = zone.lookup(name, *record_type);
            match failure {
                Failure::Error(error) => assert_eq!(answer, Err(*error)),
                Failure::NoName => assert_eq!(answer.map(|answer| answer.presence), Ok(crate::Presence::NoName)),
            }
        }
    }
    let is_alias = |record: &crate::Record| matches!(record.data, Data::Cname(_));
    zone.failures.clear();
    zone.records.retain(|_, records| match records.as_slice() {
        [] => false,
        [_] => true,
        more => !more.iter().any(is_alias),
    });
    zone.records.values_mut().for_each(|records| records.retain(|record| record.data.wire_len() <= 65_535));
    zone.records.retain(|_, records| !records.is_empty());
    assert_eq!(zone.to_string().parse(), Ok(zone));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_corpus_is_replayed() {
        replay("dns_answers", super::answers);
        #[cfg(feature = "json")]
        replay("dns_json", super::json);
        replay("dns_zone", super::zone);
    }

    fn replay(target: &str, run: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let seeds: Vec<_> = corpus.read_dir().expect("the corpus").collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            run(&std::fs::read(seed.expect("a seed").path()).expect("a file"));
        }
    }

    /// Scripts of any moves: a quick look at what the fuzzer does for longer.
    #[test]
    fn many_moves_hold() {
        let mut seed = 1_u64;
        for _ in 0..300 {
            let script: Vec<u8> = std::iter::repeat_with(|| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 56).try_into().expect("an octet")
            })
            .take(601)
            .collect();
            super::answers(&script);
        }
    }
}
