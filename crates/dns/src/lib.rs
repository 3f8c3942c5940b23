//! DNS for mail: names, records, the [`Resolver`] trait and four things behind
//! it: [`Zone`] answers from memory, [`Cache`] remembers, `System` (feature
//! `system`) asks real servers, and any of your own.
//!
//! Nothing here makes a decision about mail but [`mail_hosts`], the order in
//! which RFC 5321 §5.1 wants the hosts of a domain to be tried; nothing reads a
//! file, and only `System` opens sockets.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//! use hikyaku_dns::{Cache, Limits, Name, Resolver, Zone, mail_hosts};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let zone: Zone = "example.test. 300 MX 10 mx.example.test.\n".parse()?;
//! let resolver = Arc::new(Cache::new(zone, Limits::default(), Instant::now));
//! let domain: Name = "example.test".parse()?;
//! let random = 4; // chosen by fair dice roll
//! let hosts = mail_hosts(&resolver, &domain, &[], random).await?;
//! assert_eq!(hosts, ["mx.example.test".parse::<Name>()?]);
//! # Ok(())
//! # }
//! ```

mod cache;
mod flight;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
#[cfg(feature = "json")]
mod json;
mod kept;
mod master;
mod mx;
mod name;
#[cfg(any(fuzzing, test))]
mod now;
mod record;
mod resolver;
#[cfg(feature = "system")]
mod system;
mod zone;

pub use cache::{Cache, Limits};
#[cfg(feature = "json")]
pub use json::ZoneJsonError;
pub use kept::Kept;
pub use master::{ZoneError, ZoneErrorKind, ZoneWarning, ZoneWarningKind};
pub use mx::{MailHostsError, addresses, mail_hosts};
pub use name::{Name, NameError};
pub use record::{Data, Mx, RecordType, RecordTypeError, Soa, Tlsa, Txt};
pub use resolver::{Answer, Error, Presence, Resolver, Security};
#[cfg(feature = "system")]
pub use system::{System, SystemError, Timing, TrustAnchors};
pub use zone::{Failure, Record, Zone};
