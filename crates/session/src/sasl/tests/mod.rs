//! Both sides, each by itself, against each other, and against another implementation.

mod agree;
mod client;
mod others;
mod scram;
mod server;

use hikyaku_wire::Reply;

use super::{
    Answer, Mechanism, Password, Question, ScramKeys, Secret,
    client::{self as client_side, ClientError, Credentials},
    server::{self as server_side, Setup, Turn},
};
use crate::{Certificate, Tls};

const EXPORTER: [u8; 32] = [0xab; 32];

/// What a connection and a configuration give to an exchange.
struct Given {
    secret: Secret,
    delegation: bool,
    offers_plus: bool,
    tls: Tls,
}

impl Given {
    fn new() -> Self {
        let tls = Tls { exporter: Some(EXPORTER), certificate: Some(Certificate::default()), ..Tls::default() };
        Self { secret: Secret::new([7; 32]), delegation: false, offers_plus: true, tls }
    }

    fn setup(&self) -> Setup<'_> {
        let Self { secret, delegation, offers_plus, tls } = self;
        Setup { secret, iterations: 4096, delegation: *delegation, offers_plus: *offers_plus, tls: Some(tls) }
    }
}

/// The users of the tests: one, with this password; `token` and every certificate are its.
struct Users {
    name: String,
    password: String,
    keys: ScramKeys,
    questions: Vec<String>,
}

impl Users {
    fn new(name: &str, password: &str) -> Self {
        let keys = ScramKeys::derive(password, b"sixteen octets..", 4096).unwrap();
        Self { name: name.into(), password: password.into(), keys, questions: Vec::new() }
    }

    fn answer(&mut self, question: Question<'_>) -> Answer {
        self.questions.push(format!("{question:?}"));
        let name: Box<str> = self.name.as_str().into();
        let right = match question {
            Question::Password { user, password, .. } => {
                user == self.name && *password == Password::new(self.password.as_str())
            }
            Question::Token { user, token } => {
                user.is_none_or(|user| user == self.name) && *token == Password::new("token")
            }
            Question::Certificate { .. } => true,
            Question::ScramKeys { user, .. } if user == self.name => {
                return Answer::Keys { user: name, keys: self.keys.clone() };
            }
            Question::ScramKeys { .. } => false,
        };
        if right { Answer::Accept(name) } else { Answer::Reject }
    }
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Accepted(Box<str>),
    Refused(Reply),
    /// The client has given it up, or does not believe the server.
    Cancelled(ClientError),
}

fn accepted(user: &str) -> End {
    End::Accepted(user.into())
}

fn refused() -> End {
    End::Refused(Reply::AUTHENTICATION_FAILED_535)
}

fn malformed() -> End {
    let Turn::Refused(reply) = super::server::Fault::Malformed.into() else { unreachable!() };
    End::Refused(reply)
}

/// Plays a server to its end; what the client says to each challenge is what `respond` gives.
fn serve(mut turn: Turn, users: &mut Users, mut respond: impl FnMut(&[u8]) -> Result<Vec<u8>, ClientError>) -> End {
    loop {
        turn = match turn {
            Turn::Challenge(challenge, waiting) => match respond(&challenge) {
                Ok(response) => waiting.respond(&response),
                Err(error) => return End::Cancelled(error),
            },
            Turn::Ask(asking) => {
                let answer = users.answer(asking.question());
                asking.answer(answer, [9; 18])
            }
            Turn::Accepted(user) => return End::Accepted(user),
            Turn::Refused(reply) => return End::Refused(reply),
        }
    }
}

/// Both sides against each other; `tamper` may change what is on its way, and is told the number
/// of the message and its octets.
fn converse(
    mechanism: Mechanism,
    credentials: &Credentials,
    given: &Given,
    users: &mut Users,
    mut tamper: impl FnMut(usize, &mut Vec<u8>),
) -> End {
    let exporter = given.tls.exporter;
    let started = client_side::start(mechanism, credentials, exporter, given.offers_plus, [3; 18]);
    let (mut initial, mut exchange) = match started {
        Ok(started) => started,
        Err(error) => return End::Cancelled(error),
    };
    let mut count = 0;
    let mut next = |octets: &mut Vec<u8>| {
        tamper(count, octets);
        count += 1;
    };
    if let Some(initial) = &mut initial {
        next(initial);
    }
    let turn = server_side::start(mechanism, given.setup(), initial.as_deref());
    let end = serve(turn, users, |challenge| {
        let mut challenge = challenge.to_vec();
        next(&mut challenge);
        let mut response = exchange.respond(&challenge)?;
        next(&mut response);
        Ok(response)
    });
    match end {
        End::Accepted(user) => exchange.accepted().map_or_else(End::Cancelled, |()| End::Accepted(user)),
        end => end,
    }
}

fn password(user: &str, password: &str) -> Credentials {
    Credentials::Password { user: user.into(), password: Password::new(password) }
}

fn token(user: &str, token: &str) -> Credentials {
    Credentials::Token { user: user.into(), token: Password::new(token) }
}

/// What fits a mechanism, for [`Users`].
fn credentials(mechanism: Mechanism, user: &str, secret: &str) -> Credentials {
    match mechanism {
        Mechanism::External => Credentials::Certificate,
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => token(user, "token"),
        _ => password(user, secret),
    }
}
