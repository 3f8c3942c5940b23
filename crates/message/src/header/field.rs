//! One field of a header section, and its unfolding (RFC 5322 §2.2.3).

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;

/// A field of a header section, exactly as it is there: a name, a colon, and a value that may be
/// folded (RFC 5322 §2.2).
///
/// Any octets are held, also those that no field should have.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field<'a> {
    whole: &'a [u8],
    colon: usize,
}

impl<'a> Field<'a> {
    /// A field of which the colon is known.
    pub(super) fn new(whole: &'a [u8], colon: usize) -> Option<Self> {
        (whole.get(colon) == Some(&b':')).then_some(Self { whole, colon })
    }

    /// A field from its first octet to its last; `None` without a colon.
    pub(super) fn find(whole: &'a [u8]) -> Option<Self> {
        memchr(b':', whole).map(|colon| Self { whole, colon })
    }

    /// The whole field with the CR LF at its end, which is missing only where the message ends
    /// without it. All fields of a section, one after the other, are the section.
    #[must_use]
    pub fn octets(&self) -> &'a [u8] {
        self.whole
    }

    /// What stands before the colon, without white space behind it.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        let name = &self.whole[..self.colon];
        let end = name.iter().rposition(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |last| last + 1);
        &name[..end]
    }

    /// Whether this is its name, whatever the case of ASCII letters.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// What stands behind the colon, still folded, without the CR LF at its end.
    #[must_use]
    pub fn raw_value(&self) -> &'a [u8] {
        let value = &self.whole[self.colon + 1..];
        value.strip_suffix(b"\r\n").unwrap_or(value)
    }

    /// The value, unfolded and without the white space around it; borrowed where nothing is
    /// folded.
    #[must_use]
    pub fn value(&self) -> Cow<'a, [u8]> {
        let mut value = self.raw_value();
        loop {
            value = match value {
                [b' ' | b'\t', rest @ ..] | [b'\r', b'\n', b' ' | b'\t', rest @ ..] => rest,
                [rest @ .., b' ' | b'\t'] => rest.strip_suffix(b"\r\n").unwrap_or(rest),
                _ => return unfold(value),
            }
        }
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({:?})", self.whole.escape_ascii().to_string())
    }
}

/// Takes each CR LF out that has white space behind it (RFC 5322 §2.2.3); borrowed where there is
/// none. Any other CR or LF stays.
///
/// ```
/// use std::borrow::Cow;
/// use hikyaku_message::unfold;
///
/// assert_eq!(unfold(b"one\r\n two\r\n\tthree"), Cow::<[u8]>::Owned(b"one two\tthree".to_vec()));
/// assert!(matches!(unfold(b"one"), Cow::Borrowed(b"one")));
/// ```
#[must_use]
pub fn unfold(text: &[u8]) -> Cow<'_, [u8]> {
    let mut unfolded = Vec::new();
    let (mut done, mut at) = (0, 0);
    while let Some(cr) = memchr(b'\r', &text[at..]) {
        at += cr + 1;
        if let [b'\n', b' ' | b'\t', ..] = text[at..] {
            unfolded.reserve_exact(text.len() - done);
            unfolded.extend_from_slice(&text[done..at - 1]);
            at += 1;
            done = at;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    unfolded.extend_from_slice(&text[done..]);
    Cow::Owned(unfolded)
}
