//! Names and passwords in the one form in which they are compared.

use std::borrow::Cow;

/// Octets of a name or a password at the most: what PLAIN has every server accept (RFC 4616 §2).
pub(super) const LIMIT: usize = 255;

/// Why a name or a password cannot be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unprepared {
    /// Nothing, or nothing that can be seen.
    #[error("empty: at least one character is needed")]
    Empty,
    /// More than 255 octets, as it is or prepared.
    #[error("longer than 255 octets of UTF-8")]
    TooLong,
    /// A control character, a private or unassigned code point, or letters of both directions.
    #[error(
        "has a character that not every client can send: leave out control characters, emoji, and what mixes writing directions"
    )]
    Prohibited,
}

/// Brings a name or a password into the form in which SCRAM compares it: SASLprep (RFC 4013) as a
/// stored string, so that code points which Unicode 3.2 does not know are errors. What is ASCII
/// stays as it is.
///
/// SCRAM does that by itself ([`ScramKeys::derive`](super::ScramKeys::derive) and both sides of
/// the exchange). PLAIN, LOGIN and EXTERNAL ask with what the client has sent: whether the
/// application prepares it before it compares (RFC 4616 §2 recommends it) is its own decision,
/// which it must make in the same way for what it stores.
///
/// # Errors
/// What has no prepared form of 1 to 255 octets.
///
/// ```
/// # use hikyaku_session::sasl::{Unprepared, prepare};
/// assert_eq!(prepare("I\u{ad}X").unwrap(), "IX");
/// assert_eq!(prepare("\u{2168}").unwrap(), "IX");
/// assert_eq!(prepare("\u{7}"), Err(Unprepared::Prohibited));
/// ```
pub fn prepare(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    if text.len() > LIMIT {
        return Err(Unprepared::TooLong);
    }
    let prepared = stringprep::saslprep(text).map_err(|_| Unprepared::Prohibited)?;
    match prepared.len() {
        0 => Err(Unprepared::Empty),
        1..=LIMIT => Ok(prepared),
        _ => Err(Unprepared::TooLong),
    }
}

/// Whether this can be somebody's name: it has 1 to 255 octets and no control character, with
/// which it could break a line of whatever it is written to.
pub(super) fn is_name(text: &str) -> bool {
    (1..=LIMIT).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether this can be a password: it has 1 to 255 octets and no NUL.
pub(super) fn is_password(text: &str) -> bool {
    (1..=LIMIT).contains(&text.len()) && !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4013_examples() {
        for (text, prepared) in [
            ("I\u{ad}X", Ok("IX")),
            ("user", Ok("user")),
            ("USER", Ok("USER")),
            ("\u{aa}", Ok("a")),
            ("\u{2168}", Ok("IX")),
            ("\u{7}", Err(Unprepared::Prohibited)),
            ("\u{627}1", Err(Unprepared::Prohibited)),
            // Beyond the examples.
            ("", Err(Unprepared::Empty)),
            ("\u{ad}\u{200d}", Err(Unprepared::Empty)),
            ("a\0b", Err(Unprepared::Prohibited)),
            ("a\u{7f}", Err(Unprepared::Prohibited)),
            ("a\u{a0}b", Ok("a b")),
            ("u\u{308}", Ok("\u{fc}")),
            ("\u{1f600}", Err(Unprepared::Prohibited)),
            ("\u{e000}", Err(Unprepared::Prohibited)),
            ("\u{627}\u{628}", Ok("\u{627}\u{628}")),
        ] {
            assert_eq!(prepare(text).as_deref(), prepared.as_ref().copied(), "{text:?}");
        }
    }

    #[test]
    fn limits() {
        assert!(prepare(&"a".repeat(255)).is_ok());
        assert_eq!(prepare(&"a".repeat(256)), Err(Unprepared::TooLong));
        assert_eq!(prepare(&format!("aa{}", "\u{ad}".repeat(127))), Err(Unprepared::TooLong));
        // A ligature that becomes eighteen letters.
        assert_eq!(prepare(&"\u{fdfa}".repeat(8)), Err(Unprepared::TooLong));
        for (text, name, password) in [
            ("", false, false),
            ("a", true, true),
            ("a\0", false, false),
            ("a\n", false, true),
            ("a\u{85}", false, true),
            (&"a".repeat(255), true, true),
            (&"a".repeat(256), false, false),
        ] {
            assert_eq!((is_name(text), is_password(text)), (name, password), "{text:?}");
        }
    }
}
