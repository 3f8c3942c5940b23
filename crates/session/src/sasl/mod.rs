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
//! client::start -> (initial response, Exchange) --respond-> (response, Exchange) --accepted-> ok
//! ```

mod bearer;
pub mod client;
mod crypto;
mod external;
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
