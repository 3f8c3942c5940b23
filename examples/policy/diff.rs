use std::path::PathBuf;

use clap::Args;
use hikyaku::policy::{Change, Limits};
use serde_json::{Value, json};

use crate::report::{Problem, Report};
use crate::{described, source};

#[derive(Args)]
pub(crate) struct Diff {
    /// The policy that is in use.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The one that is to take its place.
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

impl Diff {
    pub(crate) fn run(self) -> Result<Report, Problem> {
        let (old, new) = (source::parse(&self.old)?, source::parse(&self.new)?);
        let changes = old.diff(&new, &Limits::default());
        let changes = changes.map_err(|complex| Problem(format!("{}: {complex}", self.new.display())))?;
        let text = match changes.len() {
            0 => "equivalent: every mail is decided alike\n".to_owned(),
            1 => format!("1 change\n\n{}", Change::table(&changes)),
            count => format!("{count} changes\n\n{}", Change::table(&changes)),
        };
        let listed: Vec<Value> = changes.iter().map(described::change).collect();
        let json = json!({ "equivalent": changes.is_empty(), "changes": listed });
        Ok(Report { json, text, is_good: changes.is_empty() })
    }
}
