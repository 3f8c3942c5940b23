//! One extension that is offered, with what its parameters mean.

use std::fmt;

use super::{
    entries::Entries,
    keyword::{EhloKeyword, Known},
    limits::Limits,
    words::{CapabilityError, CapabilityErrorKind, LINE_LIMIT, Words},
};
use crate::{HoldFor, HoldUntil, reply_text::Form};

/// One extension, as a line of the EHLO reply offers it. It borrows its text.
///
/// An extension that is known, but with parameters that its RFC does not allow, is an
/// [`Other`](Self::Other) with that keyword: nothing is lost, and nothing is concluded from it.
///
/// ```
/// use hikyaku_wire::{Capability, Words};
///
/// let auth = Capability::parse("auth PLAIN SCRAM-SHA-256").unwrap();
/// assert_eq!(auth, Capability::Auth(Words::new("PLAIN SCRAM-SHA-256").unwrap()));
/// assert_eq!(auth.to_string(), "AUTH PLAIN SCRAM-SHA-256");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability<'a> {
    /// Commands may come in groups (RFC 2920).
    Pipelining,
    /// The most octets of a message (RFC 1870 §4): `None` without a number, 0 is no fixed limit.
    Size(Option<u64>),
    /// Content of 8 bits (RFC 6152).
    EightBitMime,
    /// Addresses and header sections in UTF-8 (RFC 6531).
    SmtpUtf8,
    /// Replies have enhanced codes (RFC 2034).
    EnhancedStatusCodes,
    /// TLS may begin (RFC 3207).
    StartTls,
    /// The names of the SASL mechanisms (RFC 4954 §3).
    Auth(Words<'a>),
    /// BDAT (RFC 3030 §2).
    Chunking,
    /// Binary content (RFC 3030 §3).
    BinaryMime,
    /// Delivery status notifications (RFC 3461).
    Dsn,
    /// Delivery in time; the least number of seconds, if there is one (RFC 2852 §3).
    DeliverBy(Option<Seconds>),
    /// Delivery not before a time (RFC 4865 §4).
    FutureRelease {
        /// The longest time that a message may be held.
        interval: HoldFor,
        /// The latest moment of a release.
        date_time: HoldUntil<&'a str>,
    },
    /// Priorities; the name of the profile, if there is one (RFC 6710 §3).
    MtPriority(Words<'a>),
    /// TLS on all the way (RFC 8689).
    RequireTls,
    /// How much the server takes in one session (RFC 9422).
    Limits(Limits<'a>),
    /// Start of the delivery of a queue (RFC 1985).
    Etrn,
    /// VRFY is answered (RFC 5321 §4.1.1.6).
    Vrfy,
    /// EXPN is answered (RFC 5321 §4.1.1.7).
    Expn,
    /// HELP is answered (RFC 5321 §4.1.1.8).
    Help,
    /// Solicitation is refused, by these keywords if there are any (RFC 3865 §2).
    NoSoliciting(Words<'a>),
    /// Content may be fetched; the kinds and prefixes of URLs (RFC 4468 §3).
    Burl(Words<'a>),
    /// A proxy may speak for its client; the names of the attributes.
    XClient(Words<'a>),
    /// Any other extension.
    Other(Extension<'a>),
}

/// An extension that has no type of its own, with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    keyword: EhloKeyword<&'a str>,
    params: Words<'a>,
}

impl<'a> Extension<'a> {
    /// The name of the extension.
    pub fn keyword(&self) -> EhloKeyword<&'a str> {
        self.keyword
    }

    /// Its parameters.
    pub fn params(&self) -> Words<'a> {
        self.params
    }
}

/// A number of seconds of at most nine digits (RFC 2852 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(u32);

impl Seconds {
    /// 0 to 999,999,999 seconds.
    ///
    /// # Errors
    /// [`CapabilityErrorKind::Range`].
    pub fn new(seconds: u32) -> Result<Self, CapabilityError> {
        (seconds <= 999_999_999).then_some(Self(seconds)).ok_or(CapabilityErrorKind::Range.at(0))
    }

    /// The number of seconds.
    pub fn get(self) -> u32 {
        self.0
    }

    /// `1*9DIGIT`
    fn read(text: &str) -> Option<Self> {
        number(text, 9).and_then(|seconds| u32::try_from(seconds).ok()).map(Self)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A decimal number of at most so many digits and 64 bits.
#[inline(always)]
pub(super) fn number(text: &str, digits: usize) -> Option<u64> {
    if !(1..=digits).contains(&text.len()) {
        return None;
    }
    text.bytes().try_fold(0u64, |number, b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(digit.into()) }
    })
}

impl<'a> Capability<'a> {
    /// `ehlo-line = ehlo-keyword *( SP ehlo-param )` (RFC 5321 §4.1.1.1), at most 506 octets.
    ///
    /// # Errors
    /// [`CapabilityError`] says which octet does not belong.
    pub fn parse(line: &'a str) -> Result<Self, CapabilityError> {
        if line.len() > LINE_LIMIT {
            return Err(CapabilityErrorKind::TooLong.at(LINE_LIMIT));
        }
        if let Some(at) = line.bytes().position(|b| !b.is_ascii_graphic() && b != b' ') {
            return Err(CapabilityErrorKind::Parameter.at(at));
        }
        if let Some((keyword, params)) = Entries::new(line, Form::Clean).next() {
            return Ok(Self::read(keyword, params));
        }
        let word = line.split(' ').next().unwrap_or_default();
        Err(EhloKeyword::parse(word).err().unwrap_or(CapabilityErrorKind::Keyword.at(0)))
    }

    /// From a keyword and the ASCII text of its parameters.
    #[inline(always)]
    pub(super) fn read(keyword: EhloKeyword<&'a str>, params: &'a str) -> Self {
        let words = Words::of_line(params);
        let typed = keyword.known().and_then(|known| Self::typed(known, words));
        typed.unwrap_or(Self::Other(Extension { keyword, params: words }))
    }

    #[inline(always)]
    fn typed(known: Known, words: Words<'a>) -> Option<Self> {
        Some(match known {
            Known::Size => Self::Size(size(words)?),
            Known::Auth => Self::Auth(words),
            Known::DeliverBy => Self::DeliverBy(optional(words, Seconds::read)?),
            Known::FutureRelease => Self::future_release(words)?,
            Known::MtPriority => Self::MtPriority(words),
            Known::Limits => Self::Limits(Limits::read(words)),
            Known::NoSoliciting => Self::NoSoliciting(words),
            Known::Burl => Self::Burl(words),
            Known::XClient => Self::XClient(words),
            _ if !words.is_empty() => return None,
            Known::Pipelining => Self::Pipelining,
            Known::EightBitMime => Self::EightBitMime,
            Known::SmtpUtf8 => Self::SmtpUtf8,
            Known::EnhancedStatusCodes => Self::EnhancedStatusCodes,
            Known::StartTls => Self::StartTls,
            Known::Chunking => Self::Chunking,
            Known::BinaryMime => Self::BinaryMime,
            Known::Dsn => Self::Dsn,
            Known::RequireTls => Self::RequireTls,
            Known::Etrn => Self::Etrn,
            Known::Vrfy => Self::Vrfy,
            Known::Expn => Self::Expn,
            Known::Help => Self::Help,
        })
    }

    /// `future-release-integer SP future-release-date-time`
    #[cold]
    fn future_release(words: Words<'a>) -> Option<Self> {
        let (interval, words) = words.split_first()?;
        let (date_time, words) = words.split_first()?;
        let (interval, date_time) = (HoldFor::parse(interval).ok()?, HoldUntil::parse(date_time).ok()?);
        words.is_empty().then_some(Self::FutureRelease { interval, date_time })
    }

    /// The name of the extension.
    pub fn keyword(&self) -> EhloKeyword<&'a str> {
        let known = match self {
            Self::Pipelining => Known::Pipelining,
            Self::Size(_) => Known::Size,
            Self::EightBitMime => Known::EightBitMime,
            Self::SmtpUtf8 => Known::SmtpUtf8,
            Self::EnhancedStatusCodes => Known::EnhancedStatusCodes,
            Self::StartTls => Known::StartTls,
            Self::Auth(_) => Known::Auth,
            Self::Chunking => Known::Chunking,
            Self::BinaryMime => Known::BinaryMime,
            Self::Dsn => Known::Dsn,
            Self::DeliverBy(_) => Known::DeliverBy,
            Self::FutureRelease { .. } => Known::FutureRelease,
            Self::MtPriority(_) => Known::MtPriority,
            Self::RequireTls => Known::RequireTls,
            Self::Limits(_) => Known::Limits,
            Self::Etrn => Known::Etrn,
            Self::Vrfy => Known::Vrfy,
            Self::Expn => Known::Expn,
            Self::Help => Known::Help,
            Self::NoSoliciting(_) => Known::NoSoliciting,
            Self::Burl(_) => Known::Burl,
            Self::XClient(_) => Known::XClient,
            Self::Other(extension) => return extension.keyword,
        };
        known.into()
    }
}

/// A parameter that may be left out; the outer `None` if it is something else.
#[inline(always)]
fn optional<T>(words: Words<'_>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match words.at_most_one()? {
        None => Some(None),
        Some(word) => read(word).map(Some),
    }
}

/// `size-param = [1*20DIGIT]`
#[inline(always)]
pub(super) fn size(words: Words<'_>) -> Option<Option<u64>> {
    optional(words, |text| number(text, 20))
}

/// The line as it stands in an EHLO reply, without code and line end.
impl fmt::Display for Capability<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.keyword())?;
        match self {
            Self::Size(Some(limit)) => write!(f, " {limit}"),
            Self::DeliverBy(Some(seconds)) => write!(f, " {seconds}"),
            Self::FutureRelease { interval, date_time } => write!(f, " {interval} {date_time}"),
            Self::Limits(limits) if *limits != Limits::default() => write!(f, " {limits}"),
            Self::Auth(words)
            | Self::MtPriority(words)
            | Self::NoSoliciting(words)
            | Self::Burl(words)
            | Self::XClient(words)
            | Self::Other(Extension { params: words, .. })
                if !words.is_empty() =>
            {
                write!(f, " {words}")
            }
            _ => Ok(()),
        }
    }
}
