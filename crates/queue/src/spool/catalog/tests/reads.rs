//! Places to read on from, windows, and bounds.

use super::*;
use crate::spool::catalog::late::UNITS;

fn row(number: u32, name: &str, due: i64) -> Op {
    let place = place(number / 5_000, number);
    put(numbered(number), message(place, [(0, unit(name, due, place))]))
}

fn numbered(number: u32) -> MsgId {
    MsgId::new(at(i64::from(number)), [7; 10])
}

#[test]
fn pages_begin_where_they_are_told() {
    let (catalog, _) = open(&disk());
    let ops = [row(1, "a", 5), row(2, "b", 5), row(3, "c", 4), row(4, "b", 9), row(5, "bb", -1)];
    catalog.apply(&ops, mark(1)).unwrap();
    let due = |from: Option<(i64, &str)>, most: usize| {
        let mut seen = Vec::new();
        let from = from.map(|(due, name)| (at(due), key(name)));
        let visit = &mut |due: Timestamp, key: &QueueKey, count: u64| {
            seen.push((due.as_millis(), key.to_string(), count));
            if seen.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        catalog.due_keys(from, visit).unwrap();
        seen
    };
    let all: Vec<(i64, String, u64)> = [(-1, "bb", 1), (4, "c", 1), (5, "a", 1), (5, "b", 2)]
        .into_iter()
        .map(|(due, name, count)| (due, name.to_owned(), count))
        .collect();
    assert_eq!(due(None, 9), all);
    assert_eq!(due(None, 2), all[..2]);
    assert_eq!(due(Some((5, "a")), 9), all[2..]);
    assert_eq!(due(Some((5, "aa")), 9), all[3..]);
    assert_eq!(due(Some((0, "zzz")), 1), all[1..2]);

    let messages = |after: Option<u32>, most: usize| {
        let mut seen = Vec::new();
        let visit = &mut |id: MsgId, _: &MessageRow| {
            seen.push(id.timestamp().as_millis());
            if seen.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        catalog.messages(after.map(numbered), visit).unwrap();
        seen
    };
    assert_eq!(messages(None, 9), [1, 2, 3, 4, 5]);
    assert_eq!(messages(Some(2), 2), [3, 4]);
    assert_eq!(messages(Some(5), 9), [0; 0]);

    let units = |name: &str, after: Option<UnitId>, most: usize| {
        let mut seen = Vec::new();
        let visit = &mut |id: UnitId| {
            seen.push(id.msg.timestamp().as_millis());
            if seen.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        catalog.units_of(&key(name), after, visit).unwrap();
        seen
    };
    assert_eq!(units("b", None, 9), [2, 4]);
    assert_eq!(units("b", None, 1), [2]);
    assert_eq!(units("b", Some(UnitId { msg: numbered(2), unit: 0 }), 9), [4]);
    assert_eq!(units("nobody", None, 9), [0; 0]);

    let mut first = None;
    let visit = &mut |due, _| {
        assert_eq!(first.replace(due), None);
        ControlFlow::Break(())
    };
    catalog.ready(&key("b"), visit).unwrap();
    assert_eq!(first, Some(at(5)));
}

#[test]
fn an_idempotence_key_is_known_for_its_window() {
    let (catalog, _) = open(&disk());
    let hour = 3_600_000;
    let idem = IdemKey::new([1; 32]);
    let place = place(1, 1);
    let row = message(place, [(0, unit("a", 1, place))]);
    catalog.apply(&[Op::Message { id: id(1), row, idem: Some((idem, at(1_000))) }], mark(1)).unwrap();
    catalog.apply(&[units(id(1), [(0, None)])], mark(2)).unwrap();
    let known = |now| catalog.known(id(2), Some((idem, at(now)))).unwrap();
    assert_eq!(known(1_000), Some(id(1)));
    assert_eq!(known(999 + hour), Some(id(1)));
    assert_eq!(known(1_000 + hour), None);
    assert_eq!(catalog.known(id(2), Some((IdemKey::new([2; 32]), at(1_000)))).unwrap(), None);
    assert_eq!(catalog.known(id(1), None).unwrap(), Some(id(1)));
}

#[test]
fn the_newest_finished_are_remembered() {
    let disk = disk();
    let (catalog, _) = open(&disk);
    let most = u32::try_from(FINISHED).unwrap();
    let ops: Vec<_> = (0..most + 10).map(|number| units(numbered(number), [])).collect();
    catalog.apply(&ops[..100], mark(1)).unwrap();
    catalog.checkpoint().unwrap();
    catalog.apply(&ops[100..], mark(2)).unwrap();
    let told = Snapshot { finished: vec![id(9)], ..Snapshot::default() };
    catalog.apply(&[Op::Snapshot(told)], mark(3)).unwrap();
    catalog.checkpoint().unwrap();
    let wanted: Vec<_> = (10..most + 10).map(numbered).collect();
    assert_eq!(catalog.snapshot().unwrap().finished, wanted);
    assert_eq!(catalog.known(numbered(9), None).unwrap(), None);
    let (catalog, found) = open(&Arc::new(disk.power_off(1)));
    assert_eq!(found, Some(mark(3)));
    assert_eq!(catalog.snapshot().unwrap().finished, wanted);
}

#[test]
fn what_is_written_late_is_bounded_and_what_came_and_went_never_is() {
    let (catalog, _) = open(&disk());
    let waiting = || lock(&catalog.store().late).waiting();
    let ops: Vec<_> = (0..u32::try_from(UNITS).unwrap()).map(|number| row(number, "a", 1)).collect();
    let (last, others) = ops.split_last().unwrap();
    catalog.apply(others, mark(1)).unwrap();
    assert_eq!(waiting(), UNITS - 1);
    for number in 0..100 {
        catalog.apply(&[units(numbered(number), [(0, None)])], mark(2)).unwrap();
    }
    assert_eq!(waiting(), UNITS - 101);
    catalog.apply(std::slice::from_ref(last), mark(3)).unwrap();
    catalog.apply(&others[..100], mark(4)).unwrap();
    assert_eq!(waiting(), 0);
    assert_eq!(catalog.counts().unwrap()[0].ready, UNITS as u64);
}

#[test]
fn a_file_of_more_than_one_block_of_pages() {
    let disk = disk();
    let (catalog, _) = open(&disk);
    for batch in 0..30 {
        let ops: Vec<_> = (0..1_000)
            .map(|number| row(batch * 1_000 + number, &format!("key-{}.example", number % 7), i64::from(number % 3)))
            .collect();
        catalog.apply(&ops, mark(u64::from(batch) + 1)).unwrap();
        if batch % 10 == 9 {
            catalog.checkpoint().unwrap();
        }
    }
    let said = say(&catalog);
    assert_eq!(said.messages.len(), 30_000);
    let good = disk.contents(Folder::Root, FILE).unwrap();
    assert!(good.len() > 1_030 * 4_096, "{}", good.len());
    let disk = Arc::new(disk.power_off(1));
    let (catalog, found) = open(&disk);
    assert_eq!(found, Some(mark(30)));
    assert_eq!(say(&catalog), said);
    drop(catalog);
    // The checksums of the second block.
    let mut bad = disk.contents(Folder::Root, FILE).unwrap();
    bad[1_025 * 4_096..][..4_096].fill(0);
    disk.put(Folder::Root, FILE, &bad);
    let (catalog, found) = open(&disk);
    assert!(found.is_none() || ask(&catalog).is_err());
}
