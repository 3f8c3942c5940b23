//! Something that can be measured again and again.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A piece of work with all that it needs, ready to run any number of times.
pub struct Task(Box<dyn Run>);

trait Run {
    fn prepare(&mut self);
    fn run(&mut self);
    fn time(&mut self, times: u64) -> Duration;
}

struct Plain<F>(F);

impl<F: FnMut()> Run for Plain<F> {
    fn prepare(&mut self) {}

    fn run(&mut self) {
        (self.0)();
    }

    fn time(&mut self, times: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..times {
            (self.0)();
        }
        start.elapsed()
    }
}

struct Prepared<S, P, F> {
    state: S,
    prepare: P,
    run: F,
}

impl<S, P: FnMut(&mut S), F: FnMut(&mut S)> Run for Prepared<S, P, F> {
    fn prepare(&mut self) {
        (self.prepare)(&mut self.state);
    }

    fn run(&mut self) {
        (self.run)(&mut self.state);
    }

    fn time(&mut self, times: u64) -> Duration {
        let clock = clock();
        let mut sum = Duration::ZERO;
        for _ in 0..times {
            (self.prepare)(black_box(&mut self.state));
            let start = Instant::now();
            (self.run)(black_box(&mut self.state));
            sum += start.elapsed().saturating_sub(clock);
        }
        sum
    }
}

/// What looking at the clock twice costs.
fn clock() -> Duration {
    (0..100).map(|_| Instant::now().elapsed()).min().unwrap_or_default()
}

impl Task {
    /// Work that leaves everything as it was.
    pub fn plain(run: impl FnMut() + 'static) -> Self {
        Self(Box::new(Plain(run)))
    }

    /// Work that uses something up; `prepare` brings it back and is not measured.
    pub fn prepared<S: 'static>(
        state: S,
        prepare: impl FnMut(&mut S) + 'static,
        run: impl FnMut(&mut S) + 'static,
    ) -> Self {
        Self(Box::new(Prepared { state, prepare, run }))
    }

    /// Makes ready for one [`run`](Self::run).
    pub fn prepare(&mut self) {
        self.0.prepare();
    }

    /// Runs once.
    pub fn run(&mut self) {
        self.0.run();
    }

    /// Prepares and runs several times, and gives the time of the runs alone.
    pub fn time(&mut self, times: u64) -> Duration {
        self.0.time(times)
    }
}
