//! `cargo bench --bench ratios -- [--check] [--write] [--rounds N] [ROW…]`: the table of ratios.

use std::collections::HashMap;
use std::process::{Command, ExitCode};

use hikyaku_benches::measure::{self, Measured};
use hikyaku_benches::{arguments, plot, readme, report, rows};

/// What the README says of this table.
const PLACE: &str = "cargo bench --bench ratios -- --write";

const HELP: &str = "\
cargo bench --bench ratios -- [OPTION]… [ROW]…

Measures each row (or those whose names contain ROW) and prints a table and lines for programs.

--check      exit with 1 if a row misses what is asked of it
--write      put table, machine and commit into README.md, and the picture into ratios.svg
--rounds N   turns that each side gets at least (48)
";

fn main() -> ExitCode {
    let Some(arguments) = arguments::read() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    let allocations = allocations();
    let all: Vec<Measured> = rows::all()
        .filter(|row| arguments.wants(row.name))
        .map(|row| measure::row(&row, arguments.rounds, allocations[row.name]))
        .collect();
    if all.is_empty() {
        eprintln!("no row is named so; the rows are: {}", rows::NAMES.join(" "));
        return ExitCode::from(2);
    }

    let machine = readme::machine();
    println!("{}\n{machine}\n\n{}", report::table(&all), report::lines(&all));
    if arguments.write {
        readme::write(PLACE, &format!("{}\n{machine}\n", report::table(&all)));
        std::fs::write(readme::folder().join("ratios.svg"), plot::svg(&all, "smtp-proto"))
            .expect("the picture can be written");
    }
    let missed: Vec<_> =
        all.iter().flat_map(|row| row.missed().into_iter().map(|how| format!("{}: {how}", row.name))).collect();
    for one in &missed {
        eprintln!("missed: {one}");
    }
    if arguments.check && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What the program beside this one has counted, by row.
fn allocations() -> HashMap<String, (u64, Option<u64>)> {
    let output = Command::new(env!("CARGO_BIN_EXE_allocations")).output().expect("cargo builds it with this");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it prints text");
    let mut counts = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next().expect("a line has three fields");
        counts.insert(next().into(), (next().parse().expect("a number"), next().parse().ok()));
    }
    counts
}
