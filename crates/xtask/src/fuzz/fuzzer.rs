//! One run of one target, and what libFuzzer says about it.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use super::{Programs, artifacts, folder, make, scratch};

/// A run that takes more memory, in MiB, is a finding: no target keeps more
/// than a few times its input.
const MEMORY: u32 = 1024;

/// An input that takes longer, in seconds, is a finding: all parsing is linear,
/// and inputs are a few KiB.
const PATIENCE: u32 = 10;

/// How a run went.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Run {
    pub(super) target: String,
    pub(super) seconds: u64,
    pub(super) executions: u64,
    /// Edges of the program that the corpus reached at the start, and at the end.
    pub(super) covered: (u64, u64),
    /// Inputs that broke something, as written by libFuzzer.
    pub(super) findings: Vec<PathBuf>,
}

/// Runs a target for so many seconds. What it learns goes to its scratch corpus;
/// the committed one is read only.
pub(super) fn run(programs: &Programs, target: &str, dictionary: Option<&Path>, seconds: u64) -> Result<Run, String> {
    let mut fuzzer = Command::new(programs.of(target));
    fuzzer
        .arg(make(scratch().join("corpus").join(target))?)
        .arg(folder().join("corpus").join(target))
        .arg(format!("-artifact_prefix={}/", artifacts(target)?.display()))
        .args(dictionary.map(|dictionary| format!("-dict={}", dictionary.display())))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={PATIENCE}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg("-print_final_stats=1");
    let start = Instant::now();
    let (status, said) = logged(fuzzer, target)?;
    let run = Run { target: target.to_owned(), seconds: start.elapsed().as_secs(), ..Run::of(&said) };
    // A fuzzer that fails without an input to show for it has not run at all.
    if !status.success() && run.findings.is_empty() { Err(unheard(target, status, &said)) } else { Ok(run) }
}

/// Runs a command to its end and returns what it said, which stays in a log.
pub(super) fn logged(mut command: Command, target: &str) -> Result<(ExitStatus, String), String> {
    let log = make(scratch().join("logs"))?.join(target);
    let describe = |error: std::io::Error| format!("{target}: {}: {error}", log.display());
    let file = File::create(&log).map_err(describe)?;
    command.stdin(Stdio::null()).stdout(file.try_clone().map_err(describe)?).stderr(file);
    let status = command.status().map_err(|error| format!("{target}: {error}"))?;
    let said = std::fs::read(&log).map_err(describe)?;
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

/// The error of a fuzzer that failed and found nothing.
pub(super) fn unheard(target: &str, status: ExitStatus, said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    format!("{target}: {status}\n{}", lines[lines.len().saturating_sub(10)..].join("\n"))
}

impl Run {
    /// What the log of libFuzzer says.
    fn of(said: &str) -> Self {
        let mut run = Self::default();
        for line in said.lines() {
            if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
                run.executions = count.trim().parse().unwrap_or(run.executions);
            } else if let Some(path) = find(line, "Test unit written to ") {
                run.findings.push(path.into());
            } else if line.starts_with('#')
                && let Some(covered) = find(line, "cov: ").and_then(|rest| rest.split(' ').next()?.parse().ok())
            {
                if line.contains("INITED") {
                    run.covered.0 = covered;
                }
                run.covered.1 = covered;
            }
        }
        run
    }
}

/// What follows a mark in a line.
fn find<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.split_once(mark).map(|(_, rest)| rest)
}

/// The runs as a table for the eye.
pub(super) fn table(runs: &[Run]) -> String {
    let mut table = format!(
        "{:<24} {:>8} {:>14} {:>10} {:>8} {:>8} {:>8}\n",
        "target", "seconds", "executions", "exec/s", "covered", "new", "findings"
    );
    for run in runs {
        let (before, after) = run.covered;
        let rate = run.executions / run.seconds.max(1);
        let (new, findings) = (after.saturating_sub(before), run.findings.len());
        writeln!(
            table,
            "{:<24} {:>8} {:>14} {rate:>10} {after:>8} {new:>8} {findings:>8}",
            run.target, run.seconds, run.executions
        )
        .expect("a text takes any line");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "\
INFO: seed corpus: files: 7 min: 5b max: 30b total: 128b rss: 26Mb
#8\tINITED cov: 266 ft: 392 corp: 7/128b exec/s: 0 rss: 27Mb
#15\tNEW    cov: 267 ft: 393 corp: 8/130b lim: 4 exec/s: 0 rss: 27Mb L: 2/30 MS: 1 CMP- DE: \"cov: 9999 \"-
#303993\tDONE   cov: 301 ft: 900 corp: 99/1290b lim: 4096 exec/s: 75998 rss: 28Mb
Done 303993 runs in 4 second(s)
stat::number_of_executed_units: 303993
stat::average_exec_per_sec:     75998
";

    const LOUD: &str = "\
#8\tINITED cov: 266 ft: 392 corp: 7/128b exec/s: 0 rss: 27Mb
thread '<unnamed>' panicked at src/lib.rs:1:2:
INITED cov: 5 is what the target itself says
==1== ERROR: libFuzzer: deadly signal
stat::number_of_executed_units: 90
artifact_prefix='/x/fuzz/artifacts/wire_dot/'; Test unit written to /x/fuzz/artifacts/wire_dot/crash-0a1b
Base64: AAAA
";

    #[test]
    fn the_log_of_a_run_without_finding() {
        let expected = Run { executions: 303_993, covered: (266, 301), ..Run::default() };
        assert_eq!(Run::of(QUIET), expected);
    }

    #[test]
    fn the_log_of_a_run_with_a_finding() {
        let findings = vec!["/x/fuzz/artifacts/wire_dot/crash-0a1b".into()];
        assert_eq!(Run::of(LOUD), Run { executions: 90, covered: (266, 266), findings, ..Run::default() });
    }

    #[test]
    fn the_table_counts_what_is_new() {
        let run = Run { target: "wire_dot".into(), seconds: 4, ..Run::of(QUIET) };
        let table = table(&[run, Run { target: "wire_line".into(), ..Run::of(LOUD) }]);
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let rows: Vec<_> = table.lines().map(cells).collect();
        assert_eq!(rows[0], ["target", "seconds", "executions", "exec/s", "covered", "new", "findings"]);
        assert_eq!(rows[1], ["wire_dot", "4", "303993", "75998", "301", "35", "0"]);
        assert_eq!(rows[2], ["wire_line", "0", "90", "90", "266", "0", "1"]);
        assert_eq!(rows.len(), 3);
    }
}
