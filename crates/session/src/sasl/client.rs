//! The client side of an exchange.

use super::{Mechanism, Password};

/// How a client proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A password: SCRAM where it is offered, PLAIN or LOGIN else.
    Password {
        /// The user.
        user: Box<str>,
        /// The password.
        password: Password,
    },
    /// A bearer token: OAUTHBEARER or XOAUTH2.
    Token {
        /// The user.
        user: Box<str>,
        /// The token.
        token: Password,
    },
    /// The TLS certificate: EXTERNAL.
    Certificate,
}

/// An exchange that waits for the server's challenge, or for its last word.
#[derive(Debug)]
pub struct Exchange {}

/// Why a client gives an exchange up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's challenge is not what the mechanism says.
    #[error("the server's challenge does not belong to the mechanism")]
    Challenge,
    /// The server asks for more work than is reasonable, or for less than is safe.
    #[error("the server asks for {0} iterations; 4,096 to 10,000,000 are accepted")]
    Iterations(u32),
    /// The server has not proved that it knows the password.
    #[error("the server has not proved that it knows the password")]
    Server,
    /// The user's name or the password cannot be sent with this mechanism.
    #[error("the user's name or the password cannot be sent with this mechanism")]
    Credentials,
}

impl Credentials {
    /// The strongest mechanism that fits and that the server offers; `exporter` is whether the
    /// connection has one.
    pub fn mechanism(&self, offered: impl Fn(Mechanism) -> bool, exporter: bool) -> Option<Mechanism> {
        let _ = (offered, exporter);
        unimplemented!()
    }
}

/// Begins an exchange: the initial response, if the mechanism has the client speak first.
///
/// # Errors
/// [`ClientError::Credentials`].
pub fn start(
    mechanism: Mechanism,
    credentials: &Credentials,
    exporter: Option<[u8; 32]>,
    offers_plus: bool,
    nonce: [u8; 18],
) -> Result<(Option<Vec<u8>>, Exchange), ClientError> {
    let _ = (mechanism, credentials, exporter, offers_plus, nonce);
    unimplemented!()
}

impl Exchange {
    /// Responds to a challenge.
    ///
    /// # Errors
    /// The exchange has to be cancelled with `*`.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        let _ = challenge;
        unimplemented!()
    }

    /// The server has said 235.
    ///
    /// # Errors
    /// [`ClientError::Server`]: it has said so without having proved who it is.
    pub fn accepted(self) -> Result<(), ClientError> {
        unimplemented!()
    }
}
