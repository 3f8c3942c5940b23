//! Which lists of domains hold a host: a tree of labels in one hash table, walked from the last
//! label of a name to the first, and left at the first that no list has.

use std::{collections::BTreeMap, net::IpAddr};

use hikyaku_wire::{Domain, Host};

use super::{Class, Classes};
use crate::{DomainPattern, domains::canonical};

/// The tree of all names of all lists.
pub(crate) struct Hosts {
    pub(crate) classes: Classes,
    nodes: Vec<Label>,
    /// The labels in lower case.
    text: String,
    /// Numbers of nodes, found by the hash of parent and label; 0, the root, is an empty place.
    /// At most half of the places are taken.
    places: Vec<u32>,
    addresses: BTreeMap<IpAddr, Class>,
}

/// A label at its place in a name.
#[derive(Clone, Copy, Default)]
struct Label {
    parent: u32,
    start: u32,
    length: u32,
    /// The class of the name that ends here.
    own: Class,
    /// The class of the names below it that the tree does not have.
    below: Class,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::new(0, |_| ())
    }
}

impl Hosts {
    /// `all` gives each member of each set, with the set's bit.
    pub(super) fn new(sets: usize, all: impl FnOnce(&mut dyn FnMut(&DomainPattern, usize))) -> Self {
        let mut hosts = Self {
            classes: Classes::new(sets),
            nodes: vec![Label::default()],
            text: String::new(),
            places: vec![0; 2],
            addresses: BTreeMap::new(),
        };
        // For each node the sets that hold it, and those that hold what is below it.
        let mut holders: Vec<[Vec<usize>; 2]> = vec![Default::default()];
        let mut addresses: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
        all(&mut |pattern, bit| {
            let (name, which) = match pattern {
                DomainPattern::All => return holders[0][1].push(bit),
                DomainPattern::Address(address) => return addresses.entry(*address).or_default().push(bit),
                DomainPattern::Exactly(name) => (name, 0),
                DomainPattern::Below(name) => (name, 1),
            };
            let Some(name) = canonical(name) else { return };
            let node = hosts.insert(&name);
            holders.resize_with(hosts.nodes.len(), Default::default);
            holders[node as usize][which].push(bit);
        });
        // A parent stands before its children.
        for (node, [own, below]) in holders.into_iter().enumerate() {
            let above = hosts.nodes[hosts.nodes[node].parent as usize].below;
            hosts.nodes[node].own = hosts.classes.with(above, own);
            hosts.nodes[node].below = hosts.classes.with(above, below);
        }
        let everything = hosts.nodes[0].below;
        for (address, bits) in addresses {
            let class = hosts.classes.with(everything, bits);
            hosts.addresses.insert(address, class);
        }
        hosts.classes = std::mem::take(&mut hosts.classes).finished();
        hosts
    }

    /// The class of a host.
    pub(crate) fn class<T: AsRef<str>>(&self, host: &Host<T>) -> Class {
        match host {
            Host::Domain(domain) => self.domain(domain),
            Host::Address(address) => match self.addresses.get(&address.to_canonical()) {
                Some(class) => *class,
                None => self.nodes[0].below,
            },
        }
    }

    /// The class of a domain. One whose labels are neither ASCII nor U-labels is in no list that
    /// does not hold everything.
    pub(crate) fn domain<T: AsRef<str>>(&self, domain: &Domain<T>) -> Class {
        canonical(domain).map_or(self.nodes[0].below, |name| self.name(&name))
    }

    /// The class of a name with A-labels. A label costs one look-up, and the walk ends at the first label that
    /// the tree does not have: what a name costs is linear in its length.
    fn name(&self, name: &str) -> Class {
        let mut node = 0;
        for label in name.rsplit('.') {
            match self.find(node, label) {
                Ok(child) => node = child,
                Err(_) => return self.nodes[node as usize].below,
            }
        }
        self.nodes[node as usize].own
    }

    fn insert(&mut self, name: &str) -> u32 {
        let mut node = 0;
        for label in name.rsplit('.') {
            node = self.find(node, label).unwrap_or_else(|place| self.add(node, label, place));
        }
        node
    }

    fn add(&mut self, parent: u32, label: &str, place: usize) -> u32 {
        let child = self.nodes.len() as u32;
        let start = self.text.len() as u32;
        self.text.push_str(&label.to_ascii_lowercase());
        self.nodes.push(Label { parent, start, length: label.len() as u32, ..Label::default() });
        self.places[place] = child;
        if self.nodes.len() * 2 > self.places.len() {
            self.grow();
        }
        child
    }

    fn grow(&mut self) {
        self.places = vec![0; self.places.len() * 2];
        for node in 1..self.nodes.len() {
            let Label { parent, start, length, .. } = self.nodes[node];
            let label = &self.text[start as usize..(start + length) as usize];
            // None is there twice.
            if let Err(place) = self.find(parent, label) {
                self.places[place] = node as u32;
            }
        }
    }

    /// The child of a node that has this label, or the empty place for it.
    fn find(&self, parent: u32, label: &str) -> Result<u32, usize> {
        let mask = self.places.len() - 1;
        let mut place = hash(parent, label) as usize & mask;
        loop {
            match self.places[place] {
                0 => return Err(place),
                child => {
                    let node = &self.nodes[child as usize];
                    let text = &self.text.as_bytes()[node.start as usize..(node.start + node.length) as usize];
                    if node.parent == parent && text.eq_ignore_ascii_case(label.as_bytes()) {
                        return Ok(child);
                    }
                }
            }
            place = (place + 1) & mask;
        }
    }
}

/// FNV-1a over the label in lower case, begun with its parent.
fn hash(parent: u32, label: &str) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let begin = (0xcbf2_9ce4_8422_2325 ^ u64::from(parent)).wrapping_mul(PRIME);
    let hash =
        label.bytes().fold(begin, |hash, byte| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(PRIME));
    hash ^ (hash >> 32)
}
