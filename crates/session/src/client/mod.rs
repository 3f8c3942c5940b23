//! The client side of the conversation: it hands messages to a remote host
//! and says, for each recipient, what became of it.
//!
//! ```text
//! start -> Receive -> Ready --send--> Receive -> Body --finish--> Receive -> Done
//!    \      |  ^ |      ^ \                        \                          |
//!     v     v  | |      |  `--quit--> Receive       `--- early reply -> Done  |
//!     Upgrade--' v      `---------------------------------------------------- +
//!        `---> Close <--------------------------------------------------------'
//! ```
//!
//! Each [`Step`] is an owned state that has only its legal methods. The
//! caller moves the bytes: what the remote sends goes into `input`, what the
//! machine appends to `out` goes to the remote *before* anything is waited
//! for, and at [`Step::Close`] whatever is left in `out` may still be written.
//!
//! Where the remote offers PIPELINING (RFC 2920), MAIL, all RCPT and DATA go
//! out in one flight; a flight never holds more than 16 KiB of commands, so
//! that it fits into the buffers of a socket and neither side has to read
//! while it writes. Otherwise each command waits for the reply before it.
//!
//! With [`TlsMode`] the machine says STARTTLS (RFC 3207) and hands the connection over for
//! the handshake. It forgets what it heard before, and never goes back to plain text.
//! [`Ready::authenticate`] then leads through AUTH (RFC 4954) to the next [`Ready`].
//!
//! A remote whose replies do not match the commands is never trusted: the
//! conversation ends, and nothing it said in this transaction is given to a
//! recipient.

mod auth;
mod config;
#[cfg(test)]
mod dialogues;
mod envelope;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod outcome;
mod pipeline;
mod receive;
mod step;
mod upgrade;

pub use config::{Config, Timeouts, TlsMode};
pub use envelope::Envelope;
pub use outcome::{By, Outcome, Settled};
pub use receive::{Receive, start};
pub use step::{Body, Close, Done, Ready, Step, Unsupported};
pub use upgrade::Upgrade;
