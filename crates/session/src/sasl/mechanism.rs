//! The mechanisms that are implemented.

use std::{fmt, str::FromStr};

/// A SASL mechanism, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// `EXTERNAL`: the TLS certificate says who it is (RFC 4422 appendix A).
    External,
    /// `SCRAM-SHA-256-PLUS`: both sides prove that they know the password, and
    /// that nobody sits between (RFC 7677, RFC 9266).
    ScramSha256Plus,
    /// `SCRAM-SHA-256`: both sides prove that they know the password (RFC 7677).
    ScramSha256,
    /// `OAUTHBEARER`: a token (RFC 7628).
    OAuthBearer,
    /// `XOAUTH2`: a token, in a form that some mail services use.
    XOAuth2,
    /// `PLAIN`: the password itself (RFC 4616).
    Plain,
    /// `LOGIN`: the password itself, in two answers; for old clients.
    Login,
}

/// No mechanism of this name is implemented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a mechanism that is implemented: use one of EXTERNAL, SCRAM-SHA-256-PLUS, SCRAM-SHA-256, OAUTHBEARER, XOAUTH2, PLAIN, LOGIN"
)]
pub struct UnknownMechanism;

impl Mechanism {
    /// All of them, the strongest first.
    pub const ALL: [Self; 7] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
    ];

    /// The name in the registry (RFC 4422 §3.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name)).ok_or(UnknownMechanism)
    }
}
