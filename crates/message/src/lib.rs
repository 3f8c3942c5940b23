//! The header section of a message (RFC 5322): its fields as spans of the
//! octets, also while it streams in; dates, address lists, identifiers, the
//! trace fields a relay adds, authentication results, and delivery status
//! reports, both ways.
//!
//! Of MIME it knows only what a delivery status report needs, and it never
//! reads a clock: time, identifiers and boundaries are arguments.
//!
//! ```
//! use hikyaku_message::{HeaderLimits, HeaderScan};
//!
//! let mut scan = HeaderScan::new(HeaderLimits::default());
//! scan.push(b"Received: from a.test\r\n\tby b.test; today\r\nFrom: a@");
//! scan.push(b"a.test\r\n\r\nthe body");
//! assert!(scan.is_done());
//! assert_eq!((scan.fields(), scan.hops(), scan.count("from")), (2, 1, 1));
//! ```

mod addresses;
mod date;
mod dsn;
mod encoding;
mod fold;
mod header;
mod lexer;
mod message_id;
mod received;
pub mod results;
mod unfolded;
#[cfg(test)]
mod work;

#[cfg(any(fuzzing, test))]
pub mod fuzzing;

pub use addresses::{AddrSpec, Address, AddressList, Ambiguity, AuthorError, Group, NameAddr};
pub use date::{Date, DateError};
pub use dsn::{
    Action, DeliveryStatus, DeliveryStatusError, DeliveryStatusErrorKind, FieldText, RecipientStatus, Report,
    ReportRecipient, Returned, StatusField, TypedText,
};
pub use header::{Field, FieldSpan, Fields, Header, HeaderLimit, HeaderLimits, HeaderScan, Malformed, unfold};
pub use lexer::{FieldError, FieldErrorKind};
pub use message_id::{MessageId, MessageIds};
pub use received::{Received, ReceivedClauses, ReturnPath};
pub use unfolded::UnfoldedField;
