use std::path::PathBuf;

use clap::Args;
use hikyaku::policy::{Limits, Rejection};
use serde_json::json;

use crate::report::{Problem, Report};
use crate::{described, source};

#[derive(Args)]
pub(crate) struct Check {
    /// The policy.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Check {
    pub(crate) fn run(self) -> Result<Report, Problem> {
        let policy = source::parse(&self.file)?;
        let (file, limits) = (self.file.display(), Limits::default());
        if let Err(rejection) = policy.admit(&limits) {
            if let Rejection::TooComplex(complex) = &rejection {
                return Err(Problem(format!("{file}: {complex}")));
            }
            let (reason, found) = match &rejection {
                Rejection::Open(found, _) => ("open", Some(found)),
                Rejection::Claim { witness, .. } => ("claim", Some(witness)),
                Rejection::Provisional { witness, .. } => ("provisional", Some(witness)),
                _ => ("rejected", None),
            };
            let text = source::rejected(&self.file, &rejection);
            eprintln!("policy: {text}");
            let json = json!({
                "good": false, "reason": reason, "error": text,
                "witness": found.map(|found| described::witness(found)),
            });
            return Ok(Report { json, text: String::new(), is_good: false });
        }
        let mut notes: Vec<String> = policy.warnings().iter().map(ToString::to_string).collect();
        // What is permitted in all may be too much to tell: without it the file is still good.
        match policy.prove(&limits) {
            Ok(surface) => {
                let told = surface.notes.iter().map(ToString::to_string);
                let told = told.chain(surface.idle.iter().map(ToString::to_string));
                told.for_each(|note| notes.extend((!notes.contains(&note)).then_some(note)));
            }
            Err(complex) => notes.push(format!("what it permits in all is {complex}")),
        }
        let how = if policy.is_declared_open() { "an open relay, as its first line says" } else { "closed" };
        let mut text = format!("{file}: good, {how}; {} rules, {} lists\n", policy.rules().len(), policy.lists().len());
        notes.iter().for_each(|note| text += &format!("{file}: {note}\n"));
        let json = json!({ "good": true, "open": policy.is_declared_open(), "notes": notes });
        Ok(Report { json, text, is_good: true })
    }
}
