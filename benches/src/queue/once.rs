//! One measurement, in a process of its own; what it has measured is a line of numbers.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::harness::{self, Folder, TURN, Until, WARM};
use super::ours::{self, Fate, Ours};
use super::raw::Raw;
use super::{PAYLOAD, depth, files, process};

/// So many messages wait where a start is measured.
pub const QUEUED: u64 = 200_000;

/// So many wait before the settlements of a turn.
const TO_SETTLE: u64 = 40_000;

/// So many messages go through a new spool before anything is measured: more than four segments.
const USED: u64 = 64_000;

/// A spool that is empty has so many segments: the one in use, and spare ones.
const SEGMENTS: usize = 3;

/// How long it may take to give segments back.
const PATIENCE: Duration = Duration::from_secs(20);

/// A group of settlements.
const GROUP: u32 = 32;

/// The large message in bytes.
pub const LARGE: u64 = 50 << 20;

/// Measures the thing of this name below this folder.
///
/// # Panics
/// There is no such thing, or it fails.
pub fn run(name: &str, below: &Path) {
    let (what, producers) = name.split_once('-').unwrap_or((name, ""));
    let producers = producers.parse().unwrap_or(0);
    match what {
        "raw" => {
            let runtime = harness::runtime();
            let raw = Arc::new(Raw::open(&below.join("raw")));
            harness::produce(&runtime, &raw, producers, Until::Time(WARM));
            say(&[harness::produce(&runtime, &raw, producers, Until::Time(TURN)).rate()]);
        }
        "files" => {
            let folder = Folder::fresh(below, "files");
            say(&[files::turn(folder.path(), usize::try_from(producers).expect("a few")).rate()]);
        }
        "ours" => ours(below, producers),
        "settle" | "reschedule" => settle(below, if what == "settle" { Fate::Delivered } else { Fate::Rescheduled }),
        "large" => large(below),
        "depth" => depth::run(below),
        "fill" => fill(below),
        "wait" => {
            fill(below);
            // Until it is killed.
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        "start" => start(below),
        _ => panic!("nothing is measured under the name {name}"),
    }
}

fn say(figures: &[f64]) {
    let words: Vec<_> = figures.iter().map(ToString::to_string).collect();
    println!("{}", words.join(" "));
    std::io::stdout().flush().expect("somebody listens");
}

/// Messages a second, and octets written for each octet of a message.
///
/// The spool stays between the turns and is emptied before each, so that its segments have been used
/// before, as those of a relay that has run for a while, and as the blocks of the limit beside it.
fn ours(below: &Path, producers: u64) {
    let (runtime, path) = (harness::runtime(), below.join("ours"));
    let is_new = !path.exists();
    let ours = Arc::new(Ours::open(&runtime, &path, 100));
    if is_new {
        harness::produce(&runtime, &ours, 64, Until::Count(USED));
    }
    ours::empty(&runtime, &ours);
    let segments = || std::fs::read_dir(path.join("journal")).expect("a journal").count();
    let start = Instant::now();
    while segments() > SEGMENTS && start.elapsed() < PATIENCE {
        std::thread::sleep(PATIENCE / 100);
    }
    harness::produce(&runtime, &ours, producers, Until::Time(WARM));
    let before = process::written();
    let turn = harness::produce(&runtime, &ours, producers, Until::Time(TURN));
    let written = process::written() - before;
    say(&[turn.rate(), written as f64 / (turn.done * PAYLOAD) as f64]);
}

fn settle(below: &Path, fate: Fate) {
    let (runtime, folder) = (harness::runtime(), Folder::fresh(below, "settle"));
    let ours = Arc::new(Ours::open(&runtime, folder.path(), 1));
    harness::produce(&runtime, &ours, 64, Until::Count(TO_SETTLE));
    say(&[ours::settle(&runtime, &ours, GROUP, fate).rate()]);
}

/// MiB a second, MiB of memory beyond what was held before, octets written for each octet.
fn large(below: &Path) {
    let (runtime, folder) = (harness::runtime(), Folder::fresh(below, "large"));
    let ours = Arc::new(Ours::open(&runtime, folder.path(), 1));
    harness::produce(&runtime, &ours, 1, Until::Count(100));
    process::forget_most();
    let (held, written, start) = (process::memory("VmRSS"), process::written(), Instant::now());
    runtime.block_on(ours.large(LARGE));
    let took = start.elapsed();
    let most = process::memory("VmHWM").saturating_sub(held) as f64 / 1024.0;
    let written = (process::written() - written) as f64 / LARGE as f64;
    say(&[(LARGE >> 20) as f64 / took.as_secs_f64(), most, written]);
}

fn fill(below: &Path) {
    let (runtime, path) = (harness::runtime(), below.join("start"));
    let _ = std::fs::remove_dir_all(&path);
    let ours = Arc::new(Ours::open(&runtime, &path, 100));
    let turn = harness::produce(&runtime, &ours, 64, Until::Count(QUEUED));
    say(&[turn.rate()]);
    if std::env::var(process::ONE).is_ok_and(|name| name == "wait") {
        // What was filled stays open.
        std::mem::forget((ours, runtime));
    }
}

/// Seconds until the spool is open and the first messages are claimed, and MiB of memory then.
fn start(below: &Path) {
    let (runtime, path) = (harness::runtime(), below.join("start"));
    let start = Instant::now();
    let ours = Ours::open(&runtime, &path, 100);
    let claimed = runtime.block_on(ours.claim(&ours.keys()[0], ours::NOW, GROUP));
    let took = start.elapsed();
    assert_eq!(claimed.len(), GROUP as usize, "what was queued is there");
    say(&[took.as_secs_f64(), process::memory("VmRSS") as f64 / 1024.0]);
}
