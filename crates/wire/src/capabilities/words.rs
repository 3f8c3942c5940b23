//! The parameters of an extension (RFC 5321 §4.1.1.1).

use std::fmt;

use memchr::memchr2;

/// Octets of a line of an EHLO reply, without code and CRLF, at the most: a reply line has 512
/// (RFC 5321 §4.5.3.1.5).
pub(super) const LINE_LIMIT: usize = 506;
/// Octets of parameters at the most: the longest keyword that is known stands before them.
const WORDS_LIMIT: usize = 480;

/// Why a text is no keyword or parameter of an EHLO reply, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct CapabilityError {
    /// What is wrong.
    pub kind: CapabilityErrorKind,
    /// The octet, counted from 0 in the text that was given.
    pub at: usize,
}

/// What is wrong with a keyword or parameter of an EHLO reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapabilityErrorKind {
    /// A keyword is letters, digits and hyphens, and begins with no hyphen.
    #[error("not allowed in an EHLO keyword")]
    Keyword,
    /// A parameter is printable ASCII without spaces.
    #[error("not allowed in an EHLO parameter")]
    Parameter,
    /// More than a reply line of 512 octets holds.
    #[error("too long for an EHLO reply line")]
    TooLong,
    /// A number or a date that the extension does not allow.
    #[error("number or date out of its range")]
    Range,
}

impl CapabilityErrorKind {
    pub(super) const fn at(self, at: usize) -> CapabilityError {
        CapabilityError { kind: self, at }
    }
}

/// The parameters of an extension: any number of `ehlo-param = 1*(%d33-126)`
/// (RFC 5321 §4.1.1.1), also none.
///
/// ```
/// use hikyaku_wire::Words;
///
/// let mechanisms = Words::new("PLAIN  LOGIN").unwrap();
/// assert_eq!(mechanisms.iter().collect::<Vec<_>>(), ["PLAIN", "LOGIN"]);
/// assert_eq!(mechanisms.to_string(), "PLAIN LOGIN");
/// assert!(Words::new("PLAIN\r\n250 X").is_err());
/// ```
#[derive(Clone, Copy, Default)]
pub struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// Parameters that spaces separate, of at most 480 octets.
    ///
    /// # Errors
    /// [`CapabilityError`] says which octet does not belong.
    pub fn new(text: &'a str) -> Result<Self, CapabilityError> {
        match text.bytes().position(|b| !b.is_ascii_graphic() && b != b' ') {
            Some(at) => Err(CapabilityErrorKind::Parameter.at(at)),
            None if text.len() > WORDS_LIMIT => Err(CapabilityErrorKind::TooLong.at(WORDS_LIMIT)),
            None => Ok(Self(text)),
        }
    }

    /// The rest of a harmless line, which is ASCII; TAB separates too.
    pub(super) fn of_line(text: &'a str) -> Self {
        Self(text)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.split_first().is_none()
    }

    /// The parameters in their order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let first;
            (first, rest) = rest.split_first()?;
            Some(first)
        })
    }

    /// The only one, or `Some(None)` if there is none.
    pub(super) fn at_most_one(self) -> Option<Option<&'a str>> {
        match self.split_first() {
            None => Some(None),
            Some((first, rest)) => rest.is_empty().then_some(Some(first)),
        }
    }

    /// The first parameter, and the others.
    #[inline]
    pub(super) fn split_first(self) -> Option<(&'a str, Self)> {
        if self.0.is_empty() {
            return None;
        }
        let is_space = |b: u8| matches!(b, b' ' | b'\t');
        let octets = self.0.as_bytes();
        let start = octets.iter().position(|&b| !is_space(b))?;
        let length = memchr2(b' ', b'\t', &octets[start..]).unwrap_or(octets.len() - start);
        let (first, rest) = self.0[start..].split_at(length);
        Some((first, Self(rest)))
    }
}

impl PartialEq for Words<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Words<'_> {}

impl fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// One space between two of them.
impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.iter();
        words.next().map_or(Ok(()), |first| f.write_str(first))?;
        words.try_for_each(|word| write!(f, " {word}"))
    }
}
