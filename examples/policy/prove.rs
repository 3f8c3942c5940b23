use std::path::PathBuf;

use clap::Args;
use hikyaku::policy::{Limits, Verdict};

use crate::report::{Problem, Report};
use crate::{described, source};

#[derive(Args)]
pub(crate) struct Prove {
    /// The policy.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Prove {
    pub(crate) fn run(self) -> Result<Report, Problem> {
        let policy = source::parse(&self.file)?;
        let surface = policy.prove(&Limits::default());
        let surface = surface.map_err(|complex| Problem(format!("{}: {complex}", self.file.display())))?;
        let mut text = surface.to_string();
        if let Verdict::Open(witness) = &surface.verdict {
            text += &format!("\nWhy\n{}", policy.explain(&witness.facts));
        }
        let is_good = surface.verdict == Verdict::Closed;
        Ok(Report { json: described::surface(&surface), text, is_good })
    }
}
