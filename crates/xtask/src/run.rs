//! Steps with headings: each is run, whatever the one before it said, and the
//! summary at the end names those that failed.

use std::process::{Command, ExitCode};
use std::time::Instant;

/// The steps that have been run, and how each ended.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, Result<(), String>, u64)>,
}

impl Steps {
    /// Runs one step under its heading.
    pub(crate) fn step(&mut self, heading: &str, work: impl FnOnce() -> Result<(), String>) {
        println!("\n==== {heading} ====");
        let start = Instant::now();
        let result = work();
        if let Err(error) = &result {
            println!("FAILED: {error}");
        }
        self.done.push((heading.to_owned(), result, start.elapsed().as_secs()));
    }

    /// Prints how each step ended; failure if any failed.
    pub(crate) fn summary(self) -> ExitCode {
        println!("\n==== summary ====");
        let mut failed = false;
        for (heading, result, seconds) in self.done {
            match result {
                Ok(()) => println!("ok      {heading} ({seconds} s)"),
                Err(error) => {
                    failed = true;
                    println!("FAILED  {heading} ({seconds} s): {error}");
                }
            }
        }
        if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// The cargo that runs us, in the top folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(crate::root());
    command
}

/// Runs a command with our own output; anything but success is an error.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    println!("$ {}", line(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{}: {status}", line(command))),
        Err(error) => Err(format!("{}: {error}", line(command))),
    }
}

/// Runs a command and returns its output; anything but success is an error with what it said.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{}: {error}", line(command)))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{}: {}\n{}", line(command), output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
