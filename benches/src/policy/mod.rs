//! The policy engine: policies of a size that nobody writes by hand, and what is asked of a proof.
//!
//! There is no peer, for no mail system proves anything: the bounds are times and memory, and
//! for a decision what looking its facts up costs.

pub mod adversarial;
pub mod decide;
pub mod real;
pub mod rows;
pub mod small;

use crate::task::Task;

/// The work of a row whose instructions are counted: a decision, or a question about the small policy.
///
/// # Panics
/// There is no such row.
pub fn task(row: &str) -> Task {
    match decide::ALL.iter().find(|decide| decide.name == row) {
        Some(decide) => decide.task(),
        None => small::task(row),
    }
}

/// Numbers that look random, the same in each run (splitmix64).
pub struct Numbers(u64);

impl Numbers {
    /// Those that begin with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One below `n`, which is at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % n as u64) as usize
    }
}
