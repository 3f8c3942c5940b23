//! What is wrong with a configuration, and where.

use std::{fmt, ops::Range, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What is wrong with a configuration.
///
/// It prints as `relay.toml, line 3, column 8: listener.mode: unknown variant ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The key with the tables around it: `delivery.route`.
    pub key: Option<String>,
    /// What is wrong, in words.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            before = ", ";
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{before}line {line}, column {column}")?;
            before = ", ";
        }
        let before = if before.is_empty() { "" } else { ": " };
        match &self.key {
            Some(key) => write!(f, "{before}{key}: {}", self.message),
            None => write!(f, "{before}{}", self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { file: None, line: None, column: None, key: None, message: message.into() }
    }

    /// An error about what stands at `span` of the text.
    pub(crate) fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let key = match DeTable::parse(text) {
            Ok(document) => key_at(document.get_ref(), span.start),
            // Not TOML: the line may still begin with a key.
            Err(_) => text[line_start..]
                .lines()
                .next()
                .and_then(|line| line.split_once('='))
                .map(|(key, _)| key.trim())
                // What is no key may be anything, a secret too.
                .filter(|key| key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)))
                .map(Into::into),
        };
        Self {
            line: Some(before.matches('\n').count() + 1),
            column: Some(before[line_start..].chars().count() + 1),
            key,
            ..Self::new(message)
        }
    }

    /// The error of the TOML reader.
    pub(crate) fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        match error.span() {
            Some(span) => Self::at(text, span, error.message()),
            None => Self::new(error.message()),
        }
    }

    /// The same error with the place of its key, which stands outside all tables.
    pub(crate) fn at_its_key(self, text: &str) -> Self {
        let document = DeTable::parse(text).ok();
        let entry = document.as_ref().zip(self.key.as_deref()).and_then(|(d, key)| d.get_ref().get_key_value(key));
        match entry {
            Some((key, _)) => Self::at(text, key.span(), self.message),
            None => self,
        }
    }
}

/// The keys that lead to what stands at an offset.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        match key_below(value, offset) {
            Some(inner) => Some(format!("{name}.{inner}")),
            None => is_at(key.span(), value, offset).then(|| name.to_string()),
        }
    })
}

/// Whether an offset is in a key, in its value, or in the header of a table of an array.
fn is_at(key: Range<usize>, value: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    let tables = match value.get_ref() {
        DeValue::Array(values) => &values[..],
        _ => &[],
    };
    let mut spans = [key, value.span()].into_iter().chain(tables.iter().map(Spanned::span));
    spans.any(|span| span.contains(&offset))
}

fn key_below(value: &Spanned<DeValue<'_>>, offset: usize) -> Option<String> {
    match value.get_ref() {
        DeValue::Table(table) => key_at(table, offset),
        DeValue::Array(values) => values.iter().find_map(|value| match value.get_ref() {
            DeValue::Table(_) | DeValue::Array(_) => key_below(value, offset),
            _ => None,
        }),
        _ => None,
    }
}
