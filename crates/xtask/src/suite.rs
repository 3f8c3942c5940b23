//! `cargo xtask test`: the steps, in the order in which they fail fastest.

use std::path::Path;
use std::process::ExitCode;

use crate::run::{Steps, cargo, succeed};
use crate::{debian, lints, root, target};

/// The features that are off by default and whose code has tests.
const FEATURES: &str = "hikyaku-wire/codec,hikyaku-wire/idna,hikyaku-wire/sasl";

/// Runs every step; with `setup` the mail programs are installed first.
pub(crate) fn run(setup: bool) -> ExitCode {
    let mut steps = Steps::default();
    if setup {
        steps.step("setup: mail programs for the interop tests", debian::install);
    }
    steps.step("format", || succeed(&mut cargo(&["fmt", "--all", "--check"])));
    steps.step("format of fuzz", || {
        succeed(cargo(&["fmt", "--check", "--manifest-path"]).arg(root().join("fuzz/Cargo.toml")))
    });
    steps.step("clippy, warnings denied", lints::all_targets);
    steps.step("clippy, no unwrap outside tests", lints::no_unwrap);
    steps.step("clippy, no clock, socket or file below the top floor", lints::below_the_top);
    steps.step("tests", || {
        succeed(&mut cargo(&["test", "--workspace", "--exclude", "xtask", "--no-fail-fast", "--features", FEATURES]))
    });
    steps.step("floors, dependencies, sources", || succeed(&mut cargo(&["test", "--package", "xtask"])));
    steps.step("corpus replay", || {
        let replay = ["test", "--workspace", "--exclude", "xtask", "--features", FEATURES, "--lib", "--", "fuzzing"];
        succeed(&mut cargo(&replay))
    });
    steps.step("documentation, warnings denied", || {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
        succeed(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    // Without libFuzzer itself, which is C++ and needs a compiler of its own.
    let fuzzing = "--cfg fuzzing -D warnings";
    steps.step("check of fuzz", || {
        succeed(outside("check", "fuzz", &["--no-default-features"]).env("RUSTFLAGS", fuzzing))
    });
    steps.step("corpus replay by the table of targets", || {
        succeed(outside("test", "fuzz", &["--no-default-features", "--lib"]).env("RUSTFLAGS", fuzzing))
    });
    steps.step("check of benches", || {
        // A peer says that it needs a newer compiler than it does.
        let all = ["--all-targets", "--all-features", "--ignore-rust-version"];
        succeed(outside("check", "benches", &all).env("RUSTFLAGS", "-D warnings"))
    });
    steps.step("interop tests", || {
        let interop = ["test", "--package", "hikyaku-examples", "--features", "interop", "--test", "interop"];
        succeed(cargo(&interop).arg("--no-fail-fast"))
    });
    let end = steps.summary();
    if std::env::var_os("HIKYAKU_CONFORMANCE").is_none() {
        println!("not run, because HIKYAKU_CONFORMANCE is not set: {}", conformance_suites().join(", "));
    }
    end
}

/// Cargo on a package outside the workspace, built in a folder of its own: its
/// features and flags never touch what the product is built of. Its lock file is
/// as it is committed.
fn outside(task: &str, package: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = cargo(&[task, "--locked", "--manifest-path"]);
    command.arg(root().join(package).join("Cargo.toml"));
    command.arg("--target-dir").arg(target().join(package)).args(arguments);
    command
}

/// The test sources that read conformance data, without their ending.
fn conformance_suites() -> Vec<String> {
    let mut suites = Vec::new();
    for file in rust_files(&root()) {
        let names_it = std::fs::read_to_string(&file).is_ok_and(|text| text.contains("HIKYAKU_CONFORMANCE"));
        let reads_none = [root().join("crates/xtask"), root().join("examples/tests/support")];
        if names_it && !reads_none.iter().any(|folder| file.starts_with(folder)) {
            let inside = file.strip_prefix(root()).unwrap_or(&file).with_extension("");
            suites.push(inside.display().to_string());
        }
    }
    suites
}

/// All Rust sources of the workspace's packages, in order.
pub(crate) fn rust_files(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("examples")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
