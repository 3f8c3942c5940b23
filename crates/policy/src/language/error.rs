//! What is wrong with a text, and where.

use std::fmt;

use super::source::Source;
use crate::{Limits, Policy, PolicyError, Rejection};

/// Where a text is not a policy, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1, in characters.
    pub column: usize,
    /// What is wrong, and what may have been meant.
    pub message: String,
    /// The line as it stands there.
    pub text: String,
    /// The file that the line is in, if it is one that the policy names.
    pub file: Option<String>,
    /// What a well-formed text is rejected for.
    pub rejected: Option<Box<PolicyError>>,
}

impl TextError {
    /// Something is wrong at an octet of a text.
    pub(super) fn at(source: &Source<'_>, at: usize, message: impl ToString) -> Self {
        let (line, column, text) = source.place(at);
        Self { line, column, message: message.to_string(), text: text.to_owned(), file: None, rejected: None }
    }

    /// The same, in a file.
    pub(super) fn in_file(self, file: &str) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }

    /// A well-formed policy must not be used.
    fn rejected(text: &str, rejection: Rejection) -> Self {
        let line = match &rejection {
            Rejection::Open(witness, _) => witness.line.unwrap_or(1),
            Rejection::Claim { line, .. } | Rejection::Provisional { line, .. } => *line,
            Rejection::TooComplex(complex) => complex.lines.first().copied().unwrap_or(1),
        };
        let text = Source::new(text).lines().nth(line.saturating_sub(1)).map_or("", |(_, text)| text).to_owned();
        let message = rejection.to_string();
        Self { line, column: 1, message, text, file: None, rejected: Some(Box::new(PolicyError::Rejected(rejection))) }
    }
}

/// Characters of a line that are shown on each side of the place.
const SHOWN: usize = 60;

/// Prints the place and the reason, the line, and a caret under the place; of a long line the part
/// around the place. A rejection prints as [`Rejection`] does.
impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message, text, file, rejected } = self;
        if rejected.is_some() {
            return f.write_str(message);
        }
        if let Some(file) = file {
            write!(f, "{file}, ")?;
        }
        let harmless = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
        let place = column.saturating_sub(1);
        let first = place.saturating_sub(SHOWN);
        let shown: String = text.chars().skip(first).take(2 * SHOWN).map(harmless).collect();
        let (before, after) =
            (if first > 0 { "…" } else { "" }, if text.chars().nth(first + 2 * SHOWN).is_some() { "…" } else { "" });
        // A tab is as wide below as above.
        let indent: String = before
            .chars()
            .chain(shown.chars())
            .take(place - first + before.chars().count())
            .map(|c| if c == '\t' { c } else { ' ' })
            .collect();
        write!(f, "line {line}, column {column}: {message}\n  {before}{shown}{after}\n  {indent}^")
    }
}

impl std::error::Error for TextError {}

impl Policy {
    /// Reads a policy, and proves that it may be used: [`Policy::parse`], then
    /// [`Policy::admit`].
    ///
    /// # Errors
    /// Those of both; of a rejection the first line says it, and the lines below who shows it.
    pub fn load(
        text: &str,
        read: &mut dyn FnMut(&str) -> Result<String, String>,
        limits: &Limits,
    ) -> Result<Self, TextError> {
        let policy = Self::parse(text, read)?;
        match policy.admit(limits) {
            Ok(()) => Ok(policy),
            Err(rejection) => Err(TextError::rejected(text, rejection)),
        }
    }
}
