//! The client side of an exchange.

use std::{fmt, mem};

use super::{
    Mechanism, Password,
    bearer::{self, Form},
    plain, prepare, scram,
};

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
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
}

/// What has been sent, and what may come.
enum State {
    /// All has been sent.
    Sent,
    /// A token has been sent: a challenge says what is wrong with it.
    TokenSent(Form),
    /// One of the two has said that it is over: 235 cannot follow.
    Failed,
    /// LOGIN: the name is still to be sent, and then the password.
    Login { user: Box<str>, password: Password },
    /// LOGIN: the password is still to be sent.
    LoginNamed(Password),
    /// SCRAM: the salt comes.
    Scram(scram::client::Started),
    /// SCRAM: the server's proof comes.
    ScramClaimed(scram::client::Claimed),
}

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
    /// connection has one. A password that cannot be [prepared](prepare()) does not fit SCRAM.
    pub fn mechanism(&self, offered: impl Fn(Mechanism) -> bool, exporter: bool) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| self.fit(*mechanism, exporter) && offered(*mechanism))
    }

    fn fit(&self, mechanism: Mechanism, exporter: bool) -> bool {
        match (self, mechanism) {
            (Self::Password { .. }, Mechanism::Plain | Mechanism::Login) => true,
            (Self::Password { user, password }, Mechanism::ScramSha256 | Mechanism::ScramSha256Plus) => {
                let binds = mechanism == Mechanism::ScramSha256Plus;
                (exporter || !binds) && prepare(user).is_ok() && prepare(password.as_str()).is_ok()
            }
            (Self::Token { .. }, Mechanism::OAuthBearer | Mechanism::XOAuth2) => true,
            (Self::Certificate, Mechanism::External) => true,
            _ => false,
        }
    }
}

/// Begins an exchange: the initial response, if the mechanism has the client speak first. Where
/// it does not fit into the command (RFC 4954 §4), it is what to send after the first challenge,
/// which is empty and is not for [`respond`](Exchange::respond).
///
/// `exporter` is what to bind to, `offers_plus` whether the server offers SCRAM-SHA-256-PLUS (with
/// it and an exporter, another SCRAM is weaker than need be), and `nonce` 18 octets that nobody can
/// guess.
///
/// # Errors
/// [`ClientError::Credentials`]: they are of another kind, a name or a password is empty or has
/// more than 255 octets, a token does not fit into a line, or there is nothing to bind to.
pub fn start(
    mechanism: Mechanism,
    credentials: &Credentials,
    exporter: Option<[u8; 32]>,
    offers_plus: bool,
    nonce: [u8; 18],
) -> Result<(Option<Vec<u8>>, Exchange), ClientError> {
    if !credentials.fit(mechanism, exporter.is_some()) {
        return Err(ClientError::Credentials);
    }
    let (initial, state) = match (credentials, mechanism) {
        (Credentials::Password { user, password }, Mechanism::Login) => {
            plain::check(user, password.as_str())?;
            (None, State::Login { user: user.clone(), password: password.clone() })
        }
        (Credentials::Password { user, password }, Mechanism::Plain) => {
            (Some(plain::message(user, password.as_str())?), State::Sent)
        }
        (Credentials::Password { user, password }, _) => {
            let binds = exporter.filter(|_| mechanism == Mechanism::ScramSha256Plus);
            let not_offered = exporter.is_some() && !offers_plus;
            let (first, started) = scram::client::start(user, password, binds, not_offered, &scram::nonce(nonce))?;
            (Some(first), State::Scram(started))
        }
        (Credentials::Token { user, token }, _) => {
            let form = if mechanism == Mechanism::XOAuth2 { Form::XOAuth2 } else { Form::OAuthBearer };
            (Some(bearer::message(form, user, token.as_str())?), State::TokenSent(form))
        }
        (Credentials::Certificate, _) => (Some(Vec::new()), State::Sent),
    };
    Ok((initial, Exchange { mechanism, state }))
}

impl Exchange {
    /// Responds to a challenge.
    ///
    /// SCRAM computes here as long as the server says, some 2 s for the most that is accepted.
    ///
    /// # Errors
    /// The exchange has to be cancelled with `*`, and is over.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        let (response, next) = match mem::replace(&mut self.state, State::Failed) {
            State::Sent | State::Failed => return Err(ClientError::Challenge),
            State::TokenSent(form) => (form.acknowledgement().to_vec(), State::Failed),
            State::Login { user, password } => (user.as_bytes().to_vec(), State::LoginNamed(password)),
            State::LoginNamed(password) => (password.as_str().as_bytes().to_vec(), State::Sent),
            State::Scram(started) => {
                let (response, claimed) = started.prove(challenge)?;
                (response, State::ScramClaimed(claimed))
            }
            // `server-error`: the reply that follows says it to people.
            State::ScramClaimed(_) if challenge.starts_with(b"e=") => (Vec::new(), State::Failed),
            State::ScramClaimed(claimed) => (claimed.verify(challenge).map(|()| Vec::new())?, State::Sent),
        };
        self.state = next;
        Ok(response)
    }

    /// The server has said 235.
    ///
    /// # Errors
    /// [`ClientError::Server`]: it has said so without having proved who it is, where the
    /// mechanism has it do that. [`ClientError::Challenge`]: it has said so too early, after it has
    /// said the contrary, or after an error of [`respond`](Self::respond).
    pub fn accepted(self) -> Result<(), ClientError> {
        match self.state {
            State::Sent | State::TokenSent(_) => Ok(()),
            State::Scram(_) | State::ScramClaimed(_) => Err(ClientError::Server),
            State::Login { .. } | State::LoginNamed(_) | State::Failed => Err(ClientError::Challenge),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}
