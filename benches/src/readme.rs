//! The README, which has the figures, and the machine that they are of.

use std::path::Path;
use std::process::Command;

/// The folder of this package.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One sentence on the machine, the compiler and the commit.
pub fn machine() -> String {
    let first_line = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(folder()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().next().map(str::to_owned)
    };
    let unknown = || "unknown".to_owned();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(": ")?.1.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = first_line("rustc", &["--version"]).unwrap_or_else(unknown);
    let commit = first_line("git", &["describe", "--always", "--dirty", "--exclude=*"]).unwrap_or_else(unknown);
    let date = first_line("date", &["--utc", "+%Y-%m-%d"]).unwrap_or_else(unknown);
    format!(
        "Machine: {cores} cores of {}, {}, {rustc}; commit {commit}, {date}.",
        cpu.unwrap_or_else(unknown),
        std::env::consts::OS
    )
}

/// Renews what stands in the README between `written by` this command and the next `end`.
///
/// # Panics
/// There is no such place, or the file cannot be written.
pub fn write(command: &str, text: &str) {
    const END: &str = "<!-- end -->\n";
    let begin = format!("<!-- written by `{command}` -->\n");
    let file = folder().join("README.md");
    let readme = std::fs::read_to_string(&file).expect("the README is there");
    let (before, rest) = readme.split_once(&begin).expect("the README has the place");
    let (_, after) = rest.split_once(END).expect("the place has an end");
    std::fs::write(file, format!("{before}{begin}\n{text}\n{END}{after}")).expect("the README can be written");
}
