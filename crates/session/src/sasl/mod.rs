//! SASL (RFC 4422): each mechanism is a value that moves, on both sides.
//!
//! A server's exchange *asks*: what it needs to know is a [`Question`], which the
//! application answers when it can, after awaiting a database for example. Random
//! octets are arguments.
//!
//! ```text
//! server::start -> Turn::Ask(Asking)        --answer--> Turn
//!                  Turn::Challenge(_, Wait) --respond-> Turn
//!                  Turn::Accepted(user) | Turn::Refused(reply)
//! client::start -> (initial response, Exchange) --respond-> response --accepted-> ok
//! ```
//!
//! ```
//! use hikyaku_session::sasl::{Answer, Mechanism, Password, Question, Secret, client, server};
//! let secret = Secret::new([7; 32]);
//! let setup = server::Setup { secret: &secret, iterations: 4096, delegation: false, offers_plus: false, tls: None };
//! let alice = client::Credentials::Password { user: "alice".into(), password: Password::new("sesame") };
//! let (initial, exchange) = client::start(Mechanism::Plain, &alice, None, false, [3; 18]).unwrap();
//! let server::Turn::Ask(asking) = server::start(Mechanism::Plain, setup, initial.as_deref()) else { panic!() };
//! assert!(matches!(asking.question(), Question::Password { user: "alice", .. }));
//! let server::Turn::Accepted(user) = asking.answer(Answer::Accept("alice".into()), [9; 18]) else { panic!() };
//! assert_eq!((&*user, exchange.accepted()), ("alice", Ok(())));
//! ```
//!
//! # Incomplete support
//!
//! A client acts for nobody but its own user. A server says why SCRAM has failed (`server-error`,
//! RFC 5802 §7) by 535 only, and tells of a token that it is invalid, without a scope (RFC 7628
//! §3.2.2). SCRAM with other hashes, and channel binding other than `tls-exporter`, are not
//! implemented; there is no security layer (RFC 4422 §3.7).

mod bearer;
pub mod client;
mod crypto;
mod external;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod gs2;
mod keys;
mod login;
mod mechanism;
mod plain;
mod prepare;
mod question;
mod scram;
pub mod server;
#[cfg(test)]
mod tests;

pub use keys::{KeysError, ScramKeys, Secret};
pub use mechanism::{Mechanism, UnknownMechanism};
pub use prepare::{Unprepared, prepare};
pub use question::{Answer, Password, Question};
