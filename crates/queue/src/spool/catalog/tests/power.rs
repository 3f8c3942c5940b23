//! What is left when the power goes, or a call fails.

use super::*;
use crate::spool::vfs::played::{Failure, Fault};

/// Batches with a checkpoint behind every second; what is said behind each, the empty one first.
fn story(seed: u64) -> (Vec<(Vec<Op>, Mark)>, Vec<Said>) {
    let batches = batches(seed, 8);
    let mut model = Model::default();
    let mut said = vec![model.say()];
    for (ops, _) in &batches {
        ops.iter().for_each(|op| drop(model.op(op)));
        said.push(model.say());
    }
    (batches, said)
}

/// Tells the story until something fails; how many batches the last checkpoint that worked holds,
/// and the last that was tried.
fn tell(disk: &Arc<Played>, batches: &[(Vec<Op>, Mark)]) -> (usize, usize) {
    let Ok((catalog, None)) = Catalog::open(disk, CACHE) else { return (0, 0) };
    let mut durable = 0;
    for (count, (ops, mark)) in (1..).zip(batches) {
        if catalog.apply(ops, *mark).is_err() {
            return (durable, durable);
        }
        if count % 2 == 0 {
            match catalog.checkpoint() {
                Ok(found) => assert_eq!(found, *mark),
                Err(_) => return (durable, count),
            }
            durable = count;
        }
    }
    std::mem::forget(catalog);
    (durable, durable)
}

fn behind(found: Option<Mark>) -> usize {
    found.map_or(0, |mark| usize::try_from(mark.lsn.0 & 0xffff).unwrap())
}

#[test]
fn the_power_goes_at_any_call() {
    for seed in 0..3 {
        let (batches, said) = story(seed);
        let changes = {
            let disk = disk();
            tell(&disk, &batches);
            disk.counts().changes
        };
        let mut kept = 0;
        for at in 1..=changes + 1 {
            let disk = disk();
            disk.fail(Fault::once(at, Failure::Power));
            let (durable, tried) = tell(&disk, &batches);
            let disk = Arc::new(disk.power_off(seed * 1_000 + at));
            let (catalog, found) = open(&disk);
            let count = behind(found);
            assert!([durable, tried, 0].contains(&count), "seed {seed}, call {at}: {count}, not {durable} or {tried}");
            assert_eq!(say(&catalog), said[count], "seed {seed}, call {at}");
            kept += usize::from(durable > 0 && count >= durable);
            apply_all(&catalog, &batches[count..]);
            assert_eq!(say(&catalog), said[batches.len()], "seed {seed}, call {at}");
        }
        assert!(kept as u64 > changes / 2, "seed {seed}: of {changes} losses of power a checkpoint outlived {kept}");
    }
}

#[test]
fn any_call_fails() {
    for (seed, failure) in [(50, Failure::Io), (51, Failure::NoSpace), (52, Failure::Short)] {
        let (batches, said) = story(seed);
        let changes = {
            let disk = disk();
            tell(&disk, &batches);
            disk.counts().changes
        };
        for at in 1..=changes {
            let disk = disk();
            disk.fail(Fault::once(at, failure));
            tell(&disk, &batches);
            assert!(disk.heal());
            let disk = Arc::new(disk.kill(at));
            let (catalog, found) = open(&disk);
            let count = behind(found);
            assert_eq!(say(&catalog), said[count], "{failure:?} of call {at}");
            apply_all(&catalog, &batches[count..]);
            assert_eq!(say(&catalog), said[batches.len()], "{failure:?} of call {at}");
        }
    }
}

#[test]
fn after_an_error_it_can_begin_anew() {
    let (batches, said) = story(60);
    let changes = {
        let disk = disk();
        tell(&disk, &batches);
        disk.counts().changes
    };
    let mut failed = 0;
    for at in 1..=changes {
        let disk = disk();
        let (catalog, _) = open(&disk);
        disk.fail(Fault::once(at, Failure::Io));
        let broken =
            batches.iter().any(|(ops, mark)| catalog.apply(ops, *mark).is_err() || catalog.checkpoint().is_err());
        disk.heal();
        failed += usize::from(broken);
        if broken {
            catalog.clear().unwrap();
            apply_all(&catalog, &batches);
        }
        assert_eq!(say(&catalog), said[batches.len()], "call {at}");
        catalog.checkpoint().unwrap();
    }
    assert!(failed > 10, "{failed}");
}
