//! Postfix asks a policy: the protocol of policy delegation, `check_policy_service`.
//!
//! A request is lines `name=value` and an empty line; the answer is one line `action=` and an
//! empty line. Postfix says what it knows of a client, a sender and one recipient; sockets are the
//! caller's.

mod delegate;
mod facts;
#[cfg(test)]
mod tests;

use std::fmt;

use hikyaku_wire::Reply;

use crate::screening::TAG;

pub use self::delegate::{Delegate, DelegateOptions, Delegated};

/// A question of Postfix's smtpd: what is known of one client and one recipient, as Postfix names
/// it.
///
/// Names that are not known are kept; values are octets, since a client may say anything.
///
/// ```
/// use hikyaku::DelegationRequest;
///
/// let input = b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=anna@example.org\n\n";
/// let (request, length) = DelegationRequest::parse(input)?.expect("a whole request");
/// assert_eq!((request.text("recipient"), length), (Some("anna@example.org"), input.len()));
/// # Ok::<(), hikyaku::DelegationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationRequest {
    attributes: Vec<(Box<str>, Box<[u8]>)>,
}

/// Octets that are not a question of Postfix's smtpd: whoever sent them is not Postfix, or does
/// not ask for a policy, and the connection is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DelegationError {
    /// More than [`DelegationRequest::LIMIT`] octets without an empty line.
    #[error("a request has more than {} octets", DelegationRequest::LIMIT)]
    TooLong,
    /// More than [`DelegationRequest::ATTRIBUTES`] lines.
    #[error("a request has more than {} attributes", DelegationRequest::ATTRIBUTES)]
    TooMany,
    /// A line without `=`, or with a name that is none. Lines are counted from 1.
    #[error("line {line} of a request is not `name=value`")]
    Line {
        /// The line.
        line: usize,
    },
    /// A name is there twice: one of the two may be a lie.
    #[error("line {line} of a request names an attribute again")]
    Twice {
        /// The line.
        line: usize,
    },
    /// It is not `request=smtpd_access_policy`.
    #[error("not a request of Postfix's smtpd for a policy (`request=smtpd_access_policy`)")]
    NotSmtpd,
}

impl DelegationRequest {
    /// The octets of a request, at most.
    pub const LIMIT: usize = 32 * 1024;
    /// The attributes of a request, at most.
    pub const ATTRIBUTES: usize = 128;

    /// Reads the first request, and says how many octets it has; `None` where its end has not come
    /// yet.
    ///
    /// # Errors
    /// What is no request, and what is longer than one may be.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, DelegationError> {
        let mut reader = DelegationReader::default();
        reader.push(input);
        Ok(reader.next()?.map(|request| (request, reader.start)))
    }

    /// The value of an attribute, if it is there.
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        self.attributes.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    /// The same as text, if it is text and not empty: an empty value says that nothing is known.
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = self.attribute(name).filter(|value| !value.is_empty())?;
        std::str::from_utf8(value).ok()
    }

    /// Of the lines of a request, without the empty one.
    fn of_lines(lines: &[u8]) -> Result<Self, DelegationError> {
        let mut attributes: Vec<(Box<str>, Box<[u8]>)> = Vec::new();
        for (index, text) in lines.split(|octet| *octet == b'\n').enumerate() {
            let line = index + 1;
            if line > Self::ATTRIBUTES {
                return Err(DelegationError::TooMany);
            }
            let equals = text.iter().position(|octet| *octet == b'=').filter(|at| *at > 0);
            let (name, value) = text.split_at(equals.ok_or(DelegationError::Line { line })?);
            let is_of_names = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'_' || *octet == b'-';
            let name = std::str::from_utf8(name).ok().filter(|name| name.as_bytes().iter().all(is_of_names));
            let name = name.filter(|_| !value.contains(&0)).ok_or(DelegationError::Line { line })?;
            if attributes.iter().any(|(known, _)| **known == *name) {
                return Err(DelegationError::Twice { line });
            }
            attributes.push((name.into(), value[1..].into()));
        }
        let request = Self { attributes };
        match request.attribute("request") {
            Some(b"smtpd_access_policy") => Ok(request),
            _ => Err(DelegationError::NotSmtpd),
        }
    }
}

/// As it is on the wire.
impl fmt::Display for DelegationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.attributes {
            writeln!(f, "{name}={}", String::from_utf8_lossy(value))?;
        }
        writeln!(f)
    }
}

/// Takes requests out of what comes over a connection, however it is split.
#[derive(Clone, Debug, Default)]
pub struct DelegationReader {
    buffer: Vec<u8>,
    /// Where the next request begins.
    start: usize,
    /// Up to where its end was looked for.
    seen: usize,
}

impl DelegationReader {
    /// Adds what has come.
    pub fn push(&mut self, input: &[u8]) {
        self.buffer.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(input);
    }

    /// Whether a request has begun whose end has not come.
    pub fn is_within(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// The next whole request; `None` where more must come.
    ///
    /// # Errors
    /// What has come is no request. The same error comes again.
    #[expect(clippy::should_implement_trait, reason = "a request can be wrong, and more may come after `None`")]
    pub fn next(&mut self) -> Result<Option<DelegationRequest>, DelegationError> {
        // An empty line behind nothing is a request of no attributes, which is wrong too.
        if self.buffer[self.start..].first() == Some(&b'\n') {
            return Err(DelegationError::Line { line: 1 });
        }
        let from = self.seen.saturating_sub(1).max(self.start);
        let found = self.buffer[from..].windows(2).position(|pair| pair == b"\n\n");
        let Some(end) = found.map(|at| from + at) else {
            self.seen = self.buffer.len();
            let is_too_long = self.seen - self.start > DelegationRequest::LIMIT;
            return if is_too_long { Err(DelegationError::TooLong) } else { Ok(None) };
        };
        if end + 2 - self.start > DelegationRequest::LIMIT {
            return Err(DelegationError::TooLong);
        }
        let request = DelegationRequest::of_lines(&self.buffer[self.start..end])?;
        (self.start, self.seen) = (end + 2, end + 2);
        Ok(Some(request))
    }
}

/// What Postfix is to do (access(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DelegationAction {
    /// `DUNNO`: nothing is wrong with it; what else is configured decides.
    Dunno,
    /// `OK`: it is permitted, whatever else is configured behind this question.
    Ok,
    /// Refused, for good or for now, with this reply.
    Reply(Reply),
    /// `HOLD`: the message waits in the hold queue for a person, for this reason.
    Hold(String),
    /// `PREPEND`: the message gets a field with these marks.
    Mark(String),
}

/// As it is on the wire, with the empty line. No text can end the line.
impl fmt::Display for DelegationAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clean = |text: &str| text.replace(char::is_control, " ");
        match self {
            Self::Dunno => f.write_str("action=DUNNO\n\n"),
            Self::Ok => f.write_str("action=OK\n\n"),
            Self::Reply(reply) => write!(f, "action={}\n\n", clean(&reply.to_string())),
            Self::Hold(reason) => write!(f, "action=HOLD {}\n\n", clean(reason)),
            Self::Mark(marks) => write!(f, "action=PREPEND {TAG}: {}\n\n", clean(marks)),
        }
    }
}
