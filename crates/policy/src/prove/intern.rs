//! Lists of words that are kept once each, so that two that are equal have one number.

use std::hash::{BuildHasherDefault, Hasher};

/// A hash map whose keys are small and nobody's choice; it is never iterated over.
pub(super) type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Mix>>;

/// Multiplies and rotates: the keys are numbers of our own making, so that a hash that withstands
/// an enemy would be work for nothing.
#[derive(Clone, Copy, Default)]
pub(super) struct Mix(u64);

impl Mix {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(Self::ODD);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

/// Lists of words, each kept once.
#[derive(Debug, Default)]
pub(super) struct Lists {
    words: Vec<u64>,
    /// Where each list begins; the next one is its end.
    starts: Vec<usize>,
    /// The last list of each hash, and the one before it of the same hash.
    heads: Map<u64, u32>,
    earlier: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Lists {
    /// The number of a list.
    pub(super) fn put(&mut self, list: &[u64]) -> u32 {
        let mut hasher = Mix::default();
        list.iter().for_each(|word| hasher.write_u64(*word));
        let hash = hasher.finish();
        let head = self.heads.get(&hash).copied().unwrap_or(NONE);
        let mut at = head;
        while at != NONE {
            if self.get(at) == list {
                return at;
            }
            at = self.earlier[at as usize];
        }
        let number = u32::try_from(self.starts.len()).expect("the steps run out long before 2^32 lists are made");
        self.starts.push(self.words.len());
        self.words.extend_from_slice(list);
        self.earlier.push(head);
        self.heads.insert(hash, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> &[u64] {
        let number = number as usize;
        let end = self.starts.get(number + 1).copied().unwrap_or(self.words.len());
        &self.words[self.starts[number]..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_have_one_number() {
        let mut lists = Lists::default();
        let all: Vec<Vec<u64>> = (0..300).map(|n: u64| (0..n % 7).map(|i| (n / 7) << i).collect()).collect();
        let numbers: Vec<_> = all.iter().map(|list| lists.put(list)).collect();
        for (list, number) in all.iter().zip(&numbers) {
            assert_eq!(lists.get(*number), &list[..]);
            assert_eq!(lists.put(list), *number);
        }
        for (a, one) in all.iter().enumerate() {
            for (b, other) in all.iter().enumerate() {
                assert_eq!(one == other, numbers[a] == numbers[b]);
            }
        }
    }
}
