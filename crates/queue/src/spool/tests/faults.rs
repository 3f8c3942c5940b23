//! One call fails, or all do from some call on.

use super::super::vfs::played::{Failure, Fault, Played};
use super::world::*;
use super::*;

/// A story of some steps, in which the n-th call fails; says whether it did.
fn accident(seed: u64, at: u64, failure: Failure, lasting: bool) -> bool {
    let mut dice = Dice::new(seed);
    let mut world = World::new(Played::new(seed));
    world.disk.fail(if lasting { Fault::from(at, failure) } else { Fault::once(at, failure) });
    world.fragile = true;
    let mut broken = false;
    for _ in 0..40 {
        if let Err(error) = world.step(&mut dice) {
            let read_only = world.engine.core.broken().is_some();
            assert!(
                !matches!(error, QueueError::ReadOnly) || read_only,
                "call {at}: {error} although nothing is broken"
            );
            broken |= read_only;
            if read_only || lasting {
                break;
            }
            // It says that it did not happen: then it must not, and the next may.
            world.refused();
        }
    }
    let fired = world.disk.heal();
    if broken {
        let core = world.core();
        assert!(matches!(core.health(), Health::ReadOnly(_)));
        assert!(matches!(core.open_draft(id(999), SizeHint::UNKNOWN), Err(QueueError::ReadOnly)));
        // Where it was the catalog that failed, half a list would hide mail: then there is none.
        let list = world.run(core.list(&Filter::all(), None, 9));
        assert!(matches!(list, Ok(_) | Err(QueueError::Backend(_))), "it can still be read: {list:?}");
    }
    let disk = match dice.below(2) {
        0 => world.disk.kill(seed),
        _ => world.disk.power_off(seed),
    };
    let mut world = world.reopen(disk, at);
    world.fragile = false;
    for _ in 0..10 {
        world.step(&mut dice).unwrap();
    }
    world.check(&format!("call {at}"));
    fired
}

#[test]
fn one_failure_at_any_call_loses_nothing() {
    for failure in [Failure::Io, Failure::NoSpace, Failure::Short] {
        let fired = (1..).take_while(|at| accident(7, *at, failure, false)).count();
        assert!(fired > 50, "{fired} calls failed with {failure:?}");
    }
}

#[test]
fn failures_that_last_lose_nothing() {
    for failure in [Failure::Io, Failure::NoSpace] {
        let fired = (1..).take_while(|at| accident(8, *at, failure, true)).count();
        assert!(fired > 50, "{fired} calls failed with {failure:?}");
    }
}

#[test]
fn a_spool_that_cannot_be_opened_can_be_opened_later() {
    for failure in [Failure::Io, Failure::NoSpace, Failure::Power] {
        for at in 1.. {
            let mut dice = Dice::new(9);
            let mut world = World::new(Played::new(9));
            for _ in 0..30 {
                world.step(&mut dice).unwrap();
            }
            let disk = world.disk.kill(9);
            disk.fail(Fault::once(at, failure));
            let opened = World::open(disk.clone());
            let fired = disk.heal() || disk.is_off();
            drop(opened);
            world.reopen(disk.power_off(at), at);
            if !fired {
                assert!(at > 5, "{at} calls");
                break;
            }
        }
    }
}

#[test]
fn after_a_failed_sync_nothing_is_written() {
    let mut dice = Dice::new(3);
    let mut world = World::new(Played::new(3));
    world.commits(&mut dice).unwrap();
    let core = world.core();
    let draft = core.open_draft(id(150), SizeHint::UNKNOWN).unwrap();
    let syncs = |call: super::super::vfs::played::Call| call.syncs();
    world.disk.fail(Fault { counts: syncs, ..Fault::once(1, Failure::Io) });
    assert!(matches!(world.commits(&mut dice), Err(QueueError::ReadOnly)));
    let written = world.disk.counts().changes;
    assert!(matches!(core.health(), Health::ReadOnly(_)));
    assert!(matches!(world.run(core.act(&Filter::all(), Action::Remove)), Err(QueueError::ReadOnly)));
    assert!(matches!(world.run(core.gate(&QueueKey::new("a.test"), Gate::Paused)), Err(QueueError::ReadOnly)));
    assert!(!world.run(core.list(&Filter::all(), None, 99)).unwrap().entries.is_empty(), "it can still be read");
    assert!(matches!(core.open_draft(id(151), SizeHint::UNKNOWN), Err(QueueError::ReadOnly)));
    let envelope = Envelope::new("<>".parse().unwrap(), now());
    let commit = world.run(draft.commit(envelope, Bytes::new(), vec![unit("a.test", &["<a@a.test>"])], None));
    assert!(matches!(commit, Err(QueueError::ReadOnly)));
    let want = KEYS.map(|key| KeyQuota { key: QueueKey::new(key), max: 9 });
    let claim = world.run(core.claim(WorkerId::new("w"), late(), &want, Duration::from_secs(60)));
    assert!(matches!(claim, Err(QueueError::ReadOnly)), "what came of it could not be told");
    world.engine.tidy();
    assert_eq!(world.disk.counts().changes, written);
    drop(core);
    let disk = world.disk.kill(3);
    let mut world = world.reopen(disk, 3);
    world.commits(&mut dice).unwrap();
}

/// One sync makes all that wait durable, and a small message is nothing but its part of that.
#[test]
fn what_waits_is_synced_as_one() {
    let mut world = World::new(Played::new(4));
    let core = world.core();
    let commit = |n: u16| -> Step<Receipt> {
        let core = Arc::clone(&core);
        Box::pin(async move {
            let mut draft = core.open_draft(id(n), SizeHint::UNKNOWN)?;
            draft.write(Bytes::from(vec![b'x'; 400])).await?;
            let envelope = Envelope::new("<s@s.test>".parse().unwrap(), now());
            draft.commit(envelope, Bytes::new(), vec![unit("a", &["<a@a.test>"])], None).await
        })
    };
    let mut one = |steps: Vec<Step<Receipt>>| {
        let before = world.disk.counts();
        let count = steps.len();
        assert_eq!(run_all(&mut world.engine, steps).into_iter().filter(|receipt| receipt.is_ok()).count(), count);
        let after = world.disk.counts();
        (after.writes - before.writes, after.syncs - before.syncs)
    };
    // The first lays out the next segment.
    one(vec![commit(1)]);
    // The catalog's own writes are not synced.
    assert_eq!(one(vec![commit(40)]).1, 1);
    assert_eq!(one((2..34).map(commit).collect()).1, 1);
}
