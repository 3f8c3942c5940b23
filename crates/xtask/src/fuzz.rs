//! `cargo xtask fuzz`: builds the fuzz targets, runs them, keeps what they find
//! in order. `fuzz/README.md` is its manual.

mod corpus;
mod dictionary;
mod fuzzer;
mod request;
pub(crate) mod runs;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::run::{cargo, output, succeed};
use crate::{root, target};
#[cfg(test)]
pub(crate) use corpus::{OCTETS, SEEDS};
use fuzzer::Run;
use request::{Request, Task};

/// How the program that builds targets is installed.
const INSTALL: &str = "cargo install --locked cargo-fuzz --version 0.13.2";

/// Does what the words after `cargo xtask fuzz` ask for.
pub(crate) fn run(words: &[&str]) -> ExitCode {
    let done = Request::parse(words).and_then(|request| {
        let package = Package::read()?;
        let targets = package.chosen(&request.targets)?;
        match request.task {
            Task::Run { seconds, jobs, record } => {
                let commit = if record { Some(runs::commit()?) } else { None };
                let programs = Programs::build(&request.sanitizer, &targets)?;
                fuzz(&package, &programs, &targets, seconds, jobs, commit.as_deref())
            }
            Task::Minimize { copy } => {
                let programs = Programs::build(&request.sanitizer, &targets)?;
                corpus::minimize(&programs, &targets, copy)
            }
            Task::Status => status(&package),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What `fuzz/Cargo.toml` says: the targets, and the dictionaries that a target
/// reads beside its own.
struct Package {
    targets: Vec<String>,
    dictionaries: BTreeMap<String, Vec<String>>,
}

impl Package {
    fn read() -> Result<Self, String> {
        let mut metadata = cargo(&["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
        let text = output(metadata.arg(folder().join("Cargo.toml")))?;
        let metadata: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
        Ok(Self::of(&metadata["packages"][0]))
    }

    fn of(package: &Value) -> Self {
        let words = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let all = package["targets"].as_array().into_iter().flatten();
        let programs = all.filter(|target| words(&target["kind"]).contains(&"bin".to_owned()));
        let mut targets: Vec<String> =
            programs.filter_map(|target| target["name"].as_str()).map(str::to_owned).collect();
        targets.sort();
        let rows = package["metadata"]["dictionaries"].as_object().into_iter().flatten();
        let dictionaries = rows.map(|(target, names)| (target.clone(), words(names))).collect();
        Self { targets, dictionaries }
    }

    /// The targets that were asked for, or all.
    fn chosen(&self, names: &[String]) -> Result<Vec<String>, String> {
        if names.is_empty() {
            return Ok(self.targets.clone());
        }
        match names.iter().find(|name| !self.targets.contains(name)) {
            Some(name) => Err(format!("there is no target {name}; there are {}", self.targets.join(", "))),
            None => Ok(names.to_vec()),
        }
    }
}

/// All targets, for the checks of the sources.
#[cfg(test)]
pub(crate) fn targets() -> Result<Vec<String>, String> {
    Package::read().map(|package| package.targets)
}

/// The folder of the fuzz package.
fn folder() -> PathBuf {
    root().join("fuzz")
}

/// Where programs, scratch corpora and logs lie: outside `fuzz/`, so that a run
/// changes nothing that is committed.
fn scratch() -> PathBuf {
    target().join("fuzz")
}

/// Where libFuzzer writes the findings of a target.
fn artifacts(target: &str) -> Result<PathBuf, String> {
    make(folder().join("artifacts").join(target))
}

/// Makes a folder with all above it.
fn make(folder: PathBuf) -> Result<PathBuf, String> {
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// The files of a folder in order; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// A path as one would type it in the top folder.
fn inside(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The name of a file without its folder.
fn name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Built targets, and how each is started again by hand.
struct Programs {
    folder: PathBuf,
    sanitizer: String,
}

impl Programs {
    fn build(sanitizer: &str, targets: &[String]) -> Result<Self, String> {
        if output(&mut cargo(&["fuzz", "--version"])).is_err() {
            return Err(format!("cargo-fuzz is missing; install it and try again:\n    {INSTALL}"));
        }
        let version = output(Command::new("rustc").arg("-vV").current_dir(root()))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc -vV names no host")?;
        let mut build = cargo(&["fuzz", "build", "--fuzz-dir"]);
        build.arg(folder()).args(["--sanitizer", sanitizer, "--target", host, "--target-dir"]).arg(scratch());
        // cargo-fuzz builds one target or all of them.
        if let [one] = targets {
            build.arg(one);
        }
        // A stable compiler takes the flags of the sanitizers with it, a nightly one without.
        succeed(build.env("RUSTC_BOOTSTRAP", "1"))?;
        Ok(Self { folder: scratch().join(host).join("release"), sanitizer: sanitizer.to_owned() })
    }

    fn of(&self, target: &str) -> PathBuf {
        self.folder.join(target)
    }

    /// The command that runs one input again, without building anew.
    fn replay(&self, target: &str, input: &Path) -> String {
        let (sanitizer, folder, input) = (&self.sanitizer, inside(&scratch()), inside(input));
        format!("RUSTC_BOOTSTRAP=1 cargo fuzz run --target-dir {folder} -s {sanitizer} {target} {input}")
    }
}

/// Runs each target, `jobs` at once, and prints how it went; an error if anything was found.
fn fuzz(
    package: &Package,
    programs: &Programs,
    targets: &[String],
    seconds: u64,
    jobs: usize,
    commit: Option<&str>,
) -> Result<(), String> {
    let dictionaries = dictionary::write(package, targets)?;
    let waiting = Mutex::new(targets.iter().zip(dictionaries).collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((target, dictionary)) = next else { break };
                    println!("{target}: {seconds} seconds");
                    let run = fuzzer::run(programs, target, dictionary.as_deref(), seconds);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(run);
                }
            });
        }
    });
    let mut ended: Vec<Run> = Vec::new();
    let mut failures = Vec::new();
    for run in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match run {
            Ok(run) => ended.push(run),
            Err(error) => failures.push(error),
        }
    }
    ended.sort_by(|one, other| one.target.cmp(&other.target));
    print!("\n{}", fuzzer::table(&ended));
    if let Some(commit) = commit {
        runs::append(commit, &ended)?;
    }
    for run in &ended {
        for finding in &run.findings {
            failures.push(format!(
                "{}: found {}; run it again with\n    {}",
                run.target,
                inside(finding),
                programs.replay(&run.target, finding)
            ));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Prints what is recorded; an error names everything that is not as it should be at a release.
fn status(package: &Package) -> Result<(), String> {
    let (shown, mut faults) = runs::status(&package.targets, &runs::read()?);
    print!("{shown}");
    faults.extend(dictionary::strays(package));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package::of(&serde_json::json!({
            "targets": [
                { "name": "hikyaku_fuzz", "kind": ["lib"] },
                { "name": "wire_dot", "kind": ["bin"] },
                { "name": "wire_command", "kind": ["bin"] },
            ],
            "metadata": { "cargo-fuzz": true, "dictionaries": { "wire_command": ["wire_params"] } },
        }))
    }

    #[test]
    fn targets_are_the_programs_of_the_package() {
        let package = package();
        assert_eq!(package.targets, ["wire_command", "wire_dot"]);
        assert_eq!(package.dictionaries["wire_command"], ["wire_params"]);
        assert_eq!(package.dictionaries.len(), 1);
    }

    #[test]
    fn all_targets_are_meant_unless_some_are_named() {
        let package = package();
        assert_eq!(package.chosen(&[]).unwrap(), ["wire_command", "wire_dot"]);
        assert_eq!(package.chosen(&["wire_dot".to_owned()]).unwrap(), ["wire_dot"]);
        let error = package.chosen(&["wire_dot".to_owned(), "wire_dots".to_owned()]).unwrap_err();
        assert_eq!(error, "there is no target wire_dots; there are wire_command, wire_dot");
    }

    #[test]
    fn a_finding_is_run_again_by_one_command() {
        let programs = Programs { folder: "x".into(), sanitizer: "none".into() };
        let command = programs.replay("wire_dot", &root().join("fuzz/artifacts/wire_dot/crash-1"));
        assert!(command.starts_with("RUSTC_BOOTSTRAP=1 cargo fuzz run --target-dir "), "{command}");
        assert!(command.ends_with("/fuzz -s none wire_dot fuzz/artifacts/wire_dot/crash-1"), "{command}");
    }
}
