//! What is counted between transactions: rates, and who was seen before.

use std::time::Duration;

use hikyaku_wire::Timestamp;

use crate::{Facts, Policy};

/// How many recipients were accepted of late, for each key and window that a policy counts in.
/// Bounded: where too many keys are counted, those that were not seen for longest are forgotten.
#[derive(Clone, Debug)]
pub struct Rates {}

impl Rates {
    /// A table of at most so many keys.
    pub fn new(entries: usize) -> Self {
        let _ = entries;
        unimplemented!("owner: b")
    }

    /// Fills in [`Facts::rates`] for the windows that the policy counts in.
    pub fn fill(&self, policy: &Policy, facts: &mut Facts, now: Timestamp) {
        let _ = (policy, facts, now);
        unimplemented!("owner: b")
    }

    /// Counts a recipient that was accepted.
    pub fn charge(&mut self, policy: &Policy, facts: &Facts, now: Timestamp) {
        let _ = (policy, facts, now);
        unimplemented!("owner: b")
    }
}

/// Who was seen before (greylisting): network of the client, sender and recipient.
#[derive(Clone, Debug)]
pub struct Triplets {}

impl Triplets {
    /// A table of at most so many triplets, each known `wait` after it was first seen, and
    /// forgotten `keep` after it was last seen.
    pub fn new(entries: usize, wait: Duration, keep: Duration) -> Self {
        let _ = (entries, wait, keep);
        unimplemented!("owner: b")
    }

    /// Whether it is known; it is seen now. Without a sender or a recipient nothing is known.
    pub fn see(&mut self, facts: &Facts, now: Timestamp) -> bool {
        let _ = (facts, now);
        unimplemented!("owner: b")
    }

    /// One line a triplet, for [`Triplets::restore`].
    pub fn snapshot(&self) -> String {
        unimplemented!("owner: b")
    }

    /// Takes lines of a snapshot; what is no such line is left out.
    pub fn restore(&mut self, snapshot: &str, now: Timestamp) {
        let _ = (snapshot, now);
        unimplemented!("owner: b")
    }
}
