//! What stands before the `@`.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use super::{AddressError, AddressErrorKind, complete};
use crate::grammar::{self, LOCAL_PART_LIMIT, is_atext, is_qtext};

/// The part of an address before the `@`: `Local-part = Dot-string / Quoted-string`
/// (RFC 5321 §4.1.2), of at most 64 octets in the form on the wire.
///
/// It keeps the form that was received. What counts is the content, without quotes and
/// backslashes: comparison, order and hash go by that, so `"a"@b` and `a@b` are the same mailbox
/// (RFC 5321 §4.1.2). It prints with quotes only where the content must have them. Comparison is
/// exact: only the host of a mailbox may know that case does not matter there.
#[derive(Clone, Copy)]
pub struct LocalPart<T = Box<str>>(T);

impl<'a> LocalPart<&'a str> {
    /// Reads a local part in the form of the wire.
    ///
    /// # Errors
    /// What is neither a Dot-string nor a Quoted-string, and more than 64 octets.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        complete(text, grammar::local_part).map(Self)
    }
}

impl LocalPart {
    /// Makes a local part from its content, without quotes.
    ///
    /// # Errors
    /// Control characters, and more than 64 octets in the form that is printed.
    pub fn from_content(content: &str) -> Result<Self, AddressError> {
        if let Some(at) = content.find(char::is_control) {
            return Err(AddressErrorKind::Syntax.at(at));
        }
        let wire =
            if is_dot_string(content.chars()) { content.to_owned() } else { Quoted(content.chars()).to_string() };
        if wire.len() > LOCAL_PART_LIMIT {
            return Err(AddressErrorKind::LocalPartTooLong.at(content.len().min(LOCAL_PART_LIMIT)));
        }
        Ok(Self(wire.into()))
    }
}

impl<T> LocalPart<T> {
    /// From text that the grammar has read.
    pub(super) fn checked(text: T) -> Self {
        Self(text)
    }
}

impl<T: AsRef<str>> LocalPart<T> {
    /// The form on the wire, as it was received: maybe quoted.
    pub fn as_received(&self) -> &str {
        self.0.as_ref()
    }

    /// The content, without quotes and backslashes. It is copied only if a backslash is in it.
    pub fn content(&self) -> Cow<'_, str> {
        let inner = self.inner();
        if self.is_quoted() && inner.contains('\\') { Cow::Owned(self.chars().collect()) } else { Cow::Borrowed(inner) }
    }

    /// Whether the content is empty: `""@example.org` has a grammar but no mailbox.
    pub fn is_empty(&self) -> bool {
        self.inner().is_empty()
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.as_received().is_ascii()
    }

    /// The same local part, borrowed.
    pub fn borrowed(&self) -> LocalPart<&str> {
        LocalPart(self.as_received())
    }

    /// The same local part with a text of its own.
    pub fn into_owned(self) -> LocalPart
    where
        T: Into<Box<str>>,
    {
        LocalPart(self.0.into())
    }

    fn is_quoted(&self) -> bool {
        self.as_received().starts_with('"')
    }

    /// The text between the quotes, where there are any.
    fn inner(&self) -> &str {
        let text = self.as_received();
        text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
    }

    /// The characters of the content.
    fn chars(&self) -> impl Iterator<Item = char> + Clone {
        let quoted = self.is_quoted();
        let mut chars = self.inner().chars();
        std::iter::from_fn(move || match chars.next() {
            Some('\\') if quoted => chars.next(),
            next => next,
        })
    }
}

/// Whether a content may stand without quotes.
fn is_dot_string(content: impl Iterator<Item = char>) -> bool {
    let mut atom = false;
    for c in content {
        match c {
            '.' if atom => atom = false,
            c if !c.is_ascii() || is_atext(c as u8) => atom = true,
            _ => return false,
        }
    }
    atom
}

/// A content as a Quoted-string.
struct Quoted<I>(I);

impl<I: Iterator<Item = char> + Clone> fmt::Display for Quoted<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        for c in self.0.clone() {
            if c.is_ascii() && !is_qtext(c as u8) {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

impl FromStr for LocalPart {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        LocalPart::parse(text).map(LocalPart::into_owned)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<LocalPart<U>> for LocalPart<T> {
    fn eq(&self, other: &LocalPart<U>) -> bool {
        if self.is_quoted() || other.is_quoted() {
            self.chars().eq(other.chars())
        } else {
            self.as_received() == other.as_received()
        }
    }
}

impl<T: AsRef<str>> Eq for LocalPart<T> {}

impl<T: AsRef<str>> Ord for LocalPart<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.chars().cmp(other.chars())
    }
}

impl<T: AsRef<str>> PartialOrd for LocalPart<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: AsRef<str>> Hash for LocalPart<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.content().hash(state);
    }
}

impl<T: AsRef<str>> fmt::Display for LocalPart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if !self.is_quoted() {
            return f.write_str(self.as_received());
        }
        if is_dot_string(self.chars()) {
            return self.chars().try_for_each(|c| f.write_char(c));
        }
        Quoted(self.chars()).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for LocalPart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
