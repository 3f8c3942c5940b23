//! The names on a played disk, and which of them it keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::content::{self, Inode, Node};
use super::random::Random;
use crate::spool::vfs::Folder;

pub(super) type Key = (Folder, String);

/// A change of names; each happens whole or not.
#[derive(Clone)]
pub(super) enum Change {
    Link(Key, Node),
    Unlink(Key),
    Rename(Key, Key, Node),
}

impl Change {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        let (first, second) = match self {
            Self::Link(key, _) | Self::Unlink(key) => (key, None),
            Self::Rename(from, to, _) => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }

    fn apply(&self, to: &mut BTreeMap<Key, Node>) {
        match self {
            Self::Link(key, node) => _ = to.insert(key.clone(), Arc::clone(node)),
            Self::Unlink(key) => _ = to.remove(key),
            Self::Rename(from, key, node) => {
                to.remove(from);
                to.insert(key.clone(), Arc::clone(node));
            }
        }
    }
}

/// The names of a disk: as a program sees them, as they are durable, and what lies between.
#[derive(Default)]
pub(super) struct Entries {
    seen: BTreeMap<Key, Node>,
    durable: BTreeMap<Key, Node>,
    pending: Vec<Change>,
}

impl Entries {
    pub(super) fn get(&self, folder: Folder, name: &str) -> Option<Node> {
        self.seen.get(&(folder, name.to_owned())).cloned()
    }

    pub(super) fn names(&self, folder: Folder) -> Vec<String> {
        let from = (folder, String::new());
        self.seen.range(from..).take_while(|(key, _)| key.0 == folder).map(|(key, _)| key.1.clone()).collect()
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    /// Puts a file there, durably, or other content into one that is there.
    pub(super) fn put(&mut self, key: Key, inode: Inode) {
        match self.seen.get(&key) {
            Some(node) => *content::lock(node) = inode,
            None => {
                let node = content::node(inode);
                self.seen.insert(key.clone(), Arc::clone(&node));
                self.durable.insert(key, node);
            }
        }
    }

    /// Makes durable what happened in a folder, and what that builds on.
    pub(super) fn sync(&mut self, folder: Folder) {
        let mut needed = BTreeSet::new();
        let mut synced = vec![false; self.pending.len()];
        for (change, synced) in self.pending.iter().zip(&mut synced).rev() {
            if change.keys().any(|key| key.0 == folder || needed.contains(key)) {
                *synced = true;
                needed.extend(change.keys().cloned());
            }
        }
        let mut synced = synced.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let synced = synced.next().unwrap_or(false);
            if synced {
                change.apply(durable);
            }
            !synced
        });
    }

    /// What is left when the power goes: of the changes that were not synced any set, but a change
    /// never without an earlier one of the same name.
    pub(super) fn after_power_loss(&self, random: &mut Random) -> Self {
        let mut kept = self.durable.clone();
        let mut lost = BTreeSet::new();
        let chance = [0, 64, 128, 192, 256][usize::try_from(random.below(5)).unwrap()];
        for change in &self.pending {
            if change.keys().any(|key| lost.contains(key)) || !random.chance(chance) {
                lost.extend(change.keys().cloned());
            } else {
                change.apply(&mut kept);
            }
        }
        // What may stand in blocks that were given to a file and not written yet.
        let mut stale = Vec::new();
        for node in self.seen.values().chain(self.durable.values()) {
            stale.extend(content::lock(node).some_pages(random));
        }
        stale.push(Arc::new(std::array::from_fn(|_| random.next().to_le_bytes()[0])));
        Self::settled(kept, |node| Inode::durable(content::lock(node).after_power_loss(random, &stale)))
    }

    /// Everything as a program sees it, and durable.
    pub(super) fn as_seen(&self) -> Self {
        Self::settled(self.seen.clone(), |node| Inode::durable(content::lock(node).seen().clone()))
    }

    fn settled(mut entries: BTreeMap<Key, Node>, mut inode: impl FnMut(&Node) -> Inode) -> Self {
        for node in entries.values_mut() {
            *node = content::node(inode(node));
        }
        Self { seen: entries.clone(), durable: entries, pending: Vec::new() }
    }

    pub(super) fn copy(&self) -> Self {
        let mut copies = BTreeMap::new();
        let mut copy = |node: &Node| {
            let made = copies.entry(Arc::as_ptr(node)).or_insert_with(|| content::node(content::lock(node).clone()));
            Arc::clone(made)
        };
        let mut all = |map: &BTreeMap<Key, Node>| map.iter().map(|(key, node)| (key.clone(), copy(node))).collect();
        let (seen, durable) = (all(&self.seen), all(&self.durable));
        let pending = self.pending.iter().map(|change| match change {
            Change::Link(key, node) => Change::Link(key.clone(), copy(node)),
            Change::Unlink(key) => Change::Unlink(key.clone()),
            Change::Rename(from, to, node) => Change::Rename(from.clone(), to.clone(), copy(node)),
        });
        let pending = pending.collect();
        Self { seen, durable, pending }
    }
}
