//! What a spool shows, and how it differs from what the model knows.

use std::collections::{BTreeMap, BTreeSet};

use super::super::vfs::played::Played;
use super::world::*;
use super::*;
use crate::unit::Unit;

/// What a spool holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    messages: BTreeMap<MsgId, (Sum, BTreeMap<u16, crate::Entry>)>,
    gates: Vec<(QueueKey, Gate)>,
    known: BTreeSet<MsgId>,
}

impl Picture {
    /// As it is when nobody has a lease; the other one says what the leased units are then.
    pub(super) fn without_leases(mut self, other: &Self) -> Self {
        for (id, (_, units)) in &mut self.messages {
            for (number, entry) in units.iter_mut().filter(|(_, entry)| entry.state.kind() == crate::StateKind::Leased)
            {
                if let Some(entry_there) = other.messages.get(id).and_then(|(_, units)| units.get(number)) {
                    entry.state = entry_there.state.clone();
                }
            }
        }
        self
    }
}

/// Reads all that is in a spool, by every way that leads there, and compares these.
pub(super) fn picture(engine: &mut Engine<Played>) -> Picture {
    let core = Arc::clone(&engine.core);
    let list = run(engine, core.list(&Filter::all(), None, usize::MAX)).unwrap().entries;
    let mut messages: BTreeMap<MsgId, (Sum, BTreeMap<u16, crate::Entry>)> = BTreeMap::new();
    let mut keys: BTreeMap<QueueKey, (u64, u64)> = BTreeMap::new();
    for entry in list {
        let count = keys.entry(entry.key.clone()).or_default();
        match entry.state.kind() {
            crate::StateKind::Held => count.1 += 1,
            _ => count.0 += 1,
        }
        messages.entry(entry.unit.msg).or_default().1.insert(entry.unit.unit, entry);
    }
    for (id, (found, _)) in &mut messages {
        let mut text = Vec::new();
        let body = run(engine, core.body(*id)).unwrap();
        assert_eq!(body.prepend(), "R: x\r\n");
        while (text.len() as u64) < body.len() {
            text.extend_from_slice(&run(engine, body.read_at(text.len() as u64, 100_000)).unwrap());
        }
        *found = sum(&text);
    }
    let counts = run(engine, core.counts(CountBy::Key)).unwrap();
    let counted = counts.into_iter().map(|count| (count.key.unwrap(), (count.ready + count.leased, count.held)));
    assert_eq!(counted.collect::<BTreeMap<_, _>>(), keys);
    let known = (1..200).map(id).filter(|id| core.catalog.known(*id, None).unwrap().is_some()).collect();
    Picture { messages, gates: core.catalog.gates().unwrap(), known }
}

pub(super) fn is(model: &Model, found: &Picture) -> bool {
    differences(model, found).is_empty()
}

/// What is not as it should be, in words.
fn differences(model: &Model, found: &Picture) -> Vec<String> {
    let mut said = Vec::new();
    for id in model.messages.keys().chain(found.messages.keys()).collect::<BTreeSet<_>>() {
        match (model.messages.get(id), found.messages.get(id)) {
            (Some(kept), Some((text, units))) => {
                if *text != kept.text {
                    said.push(format!("{id}: text {text:?} for {:?}", kept.text));
                }
                for number in kept.units.keys().chain(units.keys()).collect::<BTreeSet<_>>() {
                    let (unit, entry) = (kept.units.get(number), units.get(number));
                    if !unit.zip(entry).is_some_and(|(unit, entry)| same(unit, entry)) {
                        said.push(format!("{id}.{number}: {entry:?}\n        for {unit:?}"));
                    }
                }
            }
            (kept, there) => said.push(format!("{id}: is there: {}, should be: {}", there.is_some(), kept.is_some())),
        }
    }
    if !model.gates.iter().map(|(key, gate)| (key.clone(), *gate)).eq(found.gates.iter().cloned()) {
        said.push(format!("{:?} for {:?}", found.gates, model.gates));
    }
    let known: BTreeSet<_> = model.finished.iter().chain(model.messages.keys()).copied().collect();
    if known != found.known {
        said.push(format!("known: {:?}", known.symmetric_difference(&found.known).collect::<Vec<_>>()));
    }
    said
}

/// What is wrong with each of these.
pub(super) fn none_of(models: &[Model], found: &Picture) -> String {
    let each = models.iter().enumerate().map(|(at, model)| {
        format!("not state {at} of {}:\n    {}", models.len(), differences(model, found).join("\n    "))
    });
    each.collect::<Vec<_>>().join("\n")
}

fn same(unit: &Unit, entry: &crate::Entry) -> bool {
    let hold = match &entry.state {
        crate::UnitState::Held(why) => Some(why),
        _ => None,
    };
    let leased = entry.state.kind() == crate::StateKind::Leased;
    (unit.hold.as_ref() == hold || leased)
        && (&unit.key, unit.due, unit.expires, unit.attempts) == (&entry.key, entry.due, entry.expires, entry.attempts)
        && unit.rcpts == entry.rcpts
}
