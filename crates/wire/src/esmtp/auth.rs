//! `AUTH=` of MAIL (RFC 4954 §5).

use std::borrow::Cow;

use super::{ValueError, ValueErrorKind};
use crate::{Mailbox, Xtext, address::MAILBOX_LIMIT, text::wire_text};

/// The value of `AUTH=` at MAIL (RFC 4954 §5): who submitted the message first, as a mailbox in
/// `xtext`, or `<>` if nobody knows. Unless the client may say so it counts as `<>`; that is the
/// policy's decision.
///
/// ```
/// use hikyaku_wire::AuthParam;
///
/// let auth = AuthParam::parse("e+3Dmc2@example.com").unwrap();
/// assert_eq!(auth.mailbox().unwrap(), "e=mc2@example.com");
/// assert_eq!(AuthParam::parse("<>").unwrap(), AuthParam::UNKNOWN);
/// ```
///
/// # Incomplete support
/// A mailbox beyond ASCII cannot be said in `xtext` and is an error.
#[derive(Clone, Copy, Debug)]
pub struct AuthParam<T = Box<str>>(Xtext<T>);

impl AuthParam<&'static str> {
    /// `<>`: nobody knows who submitted it.
    pub const UNKNOWN: Self = Self(Xtext::UNKNOWN);
}

impl<'a> AuthParam<&'a str> {
    /// Reads the value.
    ///
    /// # Errors
    /// What is not [`Xtext`], and what does not stand for a mailbox.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let xtext = Xtext::parse(text)?;
        if text.is_empty() {
            return Err(ValueErrorKind::Empty.at(0));
        }
        // A mailbox that is longer than this is none.
        let mut buffer = [0; MAILBOX_LIMIT];
        let mailbox = xtext.decode_into(&mut buffer).is_some_and(|content| Mailbox::parse(content).is_ok());
        if text != "<>" && !mailbox {
            return Err(ValueErrorKind::Mailbox.at(0));
        }
        Ok(Self(xtext))
    }
}

impl AuthParam {
    /// Encodes a mailbox.
    ///
    /// # Errors
    /// A mailbox that is not ASCII.
    pub fn encode(mailbox: &Mailbox) -> Result<Self, ValueError> {
        Ok(Self(Xtext::encode(&mailbox.to_string())?))
    }
}

impl<T: AsRef<str>> AuthParam<T> {
    /// The encoded form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same without its own text.
    pub fn borrowed(&self) -> AuthParam<&str> {
        AuthParam(self.0.borrowed())
    }

    /// The mailbox, decoded, `None` for `<>`; it allocates only if there is an escape in it.
    pub fn mailbox(&self) -> Option<Cow<'_, str>> {
        (self.as_str() != "<>").then(|| self.0.decode())
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> AuthParam
    where
        T: Into<Box<str>>,
    {
        AuthParam(self.0.into_owned())
    }
}

wire_text!(AuthParam, ValueError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::XtextErrorKind;

    #[test]
    fn rfc4954_auth() {
        for (text, mailbox) in [
            ("<>", None),
            ("e+3Dmc2@example.com", Some("e=mc2@example.com")),
            ("a+2Bb@x.test", Some("a+b@x.test")),
            ("\"a+20b\"@x.test", Some("\"a b\"@x.test")),
            ("a@[192.0.2.1]", Some("a@[192.0.2.1]")),
        ] {
            let auth: AuthParam = text.parse().unwrap();
            assert_eq!(auth.mailbox().as_deref(), mailbox, "{text}");
            assert_eq!(auth.to_string(), text);
            assert_eq!(auth.borrowed(), auth);
        }
        for (text, kind, at) in [
            ("", ValueErrorKind::Empty, 0),
            ("+3C+3E", ValueErrorKind::Mailbox, 0),
            ("<a@x.test>", ValueErrorKind::Mailbox, 0),
            ("joe", ValueErrorKind::Mailbox, 0),
            ("a@x..test", ValueErrorKind::Mailbox, 0),
            ("a+0Ab@x.test", ValueErrorKind::Xtext(XtextErrorKind::Content), 1),
            ("e=mc2@x.test", ValueErrorKind::Xtext(XtextErrorKind::Character), 1),
        ] {
            assert_eq!(text.parse::<AuthParam>(), Err(kind.at(at)), "{text}");
        }
    }

    #[test]
    fn a_mailbox_has_254_octets() {
        let of = |n: usize| {
            let label = "d".repeat(63);
            format!("{}+2B@{label}.{label}.{}", "x".repeat(63), "e".repeat(n))
        };
        assert_eq!(AuthParam::parse(&of(61)).unwrap().mailbox().map(|m| m.len()), Some(254));
        assert_eq!(AuthParam::parse(&of(62)), Err(ValueErrorKind::Mailbox.at(0)));
        assert_eq!(AuthParam::parse(&"+41".repeat(1000)), Err(ValueErrorKind::Mailbox.at(0)));
    }

    #[test]
    fn mailboxes_are_encoded() {
        let mailbox = "\"a+ =b\"@x.test".parse().unwrap();
        let auth = AuthParam::encode(&mailbox).unwrap();
        assert_eq!(auth.as_str(), "\"a+2B+20+3Db\"@x.test");
        assert_eq!(auth.to_string().parse(), Ok(auth));
        assert_eq!(AuthParam::encode(&"ü@x.test".parse().unwrap()).map_err(|e| e.at), Err(0));
    }
}
