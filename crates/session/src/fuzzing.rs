//! The entries of the fuzz targets `session_*`: each takes bytes and panics
//! where an invariant is broken.

pub use crate::client::fuzzing::client;
pub use crate::pair::pair;
pub use crate::sasl::fuzzing::{sasl_client, sasl_server};
pub use crate::server::fuzzing::server;
