//! What this process holds and has written, and others like it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

/// In the environment of a process that measures one thing.
pub const ONE: &str = "HIKYAKU_BENCH_QUEUE";

/// KiB in memory: `VmRSS` now, `VmHWM` at the most.
///
/// # Panics
/// The system does not say it.
pub fn memory(field: &str) -> u64 {
    number("/proc/self/status", field)
}

/// Bytes that the process has given to the disk.
///
/// # Panics
/// The system does not say it.
pub fn written() -> u64 {
    number("/proc/self/io", "write_bytes")
}

/// Lets the most that was in memory begin anew, where the system can do that.
pub fn forget_most() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn number(file: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(file).expect("the system tells of the process");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("it has the field");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

/// A process that measures something and stays until this is dropped, which kills it.
#[derive(Debug)]
pub struct One {
    child: Child,
    _input: Option<ChildStdin>,
    /// What it has measured.
    pub figures: Vec<f64>,
}

impl One {
    /// Starts this program again to do the thing of this name, and waits for what it prints.
    ///
    /// # Panics
    /// It prints no line of numbers.
    pub fn start(name: &str) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .env(ONE, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs again");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("read");
        let figures = line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        Self { _input: child.stdin.take(), child, figures }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// It fails.
    pub fn ended(mut self) -> Vec<f64> {
        let status = self.child.wait().expect("it was started");
        assert!(status.success(), "a measurement has failed: {status}");
        std::mem::take(&mut self.figures)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
