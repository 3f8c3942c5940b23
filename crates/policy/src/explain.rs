//! The explanation: the decision, rule by rule.

use crate::{Decision, Facts, Policy, Value};

/// A decision, and how each rule came to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation<'p> {
    /// The decision: the same that [`Policy::decide`] gives.
    pub decision: Decision<'p>,
    /// The rules in order, up to the one that decides.
    pub steps: Vec<Step<'p>>,
}

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step<'p> {
    /// The rule, as it prints.
    pub rule: &'p str,
    /// Its line.
    pub line: usize,
    /// Whether it matches.
    pub value: Value,
    /// Its tests in order: as they print, what they say, and the fact that they look at.
    pub tests: Vec<(String, Value, String)>,
}

impl Policy {
    /// Decides, and says why.
    pub fn explain(&self, facts: &Facts) -> Explanation<'_> {
        let _ = facts;
        unimplemented!("owner: b")
    }
}
