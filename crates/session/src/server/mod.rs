//! The server side of the conversation.
//!
//! [`start`] gives the first [`Step`]; each step is a value that only its own
//! methods turn into the next one, so a reply can be neither doubled nor
//! forgotten nor sent out of order.
//!
//! ```text
//!            .-> Decide ----- 2xx / 4xx / 5xx ---------.
//!            |   (connect, hello, mail, recipient)     |
//!  Receive --+-> Data ------- 354 or refused ----------+--> Receive
//!   ^        |-> Body ------- piece by piece ----------|
//!   |        |-> Message ---- one reply, or each ------|
//!   |        |-> Authenticate 334, 235 or refused -----|
//!   |        '-> Flush -> Upgrade -- TLS handshake ----'
//!   |
//!   '-- Flush (output full)   Pause (answer delayed)   Ended (transaction over)
//!       Refused (by the machine itself: for the log)
//!
//!  421, QUIT, an attack: -> Ended, if a transaction ran -> Flush -> Close
//! ```
//!
//! With implicit TLS the first step is Upgrade. What was read before a handshake is never run
//! after it, and a handshake that fails ends the conversation.
//!
//! Commands that need no decision (NOOP, RSET, VRFY, HELP, what is malformed or
//! out of order) are answered inside [`Receive::process`].

mod auth;
mod body;
mod command;
mod config;
mod connection;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod session;
mod step;
mod transaction;

pub use config::{Auth, Config, Limit, Limits, Peer, TlsMode};
pub use session::Session;
pub use step::{
    Authenticate, Body, Data, Decide, Ended, Flush, Message, Pause, Receive, Refused, Stage, Step, Upgrade, start,
};
pub use transaction::{Cause, Verdicts};
