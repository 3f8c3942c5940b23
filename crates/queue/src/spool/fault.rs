//! Lets a step of the disk fail, so that the tests can look at what is left.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Fault {
    done: AtomicU64,
    /// The number of the step that fails, from 1; 0 for none.
    at: AtomicU64,
    /// No step after it works either: the process is dead.
    dead: AtomicBool,
    steps: Mutex<Vec<&'static str>>,
}

impl Fault {
    /// From now on the n-th step fails, and all after it if `dead`.
    pub(crate) fn arm(&self, at: u64, dead: bool) {
        self.done.store(0, Ordering::SeqCst);
        self.steps.lock().unwrap().clear();
        self.dead.store(dead, Ordering::SeqCst);
        self.at.store(at, Ordering::SeqCst);
    }

    /// Whether the step was reached.
    pub(crate) fn fired(&self) -> bool {
        let at = self.at.load(Ordering::SeqCst);
        at > 0 && self.done.load(Ordering::SeqCst) >= at
    }

    /// The steps since it was armed.
    pub(crate) fn steps(&self) -> Vec<&'static str> {
        self.steps.lock().unwrap().clone()
    }

    pub(super) fn step(&self, what: &'static str) -> io::Result<()> {
        self.steps.lock().unwrap().push(what);
        let done = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        let at = self.at.load(Ordering::SeqCst);
        let fails = at > 0 && (done == at || (done > at && self.dead.load(Ordering::SeqCst)));
        if fails { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
    }
}
