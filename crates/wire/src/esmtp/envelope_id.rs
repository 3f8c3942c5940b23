//! `ENVID` (RFC 3461 §4.4).

use std::borrow::Cow;

use super::{ValueError, ValueErrorKind};
use crate::{Xtext, text::wire_text};

/// Octets of an envelope identifier at the most, encoded (RFC 3461 §4.4).
const LIMIT: usize = 100;

/// The value of `ENVID` (RFC 3461 §4.4): the sender's name for the transaction, `xtext` of 1 to
/// 100 octets in the encoded form. It comes back in reports, and goes to the next server as it
/// was received.
///
/// ```
/// use hikyaku_wire::EnvelopeId;
///
/// let id = EnvelopeId::parse("QQ+2B314159").unwrap();
/// assert_eq!(id.decode(), "QQ+314159");
/// assert_eq!(id.to_string(), "QQ+2B314159");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeId<T = Box<str>>(Xtext<T>);

impl<'a> EnvelopeId<&'a str> {
    /// Reads the value; nothing is copied.
    ///
    /// # Errors
    /// An empty value, more than 100 octets, and what is not [`Xtext`].
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        check_length(text)?;
        Ok(Self(Xtext::parse(text)?))
    }
}

impl EnvelopeId {
    /// Encodes an identifier.
    ///
    /// # Errors
    /// An empty one, one that has more than 100 octets when it is encoded, and characters beyond
    /// printable ASCII.
    pub fn encode(content: &str) -> Result<Self, ValueError> {
        let xtext = Xtext::encode(content)?;
        check_length(xtext.as_str())?;
        Ok(Self(xtext))
    }
}

impl<T: AsRef<str>> EnvelopeId<T> {
    /// The encoded form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same without its own text.
    pub fn borrowed(&self) -> EnvelopeId<&str> {
        EnvelopeId(self.0.borrowed())
    }

    /// What it stands for; it allocates only if there is an escape in it.
    pub fn decode(&self) -> Cow<'_, str> {
        self.0.decode()
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> EnvelopeId
    where
        T: Into<Box<str>>,
    {
        EnvelopeId(self.0.into_owned())
    }
}

wire_text!(EnvelopeId, ValueError);

fn check_length(text: &str) -> Result<(), ValueError> {
    match text.len() {
        0 => Err(ValueErrorKind::Empty.at(0)),
        1..=LIMIT => Ok(()),
        _ => Err(ValueErrorKind::TooLong(LIMIT).at(LIMIT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::XtextErrorKind;

    #[test]
    fn d20_c1_9_envelope_ids() {
        let of = |n: usize| "x".repeat(n);
        assert_eq!(EnvelopeId::parse(&of(100)).map(|id| id.as_str().len()), Ok(100));
        for (text, kind, at) in [
            ("", ValueErrorKind::Empty, 0),
            (of(101).as_str(), ValueErrorKind::TooLong(100), 100),
            ("a+0Ab", ValueErrorKind::Xtext(XtextErrorKind::Content), 1),
            ("a+0D+0Ab", ValueErrorKind::Xtext(XtextErrorKind::Content), 1),
            ("a+zzb", ValueErrorKind::Xtext(XtextErrorKind::Escape), 1),
            ("ab=", ValueErrorKind::Xtext(XtextErrorKind::Character), 2),
        ] {
            assert_eq!(text.parse::<EnvelopeId>(), Err(kind.at(at)), "{text}");
        }
    }

    #[test]
    fn d70_it_is_relayed_as_it_was_received() {
        let id: EnvelopeId = "a+20b+2Bc+41".parse().unwrap();
        assert_eq!(id.decode(), "a b+cA");
        assert_eq!(id.to_string(), "a+20b+2Bc+41");
        assert_eq!(id.borrowed(), id);
    }

    #[test]
    fn the_limit_counts_what_is_sent() {
        assert_eq!(EnvelopeId::encode(&"+".repeat(33)).map(|id| id.as_str().len()), Ok(99));
        assert_eq!(EnvelopeId::encode(&"+".repeat(34)), Err(ValueErrorKind::TooLong(100).at(100)));
        assert_eq!(EnvelopeId::encode(""), Err(ValueErrorKind::Empty.at(0)));
        assert_eq!(EnvelopeId::encode("a\r\nb").map_err(|e| e.at), Err(1));
    }
}
