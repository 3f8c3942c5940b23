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
        // Each look at a table hashes the key, which is most of the work here.
        if !self.old.is_empty()
            && let Some((key, entry)) = self.old.remove_entry(key)
            && entry.left(now).is_some()
        {
            self.insert_entry(key, entry);
        }
        let entry = self.young.get(key).or_else(|| self.old.get(key))?;
        let left = entry.left(now)?;
        Some((&entry.value, left))
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
