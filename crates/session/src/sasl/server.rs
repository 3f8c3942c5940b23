//! The server side of an exchange.

use std::fmt;

use hikyaku_wire::{Code, EnhancedCode, Reply};

use super::{
    Answer, Mechanism, Question, Secret,
    bearer::{self, Form},
    external, login, plain, scram,
};
use crate::Tls;

/// What an exchange is told before it starts.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// What makes the keys of users who do not exist.
    pub secret: &'a Secret,
    /// The iterations of their keys: those of most users.
    pub iterations: u32,
    /// Whether a user may act for another one: then the application looks at `authzid` in the
    /// [`Question`], and its answer says who the client is from now on.
    pub delegation: bool,
    /// Whether SCRAM-SHA-256-PLUS is offered: then a client that says it was not has been
    /// deceived (RFC 5802 §6).
    pub offers_plus: bool,
    /// The connection's TLS.
    pub tls: Option<&'a Tls>,
}

/// What happens next in an exchange.
#[derive(Debug)]
#[must_use = "a turn that is dropped ends the exchange"]
pub enum Turn {
    /// The client has to respond to these octets, which may be none.
    Challenge(Vec<u8>, Waiting),
    /// The application has to answer.
    Ask(Asking),
    /// The client has proved to be this user: whom the application has named.
    Accepted(Box<str>),
    /// It has not, and is told this: 4xx or 5xx.
    Refused(Reply),
}

/// An exchange that waits for the client's response.
pub struct Waiting(Box<Wait>);

/// An exchange that waits for the application's answer.
pub struct Asking(Box<Ask>);

#[cfg(test)]
impl Waiting {
    pub(super) fn into_inner(self) -> Wait {
        *self.0
    }
}

#[cfg(test)]
impl Asking {
    pub(super) fn into_inner(self) -> Ask {
        *self.0
    }
}

/// Who waits for the client, and for what.
pub(super) enum Wait {
    Plain(plain::Server),
    Login(login::Server),
    LoginNamed(login::Named),
    Scram(scram::server::Server),
    ScramChallenged(scram::server::Challenged),
    ScramProved(Box<str>),
    Bearer(bearer::Server),
    BearerFailed,
    External(external::Server),
}

/// Who waits for the application.
pub(super) enum Ask {
    Password(plain::Asked),
    Scram(scram::server::First),
    Token(bearer::Asked),
    Certificate(external::Asked),
}

/// What a client has done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does not speak the mechanism.
    Malformed,
    /// It has not proved who it is; why is nobody's business.
    Invalid,
}

/// Begins an exchange; `initial` is the client's initial response, if it sent one.
///
/// EXTERNAL needs a certificate in `setup`, SCRAM-SHA-256-PLUS an exporter: without them the
/// exchange is refused.
pub fn start(mechanism: Mechanism, setup: Setup<'_>, initial: Option<&[u8]>) -> Turn {
    let delegation = setup.delegation;
    let wait = match mechanism {
        Mechanism::Plain => Wait::Plain(plain::Server { delegation }),
        Mechanism::Login => {
            return match initial {
                Some(name) => Wait::Login(login::Server).respond(name),
                None => login::Server.prompt(),
            };
        }
        Mechanism::ScramSha256 => Wait::Scram(scram::server::Server::new(setup, None)),
        Mechanism::ScramSha256Plus => match setup.tls.and_then(|tls| tls.exporter) {
            Some(exporter) => Wait::Scram(scram::server::Server::new(setup, Some(exporter))),
            None => return Fault::Invalid.into(),
        },
        Mechanism::OAuthBearer => Wait::Bearer(bearer::Server { form: Form::OAuthBearer, delegation }),
        Mechanism::XOAuth2 => Wait::Bearer(bearer::Server { form: Form::XOAuth2, delegation }),
        Mechanism::External => match setup.tls.and_then(|tls| tls.certificate.clone()) {
            Some(certificate) => Wait::External(external::Server { certificate, delegation }),
            None => return Fault::Invalid.into(),
        },
    };
    match initial {
        Some(initial) => wait.respond(initial),
        None => Turn::challenge("", wait),
    }
}

impl Waiting {
    /// Takes the client's response, decoded.
    pub fn respond(self, response: &[u8]) -> Turn {
        self.0.respond(response)
    }
}

impl Wait {
    fn respond(self, response: &[u8]) -> Turn {
        let turn = match self {
            Self::Plain(server) => server.message(response),
            Self::Login(server) => server.name(response),
            Self::LoginNamed(named) => named.password(response),
            Self::Scram(server) => server.first(response),
            Self::ScramChallenged(challenged) => challenged.last(response),
            Self::ScramProved(user) if response.is_empty() => Ok(Turn::Accepted(user)),
            Self::ScramProved(_) => Err(Fault::Malformed),
            Self::Bearer(server) => server.message(response),
            Self::BearerFailed => Err(Fault::Invalid),
            Self::External(server) => server.name(response),
        };
        turn.unwrap_or_else(Turn::from)
    }
}

impl Asking {
    /// What is asked.
    pub fn question(&self) -> Question<'_> {
        match &*self.0 {
            Ask::Password(asked) => asked.question(),
            Ask::Scram(first) => first.question(),
            Ask::Token(asked) => asked.question(),
            Ask::Certificate(asked) => asked.question(),
        }
    }

    /// Takes the answer; the nonce is 18 octets that nobody can guess, new for each answer. An
    /// answer that does not fit the question refuses with 454 4.7.0.
    pub fn answer(self, answer: Answer, nonce: [u8; 18]) -> Turn {
        match *self.0 {
            Ask::Password(asked) => asked.answer(answer),
            Ask::Scram(first) => first.answer(answer, &scram::nonce(nonce)),
            Ask::Token(asked) => asked.answer(answer),
            Ask::Certificate(asked) => asked.answer(answer),
        }
    }
}

impl Turn {
    pub(super) fn challenge(octets: impl Into<Vec<u8>>, wait: Wait) -> Self {
        Self::Challenge(octets.into(), Waiting(Box::new(wait)))
    }

    pub(super) fn ask(ask: Ask) -> Self {
        Self::Ask(Asking(Box::new(ask)))
    }

    /// What is left when an answer neither accepts nor rejects as the question says.
    pub(super) fn other(answer: Answer) -> Self {
        Self::Refused(match answer {
            Answer::Refuse(reply) if reply.is_transient() || reply.is_permanent() => reply,
            _ => Reply::TEMPORARY_AUTHENTICATION_FAILURE_454,
        })
    }
}

impl From<Fault> for Turn {
    fn from(fault: Fault) -> Self {
        Self::Refused(match fault {
            Fault::Malformed => {
                Reply::new(Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 2), "this is not what the mechanism says")
            }
            Fault::Invalid => Reply::AUTHENTICATION_FAILED_535,
        })
    }
}

/// Whether a client that says nothing of whom it acts for, or names one of these, is itself.
pub(super) fn acts_for(authzid: Option<&str>, names: &[&str]) -> bool {
    authzid.is_none_or(|authzid| names.contains(&authzid))
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting(..)")
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asking").field(&self.question()).finish()
    }
}
