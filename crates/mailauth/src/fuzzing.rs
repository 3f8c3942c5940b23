//! What the fuzz targets call: each function takes any octets and panics if something does not
//! hold.

mod dkim;
mod lists;

pub use dkim::{canonical, dkim_key, dkim_signature, dkim_verify, tags};
pub use lists::list_filter;
