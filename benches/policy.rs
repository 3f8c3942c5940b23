//! `cargo bench --bench policy -- [--check] [--write] [--rounds N] [ROW…]`: how long a decision
//! takes, and how long and how much memory a proof.
//!
//! Each measurement of a proof is a process of its own, which has proved nothing before.

use std::process::{Command, ExitCode};
use std::time::Instant;

use hikyaku_benches::policy::{
    decide,
    rows::{self, Row},
};
use hikyaku_benches::{arguments, readme};

/// What the README says of this table.
const PLACE: &str = "cargo bench --bench policy -- --write";

const HELP: &str = "\
cargo bench --bench policy -- [OPTION]… [ROW]…

Decides by policies and proves them (or those whose rows' names contain ROW) and prints what it
took.

--check      exit with 1 if a row takes more time or memory than is asked
--write      put tables, machine and commit into README.md
--rounds N   as many times, of which the median counts (5 proofs, 48 turns of decisions)
";

/// In the environment of the processes that measure.
const ONE: &str = "HIKYAKU_BENCH_POLICY";

/// What one process has measured.
struct Once {
    micros: u64,
    peak_kib: u64,
    answer: String,
}

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(ONE) {
        let row = rows::ALL.iter().find(|row| row.name == name).expect("the name comes from the table");
        let once = measure(row);
        println!("{}\t{}\t{}", once.micros, once.peak_kib, once.answer);
        return ExitCode::SUCCESS;
    }
    let Some(arguments) = arguments::read() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    let rounds = if arguments.rounds == 48 { 5 } else { arguments.rounds };
    let rows: Vec<_> = rows::ALL.iter().filter(|row| arguments.wants(row.name)).collect();
    let decisions: Vec<_> = decide::ALL.iter().filter(|row| arguments.wants(row.name)).collect();
    if rows.is_empty() && decisions.is_empty() {
        let names = decide::ALL.iter().map(|row| row.name).chain(rows::ALL.iter().map(|row| row.name));
        let names: Vec<_> = names.collect();
        eprintln!("no row is named so; the rows are: {}", names.join(" "));
        return ExitCode::from(2);
    }
    let (mut lines, mut missed) = (String::new(), Vec::new());
    let mut table =
        String::from("| one decision by | ns | asked | looking the facts up | ratio |\n|---|---|---|---|---|\n");
    for row in decisions {
        let measured = row.measure(arguments.rounds);
        let limit = measured.limits.first().map_or(0.0, |(_, ns)| *ns);
        let slow = row.most_ns > 0 && measured.ours > row.most_ns as f64;
        let asked = if row.most_ns > 0 { format!("< {}", row.most_ns) } else { "-".to_owned() };
        let bold = if slow { "**" } else { "" };
        let (what, ours) = (row.what, measured.ours);
        let ratio = measured.of_limit.unwrap_or_default();
        table += &format!("| {what} | {bold}{ours:.0}{bold} | {asked} | {limit:.0} | {ratio:.2} |\n");
        lines += &format!("policy\t{}\t{ours:.0}\t{limit:.0}\n", row.name);
        missed.extend(slow.then(|| format!("{}: {ours:.0} ns, asked are {}", row.name, row.most_ns)));
    }
    table.push('\n');
    table += "| what | answer | ms | asked | MiB at the peak | asked |\n|---|---|---|---|---|---|\n";
    for row in rows {
        let mut all: Vec<_> = (0..rounds).map(|_| in_a_process(row)).collect();
        all.sort_by_key(|once| once.micros);
        let Once { micros, peak_kib, answer } = &all[all.len() / 2];
        let (ms, mib) = (*micros as f64 / 1e3, *peak_kib as f64 / 1024.0);
        let (slow, large) = (ms > row.most_ms as f64, mib > row.most_mib as f64);
        let bold = |text: String, bad: bool| if bad { format!("**{text}**") } else { text };
        table += &format!(
            "| {} | {answer} | {} | < {} | {} | < {} |\n",
            row.what,
            bold(format!("{ms:.1}"), slow),
            row.most_ms,
            bold(format!("{mib:.0}"), large),
            row.most_mib
        );
        lines += &format!("policy\t{}\t{micros}\t{peak_kib}\n", row.name);
        missed.extend(slow.then(|| format!("{}: {ms:.1} ms, asked are {}", row.name, row.most_ms)));
        missed.extend(large.then(|| format!("{}: {mib:.0} MiB, asked are {}", row.name, row.most_mib)));
    }
    let table = format!("{table}\n{}\n", readme::machine());
    println!("{table}\n{lines}");
    if arguments.write {
        readme::write(PLACE, &table);
    }
    for one in &missed {
        eprintln!("missed: {one}");
    }
    if arguments.check && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn measure(row: &Row) -> Once {
    let policy = row.policy();
    let start = Instant::now();
    let answer = row.ask(&policy);
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    Once { micros, peak_kib: peak(), answer }
}

/// The most memory that this process has held, in KiB (`VmHWM`).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("read the process status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line VmHWM");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number of kB")
}

fn in_a_process(row: &Row) -> Once {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).env(ONE, row.name).output().expect("it runs again");
    assert!(output.status.success(), "{}: {}", row.name, String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it prints text");
    let fields: Vec<_> = text.trim_end().split('\t').collect();
    let [micros, peak, answer] = fields[..] else { panic!("three fields: {text}") };
    Once {
        micros: micros.parse().expect("a number"),
        peak_kib: peak.parse().expect("a number"),
        answer: answer.to_owned(),
    }
}
