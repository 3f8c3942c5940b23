//! The values of the parameters of MAIL and RCPT (RFC 5321 §4.1.2 `esmtp-value`), one type each.
//!
//! `parse` reads a value as it stands behind the `=`, `Display` prints it so. A number with more
//! digits than its standard allows is an error; nothing is ever rounded to what would fit.
//!
//! ```
//! use hikyaku_wire::{Notify, OriginalRecipient};
//!
//! let notify = Notify::parse("failure,SUCCESS").unwrap();
//! assert!(notify.on_success() && !notify.on_delay());
//! assert_eq!(notify.to_string(), "SUCCESS,FAILURE");
//!
//! let original = OriginalRecipient::parse("rfc822;a+2Bb@example.org").unwrap();
//! assert_eq!(original.decode(), "a+b@example.org");
//! assert_eq!(original.to_string(), "rfc822;a+2Bb@example.org");
//! ```

mod auth;
mod date_time;
mod deliver_by;
mod envelope_id;
mod hold;
mod notify;
mod original_recipient;
mod priority;
mod ret;

pub use auth::AuthParam;
pub use deliver_by::{ByMode, DeliverBy};
pub use envelope_id::EnvelopeId;
pub use hold::{Hold, HoldFor, HoldUntil};
pub use notify::Notify;
pub use original_recipient::OriginalRecipient;
pub use priority::Priority;
pub use ret::Ret;

use crate::{Code, EnhancedCode, Reply, XtextError, XtextErrorKind};

/// Why a text is not the value of a parameter, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct ValueError {
    /// What is wrong.
    pub kind: ValueErrorKind,
    /// The octet, counted from 0 at the start of the value.
    pub at: usize,
}

/// What is wrong with the value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueErrorKind {
    /// Nothing stands where a value has to be.
    #[error("empty value")]
    Empty,
    /// Longer than the standard allows; the number is that of the octets that it allows.
    #[error("value longer than {0} octets")]
    TooLong(usize),
    /// None of the words that can stand here.
    #[error("unknown word")]
    Word,
    /// The same word twice.
    #[error("word that came before")]
    Duplicate,
    /// `NEVER` beside another word.
    #[error("NEVER together with another word")]
    NeverWithOthers,
    /// Not a number in the form of the standard, or with too many digits.
    #[error("number not in its form, or with too many digits")]
    Number,
    /// A number that the standard does not allow.
    #[error("number out of range")]
    Range,
    /// Not a date and time as RFC 3339 §5.6 writes them.
    #[error("not a date-time such as 2026-11-24T05:52:00Z")]
    DateTime,
    /// A day or a time that does not exist.
    #[error("no such date or time")]
    NoSuchTime,
    /// No atom and `;` in front of an address.
    #[error("no address type and ';' in front of the address")]
    AddressType,
    /// The decoded text is neither a mailbox nor `<>`.
    #[error("neither a mailbox nor <>")]
    Mailbox,
    /// Not `xtext`, or not an encoded UTF-8 address.
    #[error(transparent)]
    Xtext(XtextErrorKind),
}

impl ValueErrorKind {
    pub(crate) fn at(self, at: usize) -> ValueError {
        ValueError { kind: self, at }
    }
}

impl ValueError {
    /// The reply that belongs to this error: 501 5.5.4.
    pub fn reply(&self) -> Reply {
        Reply::new(Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 4), self.to_string())
    }

    fn moved(self, by: usize) -> Self {
        self.kind.at(self.at + by)
    }
}

impl From<XtextError> for ValueError {
    fn from(error: XtextError) -> Self {
        ValueErrorKind::Xtext(error.kind).at(error.at)
    }
}

/// A number of one to nine digits; `at` is where it stands in the value.
fn nine_digits(digits: &str, at: usize) -> Result<u32, ValueError> {
    const LIMIT: usize = 9;
    if digits.is_empty() || digits.len() > LIMIT {
        return Err(ValueErrorKind::Number.at(at + digits.len().min(LIMIT)));
    }
    if let Some(wrong) = digits.bytes().position(|b| !b.is_ascii_digit()) {
        return Err(ValueErrorKind::Number.at(at + wrong));
    }
    Ok(digits.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_which_reply() {
        let error = ValueErrorKind::TooLong(100).at(100);
        assert_eq!(error.to_string(), "value longer than 100 octets at octet 100");
        assert_eq!(error.reply().to_string(), "501 5.5.4 value longer than 100 octets at octet 100");
        let error = ValueError::from(Xtext::parse("a b").unwrap_err());
        assert_eq!(error.to_string(), "character that has to be written as an escape at octet 1");
    }

    use crate::Xtext;

    #[test]
    fn numbers_have_nine_digits() {
        assert_eq!(nine_digits("0", 3), Ok(0));
        assert_eq!(nine_digits("007", 3), Ok(7));
        assert_eq!(nine_digits("999999999", 3), Ok(999_999_999));
        for (text, at) in [("", 3), ("1000000000", 12), ("99999999999999999999999", 12), ("1x", 4), ("-1", 3), ("٣", 3)]
        {
            assert_eq!(nine_digits(text, 3), Err(ValueErrorKind::Number.at(at)), "{text}");
        }
    }
}
