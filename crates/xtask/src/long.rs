//! `cargo xtask long`: the suites that try something many times, in release, as often as a night has
//! room for. Each reads from `HIKYAKU_LONG` how many times as much as in the ordinary tests; a test
//! that counts what it did says so in a line that begins with `sum: `.

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};

use crate::run::{Steps, cargo};

/// What is run: what it shows, the package, which of its tests, and how many times as much.
const SUITES: &[(&str, &str, &[&str], u32)] = &[
    ("queue: power loss at any call", "hikyaku-queue", &["--lib", "--", "spool::tests::power"], 50),
    ("queue: failures of any call", "hikyaku-queue", &["--lib", "--", "spool::tests::faults"], 1),
    ("queue: moves in memory", "hikyaku-queue", &["--lib", "--", "memory::tests::is_its_model"], 50),
    ("queue: moves of the spool", "hikyaku-queue", &["--test", "it", "--", "model::"], 50),
    ("queue: kill -9", "hikyaku-queue", &["--test", "it", "--", "kill::"], 25),
    ("policy: proofs against decisions", "hikyaku-policy", &["--lib", "--", "random"], 20),
];

/// Runs all of them, or those whose name has this word in it; the sums are at the end.
pub(crate) fn run(word: &str) -> ExitCode {
    let mut steps = Steps::default();
    let mut sums = Vec::new();
    for (name, package, arguments, times) in SUITES.iter().filter(|(name, ..)| name.contains(word)) {
        steps.step(&format!("{name}, {times} times"), || suite(name, package, arguments, *times, &mut sums));
    }
    println!("\n==== sums ====");
    sums.iter().for_each(|sum| println!("{sum}"));
    steps.summary()
}

fn suite(name: &str, package: &str, arguments: &[&str], times: u32, sums: &mut Vec<String>) -> Result<(), String> {
    let mut command = cargo(&["test", "--release", "--package", package]);
    command.args(arguments).args(["--nocapture", "--test-threads=1"]).env("HIKYAKU_LONG", times.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("cargo: {error}"))?;
    let output = child.stdout.take().ok_or("cargo has no output")?;
    let mut passed = 0;
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("cargo: {error}"))?;
        println!("{line}");
        passed += passed_in(&line);
        if let Some(sum) = line.strip_prefix("sum: ") {
            sums.push(format!("{name}: {sum}"));
        }
    }
    let status = child.wait().map_err(|error| format!("cargo: {error}"))?;
    match (status.success(), passed) {
        (true, 0) => Err("no test has this name".to_owned()),
        (true, _) => Ok(()),
        (false, _) => Err(status.to_string()),
    }
}

/// How many tests a summary of the test harness says have passed.
fn passed_in(line: &str) -> u32 {
    let counted = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split_once(" passed"));
    counted.and_then(|(count, _)| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_the_harness_is_read() {
        assert_eq!(passed_in("test result: ok. 12 passed; 0 failed; 0 ignored"), 12);
        for other in ["test result: FAILED. 1 passed; 1 failed", "12 passed", "test result: ok. passed", ""] {
            assert_eq!(passed_in(other), 0, "{other}");
        }
    }

    #[test]
    fn every_suite_is_there() {
        for (name, package, arguments, times) in SUITES {
            let folder = crate::root().join("crates").join(package.strip_prefix("hikyaku-").unwrap());
            let filter = arguments.last().unwrap().trim_end_matches("::");
            let words: Vec<_> = filter.split("::").collect();
            let sources = crate::suite::rust_files(&crate::root());
            let named = |path: &std::path::PathBuf| {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let last = words.last().unwrap();
                let is_module = path.with_extension("").ends_with(last) || path.parent().unwrap().ends_with(last);
                path.starts_with(&folder) && (is_module || text.contains(&format!("fn {last}(")))
            };
            assert!(sources.iter().any(named), "{name}: nothing is called {filter}");
            assert!(*times >= 1);
        }
    }
}
