//! A table of bounded size that forgets what was not touched for longest.

use std::{collections::BTreeMap, sync::Arc};

/// Values by key, the keys also in the order in which they were touched. Ordered maps, not hashed
/// ones: peers choose the keys.
#[derive(Clone, Debug)]
pub(super) struct Recent<V> {
    entries: usize,
    by_key: BTreeMap<Arc<[u8]>, (u64, V)>,
    by_turn: BTreeMap<u64, Arc<[u8]>>,
    turn: u64,
}

impl<V> Recent<V> {
    /// At most so many entries, and at least one.
    pub(super) fn new(entries: usize) -> Self {
        Self { entries: entries.max(1), by_key: BTreeMap::new(), by_turn: BTreeMap::new(), turn: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The value of a key, if there is one; it is not touched.
    pub(super) fn peek(&mut self, key: &[u8]) -> Option<&mut V> {
        self.by_key.get_mut(key).map(|(_, value)| value)
    }

    /// The value of a key, if there is one; it is touched.
    pub(super) fn touch_known(&mut self, key: &[u8]) -> Option<&mut V> {
        let (turn, value) = self.by_key.get_mut(key)?;
        self.turn += 1;
        if let Some(key) = self.by_turn.remove(turn) {
            self.by_turn.insert(self.turn, key);
        }
        *turn = self.turn;
        Some(value)
    }

    /// The value of a key, a new one if there is none. It is touched, and where it would be one too
    /// many, the one that was not touched for longest is forgotten.
    pub(super) fn touch(&mut self, key: &[u8], new: impl FnOnce() -> V) -> &mut V {
        if !self.by_key.contains_key(key) {
            if self.by_key.len() == self.entries
                && let Some((_, oldest)) = self.by_turn.pop_first()
            {
                self.by_key.remove(&oldest);
            }
            let key: Arc<[u8]> = key.into();
            self.turn += 1;
            self.by_turn.insert(self.turn, key.clone());
            self.by_key.insert(key, (self.turn, new()));
        }
        self.touch_known(key).expect("it is there, or was put there")
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let (turn, value) = self.by_key.remove(key)?;
        self.by_turn.remove(&turn);
        Some(value)
    }

    /// All, the one that was not touched for longest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.by_turn.values().filter_map(|key| Some((&**key, &self.by_key.get(key)?.1)))
    }
}
