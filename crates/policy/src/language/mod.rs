//! The policy as text: one rule a line, read aloud as English.

mod parse;
mod print;

pub use parse::TextError;
