//! The server side of an exchange.

use hikyaku_wire::Reply;

use super::{Answer, Mechanism, Question, Secret};
use crate::Tls;

/// What an exchange is told before it starts.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// What makes the keys of users who do not exist.
    pub secret: &'a Secret,
    /// The iterations of their keys: those of most users.
    pub iterations: u32,
    /// Whether a user may act for another one.
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
    /// The client has proved to be this user.
    Accepted(Box<str>),
    /// It has not, and is told this: 4xx or 5xx.
    Refused(Reply),
}

/// An exchange that waits for the client's response.
#[derive(Debug)]
pub struct Waiting {}

/// An exchange that waits for the application's answer.
#[derive(Debug)]
pub struct Asking {}

/// Begins an exchange; `initial` is the client's initial response, if it sent one.
///
/// EXTERNAL needs a certificate in `setup`, SCRAM-SHA-256-PLUS an exporter: without them the
/// exchange is refused.
pub fn start(mechanism: Mechanism, setup: Setup<'_>, initial: Option<&[u8]>) -> Turn {
    let _ = (mechanism, setup, initial);
    unimplemented!()
}

impl Waiting {
    /// Takes the client's response, decoded.
    pub fn respond(self, response: &[u8]) -> Turn {
        let _ = response;
        unimplemented!()
    }
}

impl Asking {
    /// What is asked.
    pub fn question(&self) -> Question<'_> {
        unimplemented!()
    }

    /// Takes the answer; the nonce is 18 octets that nobody can guess, new for each answer. An
    /// answer that does not fit the question refuses with 454 4.7.0.
    pub fn answer(self, answer: Answer, nonce: [u8; 18]) -> Turn {
        let _ = (answer, nonce);
        unimplemented!()
    }
}
