//! `fuzz/RUNS.md`: what each target ran, where, and what it found.

use std::fmt::Write as _;
use std::process::Command;

use super::fuzzer::Run;
use super::{folder, name};
use crate::root;
use crate::run::output;

/// What a target of a codec has run in sum, in seconds, before a release.
const ENOUGH: u64 = 600;

/// The crates that parse what strangers send: their targets have to run [`ENOUGH`].
const CODECS: [&str; 2] = ["wire_", "message_"];

/// A line of the table.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) target: String,
    commit: String,
    seconds: u64,
    executions: u64,
    findings: Vec<Finding>,
}

/// What a run found, and what has become of it.
#[derive(Debug, PartialEq)]
enum Finding {
    /// The file that libFuzzer wrote.
    Open(String),
    /// The seed in the corpus of the target that has grown out of it.
    Fixed(String),
}

/// The rows of `fuzz/RUNS.md`.
pub(crate) fn read() -> Result<Vec<Row>, String> {
    let file = folder().join("RUNS.md");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    rows(&text).map_err(|error| format!("fuzz/RUNS.md: {error}"))
}

fn rows(text: &str) -> Result<Vec<Row>, String> {
    let table = text.lines().enumerate().filter(|(_, line)| line.starts_with('|')).skip(2);
    table.map(|(number, line)| row(line).map_err(|error| format!("line {}: {error}", number + 1))).collect()
}

fn row(line: &str) -> Result<Row, String> {
    let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).unwrap_or_default();
    let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
    let [target, commit, seconds, executions, findings] = cells[..] else {
        return Err("a row is | target | commit | seconds | executions | findings |".into());
    };
    if commit.len() < 7 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{commit} is no commit"));
    }
    let number = |cell: &str| cell.parse().map_err(|_| format!("{cell} is no number"));
    let finding = |cell: &str| match cell.trim().split_once(' ') {
        Some(("open", file)) => Ok(Finding::Open(file.to_owned())),
        Some(("fixed", seed)) => Ok(Finding::Fixed(seed.to_owned())),
        _ => Err(format!("{cell} is neither none nor open FILE nor fixed SEED")),
    };
    let findings =
        if findings == "none" { Vec::new() } else { findings.split(',').map(finding).collect::<Result<_, _>>()? };
    let (seconds, executions) = (number(seconds)?, number(executions)?);
    Ok(Row { target: target.to_owned(), commit: commit.to_owned(), seconds, executions, findings })
}

/// What is the matter with the rows themselves: targets and seeds that do not exist.
pub(crate) fn strays(targets: &[String], rows: &[Row]) -> Vec<String> {
    let mut faults = Vec::new();
    for Row { target, findings, .. } in rows {
        if !targets.contains(target) {
            faults.push(format!("fuzz/RUNS.md: there is no target {target}"));
        }
        for finding in findings {
            if let Finding::Fixed(seed) = finding
                && !folder().join("corpus").join(target).join(seed).is_file()
            {
                faults.push(format!("fuzz/RUNS.md: fuzz/corpus/{target} has no seed {seed}"));
            }
        }
    }
    faults
}

/// The sum for each target as a table, and what keeps it from a release.
pub(super) fn status(targets: &[String], rows: &[Row]) -> (String, Vec<String>) {
    let mut table = format!("{:<24} {:>8} {:>14} {:>8}\n", "target", "seconds", "executions", "open");
    let mut faults = strays(targets, rows);
    for target in targets {
        let own = || rows.iter().filter(|row| row.target == *target);
        let seconds: u64 = own().map(|row| row.seconds).sum();
        let executions: u64 = own().map(|row| row.executions).sum();
        let open: Vec<&str> = own()
            .flat_map(|row| &row.findings)
            .filter_map(|finding| match finding {
                Finding::Open(file) => Some(file.as_str()),
                Finding::Fixed(_) => None,
            })
            .collect();
        writeln!(table, "{target:<24} {seconds:>8} {executions:>14} {:>8}", open.len()).expect("a text takes any line");
        if seconds < ENOUGH && CODECS.iter().any(|codec| target.starts_with(codec)) {
            faults.push(format!("{target} ran {seconds} of {ENOUGH} seconds"));
        }
        faults.extend(open.into_iter().map(|file| format!("{target}: {file} is open")));
    }
    (table, faults)
}

/// What is built of is committed, or a line would speak of something else.
const SOURCES: [&str; 7] =
    ["crates", ":!crates/xtask", "Cargo.toml", "fuzz/src", "fuzz/fuzz_targets", "fuzz/Cargo.toml", "fuzz/Cargo.lock"];

/// The commit that is checked out; an error if the sources differ from it.
pub(super) fn commit() -> Result<String, String> {
    let git = |arguments: &[&str]| output(Command::new("git").args(arguments).current_dir(root()));
    let changed = git(&[&["status", "--porcelain", "--"], &SOURCES[..]].concat())?;
    if !changed.is_empty() {
        return Err(format!("a run is recorded with its commit; commit these first:\n{changed}"));
    }
    Ok(git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned())
}

/// Adds a line for each run.
pub(super) fn append(commit: &str, runs: &[Run]) -> Result<(), String> {
    let file = folder().join("RUNS.md");
    let describe = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut text = std::fs::read_to_string(&file).map_err(describe)?;
    for run in runs {
        text.push_str(&line(commit, run));
    }
    std::fs::write(&file, text).map_err(describe)
}

fn line(commit: &str, run: &Run) -> String {
    let open: Vec<String> = run.findings.iter().map(|file| format!("open {}", name(file))).collect();
    let findings = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
    format!("| {} | {commit} | {} | {} | {findings} |\n", run.target, run.seconds, run.executions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# Runs\n\n| target | commit | seconds | executions | findings |\n|---|---|---|---|---|\n";

    fn targets() -> Vec<String> {
        ["queue_moves", "wire_dot", "wire_line"].map(str::to_owned).into()
    }

    #[test]
    fn what_is_appended_is_read() {
        let quiet = Run { target: "wire_dot".into(), seconds: 600, executions: 7, ..Run::default() };
        let findings = vec!["/x/crash-1".into(), "/x/oom-2".into()];
        let loud = Run { target: "wire_line".into(), seconds: 3, executions: 90, findings, ..Run::default() };
        let text = format!("{HEAD}{}{}", line("d13efeb2b875", &quiet), line("d13efeb2b875", &loud));
        let rows = rows(&text).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].target.as_str(), rows[0].seconds, rows[0].executions), ("wire_dot", 600, 7));
        assert_eq!(rows[0].findings, []);
        assert_eq!(rows[1].findings, [Finding::Open("crash-1".into()), Finding::Open("oom-2".into())]);
    }

    #[test]
    fn a_row_that_is_none_is_named() {
        for (line, error) in [
            ("| wire_dot | d13efeb | 600 | 7 |", "a row is | target | commit | seconds | executions | findings |"),
            ("| wire_dot | d13efe | 600 | 7 | none |", "d13efe is no commit"),
            ("| wire_dot | d13efeb+ | 600 | 7 | none |", "d13efeb+ is no commit"),
            ("| wire_dot | d13efeb | 10m | 7 | none |", "10m is no number"),
            ("| wire_dot | d13efeb | 600 | - | none |", "- is no number"),
            ("| wire_dot | d13efeb | 600 | 7 | crash-1 |", "crash-1 is neither none nor open FILE nor fixed SEED"),
        ] {
            assert_eq!(rows(&format!("{HEAD}{line}\n")), Err(format!("line 5: {error}")));
        }
    }

    #[test]
    fn the_codecs_run_long_enough() {
        let row = |target: &str, seconds| format!("| {target} | d13efeb | {seconds} | 10 | none |\n");
        let text = [HEAD, &row("wire_dot", 599), &row("wire_line", 300), &row("wire_line", 300)].concat();
        let (table, faults) = status(&targets(), &rows(&text).unwrap());
        assert_eq!(faults, ["wire_dot ran 599 of 600 seconds"]);
        let sums: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(sums[1], ["queue_moves", "0", "0", "0"]);
        assert_eq!(sums[2], ["wire_dot", "599", "10", "0"]);
        assert_eq!(sums[3], ["wire_line", "600", "20", "0"]);
        let faults = status(&["message_date".to_owned()], &[]).1;
        assert_eq!(faults, ["message_date ran 0 of 600 seconds"]);
    }

    #[test]
    fn a_finding_is_open_until_its_seed_stands_in_the_corpus() {
        let findings = "open crash-1, fixed no-such-seed, fixed far_dots";
        let text = format!("{HEAD}| wire_dot | d13efeb | 900 | 7 | {findings} |\n| gone | d13efeb | 1 | 1 | none |\n");
        let targets = ["wire_dot".to_owned()];
        let (table, faults) = status(&targets, &rows(&text).unwrap());
        assert_eq!(
            faults,
            [
                "fuzz/RUNS.md: fuzz/corpus/wire_dot has no seed no-such-seed",
                "fuzz/RUNS.md: there is no target gone",
                "wire_dot: crash-1 is open",
            ]
        );
        assert!(table.lines().nth(1).unwrap().ends_with(" 1"), "{table}");
    }
}
