//! The policy as text: one rule a line, read aloud as English.

mod condition;
mod error;
mod item;
mod lexis;
mod parse;
mod pin;
mod print;
mod source;
mod words;

#[cfg(test)]
mod tests;

pub use error::TextError;
pub(crate) use parse::members_of_file;
