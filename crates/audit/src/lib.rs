//! The audit log of a mail relay: one struct for each kind of fact, and one
//! JSON line for each fact, both ways.
//!
//! It never writes a file and never reads a clock: lines are appended to the
//! caller's buffer, and the time is part of the [`Entry`].
//!
//! A line is an object with the keys `time`, `event`, `session` and `message`,
//! followed by the keys of the event, which are the fields of its struct. Each
//! text is cut to 1 KiB, and what could disturb a terminal or break the line
//! (control characters, invisible and bidirectional formatting) is escaped, so
//! that a peer cannot forge a line. Events and keys that are not known survive
//! being read and written.
//!
//! ```
//! use hikyaku_audit::{Entry, Event, Limit};
//! use hikyaku_wire::Timestamp;
//!
//! let limit = Limit { name: "hops".into() };
//! let entry = Entry::new(Timestamp::from_millis(0), limit.clone());
//! let mut line = Vec::new();
//! entry.write_line(&mut line);
//! assert_eq!(line, b"{\"time\":\"1970-01-01T00:00:00.000Z\",\"event\":\"limit\",\"name\":\"hops\"}\n");
//! assert_eq!(Entry::parse(&line)?.event, Event::Limit(limit));
//! # Ok::<(), hikyaku_audit::LineError>(())
//! ```

mod entry;
mod event;
mod line;
mod value;

#[cfg(any(fuzzing, test))]
pub mod fuzzing;

pub use entry::{Entry, Extra, LineError};
pub use event::{
    Attempt, Authentication, Bounced, Closed, Connection, Decision, Deferred, Delivered, Event, Failed, Limit,
    QueueChanged, Queued, Reloaded, Started, Stopped, Tls, Verified,
};
