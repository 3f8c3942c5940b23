//! What the spool does for itself: cleaning, and what becomes of parts that are lost, full or damaged.

use std::collections::BTreeMap;

use super::super::catalog::{self, Catalog, FINISHED, Op, Snapshot};
use super::super::entry::{LOST, Told};
use super::super::journal::{Lsn, Mark};
use super::super::vfs::played::{Call, Failure, Fault, Played};
use super::super::vfs::{Folder, Space};
use super::seen::*;
use super::world::*;
use super::*;
use crate::{Attempt, Next, RcptState, StateKind, UnitId};

fn key(name: &str) -> QueueKey {
    QueueKey::new(name)
}

fn attempt(code: u16, class: u8) -> Attempt {
    use hikyaku_wire::{Code, EnhancedCode, Reply};
    Attempt::new(now(), Reply::new(Code::new(code).unwrap(), EnhancedCode::new(class, 1, 1), "said"))
}

/// Every third one stays in the queue for long.
async fn work(spool: Spool, task: u16) -> BTreeMap<MsgId, u32> {
    let mut kept = BTreeMap::new();
    let name = format!("key{task}");
    let want = [KeyQuota { key: key(&name), max: 2 }];
    for step in 0..90 {
        let id = id(task * 100 + step);
        let mut draft = spool.draft(id, SizeHint::UNKNOWN).await.unwrap();
        draft.write(Bytes::from(vec![step as u8; 6_000 + usize::from(step % 9 / 8) * 90_000])).await.unwrap();
        let mut unit = unit(&name, &["<a@a.test>"]);
        if step % 3 == 0 {
            unit.due = late();
        }
        let envelope = Envelope::new("<s@s.test>".parse().unwrap(), now());
        draft.commit(envelope, Bytes::from_static(b"R: x\r\n"), vec![unit], None).await.unwrap();
        kept.insert(id, 0);
        // The long-lived are tried too, from time to time, while they may be on the move.
        let at = if step % 8 == 7 { late() } else { now() };
        let claimed = spool.claim(WorkerId::new("w"), at, &want, Duration::from_secs(1 << 20)).await.unwrap();
        for claimed in claimed {
            let (lease, no) = (claimed.lease, claimed.rcpts[0].no);
            assert_eq!(claimed.attempts, kept[&lease.unit.msg]);
            let is_last = !number(lease.unit.msg).is_multiple_of(3);
            let (state, next, how) = match is_last {
                true => (RcptState::Relayed(attempt(250, 2)), Next::Finish, Durability::Sync),
                false => (RcptState::Deferred(attempt(451, 4)), Next::RetryAt(late()), Durability::Lazy),
            };
            let mut settlement = Settlement::new(next);
            settlement.results = vec![(no, state)];
            spool.settle(lease, settlement, how).await.unwrap();
            match is_last {
                true => _ = kept.remove(&lease.unit.msg),
                false => *kept.get_mut(&lease.unit.msg).unwrap() += 1,
            }
        }
    }
    kept
}

fn number(id: MsgId) -> u16 {
    let [.., high, low] = *id.as_bytes();
    u16::from_be_bytes([high, low])
}

async fn listed(spool: &Spool) -> Vec<crate::Entry> {
    spool.list(&Filter::all(), None, usize::MAX).await.unwrap().entries
}

#[test]
fn live_mail_moves_while_it_is_worked_on() {
    let spools = Spools {
        config: SpoolConfig { segment: 256 << 10, reserve_bytes: 0, ..SpoolConfig::default() },
        ..Spools::new()
    };
    let spool = spools.fresh();
    let kept = spools.runtime.block_on(async {
        let tasks: Vec<_> = (0..4).map(|task| tokio::spawn(work(spool.clone(), task))).collect();
        let mut kept = BTreeMap::new();
        for task in tasks {
            kept.extend(task.await.unwrap());
        }
        kept
    });
    let look = |spool: &Spool| {
        spools.runtime.block_on(async {
            let entries = listed(spool).await;
            for entry in &entries {
                let body = spool.body(entry.unit.msg).await.unwrap();
                assert_eq!(entry.size, body.len() + 6);
                let last = body.read_at(body.len() - 1, 9).await.unwrap();
                assert_eq!(last[0], (number(entry.unit.msg) % 100) as u8);
            }
            entries
        })
    };
    let before = look(&spool);
    let found: BTreeMap<MsgId, u32> = before.iter().map(|entry| (entry.unit.msg, entry.attempts)).collect();
    assert_eq!(found, kept);
    let first = files(&spool.directory().join("journal"))[0].clone();
    let first = u32::from_str_radix(first.trim_end_matches(".hkj"), 16).unwrap();
    assert!(first > 1, "the oldest segments are gone, with live mail in each of them");
    let path = spools.close(spool);
    std::fs::remove_file(path.join("index.redb")).unwrap();
    let spool = spools.open(&path);
    assert_eq!(spool.quarantined(), []);
    let unleased = |entries: Vec<crate::Entry>| -> Vec<_> {
        entries.into_iter().map(|entry| crate::Entry { state: crate::UnitState::Ready, ..entry }).collect()
    };
    assert_eq!(unleased(look(&spool)), unleased(before));
    spools.runtime.block_on(async {
        for n in (0..4).flat_map(|task| (0..90).map(move |step| task * 100 + step)) {
            let receipt = commit(&spool, n, b"again").await.unwrap();
            assert!(receipt.duplicate, "{n} was here");
        }
    });
}

/// The spool is copied in the middle; then the copy gets the catalog of what came later.
#[test]
fn a_catalog_from_the_future_is_made_anew() {
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        let mut world = World::new(Played::new(seed));
        let some_steps = |world: &mut World, dice: &mut Dice| (0..40).for_each(|_| world.step(dice).unwrap());
        some_steps(&mut world, &mut dice);
        world.check("before");
        let early = world.disk.copy(seed).kill(seed);
        let mut own = World::open(early.copy(seed).kill(seed)).unwrap();
        some_steps(&mut world, &mut dice);
        world.engine.tidy();
        let late = world.disk.contents(Folder::Root, catalog::FILE).unwrap();
        early.put(Folder::Root, catalog::FILE, &late);
        let mut engine = World::open(early).unwrap();
        assert_eq!(picture(&mut engine), picture(&mut own), "seed {seed}");
    }
}

#[test]
fn a_full_disk_takes_no_message_and_every_settlement() {
    let mut world = World::new(Played::new(1));
    world.set(SpoolConfig { reserve_bytes: 1 << 20, ..config() });
    let core = world.core();
    let commit = |draft: draft::Draft<Played>| {
        let envelope = Envelope::new("<s@s.test>".parse().unwrap(), now());
        draft.commit(envelope, Bytes::new(), vec![unit("a", &["<a@a.test>"])], None)
    };
    for n in 1..4 {
        let draft = core.open_draft(id(n), SizeHint::UNKNOWN).unwrap();
        world.run(commit(draft)).unwrap();
    }
    let begun = core.open_draft(id(4), SizeHint::UNKNOWN).unwrap();
    world.disk.set_space(Space { free: 1 << 20, total: 1 << 40 });
    assert!(core.open_draft(id(5), SizeHint::UNKNOWN).is_ok());
    assert!(matches!(core.open_draft(id(6), SizeHint(Some(1))), Err(QueueError::Full)));
    world.disk.set_space(Space { free: (1 << 20) - 1, total: 1 << 40 });
    assert!(matches!(core.open_draft(id(7), SizeHint::UNKNOWN), Err(QueueError::Full)));
    assert_eq!(core.health(), Health::Ok);
    world.run(commit(begun)).unwrap();
    let want = [KeyQuota { key: key("a"), max: 1 }];
    let claimed = world.run(core.claim(WorkerId::new("w"), now(), &want, Duration::from_secs(60))).unwrap();
    let mut settlement = Settlement::new(Next::Finish);
    settlement.results = vec![(claimed[0].rcpts[0].no, RcptState::Relayed(attempt(250, 2)))];
    assert!(world.run(core.settle(claimed[0].lease, settlement, Durability::Sync)).unwrap().message_done);
    assert_eq!(world.run(core.act(&Filter::all(), Action::Remove)).unwrap(), 3);
    world.run(core.gate(&key("a"), Gate::Paused)).unwrap();
}

/// A commit of a message of one unit; the text is long if it is a file of its own.
fn put(world: &mut World, n: u16, long: bool) {
    let core = world.core();
    let receipt = world.run(async move {
        let mut draft = core.open_draft(id(n), SizeHint::UNKNOWN)?;
        draft.write(Bytes::from(vec![n as u8; if long { 20_000 } else { 500 }])).await?;
        let envelope = Envelope::new("<s@s.test>".parse().unwrap(), now());
        draft.commit(envelope, Bytes::new(), vec![unit("a", &["<a@a.test>"])], None).await
    });
    assert!(!receipt.unwrap().duplicate);
}

#[test]
fn texts_of_nobody_go() {
    let mut world = World::new(Played::new(2));
    let blobs = |disk: &Played| -> Vec<String> {
        (0..=u8::MAX).flat_map(|byte| disk.names(Folder::Blobs(byte)).unwrap()).collect()
    };
    let seal = |world: &mut World, n: u16| {
        let core = world.core();
        world.run(async move {
            let mut draft = core.open_draft(id(n), SizeHint::UNKNOWN)?;
            draft.write(Bytes::from(vec![b'x'; 20_000])).await?;
            let envelope = Envelope::new("<>".parse().unwrap(), now());
            draft.seal(envelope, Bytes::new(), vec![unit("a", &["<a@a.test>"])]).await
        })
    };
    put(&mut world, 1, true);
    put(&mut world, 2, true);
    assert_eq!(blobs(&world.disk), [id(1).to_string(), id(2).to_string()]);
    let core = world.core();
    assert_eq!(world.run(core.act(&Filter::message(id(1)), Action::Remove)).unwrap(), 1);
    assert_eq!(blobs(&world.disk), [id(2).to_string()], "it goes with its message");
    drop(seal(&mut world, 3).unwrap());
    assert_eq!(blobs(&world.disk), [id(2).to_string()], "it goes with what was not settled");
    let sealed = seal(&mut world, 4).unwrap();
    let disk = world.disk.kill(2);
    assert_eq!(blobs(&disk).len(), 2);
    drop((sealed, core));
    disk.put(Folder::Blobs(9), &id(9).to_string(), b"text");
    let engine = World::open(disk.clone()).unwrap();
    assert_eq!(blobs(&disk), [id(2).to_string()], "the start removes what nobody has");
    drop(engine);
    // Where the journal is damaged, somebody may have it.
    let disk = disk.kill(2);
    flip(&disk, &id(2).to_string());
    disk.remove(Folder::Root, catalog::FILE).unwrap();
    let engine = World::open(disk.clone()).unwrap();
    assert_eq!(engine.core.quarantined.len(), 1, "{:?}", engine.core.quarantined);
    assert!(matches!(engine.core.health(), Health::Degraded(_)));
    assert_eq!(blobs(&disk), [""; 0]);
    let aside = disk.names(Folder::Lost).unwrap();
    assert!(aside.contains(&format!("text.{}", id(2))), "{aside:?}");
}

/// Changes a bit of the journal where this stands first.
fn flip(disk: &Played, what: &str) {
    for name in disk.names(Folder::Journal).unwrap() {
        let mut bytes = disk.contents(Folder::Journal, &name).unwrap();
        if let Some(at) = bytes.windows(what.len()).position(|part| part == what.as_bytes()) {
            bytes[at] ^= 1;
            return disk.put(Folder::Journal, &name, &bytes);
        }
    }
    panic!("{what} stands nowhere");
}

#[test]
fn a_damaged_record_is_held_and_told() {
    let mut world = World::new(Played::new(5));
    (1..=3).for_each(|n| put(&mut world, n, false));
    world.engine.tidy();
    let disk = world.disk.kill(5);
    flip(&disk, &id(2).to_string());
    drop(world);
    let want = [KeyQuota { key: key("a"), max: 9 }];
    let claim = |world: &mut World| {
        let core = world.core();
        world.run(core.claim(WorkerId::new("w"), now(), &want, Duration::from_secs(60))).unwrap()
    };
    let held = |world: &mut World| {
        let core = world.core();
        let held = Filter { state: Some(StateKind::Held), ..Filter::all() };
        world.run(core.list(&held, None, 9)).unwrap().entries
    };
    let mut world = World::new(disk);
    let ids: Vec<UnitId> = claim(&mut world).iter().map(|claimed| claimed.lease.unit).collect();
    assert_eq!(ids, [id(1), id(3)].map(|msg| UnitId { msg, unit: 0 }));
    let entries = held(&mut world);
    assert_eq!(entries.iter().map(|entry| entry.unit.msg).collect::<Vec<_>>(), [id(2)]);
    assert_eq!(entries[0].state, crate::UnitState::Held(crate::HoldReason::new(LOST)));
    assert_eq!(entries[0].key, key("a"));
    assert!(matches!(world.core().health(), Health::Degraded(_)));
    let core = world.core();
    assert!(matches!(world.run(core.body(id(2))), Err(QueueError::Corrupt { .. })));
    drop(core);
    // It is so in the next life too, and when it was written again elsewhere.
    let mut world = World::new(world.disk.power_off(5));
    assert_eq!(held(&mut world).len(), 1);
    assert_eq!(claim(&mut world).len(), 2);
    let core = world.core();
    assert_eq!(world.run(core.act(&Filter::message(id(2)), Action::Remove)).unwrap(), 1);
    assert_eq!(held(&mut world), []);
}

#[test]
fn a_disk_that_does_not_answer_is_no_damage() {
    let mut world = World::new(Played::new(6));
    (1..=2).for_each(|n| put(&mut world, n, false));
    let want = [KeyQuota { key: key("a"), max: 1 }];
    let core = world.core();
    let claim = |world: &mut World, at: Timestamp| {
        let core = world.core();
        world.run(core.claim(WorkerId::new("w"), at, &want, Duration::from_secs(60))).unwrap()
    };
    let refuse = |world: &World| {
        let reads = |call: Call| call == Call::Read;
        world.disk.fail(Fault { counts: reads, ..Fault::from(1, Failure::Io) });
    };
    refuse(&world);
    assert!(matches!(world.run(core.act(&Filter::all(), Action::Retry(now()))), Err(QueueError::Backend(_))));
    assert!(matches!(world.run(core.body(id(1))).err(), Some(QueueError::Backend(_))));
    assert_eq!(world.run(core.list(&Filter::all(), None, 9)).unwrap().entries.len(), 2);
    assert_eq!(claim(&mut world, now()), []);
    assert!(world.disk.heal());
    assert!(matches!(core.health(), Health::Degraded(_)));
    // It is not in the way of the next one, and whole when its time comes again.
    assert_eq!(claim(&mut world, now())[0].lease.unit.msg, id(2));
    let again = claim(&mut world, now().saturating_add(Duration::from_secs(60)));
    assert_eq!((again[0].lease.unit.msg, again[0].rcpts.len()), (id(1), 1));
}

#[test]
fn a_snapshot_fits_into_its_segment() {
    let disk = Arc::new(Played::new(7));
    let (catalog, _) = Catalog::open(&disk, 1 << 20).unwrap();
    let finished: Vec<MsgId> = (0..FINISHED as u16).map(id).collect();
    let idem = |(n, id): (usize, &MsgId)| (IdemKey::new([n as u8; 32]), *id, now());
    let idem: Vec<_> = finished.iter().enumerate().take(256).map(idem).collect();
    let mark = Mark { lsn: Lsn(1 << 40), segment: 1, offset: 4_096, check: 0 };
    catalog.apply(&[Op::Snapshot(Snapshot { gates: Vec::new(), finished: finished.clone(), idem })], mark).unwrap();
    for (segment, kept) in [(64 << 10, 128), (1 << 20, 2_048), (64 << 20, FINISHED)] {
        let told = Told::snapshot(&catalog, segment).unwrap();
        let len = told.entry(Vec::new()).unwrap().len();
        assert!(len < segment / 2, "{len} of {segment}");
        let Told::Snapshot(snapshot) = told else { panic!("{told:?}") };
        assert_eq!(snapshot.finished, finished[FINISHED - kept..], "the newest stay");
        assert_eq!(snapshot.idem.len(), kept.min(256));
    }
}
