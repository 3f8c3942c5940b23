//! What the fuzz targets call: each function takes any octets and panics if something does not
//! hold.

mod lists;

pub use lists::list_filter;
