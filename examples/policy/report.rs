//! What is printed, for people and for programs, and the exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

/// What came out.
pub(crate) struct Report {
    /// One object.
    pub(crate) json: Value,
    /// The same for people.
    pub(crate) text: String,
    /// Whether the answer is the good one: closed, equivalent, as expected.
    pub(crate) is_good: bool,
}

/// Why nothing came out, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Problem(pub(crate) String);

impl Report {
    pub(crate) fn print(&self, json: bool) -> ExitCode {
        let text = if json { format!("{}\n", self.json) } else { self.text.clone() };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => ExitCode::from(u8::from(!self.is_good)),
            Err(error) => Problem(format!("standard output: {error}")).print(false),
        }
    }
}

impl Problem {
    pub(crate) fn print(&self, json: bool) -> ExitCode {
        eprintln!("policy: {self}");
        if json {
            println!("{}", json!({ "error": self.0 }));
        }
        ExitCode::from(2)
    }
}
