//! The words and values of RFC 8601 §2.2.

use std::borrow::Cow;
use std::fmt;

/// The longest keyword, in octets.
const KEYWORD_MAX: usize = 64;
/// The longest value as it is printed, in octets: with the names before it, it fits into a line
/// of 998 (RFC 5322 §2.1.1).
const VALUE_MAX: usize = 800;

/// The text is not of the grammar of RFC 8601 §2.2, or cannot be said in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, at octet {at} of the authentication results")]
pub struct ResultsError {
    /// What is wrong.
    pub kind: ResultsErrorKind,
    /// The octet at which it is, counted from 0; at most the length of the text.
    pub at: usize,
}

/// What is wrong with authentication results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsErrorKind {
    /// A control character, NUL, or a CR or LF that does not fold a line.
    #[error("a control character")]
    Control,
    /// Octets that are not UTF-8.
    #[error("text that is not UTF-8")]
    NotUtf8,
    /// A comment or a quoted string without its end.
    #[error("a comment or quoted string that does not end")]
    Unterminated,
    /// Comments inside comments, more than 32 deep.
    #[error("comments nested too deeply")]
    Nesting,
    /// Letters, digits, `-` and `_` were expected.
    #[error("a keyword is missing or malformed")]
    Keyword,
    /// A word or a quoted string was expected.
    #[error("a value is missing or malformed")]
    Value,
    /// A version is a number of at most 9 digits.
    #[error("a version that is no number of at most 9 digits")]
    Version,
    /// `i=` with a number from 1 to 50 was expected (RFC 8617 §4.2.1).
    #[error("an instance that is not i= and a number from 1 to 50")]
    Instance,
    /// Something else was expected here, such as `;` or `=`.
    #[error("something that does not belong here")]
    Unexpected,
    /// Neither a result nor `none` follows the identifier.
    #[error("neither a result nor `none`")]
    NoResult,
    /// A keyword of more than 64 octets, a value of more than 800, or a field of more than 64 KiB.
    #[error("text that is too long")]
    TooLong,
}

/// A word of letters, digits, `-` and `_`, of at most 64 octets (RFC 8601 §2.2); its case does
/// not matter.
///
/// `Keyword = Ldh-str` (RFC 5321 §4.1.2); the `_` is not of the grammar but in use.
#[derive(Clone, Copy)]
pub struct Keyword<T = Box<str>>(T);

impl Keyword {
    /// Checks `word`.
    ///
    /// # Errors
    /// If it is empty, too long, ends in `-`, or holds any other character.
    pub fn new(word: &str) -> Result<Self, ResultsError> {
        Keyword::check(word).map(Keyword::into_owned)
    }

    /// A word of this crate.
    pub(super) fn known(word: &'static str) -> Self {
        Self(word.into())
    }
}

impl<'a> Keyword<Cow<'a, str>> {
    pub(super) fn check(word: &'a str) -> Result<Self, ResultsError> {
        if let Some(at) = word.bytes().position(|octet| !is_keyword(octet)) {
            return Err(ResultsError { kind: ResultsErrorKind::Keyword, at });
        }
        if word.is_empty() || word.ends_with('-') {
            return Err(ResultsError { kind: ResultsErrorKind::Keyword, at: word.len() });
        }
        if word.len() > KEYWORD_MAX {
            return Err(ResultsError { kind: ResultsErrorKind::TooLong, at: KEYWORD_MAX });
        }
        Ok(Self(Cow::Borrowed(word)))
    }
}

impl<T: AsRef<str>> Keyword<T> {
    /// The word as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The form that owns its text.
    #[must_use]
    pub fn into_owned(self) -> Keyword {
        Keyword(self.as_str().into())
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Keyword<U>> for Keyword<T> {
    fn eq(&self, other: &Keyword<U>) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl<T: AsRef<str>> Eq for Keyword<T> {}

impl<T: AsRef<str>> PartialEq<str> for Keyword<T> {
    fn eq(&self, other: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(other)
    }
}

impl<T: AsRef<str>> fmt::Display for Keyword<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T: fmt::Debug> fmt::Debug for Keyword<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(super) fn is_keyword(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

/// The text of a `value` or `pvalue` (RFC 8601 §2.2), without quotes; it prints as a word where
/// every reader takes it for one, else as a quoted string.
///
/// It holds no control character but the tab, so it cannot end a field, and its printed form has
/// at most 800 octets.
///
/// ```
/// use hikyaku_message::results::Value;
///
/// assert_eq!(Value::new("a; dkim=pass")?.to_string(), "\"a; dkim=pass\"");
/// assert!(Value::new("a\r\nX: y").is_err());
/// assert_eq!(Value::lossy("a\r\nX: y").to_string(), "\"a??X: y\"");
/// # Ok::<(), hikyaku_message::results::ResultsError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value<T = Box<str>>(T);

impl Value {
    /// Checks `text`.
    ///
    /// # Errors
    /// If it holds a control character other than the tab, or is too long.
    pub fn new(text: &str) -> Result<Self, ResultsError> {
        Value::check(Cow::Borrowed(text), 0).map(Value::into_owned)
    }

    /// The text of a peer: each character that cannot be said becomes `?`, and what is too long
    /// is cut.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut kept = String::new();
        let mut printed = 2;
        for c in text.chars() {
            let c = if is_forbidden(c) { '?' } else { c };
            printed += c.len_utf8() + usize::from(is_escaped(c));
            if printed > VALUE_MAX {
                break;
            }
            kept.push(c);
        }
        Self(kept.into())
    }
}

impl<'a> Value<Cow<'a, str>> {
    /// Checks a text that begins at octet `at`.
    pub(super) fn check(text: Cow<'a, str>, at: usize) -> Result<Self, ResultsError> {
        if let Some(index) = text.find(is_forbidden) {
            return Err(ResultsError { kind: ResultsErrorKind::Control, at: at + index });
        }
        if 2 + text.len() + text.matches(is_escaped).count() > VALUE_MAX {
            return Err(ResultsError { kind: ResultsErrorKind::TooLong, at });
        }
        Ok(Self(text))
    }
}

impl<T: AsRef<str>> Value<T> {
    /// The text without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The form that owns its text.
    #[must_use]
    pub fn into_owned(self) -> Value {
        Value(self.as_str().into())
    }
}

impl<T: AsRef<str>> PartialEq<str> for Value<T> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl<T: AsRef<str>> fmt::Display for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_str();
        if is_word(text) { f.write_str(text) } else { quote(text, f) }
    }
}

/// Prints where the grammar has a `value` and no address: the identifier and the reason.
pub(super) struct Token<'a, T>(pub(super) &'a Value<T>);

impl<T: AsRef<str>> fmt::Display for Token<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_str();
        if is_atoms(text) { f.write_str(text) } else { quote(text, f) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// No reader may see the end of a field, or of a line, in a value.
pub(super) fn is_forbidden(c: char) -> bool {
    c.is_control() && c != '\t'
}

fn is_escaped(c: char) -> bool {
    matches!(c, '"' | '\\')
}

/// `quoted-string` (RFC 5322 §3.2.4).
fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    let mut rest = text;
    while let Some(index) = rest.find(is_escaped) {
        let (before, after) = rest.split_at(index);
        // Each escaped character is one octet of ASCII.
        write!(f, "{before}\\{}", &after[..1])?;
        rest = &after[1..];
    }
    write!(f, "{rest}\"")
}

/// `[ [ local-part ] "@" ] domain-name`, or a `token` of the same characters: fewer than the
/// grammar allows, because not every reader knows it.
fn is_word(text: &str) -> bool {
    match text.split_once('@') {
        Some((local, domain)) => (local.is_empty() || is_atoms(local)) && is_atoms(domain),
        None => is_atoms(text),
    }
}

fn is_atoms(text: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'+');
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(plain))
}
