//! What the fuzz targets call: each function takes any octets and panics if something does not
//! hold.

mod dmarc;
mod lists;

#[cfg(feature = "report")]
pub use dmarc::dmarc_report;
pub use dmarc::{dmarc_record, dmarc_walk};
pub use lists::list_filter;
