//! Message authentication: the rows, and both sides.

#[cfg(feature = "auth")]
pub mod limits;
pub mod memory;
pub mod ours;
#[cfg(feature = "auth")]
pub mod peer;
pub mod report;
pub mod rows;
pub mod work;
