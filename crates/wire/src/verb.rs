//! Command verbs, known and unknown.

use std::fmt;

/// The verb of a command that has no form of its own here, in upper case: `TURN`, `ETRN`, or
/// whatever a peer makes up. At most 32 printable octets are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Verb(Box<str>);

impl Verb {
    const LIMIT: usize = 32;

    /// The verb at the start of a line: graphic ASCII up to the first space.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let word = line.split(|b| *b == b' ').next().unwrap_or_default();
        let valid = !word.is_empty() && word.len() <= Self::LIMIT && word.iter().all(u8::is_ascii_graphic);
        valid.then(|| Self(String::from_utf8_lossy(word).to_ascii_uppercase().into()))
    }

    /// The verb in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The verbs with a form of their own, as the first word of a line says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Helo,
    Ehlo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
}

/// Four-letter verbs are told apart by one comparison of integers.
pub(crate) fn known(word: &[u8]) -> Option<Known> {
    let Some(four) = word.first_chunk::<4>().filter(|_| word.len() == 4) else {
        return word.eq_ignore_ascii_case(b"STARTTLS").then_some(Known::StartTls);
    };
    Some(match &four.map(|b| b.to_ascii_uppercase()) {
        b"HELO" => Known::Helo,
        b"EHLO" => Known::Ehlo,
        b"LHLO" => Known::Lhlo,
        b"MAIL" => Known::Mail,
        b"RCPT" => Known::Rcpt,
        b"DATA" => Known::Data,
        b"RSET" => Known::Rset,
        b"NOOP" => Known::Noop,
        b"QUIT" => Known::Quit,
        b"VRFY" => Known::Vrfy,
        b"EXPN" => Known::Expn,
        b"HELP" => Known::Help,
        b"AUTH" => Known::Auth,
        _ => return None,
    })
}
