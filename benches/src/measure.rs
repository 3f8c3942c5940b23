//! Times of several tasks side by side. This machine's clock speed wanders, so each round gives
//! every task its turn, a ratio is taken inside the round, and the median of all rounds counts.

use std::hint::black_box;
use std::time::Duration;

use crate::rows::{Asked, Per, Row};
use crate::task::Task;
use crate::{limits, ours, peer};

/// A round gives each task about this much time.
const TURN: Duration = Duration::from_millis(2);
/// So often all tasks are made anew: where their buffers lie in memory moves a copy by a third.
const SITTINGS: usize = 8;

/// What a row has come to.
pub struct Measured {
    /// One word, for programs.
    pub name: &'static str,
    /// What is done, for people.
    pub what: &'static str,
    /// What a figure is for.
    pub per: Per,
    /// What the row must reach.
    pub asked: Asked,
    /// Octets that went in.
    pub octets: usize,
    /// Nanoseconds of hikyaku.
    pub ours: f64,
    /// Nanoseconds of the peer.
    pub peer: Option<f64>,
    /// Nanoseconds of the limits by their names.
    pub limits: Vec<(&'static str, f64)>,
    /// Our time divided by that of the peer.
    pub of_peer: Option<f64>,
    /// Our time divided by that of the first limit.
    pub of_limit: Option<f64>,
    /// Our time beyond the first limit divided by that of the peer.
    pub of_peer_beyond: Option<f64>,
    /// Allocations of hikyaku and of the peer.
    pub allocations: (u64, Option<u64>),
}

impl Measured {
    /// What was asked and is missed, in words.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let limit = self.limits.first().map_or("", |(name, _)| name);
        let of_peer = "of the peer".to_owned();
        for (is, most, of) in [
            (self.of_peer, self.asked.of_peer, of_peer),
            (self.of_limit, self.asked.of_limit, format!("of {limit}")),
            (self.of_peer_beyond, self.asked.of_peer_beyond, format!("of the peer beyond {limit}")),
        ] {
            if let (Some(is), Some(most)) = (is, most)
                && is > most
            {
                missed.push(format!("takes {is:.2} of the time {of}, at most {most:.2} is asked"));
            }
        }
        if self.asked.no_allocation && self.allocations.0 > 0 {
            missed.push(format!("allocates {} times, no allocation is asked", self.allocations.0));
        }
        missed
    }
}

/// The sides of one work.
pub struct Sides {
    /// Of hikyaku.
    pub ours: Task,
    /// Of the peer, if it does such a thing.
    pub peer: Option<Task>,
    /// The limits by their names.
    pub limits: Vec<(&'static str, Task)>,
}

/// Measures one row in so many rounds.
///
/// # Panics
/// The two sides have read different things.
pub fn row(row: &Row, rounds: usize, allocations: (u64, Option<u64>)) -> Measured {
    let work = (row.work)();
    let (ours_read, peer_read) = (ours::read(&work), peer::read(&work));
    if let Some(peer_read) = peer_read {
        assert_eq!(ours_read, peer_read, "{}: hikyaku and smtp-proto have read different things", row.name);
    }
    assert!(!ours_read.iter().any(|word| word.ends_with("false")), "{}: {ours_read:?}", row.name);
    let sides = || Sides { ours: ours::task(&work), peer: peer::task(&work), limits: limits::tasks(&work) };
    sides_of(row, work.octets(), rounds, allocations, sides)
}

/// Measures what is made anew for each sitting.
pub fn sides_of<W>(
    row: &Row<W>,
    octets: usize,
    rounds: usize,
    allocations: (u64, Option<u64>),
    make: impl Fn() -> Sides,
) -> Measured {
    let mut has_peer = false;
    let mut names = Vec::new();
    let mut times: Vec<Vec<f64>> = Vec::new();
    for sitting in 0..SITTINGS {
        // Moves what is allocated behind it to other addresses.
        let spacer = vec![0_u8; 4096 / SITTINGS * sitting];
        let Sides { ours, peer, limits } = make();
        let mut tasks = vec![ours];
        tasks.extend(peer);
        has_peer = tasks.len() > 1;
        names = limits.iter().map(|(name, _)| *name).collect();
        tasks.extend(limits.into_iter().map(|(_, task)| task));
        times.resize(tasks.len(), Vec::new());
        in_turns(&mut tasks, rounds.div_ceil(SITTINGS), &mut times);
        drop(black_box(spacer));
    }

    let first_limit = 1 + usize::from(has_peer);
    let has_limit = times.len() > first_limit;
    let ratio = |other: usize| median(times[0].iter().zip(&times[other]).map(|(ours, other)| ours / other).collect());
    let beyond = || {
        let rounds = times[0].iter().zip(&times[1]).zip(&times[first_limit]);
        median(rounds.map(|((ours, peer), limit)| (ours - limit) / (peer - limit).max(f64::MIN_POSITIVE)).collect())
    };
    Measured {
        name: row.name,
        what: row.what,
        per: row.per,
        asked: row.asked,
        octets,
        ours: median(times[0].clone()),
        peer: has_peer.then(|| median(times[1].clone())),
        limits: names
            .into_iter()
            .zip(&times[first_limit..])
            .map(|(name, times)| (name, median(times.clone())))
            .collect(),
        of_peer: has_peer.then(|| ratio(1)),
        of_limit: has_limit.then(|| ratio(first_limit)),
        of_peer_beyond: (has_peer && has_limit).then(beyond),
        allocations,
    }
}

/// Adds the nanoseconds a run of each task takes in each round to its times. Every second round
/// goes backwards, so that no task always has the same one before it.
fn in_turns(tasks: &mut [Task], rounds: usize, times: &mut [Vec<f64>]) {
    let repeats: Vec<u64> = tasks.iter_mut().map(repeats).collect();
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..tasks.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            times[at].push(tasks[at].time(repeats[at]).as_nanos() as f64 / repeats[at] as f64);
        }
    }
}

/// How often a task must run to fill its turn; warms it up by the way.
fn repeats(task: &mut Task) -> u64 {
    let mut repeats = 1;
    loop {
        let time = task.time(repeats);
        if time >= TURN / 2 || repeats > 1 << 30 {
            let more = TURN.as_secs_f64() / time.as_secs_f64().max(1e-9);
            return ((repeats as f64 * more) as u64).max(1);
        }
        repeats *= 2;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
