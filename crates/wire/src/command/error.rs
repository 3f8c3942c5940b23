//! Why a line is not a command.

use crate::{AddressErrorKind, Code, EnhancedCode, Reply, ValueErrorKind, XClientErrorKind};

/// Why a line is not a command, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct CommandError {
    /// What is wrong.
    pub kind: CommandErrorKind,
    /// The octet, counted from 0 at the start of the line.
    pub at: usize,
}

/// What is wrong with a line that should be a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandErrorKind {
    /// No verb at the start of the line, or a control character in it.
    #[error("command not recognized")]
    Unrecognized,
    /// Something stands behind a verb that takes no argument, or the argument is missing or wrong.
    #[error("syntax error in argument")]
    Argument,
    /// Not a valid name or address literal behind EHLO, HELO or LHLO.
    #[error("invalid host name")]
    Hello,
    /// Not a valid reverse-path.
    #[error("invalid sender: {0}")]
    Sender(AddressErrorKind),
    /// Not a valid forward-path.
    #[error("invalid recipient: {0}")]
    Recipient(AddressErrorKind),
    /// A parameter is malformed, lacks a value or has one that it cannot have, or comes twice.
    #[error("invalid parameter")]
    Parameter,
    /// The value of a parameter is wrong.
    #[error("invalid parameter: {0}")]
    Value(ValueErrorKind),
    /// An attribute of XCLIENT is wrong.
    #[error("invalid attribute: {0}")]
    XClient(XClientErrorKind),
    /// `SIZE=` with a number that has no more than 20 digits but is too big for 64 bits.
    #[error("message too big for any host")]
    Size,
    /// The line is not UTF-8 (RFC 6531 §3.3).
    #[error("not UTF-8")]
    NotUtf8,
}

impl CommandErrorKind {
    pub(crate) fn at(self, at: usize) -> CommandError {
        CommandError { kind: self, at }
    }
}

impl CommandError {
    /// The reply that belongs to this error (RFC 5321 §4.2.2, RFC 3463, RFC 1870 §6.1).
    pub fn reply(&self) -> Reply {
        use CommandErrorKind::*;
        let (code, enhanced) = match self.kind {
            Unrecognized => (Code::SYNTAX_ERROR_500, EnhancedCode::new(5, 5, 2)),
            Argument | Hello | Parameter | Value(_) | XClient(_) => {
                (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 4))
            }
            NotUtf8 | Sender(AddressErrorKind::NotUtf8) | Recipient(AddressErrorKind::NotUtf8) => {
                (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 2))
            }
            Size => return Reply::TOO_BIG_552,
            Sender(_) => (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 1, 7)),
            Recipient(_) => (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 1, 3)),
        };
        Reply::new(code, enhanced, self.to_string())
    }
}
