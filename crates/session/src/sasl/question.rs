//! What an exchange asks, and what can be answered.

use std::fmt;

use hikyaku_wire::Reply;
use zeroize::Zeroizing;

use super::{ScramKeys, crypto::same};
use crate::Certificate;

/// What a server's exchange needs to know.
///
/// `authzid` is whom the client wants to act for, if it says so (RFC 4422 §2); unless
/// delegation is allowed, the exchange itself refuses any other than the user.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Question<'a> {
    /// Whether this is the user's password: [`Answer::Accept`] or [`Answer::Reject`].
    /// Whoever answers must do the same work for a user that does not exist.
    Password {
        /// Who the client says it is: 1 to 255 octets, no control characters, as here in every
        /// question. It is not [prepared](super::prepare()).
        user: &'a str,
        /// Whom it wants to act for.
        authzid: Option<&'a str>,
        /// The password: 1 to 255 octets, no NUL. It is not [prepared](super::prepare()).
        password: &'a Password,
    },
    /// What SCRAM needs of the user: [`Answer::Keys`], or [`Answer::Reject`], for which the
    /// exchange itself puts keys that nobody can tell from true ones.
    ScramKeys {
        /// Who the client says it is, [prepared](super::prepare()).
        user: &'a str,
        /// Whom it wants to act for.
        authzid: Option<&'a str>,
    },
    /// Whose token this is, if it is good: [`Answer::Accept`] or [`Answer::Reject`].
    Token {
        /// Who the client says it is, if it says so; unless delegation is allowed, the exchange
        /// refuses if the answer names another one.
        user: Option<&'a str>,
        /// The bearer token (RFC 6750 §2.1).
        token: &'a Password,
    },
    /// Who the owner of the TLS certificate is: [`Answer::Accept`] or [`Answer::Reject`].
    Certificate {
        /// The certificate.
        certificate: &'a Certificate,
        /// Whom the client wants to act for.
        authzid: Option<&'a str>,
    },
}

impl<'a> Question<'a> {
    /// The name that the client gives itself, before anything is proved.
    pub fn user(&self) -> Option<&'a str> {
        match *self {
            Self::Password { user, .. } | Self::ScramKeys { user, .. } => Some(user),
            Self::Token { user, .. } => user,
            Self::Certificate { authzid, .. } => authzid,
        }
    }
}

/// What the application says to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It is right, and this is the user.
    Accept(Box<str>),
    /// What SCRAM needs, and the user whose keys these are. Keys that [`ScramKeys::derive`] would
    /// not make are no answer: 454 4.7.0.
    Keys {
        /// The user.
        user: Box<str>,
        /// The keys.
        keys: ScramKeys,
    },
    /// It is wrong, or there is no such user: both get 535 5.7.8.
    ///
    /// For [`Question::ScramKeys`] the salt is then made of the name, ASCII letters in lower case, so that who
    /// asks for `Bob` and for `bob` learns nothing where both are one user.
    Reject,
    /// It cannot be told now, or must not be: a reply of 4xx or 5xx, such as 454 4.7.0 for a
    /// data base that does not answer, or 525 5.7.13 for an account that is disabled. Any other
    /// reply becomes 454 4.7.0. To [`Question::ScramKeys`] nothing is proved yet: what is said
    /// here of a user, everybody can ask.
    Refuse(Reply),
}

/// A password or token. It is not printed, its memory is wiped when it is dropped, and to compare
/// two tells nobody by the time it takes where they differ.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes over the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        same(self.as_str().as_bytes(), other.as_str().as_bytes())
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}
