use clap::Args;
use hikyaku::wire::Mailbox;
use serde_json::json;

use crate::report::{Lines, Report};

#[derive(Args)]
pub(crate) struct Address {
    /// The address, behind `--` where it may begin with a hyphen.
    #[arg(value_name = "ADDRESS")]
    address: String,
}

impl Address {
    pub(crate) fn run(&self) -> Report {
        let mut lines = Lines::default();
        match self.address.parse::<Mailbox>() {
            Ok(mailbox) => {
                lines.line("valid", &mailbox);
                Report::new(json!({ "valid": true, "address": mailbox.to_string(), "reason": null }), lines)
            }
            Err(error) => {
                lines.line("not valid", error);
                Report::new(json!({ "valid": false, "address": null, "reason": error.to_string() }), lines)
            }
        }
    }
}
