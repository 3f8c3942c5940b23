//! Names that are found by hash, whole or by what stands above a name.

use std::cmp::Ordering;

use hikyaku_wire::Domain;

/// Names without the case of ASCII letters, sorted, each once, and where each is found.
///
/// A look-up reads the name once, from its end, and has then the hash of every name above it. The
/// entries lie sorted by hash and name, so that no choice of members makes one slow.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameIndex {
    names: Vec<Domain>,
    /// The entries of the hashes that begin with the bits of each number: from one start to the next.
    starts: Vec<u32>,
    /// Hash, and index in `names`.
    entries: Vec<(u64, u32)>,
}

impl NameIndex {
    pub(crate) fn new(mut names: Vec<Domain>) -> Self {
        names.sort_by(|a, b| order(a.as_str(), b.as_str()));
        names.dedup();
        let hash = |name: &Domain| spread(name.as_str().bytes().rev().fold(SEED, step));
        let mut entries: Vec<(u64, u32)> = names.iter().zip(0..).map(|(name, index)| (hash(name), index)).collect();
        // Names are sorted, so that their indices are too.
        entries.sort_unstable();
        let mut starts = Vec::new();
        if !entries.is_empty() {
            let buckets = entries.len().next_power_of_two();
            let mut next = 0;
            for bucket in 0..buckets {
                starts.push(next as u32);
                next += entries[next..].iter().take_while(|(hash, _)| bucket_of(*hash, buckets) == bucket).count();
            }
            starts.push(next as u32);
        }
        Self { names, starts, entries }
    }

    /// The names in order.
    pub(crate) fn names(&self) -> &[Domain] {
        &self.names
    }

    /// Whether it is one of them.
    pub(crate) fn holds(&self, name: &str) -> bool {
        !self.names.is_empty() && self.find(name.bytes().rev().fold(SEED, step), name)
    }

    /// Whether it is one of these, or a name above it is one of those.
    pub(crate) fn holds_or_above(&self, above: &Self, name: &str) -> bool {
        let mut hash = SEED;
        for (at, byte) in name.bytes().enumerate().rev() {
            if byte == b'.' && !above.names.is_empty() && above.find(hash, &name[at + 1..]) {
                return true;
            }
            hash = step(hash, byte);
        }
        !self.names.is_empty() && self.find(hash, name)
    }

    fn find(&self, hash: u64, name: &str) -> bool {
        let hash = spread(hash);
        let bucket = bucket_of(hash, self.starts.len() - 1);
        let entries = &self.entries[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        entries
            .binary_search_by(|(other, index)| {
                other.cmp(&hash).then_with(|| order(self.names[*index as usize].as_str(), name))
            })
            .is_ok()
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, from the end of a name to its beginning.
fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3)
}

/// Brings the difference of two names into the highest bits, which choose the bucket.
fn spread(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The highest bits, as many as number the buckets, which are a power of two.
fn bucket_of(hash: u64, buckets: usize) -> usize {
    ((u128::from(hash) * buckets as u128) >> 64) as usize
}

/// The names above a name, the nearest first: no string ending, only whole labels.
pub(crate) fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(dot, _)| &name[dot + 1..])
}

/// Compares without the case of ASCII letters.
pub(crate) fn order(a: &str, b: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_lists_of_every_size() {
        for count in (0..40).chain([255, 256, 257, 5000]) {
            let names: Vec<Domain> = (0..count).map(|n| format!("Host{n}.example").parse().unwrap()).collect();
            let index = NameIndex::new(names.iter().rev().chain(&names).cloned().collect());
            assert_eq!(index.names().len(), count);
            let none = NameIndex::default();
            let above = |name: &str| none.holds_or_above(&index, name);
            for n in 0..count {
                assert!(index.holds_or_above(&none, &format!("host{n}.Example")), "{n} of {count}");
                assert!(index.holds(&format!("hOST{n}.Example")), "{n} of {count}");
                assert!(above(&format!("a.b.host{n}.example")), "{n} of {count}");
                assert!(!above(&format!("host{n}.example")), "{n} of {count}");
                assert!(!above(&format!("ahost{n}.example")), "{n} of {count}");
            }
            for absent in ["", "example", "host.example", "host-1.example", &format!("host{count}.example")] {
                assert!(!index.holds(absent) && !above(absent), "{absent:?} of {count}");
            }
        }
    }

    /// Names whose hash is one are told apart.
    #[test]
    fn names_of_one_hash() {
        let names: Vec<Domain> = ["a.test", "b.test", "c.test"].map(|name| name.parse().unwrap()).into();
        let mut index = NameIndex::new(names);
        let hash = spread("b.test".bytes().rev().fold(SEED, step));
        index.entries = (0..3).map(|at| (hash, at)).collect();
        let bucket = bucket_of(hash, 4);
        index.starts = (0..5).map(|at| if at > bucket { 3 } else { 0 }).collect();
        assert!(index.holds("b.test") && !index.holds("d.test"));
        assert!(index.find("b.test".bytes().rev().fold(SEED, step), "a.test"));
        assert!(index.find("b.test".bytes().rev().fold(SEED, step), "c.test"));
        assert!(!index.find("b.test".bytes().rev().fold(SEED, step), "bb.test"));
    }
}
