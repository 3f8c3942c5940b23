//! The mail queue: the [`Queue`] and [`Manage`] traits, the retry [`Schedule`], an in-memory and
//! a durable back-end, and the conformance [`suite`] that every back-end must pass.
//! It never sends mail, decides when to retry, reads a clock or makes random numbers: the time
//! and every id are arguments.
//!
//! ```text
//!            draft ── write ── commit ─┐            ┌─ settle(Finish)  ──> gone
//!  session ────────────────────────────┴─> ready ──claim──> leased ─┼─ settle(RetryAt) ──> ready, later
//!                                            ^                      ├─ settle(Hold)    ──> held
//!                                            └── release, lease expired, Manage::apply ──┘
//! ```
//!
//! ```
//! use std::time::Duration;
//! use bytes::Bytes;
//! use hikyaku_queue::*;
//! use hikyaku_wire::{ReversePath, Timestamp};
//!
//! # hikyaku_queue::suite::block_on(async {
//! let now = Timestamp::from_millis(1_764_000_000_000);
//! let queue = Memory::new();
//! let mut draft = queue.draft(MsgId::new(now, [7; 10]), SizeHint::UNKNOWN).await?;
//! draft.write(Bytes::from_static(b"Subject: hi\r\n\r\nHello\r\n")).await?;
//! let unit = NewUnit::new(QueueKey::new("example.test"), now, now.saturating_add(Duration::from_secs(432_000)))
//!     .with(NewRcpt::new("<bob@example.test>".parse().unwrap()));
//! draft.commit(Envelope::new(ReversePath::Null, now), Bytes::new(), vec![unit], None).await?;
//! assert_eq!(queue.due_keys(now, None, 10).await?[0].key.as_str(), "example.test");
//! # Ok::<(), QueueError>(()) }).unwrap();
//! ```

pub mod backend;
mod dynamic;
mod envelope;
mod error;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod id;
mod index;
mod manage;
mod memory;
mod queue;
#[cfg(feature = "record")]
mod record;
mod schedule;
#[cfg(feature = "spool")]
mod spool;
pub mod suite;
mod unit;
mod waiting;

pub use dynamic::{DynBody, DynDraft, DynQueue};
pub use envelope::{Attempt, Envelope, NewRcpt, NewUnit, Origin, Rcpt, RcptNo, RcptState};
pub use error::QueueError;
pub use id::{FenceToken, HoldReason, IdError, IdemKey, MsgId, QueueKey, UnitId, WorkerId};
pub use manage::{Action, Count, CountBy, Cursor, Entry, Filter, Gate, Manage, Page, StateKind, UnitState};
pub use memory::Memory;
pub use queue::{
    BodyReader, Claimed, Draft, DueKey, Durability, Health, KeyCursor, KeyQuota, Lease, Next, Queue, Receipt, Sealed,
    Settled, Settlement, SizeHint,
};
pub use schedule::Schedule;
#[cfg(feature = "spool")]
pub use spool::{OpenError, Quarantined, Spool, SpoolConfig};
