//! `cargo xtask instructions`: counts the instructions of every row of `benches/` with callgrind
//! and compares them with what is recorded in `benches/instructions.tsv`.
//!
//! Times wander on a shared machine; counts of the same program, compiler and kind of processor
//! are the same each time.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::run::{cargo, output, succeed};
use crate::{debian, root, target};

/// Per cent by which a count may grow.
const MAY_GROW: u64 = 3;

/// The names of our side and of the peer's, as `benches/instructions.rs` has them.
const OURS: &str = "hikyaku";
const PEER: &str = "smtp_proto";

const HEAD: &str = "\
# Instructions that callgrind counts for one run of each row. `cargo xtask instructions --record` writes it.
";
const COLUMNS: &str = "row\thikyaku\tsmtp-proto\n";

/// What a row takes on our side, and on the peer's where it has such a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    ours: u64,
    peer: Option<u64>,
}

type Counts = BTreeMap<String, Count>;

/// Runs the command with these options; `None` if one of them is not known.
pub(crate) fn run(options: &[&str]) -> Option<ExitCode> {
    if !options.iter().all(|option| ["--setup", "--record"].contains(option)) {
        return None;
    }
    let has = |option| options.contains(&option);
    Some(match count_and_compare(has("--setup"), has("--record")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

fn count_and_compare(setup: bool, record: bool) -> Result<(), String> {
    let version = locked_version(&read(&root().join("benches/Cargo.lock"))?)?;
    if setup {
        install(&version)?;
    }
    let valgrind = tools(&version)?;
    let machine =
        format!("# {}, {valgrind}, {}\n", output(Command::new("rustc").arg("--version"))?.trim(), processor());
    let counts = counts(&count()?)?;

    let file = root().join("benches/instructions.tsv");
    if record {
        let text = format!("{HEAD}{machine}{}", rows(&counts));
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{} rows recorded in {}", counts.len(), file.display());
        return Ok(());
    }
    let text = read(&file)?;
    let (said, verdict) = compare(&recorded(&text)?, &counts);
    print!("{said}");
    if !text.contains(&machine) {
        let before = text.lines().nth(1).unwrap_or_default();
        println!("note: recorded with\n  {before}\nand counted with\n  {}", machine.trim());
    }
    verdict
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// The version of gungraun in the lock file of the benches: its runner must have the same.
fn locked_version(lock: &str) -> Result<String, String> {
    let mut lines = lock.lines().skip_while(|line| *line != "name = \"gungraun\"");
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.map(str::to_owned).ok_or_else(|| "benches/Cargo.lock names no gungraun".into())
}

/// Where `--setup` puts the runner.
fn runner_root() -> PathBuf {
    target().join("gungraun-runner")
}

/// The search path with the runner of `--setup` in front.
fn search_path() -> std::ffi::OsString {
    let mut folders = vec![runner_root().join("bin")];
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    std::env::join_paths(folders).unwrap_or_default()
}

/// What valgrind says of its version; an error that says what to install if a tool is missing.
fn tools(version: &str) -> Result<String, String> {
    let ask = |program: &str| output(Command::new(program).arg("--version").env("PATH", search_path()));
    let advice = format!(
        "`cargo xtask instructions --setup` installs both; by hand: `apt-get install valgrind` and\n\
         `cargo install --locked --version ={version} gungraun-runner`"
    );
    let valgrind = ask("valgrind").map_err(|error| format!("valgrind is missing: {error}\n{advice}"))?;
    let runner = ask("gungraun-runner").map_err(|error| format!("gungraun-runner is missing: {error}\n{advice}"))?;
    match runner.trim().strip_prefix("gungraun-runner ") {
        Some(is) if is == version => Ok(valgrind.trim().to_owned()),
        _ => Err(format!("gungraun-runner must have version {version}, but is {}\n{advice}", runner.trim())),
    }
}

/// Installs what is missing: valgrind from Debian, the runner into the build folder.
fn install(version: &str) -> Result<(), String> {
    let start = Instant::now();
    if output(Command::new("valgrind").arg("--version")).is_err() {
        debian::install_packages(&["valgrind"])?;
    }
    if tools(version).is_err() {
        let build = runner_root().join("build");
        let mut install =
            cargo(&["install", "--locked", "--force", "--version", &format!("={version}"), "gungraun-runner"]);
        succeed(install.arg("--root").arg(runner_root()).arg("--target-dir").arg(&build))?;
        std::fs::remove_dir_all(&build).map_err(|error| format!("{}: {error}", build.display()))?;
    }
    println!("valgrind and gungraun-runner {version} are there, after {} s", start.elapsed().as_secs());
    Ok(())
}

/// The kind of processor: what searches and copies compile to, or choose as they start, hangs on it.
fn processor() -> String {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has_avx2 = flags.lines().any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "avx2"));
    format!("{}{}", std::env::consts::ARCH, if has_avx2 { " with AVX2" } else { "" })
}

/// Runs the benches under callgrind; one line of JSON a bench.
fn count() -> Result<String, String> {
    let mut bench = cargo(&["bench", "--locked", "--features", "instructions", "--bench", "instructions"]);
    bench.arg("--manifest-path").arg(root().join("benches/Cargo.toml"));
    bench.arg("--target-dir").arg(target().join("benches")).env("PATH", search_path());
    println!("cargo bench --features instructions --bench instructions: this takes one to three minutes");
    output(bench.args(["--", "--output-format=json"]))
}

/// Reads the lines of gungraun.
fn counts(lines: &str) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for line in lines.lines().filter(|line| line.starts_with('{')) {
        let bench: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("{error} in {line}"))?;
        let metric = &bench["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"];
        let (Some(row), Some(side), Some(number)) =
            (bench["id"].as_str(), bench["function_name"].as_str(), metric.as_u64())
        else {
            return Err(format!("no count in {line}"));
        };
        let count = counts.entry(row.to_owned()).or_default();
        match side {
            OURS => count.ours = number,
            PEER => count.peer = Some(number),
            other => return Err(format!("{other} is neither {OURS} nor {PEER}")),
        }
    }
    if counts.is_empty() { Err("nothing was counted".into()) } else { Ok(counts) }
}

/// The rows as the file has them.
fn rows(counts: &Counts) -> String {
    let mut text = COLUMNS.to_owned();
    for (row, Count { ours, peer }) in counts {
        let peer = peer.map_or("-".into(), |peer| peer.to_string());
        let _ = writeln!(text, "{row}\t{ours}\t{peer}");
    }
    text
}

/// Reads the file.
fn recorded(text: &str) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !COLUMNS.starts_with(line)) {
        let wrong = || format!("benches/instructions.tsv: {line:?} is not a row, a number, and a number or -");
        let [row, ours, peer] = line.split('\t').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let number = |field: &str| field.parse::<u64>().map_err(|_| wrong());
        let peer = if peer == "-" { None } else { Some(number(peer)?) };
        counts.insert(row.to_owned(), Count { ours: number(ours)?, peer });
    }
    Ok(counts)
}

/// What there is to say of each row, and whether all may pass.
fn compare(before: &Counts, now: &Counts) -> (String, Result<(), String>) {
    let mut said = format!("{:28}{:>14}{:>14}{:>9}{:>12}\n", "row", "recorded", "now", "change", "of the peer");
    let mut bad = Vec::new();
    let mut less = 0;
    for (row, Count { ours, peer }) in now {
        let of_peer = peer.map_or("-".into(), |peer| format!("{:.2}", *ours as f64 / peer as f64));
        let Some(before) = before.get(row).map(|count| count.ours) else {
            let _ = writeln!(said, "{row:28}{:>14}{ours:>14}{:>9}{of_peer:>12}", "-", "new");
            bad.push(format!("{row} is not recorded"));
            continue;
        };
        let change = (*ours as f64 / before as f64 - 1.0) * 100.0;
        let _ = writeln!(said, "{row:28}{before:>14}{ours:>14}{change:>8.1}%{of_peer:>12}");
        if ours * 100 > before * (100 + MAY_GROW) {
            bad.push(format!("{row} grew from {before} to {ours} instructions, by {change:.1} %"));
        }
        less += usize::from(ours * 100 < before * (100 - MAY_GROW));
    }
    bad.extend(
        before.keys().filter(|row| !now.contains_key(*row)).map(|row| format!("{row} was recorded and is gone")),
    );
    if less > 0 {
        let _ = writeln!(
            said,
            "{less} rows take over {MAY_GROW} % less than recorded: `cargo xtask instructions --record` keeps that"
        );
    }
    if bad.is_empty() {
        return (said, Ok(()));
    }
    let advice = "`cargo xtask instructions --record` records what is now, if that is meant";
    (said, Err(format!("FAILED:\n{}\n{advice}", bad.join("\n"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(row: &str, ours: u64, peer: Option<u64>) -> Counts {
        Counts::from([(row.to_owned(), Count { ours, peer })])
    }

    #[test]
    fn lines_of_gungraun_are_read() {
        let line = |side: &str, row: &str, values: &str| {
            format!(
                "{{\"function_name\":\"{side}\",\"id\":\"{row}\",\"profiles\":[{{\"data\":{{\"total\":\
                 {{\"metrics\":{{\"Ir\":{{\"values\":{values}}}}}}}}}}}]}}\n"
            )
        };
        let first = line("hikyaku", "header", "{\"new\":26877}");
        // With a run before it, the line has that one's count too.
        let again = line("smtp_proto", "header", "{\"new\":7,\"old\":8}");
        assert_eq!(counts(&format!("noise\n{first}{again}")), Ok(one("header", 26877, Some(7))));
        assert!(counts(&line("somebody", "header", "{\"new\":1}")).unwrap_err().starts_with("somebody"));
        assert!(counts(&line("hikyaku", "header", "{}")).unwrap_err().starts_with("no count"));
        assert_eq!(counts("noise\n"), Err("nothing was counted".into()));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut all = one("a", 5, Some(6));
        all.append(&mut one("b", 7, None));
        let text = format!("{HEAD}# some compiler\n{}", rows(&all));
        assert_eq!(recorded(&text), Ok(all));
        assert!(text.contains("\na\t5\t6\nb\t7\t-\n"));
        for wrong in ["a\t5", "a\tb\t6", "a\t5\tc", "a\t5\t6\t7"] {
            assert!(recorded(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_recorded_file_is_whole() {
        let counts = recorded(&read(&root().join("benches/instructions.tsv")).unwrap()).unwrap();
        let list = read(&root().join("benches/src/lib.rs")).unwrap();
        let list = list.split_once("compared").and_then(|(_, rest)| rest.split_once('}')).expect("the list is there").0;
        let (list, _) = list.split_once("timed").expect("what is only timed stands last");
        let is_row = |word: &&str| !["", "alone", "policy", "auth"].contains(word);
        let mut names: Vec<&str> = list.split([' ', '\n', ';']).filter(is_row).collect();
        names.sort_unstable();
        assert_eq!(counts.keys().collect::<Vec<_>>(), names);
    }

    #[test]
    fn growth_over_three_per_cent_fails() {
        let verdict = |before, now| compare(&one("a", before, None), &one("a", now, Some(1))).1;
        assert_eq!(verdict(1000, 1030), Ok(()));
        assert!(verdict(1000, 1031).unwrap_err().contains("a grew from 1000 to 1031 instructions, by 3.1 %"));
        // The peer may take what it likes.
        assert_eq!(compare(&one("a", 9, Some(1)), &one("a", 9, Some(100))).1, Ok(()));
        let keeps = "--record` keeps that";
        assert!(!compare(&one("a", 1000, None), &one("a", 970, None)).0.contains(keeps));
        assert!(compare(&one("a", 1000, None), &one("a", 969, None)).0.contains(keeps));
    }

    #[test]
    fn rows_that_come_or_go_fail() {
        let error = compare(&one("a", 1, None), &one("b", 1, None)).1.unwrap_err();
        assert!(error.contains("b is not recorded") && error.contains("a was recorded and is gone"), "{error}");
    }

    #[test]
    fn the_runner_has_the_version_of_the_lock_file() {
        let lock = "[[package]]\nname = \"gungraun-macros\"\nversion = \"0.10.0\"\n\n\
                    [[package]]\nname = \"gungraun\"\nversion = \"0.20.0\"\n";
        assert_eq!(locked_version(lock), Ok("0.20.0".into()));
        assert!(locked_version("name = \"bytes\"\nversion = \"1.12.2\"\n").is_err());
        assert!(locked_version(&read(&root().join("benches/Cargo.lock")).unwrap()).is_ok());
    }

    #[test]
    fn only_its_options_are_taken() {
        assert!(run(&["--records"]).is_none());
    }
}
