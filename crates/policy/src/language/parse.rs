//! Reading the language.

use crate::{Limits, Policy, PolicyError};

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
    pub rejected: Option<PolicyError>,
}

/// Prints the place and the reason, the line, and a caret under the place.
impl std::fmt::Display for TextError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, column, message, text, .. } = self;
        write!(f, "line {line}, column {column}: {message}\n  {text}\n  {:>column$}", "^")
    }
}

impl std::error::Error for TextError {}

impl Policy {
    /// Reads a policy. `read` gives the text of a file that the policy names. Whether it is one
    /// to be used says [`Policy::admit`].
    ///
    /// # Errors
    /// The first place that is not of the language, or names what is not there.
    pub fn parse(text: &str, read: &mut dyn FnMut(&str) -> Result<String, String>) -> Result<Self, TextError> {
        let _ = (text, read);
        unimplemented!("owner: a")
    }

    /// Reads a policy, and proves that it may be used: [`Policy::parse`], then
    /// [`Policy::admit`].
    ///
    /// # Errors
    /// Those of both.
    pub fn load(
        text: &str,
        read: &mut dyn FnMut(&str) -> Result<String, String>,
        limits: &Limits,
    ) -> Result<Self, TextError> {
        let _ = (text, read, limits);
        unimplemented!("owner: a")
    }
}
