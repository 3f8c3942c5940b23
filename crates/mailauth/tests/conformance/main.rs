//! The public test suites, whole: every row that is scored passes, or stands in a list with the
//! sentence of the RFC that speaks against it.
//!
//! The data is in the folders `spf`, `dkim`, `arc`, `dmarc` and `authres` of the folder that
//! `HIKYAKU_CONFORMANCE` names; without that variable nothing is run. Beside it stands what each
//! row means.

mod arc;
mod authres;
mod dkim;
mod dmarc;
mod spf;

use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hikyaku_dns::Zone;
use hikyaku_mailauth::{Budget, Records};
use serde_json::Value;

/// One row of a suite.
struct Row {
    folder: PathBuf,
    value: Value,
}

/// A row that is wrong, and the sentence of the RFC that says so.
type Wrong = (&'static str, &'static str);

/// Runs every row of `suite`. `run` says what came out where that is not what is expected.
fn run(suite: &str, wrong: &[Wrong], mut run: impl FnMut(&Row) -> Result<(), String>) {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE").map(PathBuf::from) else {
        println!("the suite `{suite}` was not run: HIKYAKU_CONFORMANCE is not set");
        return;
    };
    let file = folder.join(suite).join(format!("{suite}.jsonl"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut rows, mut failures, mut told) = (0, Vec::new(), Vec::new());
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).expect("a row is JSON");
        let row = Row { folder: folder.clone(), value };
        if row.value["scored"] == Value::Bool(false) {
            continue;
        }
        rows += 1;
        let case = format!("{} {}", row.text("suite"), row.text("case"));
        let listed = wrong.iter().any(|(listed, _)| *listed == case);
        match run(&row) {
            Err(problem) if !listed => failures.push(format!("{case}: {problem}")),
            Ok(()) if listed => failures.push(format!("{case}: listed as wrong, but passes")),
            _ => {}
        }
        told.extend(listed.then_some(case));
    }
    failures
        .extend(wrong.iter().filter(|row| !told.contains(&row.0.to_owned())).map(|row| format!("{}: no row", row.0)));
    assert!(rows > 0, "{} is empty", file.display());
    println!("the suite `{suite}`: {rows} rows, {} of them listed as wrong", wrong.len());
    assert!(failures.is_empty(), "{} of {rows} rows of `{suite}`:\n{}", failures.len(), failures.join("\n"));
}

impl Row {
    fn text(&self, key: &str) -> &str {
        self.value[key].as_str().unwrap_or_default()
    }

    fn records(&self) -> Records<Zone> {
        let zone = serde_json::to_string(&self.value["zone"]).expect("it was JSON");
        Records::new(Zone::from_json(zone.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", self.text("case"))))
    }

    /// The message of the row.
    fn message(&self) -> Vec<u8> {
        let file = self.folder.join(self.text("file"));
        std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// The time of the row, else one at which all signatures of the suites are good.
    fn now(&self) -> hikyaku_wire::Timestamp {
        let seconds = self.value["now"].as_u64().unwrap_or(1_796_000_000);
        hikyaku_wire::Timestamp::from_millis(i64::try_from(seconds * 1000).expect("a time of today"))
    }
}

/// Whether `got` is one of the words that are expected.
fn one_of(expected: &Value, got: &str) -> Result<(), String> {
    let words = expected.as_array().expect("a list of words");
    match words.iter().any(|word| word == got) {
        true => Ok(()),
        false => Err(format!("expected {expected}, got {got}")),
    }
}

/// The lookups of one message; the suites know no budget.
fn lookups(records: &Records<Zone>) -> hikyaku_mailauth::Lookups<'_, Zone> {
    records.lookups(Instant::now(), Budget { queries: 200 })
}

/// What a future says that never waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a zone in memory never waits"),
    }
}
