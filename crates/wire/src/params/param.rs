//! Parameters of which this crate knows no more than the form.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

use super::keyword::{Of, Word};
use crate::{CommandError, CommandErrorKind, grammar::is_esmtp_value};

/// One parameter as it stands on the line:
/// `esmtp-param = esmtp-keyword ["=" esmtp-value]` (RFC 5321 §4.1.2).
///
/// ```
/// use hikyaku_wire::Param;
///
/// let param = Param::parse("x-trace=4711").unwrap();
/// assert_eq!((param.keyword(), param.value()), ("x-trace", Some("4711")));
/// assert_eq!(param.to_string(), "X-TRACE=4711");
/// assert!(Param::new("X-TRACE", Some("two words")).is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Param<T = Box<str>> {
    keyword: T,
    value: Option<T>,
}

impl<'a> Param<&'a str> {
    /// Reads a parameter, and nothing behind it.
    ///
    /// # Errors
    /// [`Parameter`](CommandErrorKind::Parameter), with the octet.
    pub fn parse(text: &'a str) -> Result<Self, CommandError> {
        let (word, end) = Word::read(text, 0, Of::Mail)?;
        match word.value {
            _ if end < text.len() => Err(CommandErrorKind::Parameter.at(end)),
            value => Self::new(word.name, value),
        }
    }

    /// Makes a parameter of its two parts.
    ///
    /// # Errors
    /// [`Parameter`](CommandErrorKind::Parameter), with the octet in the form that is printed.
    pub fn new(keyword: &'a str, value: Option<&'a str>) -> Result<Self, CommandError> {
        let (word, _) = Word::read(keyword, 0, Of::Mail)?;
        if word.name.len() < keyword.len() {
            return Err(CommandErrorKind::Parameter.at(word.name.len()));
        }
        match value {
            Some(value) if !is_esmtp_value(value) || value.contains(char::is_control) => {
                Err(CommandErrorKind::Parameter.at(keyword.len() + 1))
            }
            value => Ok(Self { keyword, value }),
        }
    }
}

impl<'a> From<Word<'a>> for Param<&'a str> {
    fn from(word: Word<'a>) -> Self {
        Self { keyword: word.name, value: word.value }
    }
}

impl<T: AsRef<str>> Param<T> {
    /// The keyword as it was received, in any case.
    pub fn keyword(&self) -> &str {
        self.keyword.as_ref()
    }

    /// The value, still in the form of the wire (xtext is not decoded).
    pub fn value(&self) -> Option<&str> {
        self.value.as_ref().map(AsRef::as_ref)
    }

    /// The same parameter with texts of its own.
    pub fn into_owned(self) -> Param
    where
        T: Into<Box<str>>,
    {
        Param { keyword: self.keyword.into(), value: self.value.map(Into::into) }
    }
}

impl FromStr for Param {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        Param::parse(text).map(Param::into_owned)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Param<U>> for Param<T> {
    fn eq(&self, other: &Param<U>) -> bool {
        self.keyword().eq_ignore_ascii_case(other.keyword()) && self.value() == other.value()
    }
}

impl<T: AsRef<str>> Eq for Param<T> {}

impl<T: AsRef<str>> fmt::Display for Param<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keyword().chars().try_for_each(|c| f.write_char(c.to_ascii_uppercase()))?;
        self.value().map_or(Ok(()), |value| write!(f, "={value}"))
    }
}

/// Parameters without a field of their own, in the order of the line, each keyword once.
///
/// The borrowed form is a span of the line, already checked, which each iteration reads again; it
/// skips the parameters that have a field. The owned form keeps only those that have none.
#[derive(Clone, Copy, Debug)]
pub struct Params<T = Box<str>> {
    text: T,
    of: Of,
}

/// Parameters without a field of their own at the most: to find a keyword that comes twice costs
/// their number squared.
const LIMIT: usize = 32;

impl<T> Params<T> {
    pub(super) fn empty(of: Of) -> Self
    where
        T: Default,
    {
        Self { text: T::default(), of }
    }
}

impl<T: AsRef<str>> Params<T> {
    /// The parameters, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = Param<&str>> + Clone {
        let of = self.of;
        let words = self.text.as_ref().split(' ').filter_map(move |text| Word::read(text, 0, of).ok());
        words.filter(|(word, _)| word.keyword.is_none()).map(|(word, _)| Param::from(word))
    }

    /// The keywords, as they were received.
    pub(super) fn keywords(&self) -> impl Iterator<Item = &str> + Clone {
        self.iter().map(|param| param.keyword)
    }

    /// The value of the parameter with this keyword, in any case; none if it has no value or is
    /// not there.
    pub fn value(&self, keyword: &str) -> Option<&str> {
        self.iter().find(|param| param.keyword.eq_ignore_ascii_case(keyword))?.value
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.text.as_ref().is_empty()
    }

    /// The same parameters with a text of their own.
    pub fn into_owned(self) -> Params {
        let mut owned = Params { text: Box::default(), of: self.of };
        if !self.is_empty() {
            let words: Vec<_> = self.iter().map(|param| param.to_string()).collect();
            owned.text = words.join(" ").into();
        }
        owned
    }
}

impl Params {
    /// Appends a parameter; what cannot stand beside the others comes back as an error at octet 0.
    pub(super) fn push(&mut self, param: Param<&str>) -> Result<(), CommandError> {
        let (word, _) = Word::read(param.keyword, 0, self.of)?;
        let twice = self.keywords().any(|earlier| earlier.eq_ignore_ascii_case(param.keyword));
        if twice || word.keyword.is_some() || self.iter().count() == LIMIT {
            return Err(word.invalid());
        }
        let separator = if self.is_empty() { "" } else { " " };
        self.text = format!("{}{separator}{param}", self.text).into();
        Ok(())
    }
}

/// The span of a line from its first parameter without a field to its last.
pub(super) struct Span<'a> {
    params: Params<&'a str>,
    start: usize,
    count: usize,
}

impl<'a> Span<'a> {
    pub(super) fn new(of: Of) -> Self {
        Self { params: Params::empty(of), start: 0, count: 0 }
    }

    /// Takes one more parameter of `line`.
    pub(super) fn push(&mut self, line: &'a str, word: Word<'a>) -> Result<(), CommandError> {
        let twice = self.params.keywords().any(|earlier| earlier.eq_ignore_ascii_case(word.name));
        if twice || self.count == LIMIT || !word.value.is_none_or(is_esmtp_value) {
            return Err(word.invalid());
        }
        if self.count == 0 {
            self.start = word.at;
        }
        self.count += 1;
        let end = word.at + word.name.len() + word.value.map_or(0, |value| 1 + value.len());
        self.params.text = &line[self.start..end];
        Ok(())
    }

    pub(super) fn finish(self) -> Params<&'a str> {
        self.params
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Params<U>> for Params<T> {
    fn eq(&self, other: &Params<U>) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: AsRef<str>> Eq for Params<T> {}

impl<T: AsRef<str>> fmt::Display for Params<T> {
    /// Each parameter with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|param| write!(f, " {param}"))
    }
}
