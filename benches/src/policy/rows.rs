//! The rows of the table: which policy is asked what, and what that may cost.

use hikyaku_policy::{Limits, Policy, PolicyBuilder, Verdict};

use super::adversarial::{self, Shape};
use super::real::{self, LARGE, Size};

/// One row.
pub struct Row {
    /// One word, for programs.
    pub name: &'static str,
    /// What is asked of what, for people.
    pub what: &'static str,
    make: fn() -> PolicyBuilder,
    ask: fn(&Policy) -> String,
    /// Milliseconds that it may take; 0 asks for nothing.
    pub most_ms: u64,
    /// MiB that the process may have held at its peak.
    pub most_mib: u64,
}

const MEMORY: u64 = 200;
const TEN: Size = Size { rules: 10, ..LARGE };
const HUNDRED: Size = Size { rules: 100, ..LARGE };
const DOMAINS: Size = Size { domains: 100_000, ..LARGE };
const TWO: Shape = Shape { facts: 2, negated: 0 };
const THREE: Shape = Shape { facts: 3, negated: 0 };
const THREE_NEGATED: Shape = Shape { facts: 3, negated: 30 };
const FIVE: Shape = Shape { facts: 5, negated: 30 };

fn verdict(policy: &Policy) -> String {
    match policy.verdict(&Limits::default()) {
        Ok(Verdict::Closed) => "closed".to_owned(),
        Ok(Verdict::Open(witness)) => format!("open, line {}", witness.line.unwrap_or_default()),
        Err(complex) => complex.to_string(),
    }
}

fn surface(policy: &Policy) -> String {
    match policy.prove(&Limits::default()) {
        Ok(surface) => format!("{} rows, {} idle rules", surface.rows.len(), surface.idle.len()),
        Err(complex) => complex.to_string(),
    }
}

fn grid(policy: &Policy) -> String {
    match policy.grid(&Limits::default()) {
        Ok(grid) => format!("{} by {} cells", grid.rows.len(), grid.columns.len()),
        Err(complex) => complex.to_string(),
    }
}

fn diff(size: Size, old: &Policy) -> String {
    let new = real::changed(size).build().expect("as well formed as the old one");
    match old.diff(&new, &Limits::default()) {
        Ok(changes) => format!("{} changes", changes.len()),
        Err(complex) => complex.to_string(),
    }
}

/// Every row, in the order of the table.
pub const ALL: &[Row] = &[
    row("verdict_10", "open or closed? 10 rules, 10,000 domains, 1,000 networks", || real::policy(TEN), verdict, 100),
    row("verdict_100", "the same, 100 rules", || real::policy(HUNDRED), verdict, 100),
    row("verdict_1000", "the same, 1,000 rules", || real::policy(LARGE), verdict, 100),
    row("verdict_1000_open", "the same with a hole", || real::open(LARGE), verdict, 100),
    row("verdict_1000_100k", "1,000 rules, 100,000 domains", || real::policy(DOMAINS), verdict, 500),
    row("grid_1000", "the grid, 1,000 rules", || real::policy(LARGE), grid, 1500),
    row("surface_10", "the full surface, 10 rules", || real::policy(TEN), surface, 1500),
    row("surface_100", "the same, 100 rules", || real::policy(HUNDRED), surface, 1500),
    row("surface_1000", "the same, 1,000 rules", || real::policy(LARGE), surface, 1500),
    row("diff_1000", "one of 1,000 rules changed", || real::policy(LARGE), |old| diff(LARGE, old), 200),
    row("diff_1000_100k", "the same, 100,000 domains", || real::policy(DOMAINS), |old| diff(DOMAINS, old), 500),
    row("adv2_1000", "1,000 rules that cross in 2 facts", || adversarial::policy(1000, TWO), verdict, 300),
    row("adv3_1000", "in 3 facts", || adversarial::policy(1000, THREE), verdict, 300),
    row("adv3_1000_closed", "in 3 facts, and closed", || adversarial::closed(1000, THREE), verdict, 300),
    row(
        "adv3n_1000",
        "in 3 facts, of which some are negated",
        || adversarial::policy(1000, THREE_NEGATED),
        verdict,
        300,
    ),
    row("adv5_1000", "in 5 facts, of which some are negated", || adversarial::policy(1000, FIVE), verdict, 2000),
    row("adv3_1000_surface", "the full surface, 3 facts", || adversarial::policy(1000, THREE), surface, 10_000),
    row(
        "adv5_1000_surface",
        "the full surface, 5 facts: an answer or that it is too complex",
        || adversarial::policy(1000, FIVE),
        surface,
        10_000,
    ),
];

const fn row(
    name: &'static str,
    what: &'static str,
    make: fn() -> PolicyBuilder,
    ask: fn(&Policy) -> String,
    most_ms: u64,
) -> Row {
    Row { name, what, make, ask, most_ms, most_mib: MEMORY }
}

impl Row {
    /// The policy, ready to be asked.
    ///
    /// # Panics
    /// It is not well formed.
    pub fn policy(&self) -> Policy {
        (self.make)().build().unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Asks, and gives the answer in words.
    pub fn ask(&self, policy: &Policy) -> String {
        (self.ask)(policy)
    }
}
