//! Which rules cannot match, by the class of one fact: of many rules few are asked.

use std::collections::BTreeMap;

use super::{Class, Classes, Entry, Node, Probe, What};

/// Words that the table of one fact has at most (8 MiB): what would be larger is left out.
const MOST_WORDS: usize = 1 << 20;

/// The facts by whose class rules are left out.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Client,
    Recipient,
    Sender,
    Hello,
    Name,
    User,
}

/// For each fact a table: for each of its classes the rules that may match, one bit a rule.
#[derive(Default)]
pub(crate) struct Filter {
    /// All rules.
    pub(crate) all: Vec<u64>,
    /// A table is empty where no rule asks for the fact before all else.
    tables: [Vec<u64>; 6],
}

impl Filter {
    /// The rules that may match what is of this class; `None`: any.
    pub(crate) fn rules(&self, by: By, class: impl FnOnce() -> Option<Class>) -> Option<&[u64]> {
        let (table, width) = (&self.tables[by as usize], self.all.len());
        if table.is_empty() {
            return None;
        }
        let at = class()? as usize * width;
        table.get(at..at + width)
    }

    pub(super) fn new(
        rules: &[Entry],
        nodes: &[Node],
        probes: &[Probe],
        [clients, hosts, users]: [&Classes; 3],
    ) -> Self {
        let mut filter = Self { all: vec![0; rules.len().div_ceil(64)], ..Self::default() };
        // Of each fact the set that a rule cannot match without.
        let mut without: [Vec<Option<u32>>; 6] = std::array::from_fn(|_| vec![None; rules.len()]);
        for (number, rule) in rules.iter().enumerate() {
            filter.all[number / 64] |= 1 << (number % 64);
            // A rule before its stage is no rule that does not match.
            if rule.at.is_none() {
                necessary(nodes, probes, rule.node, &mut |by, bit| {
                    without[by as usize][number].get_or_insert(bit);
                });
            }
        }
        let classes = [clients, hosts, hosts, hosts, hosts, users];
        for ((table, without), classes) in filter.tables.iter_mut().zip(without).zip(classes) {
            if without.iter().any(Option::is_some) && classes.count() * filter.all.len() <= MOST_WORDS {
                *table = rows(&without, classes);
            }
        }
        filter
    }
}

/// The sets that must hold their facts if a condition is to hold, or to be unknown.
fn necessary(nodes: &[Node], probes: &[Probe], node: u32, found: &mut impl FnMut(By, u32)) {
    let part = nodes[node as usize];
    match part.what {
        What::Test(test, _) => match probes[test as usize] {
            Probe::From(bit) => found(By::Client, bit),
            Probe::To(bit) => found(By::Recipient, bit),
            Probe::Sender(bit) => found(By::Sender, bit),
            Probe::Helo(bit) => found(By::Hello, bit),
            Probe::Name(bit) => found(By::Name, bit),
            Probe::User(bit) => found(By::User, bit),
            Probe::Certificate(_) | Probe::Fact => {}
        },
        What::All => {
            let mut inner = node + 1;
            while inner < part.end {
                necessary(nodes, probes, inner, found);
                inner = nodes[inner as usize].end;
            }
        }
        What::Always | What::Not | What::Any => {}
    }
}

/// For each class the rules that need no set, or one that holds it.
fn rows(without: &[Option<u32>], classes: &Classes) -> Vec<u64> {
    let width = without.len().div_ceil(64);
    let mut free = vec![0; width];
    let mut by_set: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for (rule, set) in without.iter().enumerate() {
        let row = match set {
            None => &mut free,
            Some(bit) => by_set.entry(*bit).or_insert_with(|| vec![0; width]),
        };
        row[rule / 64] |= 1 << (rule % 64);
    }
    let mut table = Vec::with_capacity(classes.count() * width);
    for class in 0..classes.count() {
        let at = table.len();
        table.extend(&free);
        for set in classes.bits(class as Class).filter_map(|bit| by_set.get(&bit)) {
            table[at..].iter_mut().zip(set).for_each(|(all, more)| *all |= more);
        }
    }
    table
}
