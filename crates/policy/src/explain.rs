//! The explanation: the decision, rule by rule.

mod words;

use std::fmt;

use crate::{
    Decision, Facts, Policy, Test, Value,
    decide::{View, Watch},
};

/// A decision, and how each rule came to it.
///
/// It prints as a table: a line a rule, with an arrow at the one that decides, and below it a line
/// a test.
///
/// ```
/// # use hikyaku_policy::*;
/// # let (ours, office) = ("example.org".parse()?, "10.0.0.0/8".parse()?);
/// # let policy = Policy::closed(ours, Domains::default(), office)?;
/// let mut facts = Facts::new(Some("10.1.2.3".parse()?), Listener::Mx);
/// facts.sender = Some("<bob@example.org>".parse()?);
/// facts.recipient = Some("<eve@third.example>".parse()?);
/// let text = policy.explain(&facts).to_string();
/// assert_eq!(text.lines().collect::<Vec<_>>(), [
///     "   line 5: no       permit when to local_domains",
///     "            no       to local_domains         recipient <eve@third.example>",
///     "   line 6: no       permit when to relay_domains",
///     "            no       to relay_domains         recipient <eve@third.example>",
///     "-> line 7: yes      permit when from trusted_networks",
///     "            yes      from trusted_networks    client 10.1.2.3",
///     "250 2.1.5 recipient ok, by line 7",
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// Its tests in order: as they print, what they count as, and the fact that they look at, in
    /// words.
    pub tests: Vec<(String, Value, String)>,
}

impl Policy {
    /// Decides, and says why.
    pub fn explain(&self, facts: &Facts) -> Explanation<'_> {
        let view = View::new(&self.index, facts);
        let mut record = Record { policy: self, facts, steps: Vec::new(), tests: Vec::new() };
        let decision = self.decide_watched(&view, &mut record);
        Explanation { decision, steps: record.steps }
    }
}

/// Writes down what it sees.
struct Record<'p, 'f> {
    policy: &'p Policy,
    facts: &'f Facts,
    steps: Vec<Step<'p>>,
    /// Of the next rule.
    tests: Vec<(String, Value, String)>,
}

impl Watch for Record<'_, '_> {
    const WHOLE: bool = true;

    fn test(&mut self, test: &Test, value: Value, counts: Value) {
        let mut fact = words::fact(test, self.facts);
        if value == Value::Unknown {
            fact = format!("{fact}: counts as {counts}");
        }
        self.tests.push((test.to_string(), counts, fact));
    }

    fn rule(&mut self, rule: usize, value: Value) {
        self.steps.push(Step {
            rule: &self.policy.names[rule],
            line: self.policy.line(rule),
            value,
            tests: std::mem::take(&mut self.tests),
        });
    }
}

/// Columns of a test, at most: one that is longer is told whole, and its fact stands behind it.
const TEST_COLUMNS: usize = 48;

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decision, steps } = self;
        let digits = steps.iter().map(|step| step.line.to_string().len()).max().unwrap_or(1);
        let tests = steps.iter().flat_map(|step| &step.tests).map(|(test, ..)| test.chars().count());
        let columns = tests.max().unwrap_or(0).min(TEST_COLUMNS);
        for Step { rule, line, value, tests } in steps {
            let arrow = if decision.line == Some(*line) { "->" } else { "" };
            writeln!(f, "{arrow:2} line {line:>digits$}: {value:7}  {rule}")?;
            for (test, value, fact) in tests {
                let indent = digits + 11;
                writeln!(f, "{:indent$}{value:7}  {test:columns$}    {fact}", "")?;
            }
        }
        write!(f, "{}, ", decision.reply)?;
        match decision.line {
            Some(line) if decision.provisional => writeln!(f, "until a later stage tells whether line {line} matches"),
            Some(line) => writeln!(f, "by line {line}"),
            None => writeln!(f, "because no rule matches"),
        }
    }
}

#[cfg(test)]
mod tests;
