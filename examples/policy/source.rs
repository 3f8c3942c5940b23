//! Policies in files.

use std::fs;
use std::path::Path;

use hikyaku::policy::{Policy, Rejection, TextError};

use crate::report::Problem;

/// Reads a policy; files that it names lie in its folder, unless their paths are absolute.
pub(crate) fn parse(path: &Path) -> Result<Policy, Problem> {
    let text = read(path)?;
    Policy::parse(&text, &mut |name| beside(path, name)).map_err(|error| Problem(place(path, &error)))
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|error| Problem(format!("{}: {error}", path.display())))
}

fn beside(policy: &Path, name: &str) -> Result<String, String> {
    let folder = policy.parent().unwrap_or(Path::new(""));
    fs::read_to_string(folder.join(name)).map_err(|error| error.to_string())
}

/// The file, the line and the column, as compilers say it, then the line and a caret.
fn place(path: &Path, error: &TextError) -> String {
    let TextError { line, column, message, text, file, .. } = error;
    let path = match file {
        Some(file) => path.parent().unwrap_or(Path::new("")).join(file),
        None => path.to_owned(),
    };
    format!("{}:{line}:{column}: {message}\n  {text}\n  {:>column$}", path.display(), "^")
}

/// What a policy is rejected for, with its file.
pub(crate) fn rejected(path: &Path, rejection: &Rejection) -> String {
    let path = path.display();
    match rejection {
        Rejection::Claim { line, .. } | Rejection::Provisional { line, .. } => format!("{path}:{line}: {rejection}"),
        _ => format!("{path}: {rejection}"),
    }
}
