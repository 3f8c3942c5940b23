use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Values that are kept until their time is over, at most as many as said.
///
/// When full, the entries that were not used for the longest time go first, in halves: when the
/// young generation holds half of what is allowed, it becomes the old one, and what nobody asked
/// for since is forgotten.
#[derive(Debug)]
pub struct Kept<K, V> {
    young: HashMap<K, Entry<V>>,
    old: HashMap<K, Entry<V>>,
    entries: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    until: Instant,
}

impl<K: Eq + Hash, V> Kept<K, V> {
    /// Keeps so many entries at most; 0 keeps none.
    pub fn new(entries: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), entries }
    }

    /// How many entries there are, those included whose time is over.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value, and how long it may still be kept; `None` once its time is over.
    pub fn get<Q>(&mut self, key: &Q, now: Instant) -> Option<(&V, Duration)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // What is used is young again, unless its time is over. Each look at a table hashes the
        // key, which is most of the work here.
        if !self.old.is_empty()
            && let Some((key, entry)) = self.old.remove_entry(key)
            && entry.left(now).is_some()
        {
            self.insert_entry(key, entry);
        }
        // If it was the one that filled the young generation, it is old again.
        let entry = self.young.get(key).or_else(|| self.old.get(key))?;
        Some((&entry.value, entry.left(now)?))
    }

    /// Keeps a value until then, in the place of what the key had.
    pub fn insert(&mut self, key: K, value: V, until: Instant) {
        self.insert_entry(key, Entry { value, until });
    }

    fn insert_entry(&mut self, key: K, entry: Entry<V>) {
        if self.entries == 0 {
            return;
        }
        self.old.remove(&key);
        self.young.insert(key, entry);
        // The old half is gone before the young one can grow past the bound.
        if self.young.len() >= self.entries.div_ceil(2) {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

impl<V> Entry<V> {
    fn left(&self, now: Instant) -> Option<Duration> {
        self.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept under a key at a time, in seconds, and for how long still.
    fn get(kept: &mut Kept<&'static str, u32>, key: &'static str, start: Instant, seconds: u64) -> Option<(u32, u64)> {
        let (value, left) = kept.get(key, start + Duration::from_secs(seconds))?;
        Some((*value, left.as_secs()))
    }

    #[test]
    fn a_value_is_kept_until_its_time_is_over() {
        // Young and old: with room for one, what comes in is old at once.
        for entries in [1, 10] {
            let (mut kept, start) = (Kept::new(entries), Instant::now());
            assert!(kept.is_empty() && get(&mut kept, "a", start, 0).is_none());
            kept.insert("a", 1, start + Duration::from_secs(10));
            assert_eq!(get(&mut kept, "a", start, 0), Some((1, 10)));
            assert_eq!(get(&mut kept, "a", start, 9), Some((1, 1)));
            assert_eq!(get(&mut kept, "b", start, 0), None);
            assert_eq!(get(&mut kept, "a", start, 10), None);
            assert_eq!(get(&mut kept, "a", start, 11), None);
            // The last value counts, also where it ends sooner.
            kept.insert("a", 2, start + Duration::from_secs(20));
            kept.insert("a", 3, start + Duration::from_secs(12));
            assert_eq!(get(&mut kept, "a", start, 11), Some((3, 1)));
            assert_eq!(kept.len(), 1);
        }
    }

    #[test]
    fn there_are_never_more_than_allowed() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        for entries in 0..8 {
            let mut kept = Kept::new(entries);
            for key in 0..100_u32 {
                kept.insert(key, key, later);
                assert!(kept.len() <= entries);
                assert_eq!(kept.get(&key, start).is_some(), entries > 0, "the last is kept");
                kept.get(&(key / 2), start);
                assert!(kept.len() <= entries);
            }
            assert!(kept.len() >= entries / 2, "{} of {entries}", kept.len());
        }
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let (mut kept, start) = (Kept::new(4), Instant::now());
        let later = start + Duration::from_secs(10);
        for key in ["used", "unused"] {
            kept.insert(key, 0, later);
        }
        for key in ["c", "d", "e", "f", "g", "h"] {
            assert!(kept.get("used", start).is_some(), "before {key}");
            kept.insert(key, 0, later);
        }
        assert!(kept.get("unused", start).is_none());
    }

    #[test]
    fn the_last_value_counts_also_where_the_one_before_is_old() {
        let (mut kept, start) = (Kept::new(4), Instant::now());
        let later = start + Duration::from_secs(10);
        for (key, value) in [("a", 1), ("b", 1), ("a", 2)] {
            kept.insert(key, value, later);
        }
        assert_eq!((get(&mut kept, "a", start, 0), kept.len()), (Some((2, 10)), 2));
    }

    /// A value whose time is over does not push out others when it is looked for.
    #[test]
    fn what_is_over_is_not_made_young() {
        let (mut kept, start) = (Kept::new(4), Instant::now());
        kept.insert("over", 0, start);
        kept.insert("b", 0, start + Duration::from_secs(10));
        assert_eq!(kept.len(), 2);
        assert!(kept.get("over", start).is_none());
        assert_eq!(kept.len(), 1);
        kept.insert("c", 0, start + Duration::from_secs(10));
        assert!(kept.get("b", start).is_some());
    }
}
