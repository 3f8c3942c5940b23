use clap::Args;
use hikyaku::wire::{AddressErrorKind, Mailbox};
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
        let error = match self.address.parse::<Mailbox>() {
            Ok(mailbox) => {
                lines.line("valid", &mailbox);
                return Report::new(json!({ "valid": true, "address": mailbox.to_string(), "reason": null }), lines);
            }
            Err(error) => error,
        };
        // The grammar allows digits alone at the end of a domain. We do not, since there is no such
        // name (RFC 1123 §2.1); with a letter behind them the rest is seen.
        let numeric = error.kind == AddressErrorKind::NumericDomain;
        let valid = numeric && format!("{}x", self.address).parse::<Mailbox>().is_ok();
        lines.line(if valid { "valid, but refused" } else { "not valid" }, error);
        Report::new(json!({ "valid": valid, "address": null, "reason": error.to_string() }), lines)
    }
}
