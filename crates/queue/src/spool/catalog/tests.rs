//! The catalog beside a naive model, and what is left of it when power or disk fail.

mod damage;
mod model;
mod power;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use hikyaku_wire::Timestamp;

use self::model::{Model, Moves};
use super::*;
use crate::spool::journal::Lsn;
use crate::spool::vfs::played::Played;

const CACHE: usize = 1 << 20;

fn disk() -> Arc<Played> {
    Arc::new(Played::new(1))
}

fn open(disk: &Arc<Played>) -> (Catalog, Option<Mark>) {
    Catalog::open(disk, CACHE).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn mark(count: u64) -> Mark {
    Mark { lsn: Lsn(1 << 40 | count), segment: 7, offset: 4096, check: 0xdead_beef }
}

fn key(name: &str) -> QueueKey {
    QueueKey::new(name)
}

fn id(number: u8) -> MsgId {
    MsgId::from_bytes([number; 16])
}

fn place(segment: u32, offset: u32) -> Place {
    Place { segment, offset, bytes: 100 + offset }
}

fn unit(name: &str, due: i64, place: Place) -> UnitRow {
    UnitRow { key: key(name), due: at(due), expires: at(9_000), held: false, attempts: 0, place }
}

fn message(place: Place, units: impl IntoIterator<Item = (u16, UnitRow)>) -> MessageRow {
    let units: Vec<_> = units.into_iter().collect();
    MessageRow { place, blob: false, size: 1_000, next_unit: units.len().try_into().unwrap(), units }
}

fn put(id: MsgId, row: MessageRow) -> Op {
    Op::Message { id, row, idem: None }
}

fn units(id: MsgId, changed: impl IntoIterator<Item = (u16, Option<UnitRow>)>) -> Op {
    Op::Units { id, next_unit: 0, changed: changed.into_iter().collect() }
}

/// Everything that the catalog can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    messages: Vec<(MsgId, MessageRow)>,
    due: Vec<(Timestamp, QueueKey, u64)>,
    ready: BTreeMap<QueueKey, Vec<(Timestamp, UnitId)>>,
    units: BTreeMap<QueueKey, Vec<UnitId>>,
    counts: BTreeMap<QueueKey, KeyCount>,
    live: Vec<(u32, u64)>,
    snapshot: Snapshot,
}

fn ask(catalog: &Catalog) -> Result<Said, QueueError> {
    let (mut messages, mut due) = (Vec::new(), Vec::new());
    let (mut ready, mut units) = (BTreeMap::new(), BTreeMap::new());
    catalog.messages(None, &mut |id, row| {
        messages.push((id, row.clone()));
        ControlFlow::Continue(())
    })?;
    catalog.due_keys(None, &mut |first, key, count| {
        due.push((first, key.clone(), count));
        ControlFlow::Continue(())
    })?;
    let mut counts = BTreeMap::new();
    for count in catalog.counts()? {
        let (mut of_ready, mut of_units) = (Vec::new(), Vec::new());
        catalog.ready(&count.key, &mut |due, id| {
            of_ready.push((due, id));
            ControlFlow::Continue(())
        })?;
        catalog.units_of(&count.key, None, &mut |id| {
            of_units.push(id);
            ControlFlow::Continue(())
        })?;
        ready.insert(count.key.clone(), of_ready);
        units.insert(count.key.clone(), of_units);
        counts.insert(count.key.clone(), count);
    }
    Ok(Said { messages, due, ready, units, counts, live: catalog.live()?, snapshot: catalog.snapshot()? })
}

fn say(catalog: &Catalog) -> Said {
    ask(catalog).unwrap()
}

/// Batches of moves with their marks.
fn batches(seed: u64, count: u64) -> Vec<(Vec<Op>, Mark)> {
    let mut moves = Moves::new(seed);
    (1..=count).map(|number| (moves.batch(), mark(number))).collect()
}

fn apply_all(catalog: &Catalog, batches: &[(Vec<Op>, Mark)]) {
    for (ops, mark) in batches {
        catalog.apply(ops, *mark).unwrap();
    }
}

#[test]
fn says_what_the_model_says() {
    for seed in 0..24 {
        let disk = disk();
        let (catalog, found) = open(&disk);
        assert_eq!(found, None);
        let mut model = Model::default();
        for (ops, mark) in batches(seed, 50) {
            let applied = catalog.apply(&ops, mark).unwrap();
            let wanted: Vec<_> = ops.iter().map(|op| model.op(op)).collect();
            assert_eq!(applied, wanted, "seed {seed}, {mark:?}: {ops:#?}");
            assert_eq!(say(&catalog), model.say(), "seed {seed}, {mark:?}: {ops:#?}");
            for number in 0..Moves::MESSAGES {
                let id = id(number);
                assert_eq!(catalog.message(id).unwrap().as_ref(), model.messages.get(&id));
                assert_eq!(catalog.known(id, None).unwrap().is_some(), model.known(id));
            }
        }
    }
}

#[test]
fn a_checkpoint_is_what_comes_back() {
    for seed in 100..112 {
        let disk = disk();
        let batches = batches(seed, 20);
        let (catalog, _) = open(&disk);
        apply_all(&catalog, &batches[..12]);
        let then = say(&catalog);
        assert_eq!(catalog.checkpoint().unwrap(), mark(12));
        apply_all(&catalog, &batches[12..]);
        let last = say(&catalog);

        let disk = Arc::new(disk.power_off(seed));
        let (catalog, found) = open(&disk);
        assert_eq!(found, Some(mark(12)));
        assert_eq!(say(&catalog), then);
        apply_all(&catalog, &batches[12..]);
        assert_eq!(say(&catalog), last);
    }
}

#[test]
fn batches_may_be_applied_again() {
    for seed in 200..220 {
        let (mut moves, mut model) = (Moves::new(seed), Model::default());
        let batches: Vec<_> = (1..=40).map(|number| (moves.proper(&mut model), mark(number))).collect();
        let (catalog, _) = open(&disk());
        apply_all(&catalog, &batches);
        assert_eq!(say(&catalog), model.say());
        for from in [39, 30, 10, 0] {
            apply_all(&catalog, &batches[from..]);
            assert_eq!(say(&catalog), model.say(), "seed {seed}, from {from}");
        }
    }
}

#[test]
fn closing_keeps_all() {
    let disk = disk();
    let batches = batches(1, 10);
    let (catalog, _) = open(&disk);
    apply_all(&catalog, &batches);
    let last = say(&catalog);
    drop(catalog);
    let (catalog, found) = open(&disk);
    assert_eq!(found, Some(mark(10)));
    assert_eq!(say(&catalog), last);
}

#[test]
fn cleared_it_is_empty_and_works() {
    let disk = disk();
    let batches = batches(2, 10);
    let (catalog, _) = open(&disk);
    apply_all(&catalog, &batches);
    let last = say(&catalog);
    catalog.checkpoint().unwrap();
    catalog.clear().unwrap();
    assert_eq!(say(&catalog), Model::default().say());
    assert!(matches!(catalog.checkpoint(), Err(QueueError::Invalid(_))));
    apply_all(&catalog, &batches);
    assert_eq!(say(&catalog), last);
    drop(catalog);
    assert_eq!(open(&disk).1, Some(mark(10)));
}

#[test]
fn without_a_mark_it_begins_anew() {
    let disk = disk();
    drop(open(&disk));
    let (catalog, found) = open(&disk);
    assert_eq!(found, None);
    assert_eq!(say(&catalog), Model::default().say());
}
