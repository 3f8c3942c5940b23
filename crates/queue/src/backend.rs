//! For those who write a back-end: what becomes of a unit, and how what must survive is written down.
//!
//! A back-end keeps messages, units and leases in its own way. What a settlement or an action
//! makes of a unit is decided here, so that it is the same everywhere; [`suite`](crate::suite)
//! holds the rest of the promises.

#[cfg(feature = "record")]
pub use crate::manage::record::{ActionRecord, CountRecord, EntryRecord, FilterRecord, GateRecord, PageRecord};
#[cfg(feature = "record")]
pub use crate::record::{AttemptRecord, EnvelopeRecord, Fault, RcptRecord, UnitRecord};
pub use crate::unit::{Acted, Outcome, Settling, Unit};
pub use crate::waiting::{Wait, Waiting};
