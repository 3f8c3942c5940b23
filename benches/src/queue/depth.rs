//! What a message costs, and what is in memory, while the queue gets deep.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hikyaku_queue::{CountBy, Manage, Queue};

use super::harness::{self, Folder, Until};
use super::ours::{self, Ours};
use super::process;
use super::raw::Raw;

/// So deep it gets.
pub const DEPTH: u64 = 1_000_000;

/// It is looked at after each so many.
pub const STEP: u64 = 50_000;

const PRODUCERS: u64 = 32;

/// The raw limit gets so long beside each step.
const BESIDE: Duration = Duration::from_millis(500);

/// What was seen at one depth.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Messages in the queue.
    pub depth: u64,
    /// Messages a second on the way there.
    pub rate: f64,
    /// Messages a second of the raw limit beside it.
    pub raw: f64,
    /// MiB in memory.
    pub memory: f64,
}

/// What the whole has come to.
#[derive(Debug, Clone)]
pub struct Depth {
    /// All that was seen, in order.
    pub seen: Vec<Seen>,
    /// Milliseconds of `due_keys`, `counts` and a claim when it is deepest.
    pub reads: [f64; 3],
}

impl Depth {
    /// Reads what [`run`] has printed.
    ///
    /// # Panics
    /// It has not.
    pub fn read(figures: &[f64]) -> Self {
        let (seen, reads) = figures.split_at(figures.len() - 3);
        let (seen, rest) = seen.as_chunks::<4>();
        assert!(rest.is_empty(), "four numbers for each depth");
        let seen =
            seen.iter().map(|&[depth, rate, raw, memory]| Seen { depth: depth as u64, rate, raw, memory }).collect();
        Self { seen, reads: [reads[0], reads[1], reads[2]] }
    }

    /// The part of the raw limit that is reached in the last fifth, divided by that in the first.
    pub fn flat(&self) -> f64 {
        let fifth = self.seen.len() / 5;
        let mean = |seen: &[Seen]| seen.iter().map(|seen| seen.rate / seen.raw).sum::<f64>() / seen.len() as f64;
        mean(&self.seen[self.seen.len() - fifth..]) / mean(&self.seen[..fifth])
    }

    /// The most MiB in memory.
    pub fn memory(&self) -> f64 {
        self.seen.iter().map(|seen| seen.memory).fold(0.0, f64::max)
    }
}

/// Fills a queue and prints what is seen.
///
/// # Panics
/// The spool fails.
pub fn run(below: &Path) {
    let (runtime, folder) = (harness::runtime(), Folder::fresh(below, "depth"));
    let raw = Arc::new(Raw::open(&below.join("raw")));
    let ours = Arc::new(Ours::open(&runtime, folder.path(), 1_000));
    let mut figures = Vec::new();
    for step in 1..=DEPTH / STEP {
        let turn = harness::produce(&runtime, &ours, PRODUCERS, Until::Count(STEP));
        let memory = process::memory("VmRSS") as f64 / 1024.0;
        let limit = harness::produce(&runtime, &raw, PRODUCERS, Until::Time(BESIDE));
        figures.extend([(step * STEP) as f64, turn.rate(), limit.rate(), memory]);
    }
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let keys = runtime.block_on(ours.spool().due_keys(ours::NOW, None, 1_000)).expect("keys are due");
    figures.push(ms(start));
    assert_eq!(keys.len(), 1_000, "all destinations are due");
    let start = Instant::now();
    let counts = runtime.block_on(ours.spool().counts(CountBy::Key)).expect("units can be counted");
    figures.push(ms(start));
    assert_eq!(counts.iter().map(|count| count.ready).sum::<u64>(), DEPTH, "nothing is lost");
    let start = Instant::now();
    let claimed = runtime.block_on(ours.claim(&ours.keys()[7], ours::NOW, 32));
    figures.push(ms(start));
    assert_eq!(claimed.len(), 32, "messages are due");
    let words: Vec<_> = figures.iter().map(ToString::to_string).collect();
    println!("{}", words.join(" "));
}
