//! Command verbs, known and unknown (RFC 5321 §4.1.1).
//!
//! ```
//! use hikyaku_wire::Verb;
//!
//! let verb = Verb::parse("etrn").unwrap();
//! assert!(verb == "ETRN");
//! assert_eq!(verb.to_string(), "ETRN");
//! ```

use std::{
    fmt::{self, Write},
    hash::{Hash, Hasher},
    str::FromStr,
};

use crate::{CommandError, CommandErrorKind};

/// The verb of a command that has no form of its own here: `TURN`, `ETRN`, or whatever a peer
/// makes up. It has at most 32 printable ASCII octets and is none of the verbs with a form of
/// their own. The case of its letters makes no difference; it prints in upper case.
#[derive(Clone, Copy, Debug)]
pub struct Verb<T = Box<str>>(T);

const LIMIT: usize = 32;

impl<'a> Verb<&'a str> {
    /// Reads a verb, and nothing behind it.
    ///
    /// # Errors
    /// [`Unrecognized`](CommandErrorKind::Unrecognized) for a word that is empty, longer than 32
    /// octets, not printable ASCII, or the verb of another [`Command`](crate::Command).
    pub fn parse(word: &'a str) -> Result<Self, CommandError> {
        let valid = !word.is_empty() && word.len() <= LIMIT && word.bytes().all(|b| b.is_ascii_graphic());
        match valid && Known::read(word.as_bytes()).is_none() {
            true => Ok(Self(word)),
            false => Err(CommandErrorKind::Unrecognized.at(0)),
        }
    }
}

impl<T: AsRef<str>> Verb<T> {
    /// The verb as it was received, in any case.
    pub fn as_received(&self) -> &str {
        self.0.as_ref()
    }

    /// The same verb with a text of its own.
    pub fn into_owned(self) -> Verb
    where
        T: Into<Box<str>>,
    {
        Verb(self.0.into())
    }
}

impl FromStr for Verb {
    type Err = CommandError;

    fn from_str(word: &str) -> Result<Self, CommandError> {
        Verb::parse(word).map(Verb::into_owned)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Verb<U>> for Verb<T> {
    fn eq(&self, other: &Verb<U>) -> bool {
        *self == *other.as_received()
    }
}

impl<T: AsRef<str>> PartialEq<str> for Verb<T> {
    fn eq(&self, other: &str) -> bool {
        self.as_received().eq_ignore_ascii_case(other)
    }
}

impl<T: AsRef<str>> PartialEq<&str> for Verb<T> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl<T: AsRef<str>> Eq for Verb<T> {}

impl<T: AsRef<str>> Hash for Verb<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.as_received().bytes() {
            state.write_u8(byte.to_ascii_uppercase());
        }
        state.write_u8(0xff);
    }
}

impl<T: AsRef<str>> fmt::Display for Verb<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_received().chars().try_for_each(|c| f.write_char(c.to_ascii_uppercase()))
    }
}

/// The verbs with a form of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Helo,
    Ehlo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
    XClient,
}

impl Known {
    /// The verb at the start of a line, which a space or the end of the line follows.
    ///
    /// Four letters are told apart as one integer. To clear the bit 0x20 makes upper case of a
    /// letter, and a letter of nothing else.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let (four, rest) = line.split_first_chunk::<4>()?;
        let verb = match &(u32::from_be_bytes(*four) & 0xdfdf_dfdf).to_be_bytes() {
            b"HELO" => Self::Helo,
            b"EHLO" => Self::Ehlo,
            b"LHLO" => Self::Lhlo,
            b"MAIL" => Self::Mail,
            b"RCPT" => Self::Rcpt,
            b"DATA" => Self::Data,
            b"BDAT" => Self::Bdat,
            b"RSET" => Self::Rset,
            b"NOOP" => Self::Noop,
            b"QUIT" => Self::Quit,
            b"VRFY" => Self::Vrfy,
            b"EXPN" => Self::Expn,
            b"HELP" => Self::Help,
            b"AUTH" => Self::Auth,
            b"STAR" | b"XCLI" => return Self::long(line),
            _ => return None,
        };
        matches!(rest, [] | [b' ', ..]).then_some(verb)
    }

    /// The verbs that are longer.
    fn long(line: &[u8]) -> Option<Self> {
        let word = line.split(|b| *b == b' ').next().unwrap_or_default();
        let long = [(&b"STARTTLS"[..], Self::StartTls), (b"XCLIENT", Self::XClient)];
        long.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, verb)| verb)
    }

    /// Octets of the verb.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::StartTls => 8,
            Self::XClient => 7,
            _ => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_one_word_that_no_other_command_has() {
        for word in ["", "MAIL", "starttls", "a b", "Ü", "X\r\n", "X\0"] {
            assert!(Verb::parse(word).is_err(), "{word:?}");
        }
        assert!(Verb::parse(&"x".repeat(32)).is_ok());
        assert!(Verb::parse(&"x".repeat(33)).is_err());
        assert_eq!(Verb::parse("TuRn").unwrap(), "turn".parse::<Verb>().unwrap());
        assert!(Verb::parse("TURN").unwrap() != "TURNS");
    }

    #[test]
    fn a_known_verb_is_a_whole_word_of_letters() {
        for (line, verb) in [
            (&b"mAiL FROM:<>"[..], Some(Known::Mail)),
            (b"DATA", Some(Known::Data)),
            (b"DATAX", None),
            (b"DATA\t", None),
            (b"DAT", None),
            // What differs from a letter by more than the bit of its case.
            (b"-AIL", None),
            (b"\x0dAIL", None),
            (b"\xcdAIL", None),
            (b"DAT\xc1", None),
            (b"STARTTLS", Some(Known::StartTls)),
            (b"startTLS x", Some(Known::StartTls)),
            (b"STAR", None),
            (b"STARTTLSX", None),
            (b"xclient NAME=a", Some(Known::XClient)),
            (b"XCLIENTS", None),
            (b"XCLI", None),
        ] {
            assert_eq!(Known::read(line), verb, "{line:?}");
        }
    }
}
