//! The classes of a line: the points that no set of some tells apart.

use std::collections::HashMap;

use super::cuts::Cuts;

/// What is in no class: between two points there is none.
const NOTHING: u32 = u32::MAX;

/// A set of classes, a bit each.
pub(crate) type Bits = Vec<u64>;

/// The words that so many bits need.
pub(crate) fn words(bits: usize) -> usize {
    bits.div_ceil(64)
}

pub(crate) fn bits(width: usize, ones: impl IntoIterator<Item = usize>) -> Bits {
    let mut bits = vec![0; words(width)];
    for one in ones {
        bits[one / 64] |= 1 << (one % 64);
    }
    bits
}

pub(crate) fn has(bits: &[u64], bit: usize) -> bool {
    bits[bit / 64] >> (bit % 64) & 1 == 1
}

pub(crate) fn ones(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().flat_map(|(index, word)| {
        let rest = |word: &u64| Some(word & (word - 1)).filter(|word| *word != 0);
        let first = Some(*word).filter(|word| *word != 0);
        std::iter::successors(first, rest).map(move |word| 64 * index + word.trailing_zeros() as usize)
    })
}

/// A line, cut into intervals; those that no set tells apart are one class.
#[derive(Debug)]
pub(crate) struct Line<K> {
    starts: Vec<K>,
    class: Vec<u32>,
    /// A point of each class.
    pub(crate) values: Vec<K>,
    /// The classes of each set.
    pub(crate) sets: Vec<Bits>,
}

impl<K: Ord + Clone> Line<K> {
    /// Sweeps over the line from its least point. `between` gives a point from one on and before
    /// another, if there is one: a class without a point would be one of facts that cannot be.
    pub(crate) fn new(sets: &[Cuts<K>], least: K, mut between: impl FnMut(&K, Option<&K>) -> Option<K>) -> Self {
        let mut cuts: Vec<(&K, usize)> =
            sets.iter().enumerate().flat_map(|(set, cuts)| cuts.cuts.iter().map(move |cut| (cut, set))).collect();
        cuts.sort_unstable();
        let mut live = bits(sets.len(), (0..sets.len()).filter(|set| sets[*set].starts_inside));
        let mut hash =
            sets.iter().enumerate().filter(|(_, set)| set.starts_inside).fold(0, |hash, (set, _)| hash ^ mix(set));
        let mut line = Self { starts: Vec::new(), class: Vec::new(), values: Vec::new(), sets: Vec::new() };
        let mut of_class: Vec<u64> = Vec::new();
        let mut found: HashMap<u64, Vec<u32>> = HashMap::new();
        let (mut at, mut start) = (0, least);
        loop {
            while let Some((_, set)) = cuts.get(at).filter(|(cut, _)| **cut <= start) {
                live[set / 64] ^= 1 << (set % 64);
                hash ^= mix(*set);
                at += 1;
            }
            let next = cuts.get(at).map(|(cut, _)| *cut);
            let alike = found.entry(hash).or_default();
            let same = |class: &&u32| of_class[**class as usize * live.len()..][..live.len()] == live[..];
            let class = match alike.iter().find(same) {
                Some(class) => *class,
                None => match between(&start, next) {
                    None => NOTHING,
                    Some(value) => {
                        let class =
                            u32::try_from(line.values.len()).expect("fewer classes than cuts, which fit in memory");
                        alike.push(class);
                        of_class.extend(&live);
                        line.values.push(value);
                        class
                    }
                },
            };
            line.starts.push(start);
            line.class.push(class);
            match next {
                Some(next) => start = next.clone(),
                None => break,
            }
        }
        let classes = line.values.len();
        line.sets = vec![vec![0; words(classes)]; sets.len()];
        for (class, live) in of_class.chunks(live.len().max(1)).enumerate() {
            for set in ones(live) {
                line.sets[set][class / 64] |= 1 << (class % 64);
            }
        }
        line
    }

    /// The class of a point; the first one for a point that is none.
    pub(crate) fn class_of(&self, point: &K) -> usize {
        let after = self.starts.partition_point(|start| start <= point);
        match self.class[after.saturating_sub(1)] {
            NOTHING => 0,
            class => class as usize,
        }
    }

    /// Takes the first of these points that is in a class as its value.
    pub(crate) fn prefer(&mut self, points: impl IntoIterator<Item = K>) {
        let mut chosen = vec![false; self.values.len()];
        for point in points {
            let class = self.class_of(&point);
            if !std::mem::replace(&mut chosen[class], true) {
                self.values[class] = point;
            }
        }
    }
}

/// A number that looks random (SplitMix64), so that sets can be summed up in one.
fn mix(set: usize) -> u64 {
    let mut z = (set as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every three sets of a short line on which only even numbers are points.
    #[test]
    fn points_that_no_set_tells_apart_are_one_class() {
        let set = |bits: u8| {
            let inside = |point: u8| bits >> point & 1 == 1;
            let cuts = (1..6).filter(|point| inside(*point) != inside(point - 1)).collect();
            Cuts { starts_inside: inside(0), cuts }
        };
        let even = |from: &u8, until: Option<&u8>| {
            let point = from.next_multiple_of(2);
            (point < *until.unwrap_or(&6)).then_some(point)
        };
        for first in 0..64 {
            for second in 0..64 {
                let sets = [set(first), set(second)];
                let mut line = Line::new(&sets, 0, even);
                let signature = |point: u8| [&sets[0], &sets[1]].map(|set| set.contains(&point));
                for point in [0, 2, 4] {
                    let class = line.class_of(&point);
                    for other in [0, 2, 4] {
                        assert_eq!(signature(point) == signature(other), class == line.class_of(&other));
                    }
                    for (set, classes) in sets.iter().zip(&line.sets) {
                        assert_eq!(set.contains(&point), has(classes, class));
                    }
                }
                // No class without a point, and a class of what is preferred has it as its value.
                for (class, value) in line.values.iter().enumerate() {
                    assert!(value % 2 == 0 && line.class_of(value) == class, "{first} {second}");
                }
                line.prefer([4, 2]);
                assert_eq!(line.values[line.class_of(&4)], 4);
                let alike = line.class_of(&2) == line.class_of(&4);
                assert_eq!(line.values[line.class_of(&2)], if alike { 4 } else { 2 });
            }
        }
    }

    #[test]
    fn sets_of_classes() {
        for width in [1, 63, 64, 65, 130] {
            let some: Vec<_> = (0..width).filter(|bit| bit % 3 == 0).collect();
            let set = bits(width, some.clone());
            assert_eq!(set.len(), words(width));
            assert_eq!(ones(&set).collect::<Vec<_>>(), some);
            assert!((0..width).all(|bit| has(&set, bit) == (bit % 3 == 0)));
        }
    }
}
