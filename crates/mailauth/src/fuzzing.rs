//! What the fuzz targets call: each function takes any octets and panics if something does not
//! hold.

mod dkim;
mod dmarc;
mod lists;
mod message;
mod sign;

pub use crate::spf::fuzzing::{spf_check, spf_macro, spf_record};
pub use dkim::{canonical, dkim_key, dkim_signature, dkim_verify, tags};
#[cfg(feature = "report")]
pub use dmarc::dmarc_report;
pub use dmarc::{dmarc_record, dmarc_walk};
pub use lists::list_filter;
pub use message::message;
pub use sign::{chain, pem, sign};
