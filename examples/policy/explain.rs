use std::path::PathBuf;

use clap::Args;
use hikyaku::policy::{Limits, Policy};
use serde_json::{Value, json};

use crate::given::Given;
use crate::plain::{self, Assumed};
use crate::report::{Problem, Report};
use crate::table::table;
use crate::{described, source};

#[derive(Args)]
pub(crate) struct Explain {
    /// The policy.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    given: Given,
}

impl Explain {
    pub(crate) fn run(self) -> Result<Report, Problem> {
        let policy = source::parse(&self.file)?;
        let facts = self.given.facts(&policy);
        let explanation = policy.explain(&facts);
        let mut text = format!("{}\n\n{}", facts.summary(), explanation);
        let assumed = plain::assumed(&policy, &self.given);
        if !assumed.is_empty() {
            text += &format!("\nNot given, and it matters\n{}", told(&assumed));
        }
        let flips = policy.flips(&facts, &Limits::default());
        match &flips {
            Ok(flips) if flips.is_empty() => text += "\nNothing else is decided differently.\n",
            Ok(flips) => {
                text += "\nThe nearest that is decided differently\n";
                for flip in flips {
                    let changes: Vec<String> =
                        flip.changes.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                    let by = flip.line.map_or("no rule matches".to_owned(), |line| format!("line {line}"));
                    text += &format!("  {}: {} ({by})\n", changes.join(", "), flip.verb);
                }
            }
            Err(complex) => text += &format!("\nWhat would be decided differently is {complex}.\n"),
        }
        let mut json = described::decision(&policy, &explanation.decision);
        json["trace"] = explanation.steps.iter().map(described::step).collect();
        json["facts"] = described::facts(&facts);
        json["assumed"] = assumed.iter().map(as_json).collect();
        json["flips"] = match &flips {
            Ok(flips) => flips.iter().map(described::flip).collect(),
            Err(complex) => json!({ "error": complex.to_string() }),
        };
        Ok(Report { json, text, is_good: true })
    }
}

/// The rules with their tests, for whoever asks why something else came.
pub(crate) fn why(policy: &Policy, given: &Given) -> String {
    let assumed = plain::assumed(policy, given);
    let mut text = policy.explain(&given.facts(policy)).to_string();
    for Assumed { name, taken, other, then } in &assumed {
        text += &format!("not given: {name} is taken as {taken}; with {other} it is {then}\n");
    }
    text
}

fn told(assumed: &[Assumed]) -> String {
    let cells = |assumed: &Assumed| {
        let Assumed { name, taken, other, then } = assumed;
        [name, taken, other, then].map(Clone::clone).to_vec()
    };
    table(&["fact", "taken as", "but with", "it is"], &assumed.iter().map(cells).collect::<Vec<_>>())
}

fn as_json(assumed: &Assumed) -> Value {
    let Assumed { name, taken, other, then } = assumed;
    json!({ "fact": name, "taken": taken, "other": other, "then": then })
}
