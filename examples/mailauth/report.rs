//! What is printed, for people and for programs.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

/// What came out.
pub(crate) struct Report {
    /// One object.
    pub(crate) json: Value,
    /// The same for people, to the octet.
    pub(crate) text: Vec<u8>,
}

/// Why nothing came out, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Problem(pub(crate) String);

impl Report {
    pub(crate) fn new(json: Value, text: impl Into<Vec<u8>>) -> Self {
        Self { json, text: text.into() }
    }

    pub(crate) fn print(&self, json: bool) -> ExitCode {
        let line = format!("{}\n", self.json);
        let mut out = io::stdout().lock();
        let text = if json { line.as_bytes() } else { &self.text };
        match out.write_all(text).and_then(|()| out.flush()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => Problem(format!("standard output: {error}")).print(false),
        }
    }
}

impl Problem {
    pub(crate) fn print(&self, json: bool) -> ExitCode {
        eprintln!("mailauth: {self}");
        if json {
            println!("{}", json!({ "error": self.0 }));
        }
        ExitCode::from(2)
    }
}

/// Lines of a report: a word and what is said of it.
#[derive(Default)]
pub(crate) struct Lines(String);

impl Lines {
    pub(crate) fn line(&mut self, word: &str, text: impl std::fmt::Display) {
        self.0.push_str(&format!("{word}: {text}\n"));
    }

    /// A line that says more of the one before.
    pub(crate) fn more(&mut self, word: &str, text: Option<impl std::fmt::Display>) {
        if let Some(text) = text {
            self.line(&format!("  {word}"), text);
        }
    }

    /// As it is.
    pub(crate) fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

impl From<Lines> for Vec<u8> {
    fn from(lines: Lines) -> Self {
        lines.0.into_bytes()
    }
}
