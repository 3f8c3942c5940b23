//! What is wrong with the bytes of a reply (RFC 5321 §4.2).
//!
//! ```
//! use hikyaku_wire::{Reply, ReplyErrorKind};
//!
//! let error = Reply::parse(b"250-one\r\n550 two\r\n").unwrap_err();
//! assert_eq!((error.kind, error.at), (ReplyErrorKind::CodeMismatch, 9));
//! assert_eq!(error.to_string(), "reply with two different codes at octet 9");
//! ```

use crate::{Code, EnhancedCode, Reply};

/// Why bytes or a text are not a reply, and at which octet.
///
/// When a server has sent them there is no way on from here but to close the connection: nobody
/// can tell which reply belongs to which command any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct ReplyError {
    /// What is wrong.
    pub kind: ReplyErrorKind,
    /// The octet, counted from 0 at the beginning of the reply.
    pub at: usize,
}

/// What is wrong with what should be a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyErrorKind {
    /// Not three digits `[2-5][0-5][0-9]`, or something else than `-` or a space behind them.
    #[error("no reply code such as 250")]
    Code,
    /// Not `class.subject.detail` (RFC 3463 §2).
    #[error("no enhanced code such as 2.0.0")]
    EnhancedCode,
    /// The lines of one reply have different codes.
    #[error("reply with two different codes")]
    CodeMismatch,
    /// A CR without LF behind it.
    #[error("bare <CR> in reply")]
    BareCr,
    /// A LF without CR in front of it.
    #[error("bare <LF> in reply")]
    BareLf,
    /// A line of more than 4096 octets. RFC 5321 §4.5.3.1.5 has 512; servers send more.
    #[error("reply line of more than 4096 octets")]
    LineTooLong,
    /// More than 100 lines.
    #[error("reply of more than 100 lines")]
    TooManyLines,
    /// More than 64 KiB, codes and line ends counted.
    #[error("reply of more than 65536 octets")]
    TooLong,
}

impl ReplyErrorKind {
    pub(crate) const fn at(self, at: usize) -> ReplyError {
        ReplyError { kind: self, at }
    }
}

impl ReplyError {
    /// What becomes of a message whose next host has answered so: 451 4.5.0, tried again later.
    pub fn reply(self) -> Reply {
        Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 5, 0), format!("malformed reply: {self}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_8_a_malformed_reply_defers() {
        let reply = ReplyErrorKind::LineTooLong.at(4096).reply();
        assert_eq!(reply.to_string(), "451 4.5.0 malformed reply: reply line of more than 4096 octets at octet 4096");
    }
}
