//! What AUTH says.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

use crate::{CommandError, CommandErrorKind};

/// The argument of AUTH: `sasl-mech [SP initial-response]` (RFC 4954 §4, §8). The initial response
/// is a secret, which is why `Debug` does not print it; `Display` does.
#[derive(Clone, Copy)]
pub struct AuthCommand<T = Box<str>> {
    mechanism: T,
    initial_response: Option<T>,
}

/// Octets of a mechanism's name at the most (RFC 4422 §3.1).
const MECHANISM_LIMIT: usize = 20;

impl<'a> AuthCommand<&'a str> {
    /// Reads what stands behind the verb.
    ///
    /// # Errors
    /// [`Argument`](CommandErrorKind::Argument), with the octet.
    pub fn parse(text: &'a str) -> Result<Self, CommandError> {
        match text.split_once(' ') {
            Some((mechanism, response)) => Self::new(mechanism, Some(response)),
            None => Self::new(text, None),
        }
    }

    /// `sasl-mech = 1*20mech-char`, `initial-response = base64 / "="`. Whether the base64 is right
    /// is the session's question, because its reply depends on the state; here it is any printable
    /// ASCII without spaces.
    ///
    /// # Errors
    /// [`Argument`](CommandErrorKind::Argument), with the octet in the form that is printed.
    pub fn new(mechanism: &'a str, initial_response: Option<&'a str>) -> Result<Self, CommandError> {
        let wrong = |at| Err(CommandErrorKind::Argument.at(at));
        let in_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if let Some(at) = mechanism.bytes().position(|b| !in_name(b)) {
            return wrong(at);
        }
        if !(1..=MECHANISM_LIMIT).contains(&mechanism.len()) {
            return wrong(mechanism.len().min(MECHANISM_LIMIT));
        }
        if let Some(response) = initial_response {
            let before = mechanism.len() + 1;
            if let Some(at) = response.bytes().position(|b| !b.is_ascii_graphic()) {
                return wrong(before + at);
            }
            if response.is_empty() {
                return wrong(before);
            }
        }
        Ok(Self { mechanism, initial_response })
    }
}

impl<T: AsRef<str>> AuthCommand<T> {
    /// The name of the mechanism as it was received, in any case.
    pub fn mechanism(&self) -> &str {
        self.mechanism.as_ref()
    }

    /// The initial response, still in base64; `=` is an empty one.
    pub fn initial_response(&self) -> Option<&str> {
        self.initial_response.as_ref().map(AsRef::as_ref)
    }

    /// The same argument with texts of its own.
    pub fn into_owned(self) -> AuthCommand
    where
        T: Into<Box<str>>,
    {
        let initial_response = self.initial_response.map(Into::into);
        AuthCommand { mechanism: self.mechanism.into(), initial_response }
    }
}

impl FromStr for AuthCommand {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        AuthCommand::parse(text).map(AuthCommand::into_owned)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<AuthCommand<U>> for AuthCommand<T> {
    fn eq(&self, other: &AuthCommand<U>) -> bool {
        self.mechanism().eq_ignore_ascii_case(other.mechanism()) && self.initial_response() == other.initial_response()
    }
}

impl<T: AsRef<str>> Eq for AuthCommand<T> {}

impl<T: AsRef<str>> fmt::Display for AuthCommand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mechanism().chars().try_for_each(|c| f.write_char(c.to_ascii_uppercase()))?;
        self.initial_response().map_or(Ok(()), |response| write!(f, " {response}"))
    }
}

impl<T: fmt::Debug> fmt::Debug for AuthCommand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthCommand").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_auth_can_say() {
        for (text, at) in [
            ("", 0),
            ("a b c", 3),
            ("PLAIN ", 6),
            ("PLA/IN", 3),
            ("PLAIN a\r\n", 7),
            (" PLAIN", 0),
            ("waytoolongformechanism", 20),
        ] {
            assert_eq!(AuthCommand::parse(text), Err(CommandErrorKind::Argument.at(at)), "{text:?}");
        }
        for text in ["PLAIN", "SCRAM-SHA-256-PLUS", "PLAIN =", "X_Y AGEAYg==", "ABCDEFGHIJKLMNOPQRST"] {
            assert_eq!(AuthCommand::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(AuthCommand::parse("plain AGEAYg==").unwrap(), "PLAIN AGEAYg==".parse::<AuthCommand>().unwrap());
        assert_ne!(AuthCommand::parse("PLAIN agea").unwrap(), AuthCommand::parse("PLAIN AGEA").unwrap());
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let auth = AuthCommand::new("PLAIN", Some("c2VjcmV0")).unwrap();
        assert_eq!(format!("{auth:?} {:?}", auth.into_owned()).matches("c2VjcmV0").count(), 0);
    }
}
