//! The power goes, or the process dies, at any call; what was promised is there afterwards.

use super::super::catalog;
use super::super::vfs::Folder;
use super::super::vfs::played::{Failure, Fault, Played};
use super::seen::*;
use super::world::*;
use super::*;

/// So many seeds are played, times `HIKYAKU_LONG`.
const SEEDS: u64 = 200;

fn seeds() -> std::ops::Range<u64> {
    let times = std::env::var("HIKYAKU_LONG").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    0..SEEDS * times
}

/// What was played.
#[derive(Debug, Default)]
struct Sum {
    lives: u64,
    kills: u64,
    steps: u64,
    /// Catalogs that were lost or an older one.
    catalogs: u64,
}

/// Some lives of a spool, each ended by the power or by a kill at some call.
fn lives(seed: u64, sum: &mut Sum) {
    let mut dice = Dice::new(seed);
    let mut world = World::new(Played::new(seed));
    let mut old_catalog: Option<Vec<u8>> = None;
    for life in 0..4 {
        let power = Fault::once(1 + dice.below(150), Failure::Power);
        world.disk.fail(power);
        while world.step(&mut dice).is_ok() && !world.disk.is_off() {
            sum.steps += 1;
        }
        sum.lives += 1;
        let disk = match dice.below(4) {
            0 => {
                sum.kills += 1;
                world.disk.kill(seed ^ life)
            }
            _ => world.disk.power_off(seed ^ life << 32),
        };
        match dice.below(6) {
            0 => {
                sum.catalogs += 1;
                disk.remove(Folder::Root, catalog::FILE).unwrap();
            }
            1 => {
                if let Some(old) = &old_catalog {
                    sum.catalogs += 1;
                    disk.put(Folder::Root, catalog::FILE, old);
                }
            }
            _ => {}
        }
        if dice.below(3) == 0 {
            old_catalog = disk.contents(Folder::Root, catalog::FILE);
        }
        world = world.reopen(disk, seed);
    }
    world.check(&format!("seed {seed}"));
}

#[test]
fn what_was_promised_outlives_the_power() {
    let mut sum = Sum::default();
    let seeds = seeds();
    let count = seeds.end;
    seeds.for_each(|seed| lives(seed, &mut sum));
    let Sum { lives, kills, steps, catalogs } = sum;
    println!(
        "\nsum: {count} seeds, {lives} lives ({kills} ended by a kill), {steps} steps, {catalogs} catalogs lost or old: nothing lost, nothing half, nothing back"
    );
    assert!(steps > 10 * count, "{steps} steps");
}

#[test]
fn a_journal_alone_says_the_same_at_any_time() {
    for seed in 1_000..1_020 {
        let mut dice = Dice::new(seed);
        let mut world = World::new(Played::new(seed));
        for at in 0..300 {
            world.step(&mut dice).unwrap();
            if at % 30 == 29 {
                // A look makes sure that what is lazy is written.
                world.check(&format!("seed {seed}"));
                let copy = world.disk.copy(seed);
                let copy = copy.kill(seed);
                copy.remove(Folder::Root, catalog::FILE).unwrap();
                let mut engine = World::open(copy).unwrap();
                let (there, anew) = (picture(&mut world.engine), picture(&mut engine));
                let there = there.without_leases(&anew);
                assert_eq!(anew, there, "seed {seed}, step {at}");
            }
        }
        let segments = world.engine.core.segments();
        let first = segments.first().unwrap().number;
        assert!(segments.len() < 40, "seed {seed}: {} segments", segments.len());
        drop(segments);
        assert!(first > 0, "seed {seed}: nothing was cleaned");
    }
}
