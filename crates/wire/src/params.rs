//! MAIL and RCPT with their parameters (RFC 5321 §4.1.1.2, §4.1.1.3 and the extensions).
//!
//! ```
//! use hikyaku_wire::{Body, Command};
//!
//! let line = b"MAIL FROM:<> SIZE=1024 BODY=8BITMIME X-TRACE=4711";
//! let Command::Mail(mail) = Command::parse(line).unwrap() else { panic!("not MAIL") };
//! assert_eq!((mail.params.size, mail.params.body), (Some(1024), Some(Body::EightBitMime)));
//! assert_eq!(mail.params.other().value("X-TRACE"), Some("4711"));
//! assert!(mail.params.keywords().eq(["SIZE", "BODY", "X-TRACE"]));
//! ```

mod keyword;
mod param;

use std::fmt;

pub use self::param::{Param, Params};
use self::{
    keyword::{Keyword, Of, Tail, Word},
    param::Span,
};
use crate::{CommandError, CommandErrorKind, ForwardPath, ReversePath};

/// What MAIL says: who gets a bounce, and the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Mail<T = Box<str>> {
    /// The reverse-path.
    pub from: ReversePath<T>,
    /// The parameters behind it.
    pub params: MailParams<T>,
}

/// What RCPT says: one recipient, and the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<T = Box<str>> {
    /// The forward-path.
    pub to: ForwardPath<T>,
    /// The parameters behind it.
    pub params: RecipientParams<T>,
}

/// The parameters of MAIL.
#[derive(Clone, Copy, Debug)]
pub struct MailParams<T = Box<str>> {
    /// `SIZE=`: octets of the message as the client estimates them (RFC 1870 §6). It may be a
    /// lie. `Some(0)` is not the same as absent.
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152 §4, RFC 3030 §3).
    pub body: Option<Body>,
    /// `SMTPUTF8` (RFC 6531 §3.4).
    pub smtputf8: bool,
    other: Params<T>,
}

/// The parameters of RCPT.
#[derive(Clone, Copy, Debug)]
pub struct RecipientParams<T = Box<str>> {
    other: Params<T>,
}

/// The value of `BODY=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// `7BIT`: ASCII only.
    #[default]
    SevenBit,
    /// `8BITMIME`: any octet, lines of at most 998 (RFC 6152).
    EightBitMime,
    /// `BINARYMIME`: no lines at all, only with BDAT (RFC 3030).
    BinaryMime,
}

impl Body {
    fn read(text: &str) -> Option<Self> {
        [Self::SevenBit, Self::EightBitMime, Self::BinaryMime]
            .into_iter()
            .find(|body| body.as_str().eq_ignore_ascii_case(text))
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

/// `size-value = 1*20DIGIT` (RFC 1870 §3). Twenty digits may be more than 64 bits hold; such a
/// message is too big for anybody, and no number stands in for it.
fn size(word: &Word<'_>) -> Result<u64, CommandError> {
    let digits = word.typed(|v| (v.len() <= 20 && v.bytes().all(|b| b.is_ascii_digit())).then_some(v))?;
    digits.parse().map_err(|_| CommandErrorKind::Size.at(word.at))
}

/// A parameter that comes twice is an error, because nobody could say which one counts.
fn once<O>(field: &mut Option<O>, word: &Word<'_>, value: O) -> Result<(), CommandError> {
    if field.replace(value).is_some() { Err(word.invalid()) } else { Ok(()) }
}

fn flag(field: &mut bool, word: &Word<'_>) -> Result<(), CommandError> {
    word.bare()?;
    if std::mem::replace(field, true) { Err(word.invalid()) } else { Ok(()) }
}

impl<'a> MailParams<&'a str> {
    /// Reads `*(SP esmtp-param)` from octet `at` of the line to its end.
    pub(crate) fn read(line: &'a str, at: usize) -> Result<Self, CommandError> {
        let mut params = Self::default();
        if at == line.len() {
            return Ok(params);
        }
        let mut tail = Tail::new(line, at);
        let mut other = Span::new(Of::Mail);
        while let Some(word) = tail.next()? {
            match word.keyword {
                Keyword::SIZE => once(&mut params.size, &word, size(&word)?)?,
                Keyword::BODY => once(&mut params.body, &word, word.typed(Body::read)?)?,
                Keyword::SMTPUTF8 => flag(&mut params.smtputf8, &word)?,
                _ => other.push(line, word)?,
            }
        }
        params.other = other.finish();
        Ok(params)
    }
}

impl<'a> RecipientParams<&'a str> {
    /// Reads `*(SP esmtp-param)` from octet `at` of the line to its end.
    pub(crate) fn read(line: &'a str, at: usize) -> Result<Self, CommandError> {
        let mut params = Self::default();
        if at == line.len() {
            return Ok(params);
        }
        let mut tail = Tail::new(line, at);
        let mut other = Span::new(Of::Rcpt);
        while let Some(word) = tail.next()? {
            other.push(line, word)?;
        }
        params.other = other.finish();
        Ok(params)
    }
}

impl<T: AsRef<str>> MailParams<T> {
    /// The keywords of all parameters that are there: those with a field in upper case, then the
    /// others as they were received. A server answers one that it has not offered with 555
    /// (RFC 5321 §4.1.1.11).
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        let known = [self.size.map(|_| "SIZE"), self.body.map(|_| "BODY"), self.smtputf8.then_some("SMTPUTF8")];
        known.into_iter().flatten().chain(self.other.keywords())
    }

    /// The parameters without a field of their own.
    pub fn other(&self) -> &Params<T> {
        &self.other
    }

    /// The same parameters with texts of their own.
    pub fn into_owned(self) -> MailParams
    where
        T: Into<Box<str>>,
    {
        MailParams { size: self.size, body: self.body, smtputf8: self.smtputf8, other: self.other.into_owned() }
    }
}

impl<T: AsRef<str>> RecipientParams<T> {
    /// The keywords of all parameters that are there, as [`MailParams::keywords`] gives them.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.other.keywords()
    }

    /// The parameters without a field of their own.
    pub fn other(&self) -> &Params<T> {
        &self.other
    }

    /// The same parameters with texts of their own.
    pub fn into_owned(self) -> RecipientParams
    where
        T: Into<Box<str>>,
    {
        RecipientParams { other: self.other.into_owned() }
    }
}

/// What MAIL and RCPT have in common.
macro_rules! command {
    ($command:ident, $path:ident, $params:ident, $verb:literal) => {
        impl $params {
            /// Appends a parameter that has no field of its own.
            ///
            /// # Errors
            /// [`Parameter`](CommandErrorKind::Parameter) at octet 0 for a keyword that is there
            /// already or has a field of its own, and for the 33rd parameter.
            pub fn push(&mut self, param: Param<&str>) -> Result<(), CommandError> {
                self.other.push(param)
            }
        }

        impl<T: AsRef<str>> $command<T> {
            /// The same with texts of its own.
            pub fn into_owned(self) -> $command
            where
                T: Into<Box<str>>,
            {
                $command { $path: self.$path.into_owned(), params: self.params.into_owned() }
            }
        }

        impl<T: AsRef<str>, U: AsRef<str>> PartialEq<$command<U>> for $command<T> {
            fn eq(&self, other: &$command<U>) -> bool {
                self.$path == other.$path && self.params == other.params
            }
        }

        impl<T: AsRef<str>> Eq for $command<T> {}

        impl<T: AsRef<str>> Eq for $params<T> {}

        impl<T: AsRef<str>> fmt::Display for $command<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($verb, ":{}{}"), self.$path, self.params)
            }
        }
    };
}

command!(Mail, from, MailParams, "MAIL FROM");
command!(Recipient, to, RecipientParams, "RCPT TO");

impl<T: Default> Default for MailParams<T> {
    fn default() -> Self {
        Self { size: None, body: None, smtputf8: false, other: Params::empty(Of::Mail) }
    }
}

impl<T: Default> Default for RecipientParams<T> {
    fn default() -> Self {
        Self { other: Params::empty(Of::Rcpt) }
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<MailParams<U>> for MailParams<T> {
    fn eq(&self, other: &MailParams<U>) -> bool {
        self.size == other.size
            && self.body == other.body
            && self.smtputf8 == other.smtputf8
            && self.other == other.other
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<RecipientParams<U>> for RecipientParams<T> {
    fn eq(&self, other: &RecipientParams<U>) -> bool {
        self.other == other.other
    }
}

impl<T: AsRef<str>> fmt::Display for MailParams<T> {
    /// Each parameter with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.body {
            write!(f, " BODY={}", body.as_str())?;
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        self.other.fmt(f)
    }
}

impl<T: AsRef<str>> fmt::Display for RecipientParams<T> {
    /// Each parameter with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.other.fmt(f)
    }
}
