//! A table that forgets what was not touched for long.

use std::{collections::HashMap, hash::Hash};

/// Keeps what was touched within `span` minutes, and not much longer; of at most `room` keys.
///
/// There are two generations. What is touched is in the young one; when that has become old
/// enough, or holds half of the room, it becomes the old one, and the old one is forgotten.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// When the generations changed.
    changed: u32,
    span: u32,
    room: usize,
}

impl<K: Eq + Hash, V: Default> Recent<K, V> {
    pub(super) fn new(span: u32, room: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), changed: 0, span, room }
    }

    /// What is known of the key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// What is known of the key, to be changed.
    pub(super) fn touch(&mut self, key: K, minute: u32) -> &mut V {
        let full = !self.young.contains_key(&key) && self.young.len() >= self.room / 2;
        if full || minute.saturating_sub(self.changed) >= self.span {
            self.old = std::mem::take(&mut self.young);
            self.changed = minute;
        }
        let before = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| before.unwrap_or_default())
    }

    pub(super) fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
