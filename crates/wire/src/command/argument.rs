//! The text behind a verb.

use crate::{CommandError, CommandErrorKind, text::wire_text};

/// The text behind a verb, without line ends or other control characters, and with no space at its
/// end. It is kept as received.
#[derive(Clone, Copy, Debug)]
pub struct Argument<T = Box<str>>(T);

impl<'a> Argument<&'a str> {
    /// Takes a text as an argument.
    ///
    /// # Errors
    /// [`Argument`](CommandErrorKind::Argument) for a text that is empty, has a control character,
    /// or ends in a space, which nobody would find on the line again.
    pub fn parse(text: &'a str) -> Result<Self, CommandError> {
        if let Some(at) = text.find(char::is_control) {
            return Err(CommandErrorKind::Argument.at(at));
        }
        match text.as_bytes() {
            [] | [.., b' '] => Err(CommandErrorKind::Argument.at(text.len())),
            _ => Ok(Self(text)),
        }
    }
}

impl<T: AsRef<str>> Argument<T> {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// For VRFY and EXPN: what stands before the parameter `SMTPUTF8`, none if the text does not
    /// end in it (RFC 6531 §3.7.4.2).
    pub fn before_smtputf8(&self) -> Option<&str> {
        let (before, word) = self.as_str().rsplit_once(' ')?;
        (!before.is_empty() && word.eq_ignore_ascii_case("SMTPUTF8")).then_some(before)
    }

    /// The same argument with a text of its own.
    pub fn into_owned(self) -> Argument
    where
        T: Into<Box<str>>,
    {
        Argument(self.0.into())
    }
}

wire_text!(Argument, CommandError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_line_is_no_argument() {
        for (text, at) in [("", 0), ("a ", 2), (" ", 1), ("a\r\nQUIT", 1), ("\0", 0), ("a\tb", 1), ("é\u{85}", 2)] {
            assert_eq!(Argument::parse(text), Err(CommandErrorKind::Argument.at(at)), "{text:?}");
        }
        assert_eq!(Argument::parse("é x").unwrap(), "é x".parse::<Argument>().unwrap());
    }

    #[test]
    fn the_parameter_of_vrfy_stands_at_the_end() {
        for (text, before) in [
            ("jörg SMTPUTF8", Some("jörg")),
            ("a b smtputf8", Some("a b")),
            ("SMTPUTF8", None),
            (" SMTPUTF8", None),
            ("a SMTPUTF8 b", None),
            ("aSMTPUTF8", None),
        ] {
            assert_eq!(Argument::parse(text).unwrap().before_smtputf8(), before, "{text}");
        }
    }
}
