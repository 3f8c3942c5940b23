//! The project's own tasks. `cargo xtask test` is the whole check that a change
//! must pass; it never starts a service and never writes outside the checkout,
//! except for the Debian packages that `--setup` installs. `cargo xtask fuzz`
//! runs the fuzz targets, `cargo xtask long` what needs hours.

mod debian;
mod floors;
mod fuzz;
mod instructions;
mod lints;
mod long;
mod run;
#[cfg(test)]
mod sources;
mod suite;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test            every check of the project; missing mail programs fail their tests by name
cargo xtask test --setup    the same, after installing the mail programs (root on Debian)
cargo xtask fuzz ...        runs the fuzz targets; fuzz/README.md explains the options
cargo xtask long [WORD]     the suites that try something many times, in release, for hours; or those with WORD in their name
cargo xtask instructions    instruction counts of benches/, against those that are recorded; fails above 3 % more
cargo xtask instructions --record  writes the counts into benches/instructions.tsv
cargo xtask instructions --setup   the same as without, after installing valgrind and gungraun-runner
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => suite::run(false),
        ["test", "--setup"] => suite::run(true),
        ["fuzz", words @ ..] => fuzz::run(words),
        ["long"] => long::run(""),
        ["long", word] => long::run(word),
        ["instructions", options @ ..] => instructions::run(options).unwrap_or_else(usage),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprint!("{HELP}");
    ExitCode::from(2)
}

/// The top folder of the checkout.
fn root() -> PathBuf {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.nth(2).expect("this package lies two folders below the top").to_path_buf()
}

/// Where cargo builds, and where programs for the interop tests are unpacked.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The folder that `--setup` unpacks mail programs into; the tests look there.
fn interop() -> PathBuf {
    root().join("target/interop")
}
