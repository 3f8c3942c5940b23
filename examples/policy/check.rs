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
        // What is doubtful is not what makes a policy wrong: without it the file is still good.
        let surface = policy.prove(&limits);
        let notes: Vec<String> = match &surface {
            Ok(surface) => {
                let idle = surface.idle.iter().map(ToString::to_string);
                surface.notes.iter().map(ToString::to_string).chain(idle).collect()
            }
            Err(complex) => vec![format!("what it permits in all is {complex}")],
        };
        let how = if policy.is_declared_open() { "an open relay, as its first line says" } else { "closed" };
        let mut text = format!("{file}: good, {how}; {} rules, {} lists\n", policy.rules().len(), policy.lists().len());
        notes.iter().for_each(|note| text += &format!("{file}: {note}\n"));
        let json = json!({ "good": true, "open": policy.is_declared_open(), "notes": notes });
        Ok(Report { json, text, is_good: true })
    }
}
