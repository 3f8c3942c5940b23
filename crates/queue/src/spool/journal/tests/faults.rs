//! Calls that fail, and power that goes, at any time.

use super::*;
use crate::spool::vfs::played::{Failure, Fault};

/// How many times as many seeds as usual.
fn long() -> u64 {
    std::env::var("HIKYAKU_LONG").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What is known of a journal by those who were answered.
#[derive(Default)]
struct Known {
    acknowledged: Vec<(Mark, Group)>,
    /// Those since that were not, of which one may be there.
    unknown: Vec<Group>,
    /// All before have left, or may have.
    oldest: u32,
    written: usize,
}

impl Known {
    /// Does this many random things, as long as they work.
    fn work(&mut self, life: &mut Life, dice: &mut Dice, steps: u64) {
        for _ in 0..steps {
            let writer = &mut life.opened.writer;
            match dice.below(12) {
                0 => _ = writer.prepare(),
                1 if writer.segments().len() > 2 => {
                    // The rule of the engine: what leaves has been written again.
                    self.oldest = self.oldest.max(writer.segments()[1].number.min(self.current()));
                    let _ = writer.retire_oldest();
                }
                _ => {
                    self.written += 1;
                    let mut group = group(self.written % 7);
                    group.push((Kind::Snapshot, self.written.to_string().into_bytes(), vec![]));
                    if dice.below(8) == 0 {
                        group.push((Kind::Message, vec![], vec![7; dice.below(30_000) as usize]));
                    }
                    match life.append(&group) {
                        Ok((mark, _)) => {
                            assert!(self.acknowledged.iter().all(|(old, _)| old.lsn < mark.lsn), "a number came again");
                            self.acknowledged.push((mark, group));
                            self.unknown.clear();
                        }
                        Err(QueueError::Full | QueueError::Backend(_)) => self.unknown.push(group),
                        Err(QueueError::ReadOnly) => return self.unknown.push(group),
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }
    }

    fn current(&self) -> u32 {
        self.acknowledged.last().map_or(1, |(mark, _)| mark.segment)
    }

    /// A new life tells all that was acknowledged and did not leave; of the rest at most the last
    /// group, whole.
    fn check(&mut self, life: &Life, what: &str) {
        let damaged = &life.opened.damaged;
        assert!(damaged.is_empty(), "{what}: {damaged:?}");
        let mut told = life.told.iter();
        let first = told.clone().next().map(|(mark, ..)| mark.lsn);
        let must = self.acknowledged.iter().filter(|(mark, _)| mark.segment >= self.oldest);
        let may = self.acknowledged.iter().filter(|(mark, _)| mark.segment < self.oldest);
        for (mark, group) in may.filter(|(mark, _)| first.is_some_and(|first| mark.lsn >= first)).chain(must) {
            let (told_mark, _, told_group) = told.next().unwrap_or_else(|| panic!("{what}: {mark:?} is lost"));
            assert_eq!(told_mark, mark, "{what}");
            assert!(told_group == group, "{what}: {mark:?} holds something else");
        }
        if let Some((mark, _, group)) = told.next() {
            assert!(self.unknown.contains(group), "{what}: {mark:?} was never written");
            self.acknowledged.push((*mark, group.clone()));
        }
        assert!(told.next().is_none(), "{what}");
        self.unknown.clear();
        let boots = self.acknowledged.iter().map(|(mark, _)| mark.lsn.boot());
        assert!(boots.max().is_none_or(|boot| boot < life.opened.boot), "{what}");
    }
}

#[test]
fn the_power_goes_at_any_call() {
    for seed in 0..120 * long() {
        let mut dice = Dice(seed);
        let (mut disk, mut known) = (Arc::new(Played::new(seed)), Known::default());
        // Several lives, the power going at any call of each, of opening too.
        for number in 0..4 {
            let what = format!("seed {seed}, life {number}");
            disk.fail(Fault::once(1 + dice.below(60), Failure::Power));
            if let Ok(Some(opened)) = open(&disk, CONFIG, None, &mut |_, _| Ok(())) {
                known.work(&mut Life { opened, told: Vec::new() }, &mut dice, 40);
            }
            disk.heal();
            disk = Arc::new(disk.power_off(dice.below(1 << 20)));
            let life = live(&disk);
            known.check(&life, &what);
            // That start was not in vain either.
            disk = Arc::new(match dice.below(2) {
                0 => disk.power_off(dice.below(1 << 20)),
                _ => disk.kill(seed),
            });
            known.check(&live(&disk), &what);
        }
    }
}

#[test]
fn the_process_dies_and_then_the_power_goes() {
    for seed in 0..60 * long() {
        let mut dice = Dice(seed);
        let (mut disk, mut known) = (Arc::new(Played::new(seed)), Known::default());
        for number in 0..4 {
            let what = format!("seed {seed}, life {number}");
            disk.fail(Fault::from(20 + dice.below(60), [Failure::Io, Failure::Short][dice.below(2) as usize]));
            if let Ok(Some(opened)) = open(&disk, CONFIG, None, &mut |_, _| Ok(())) {
                known.work(&mut Life { opened, told: Vec::new() }, &mut dice, 40);
            }
            // What the next life reads may be in memory only, and what it writes stands behind that.
            disk.heal();
            disk = Arc::new(disk.kill(seed));
            let mut life = live(&disk);
            known.check(&life, &what);
            known.work(&mut life, &mut dice, 3);
            disk = Arc::new(disk.power_off(dice.below(1 << 20)));
            known.check(&live(&disk), &what);
        }
    }
}

/// Whatever fails: nothing of a group that failed counts, and those after it do.
#[test]
fn any_call_fails() {
    for failure in [Failure::Io, Failure::NoSpace, Failure::Short] {
        for lasting in [false, true] {
            for at in 1.. {
                let disk = Arc::new(Played::new(at));
                let (mut known, mut dice) = (Known::default(), Dice(at % 5));
                let mut life = live(&disk);
                disk.fail(Fault { lasting, ..Fault::once(at, failure) });
                known.work(&mut life, &mut dice, 40);
                let failed = disk.heal();
                let what = format!("{failure:?} at {at}, lasting: {lasting}");
                let broken = matches!(life.opened.writer.prepare(), Err(QueueError::ReadOnly));
                if !broken {
                    known.work(&mut life, &mut dice, 4);
                    known.unknown.clear();
                }
                let lost = Arc::new(disk.power_off(at));
                known.check(&live(&lost), &what);
                if !failed {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_failed_sync_is_final() {
    for at in 1..4 {
        let disk = disk();
        let mut life = live(&disk);
        life.append(&group(1)).unwrap();
        disk.fail(Fault { at, counts: |call| call.syncs(), failure: Failure::Io, lasting: false });
        let outcomes = [life.append(&group(2)).err(), life.opened.writer.prepare().err(), life.append(&group(3)).err()];
        assert!(disk.heal());
        let first = outcomes.iter().position(Option::is_some).unwrap();
        assert!(outcomes[first..].iter().all(|error| matches!(error, Some(QueueError::ReadOnly))), "{outcomes:?}");
        let counts = disk.counts();
        assert!(matches!(life.append(&group(4)), Err(QueueError::ReadOnly)));
        assert!(matches!(life.opened.writer.retire_oldest(), Err(QueueError::ReadOnly)));
        assert!(matches!(life.opened.writer.prepare(), Err(QueueError::ReadOnly)));
        assert_eq!(disk.counts(), counts, "nothing more is tried");
    }
}

/// A write that fails leaves its place to the next, also if that is shorter or has no room there.
#[test]
fn the_next_group_takes_the_place_of_one_that_failed() {
    for next in [100, 3_000, 50_000] {
        for failure in [Failure::Io, Failure::NoSpace, Failure::Short] {
            let disk = disk();
            let mut life = live(&disk);
            let of = |len: usize| vec![(Kind::Message, vec![3; len], vec![])];
            life.append(&of(10_000)).unwrap();
            disk.fail(Fault {
                at: 1,
                counts: |call| call == crate::spool::vfs::played::Call::Write,
                failure,
                lasting: false,
            });
            let error = life.append(&of(20_000)).unwrap_err();
            assert_eq!(matches!(error, QueueError::Full), failure == Failure::NoSpace, "{error}");
            disk.heal();
            let (mark, _) = life.append(&of(next)).unwrap();
            assert_eq!(mark.lsn, Lsn((1 << 40) + 1));
            assert_eq!((mark.segment, mark.offset), if next < 50_000 { (1, 16 << 10) } else { (2, PAGE as u32) });
            let lost = Arc::new(disk.power_off(1));
            assert_eq!(live(&lost).groups(), [of(10_000), of(next)]);
        }
    }
}

/// All of a group is on the disk, and the write says that it failed: the power goes before the next.
#[test]
fn a_write_that_failed_and_was_done_is_wiped() {
    for room in [100, 60_000] {
        let disk = disk();
        let mut life = live(&disk);
        let of = |len: usize| vec![(Kind::Message, vec![3; len], vec![])];
        let (before, _) = life.append(&of(10)).unwrap();
        let (mark, _) = live(&Arc::new(disk.copy(1))).append(&of(20)).unwrap();
        disk.fail(Fault::once(1, Failure::Io));
        life.append(&of(30)).unwrap_err();
        disk.heal();
        // As if the system had written it all the same, and the wiping did not happen.
        let copy = Arc::new(disk.copy(1));
        live(&copy).append(&of(30)).unwrap();
        let bytes = copy.contents(Folder::Journal, "0000000000000001.hkj").unwrap();
        let file = disk.open(Folder::Journal, "0000000000000001.hkj").unwrap();
        file.write_all_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
        let (next, _) = life.append(&of(room)).unwrap();
        assert!(next.lsn > before.lsn && mark.lsn > before.lsn);
        let lost = Arc::new(disk.power_off(3));
        assert_eq!(live(&lost).groups(), [of(10), of(room)], "{room}");
    }
}
