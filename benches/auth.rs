//! `cargo bench --ignore-rust-version --features auth --bench auth -- [--check] [--write] [--rounds N] [ROW…]`:
//! message authentication beside mail-auth and the limits of the machine.

use std::process::{Command, ExitCode};

use hikyaku_benches::auth::{self, limits, ours, peer, rows};
use hikyaku_benches::measure::{self, Measured, Sides};
use hikyaku_benches::{arguments, plot, readme, report};

/// Which library hikyaku is built with.
const LIBRARY: &str = if cfg!(feature = "aws-lc-rs") { "aws-lc-rs" } else { "auth" };

const HELP: &str = "\
cargo bench --ignore-rust-version --features auth|aws-lc-rs --bench auth -- [OPTION]… [ROW]…

Measures each row (or those whose names contain ROW) and prints a table and lines for programs.
With the feature aws-lc-rs, hikyaku is built with that library, else with ring.

--check      exit with 1 if a row misses what is asked of it, or too much memory is taken
--write      put tables, machine and commit into README.md, and the picture beside it
--rounds N   turns that each side gets at least (48)
";

fn main() -> ExitCode {
    let Some(arguments) = arguments::read() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    let memory = counted();
    let all: Vec<Measured> = rows::all()
        .filter(|row| arguments.wants(row.name))
        .map(|row| measured(&row, arguments.rounds, &memory))
        .collect();
    if all.is_empty() {
        eprintln!("no row is named so; the rows are: {}", rows::NAMES.join(" "));
        return ExitCode::from(2);
    }

    let machine = readme::machine();
    let table = format!("{}\n{}\n{machine}\n", auth::report::table(&all), memory.sentence());
    println!("{table}\n{}", report::lines(&all));
    if arguments.write {
        readme::write(
            &format!("cargo bench --ignore-rust-version --features {LIBRARY} --bench auth -- --write"),
            &table,
        );
        let picture = readme::folder().join(if LIBRARY == "auth" { "auth.svg" } else { "auth-aws-lc-rs.svg" });
        std::fs::write(picture, plot::svg(&all, "mail-auth")).expect("the picture can be written");
    }
    let mut missed: Vec<_> =
        all.iter().flat_map(|row| row.missed().into_iter().map(|how| format!("{}: {how}", row.name))).collect();
    if memory.peak > auth::memory::MOST {
        missed.push(format!("memory: {}", memory.sentence()));
    }
    for one in &missed {
        eprintln!("missed: {one}");
    }
    if arguments.check && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn measured(row: &rows::Row, rounds: usize, memory: &auth::memory::Counted) -> Measured {
    let work = (row.work)();
    let ours_read = ours::read(&work);
    if let Some(peer_read) = peer::read(&work) {
        assert_eq!(ours_read, peer_read, "{}: hikyaku and mail-auth have found different things", row.name);
    }
    // Every row but those of strangers is about what passes.
    let is_bound = row.name.starts_with("bound_");
    assert!(is_bound || !ours_read.iter().any(|word| word.ends_with("fail")), "{}: {ours_read:?}", row.name);
    let sides = || Sides { ours: ours::task(&work), peer: peer::task(&work), limits: limits::tasks(&work) };
    measure::sides_of(row, work.octets(), rounds, memory.allocations(row.name), sides)
}

/// What the program beside this one has counted.
fn counted() -> auth::memory::Counted {
    let output = Command::new(env!("CARGO_BIN_EXE_auth_memory")).output().expect("cargo builds it with this");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    auth::memory::read(&String::from_utf8(output.stdout).expect("it prints text"))
}
