//! One extension that is offered, with what its parameters mean.

use std::fmt;

use super::{
    keyword::{self, EhloKeyword, Known},
    limits::Limits,
    word::{CapabilityError, CapabilityErrorKind, LINE_LIMIT, Word, Words},
};
use crate::{Civil, Timestamp};

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
    FutureRelease(FutureRelease),
    /// Priorities; the name of the profile, if there is one (RFC 6710 §3).
    MtPriority(Option<Word<'a>>),
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
    NoSoliciting(Option<Word<'a>>),
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

/// A number of seconds of at most nine digits (RFC 2852 §3, RFC 4865 §4).
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

/// How far in the future a message may be released (RFC 4865 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutureRelease {
    seconds: Seconds,
    until: Timestamp,
}

impl FutureRelease {
    /// At most `seconds` from now, but not 0, and not after `until`, in the years 0 to
    /// 9999.
    ///
    /// # Errors
    /// [`CapabilityErrorKind::Range`].
    pub fn new(seconds: Seconds, until: Timestamp) -> Result<Self, CapabilityError> {
        let Civil { year, .. } = until.civil();
        let valid = seconds.get() > 0 && (0..=9999).contains(&year);
        valid.then_some(Self { seconds, until }).ok_or(CapabilityErrorKind::Range.at(0))
    }

    /// The longest time that a message may be held.
    pub fn seconds(self) -> Seconds {
        self.seconds
    }

    /// The latest moment of a release.
    pub fn until(self) -> Timestamp {
        self.until
    }

    /// `future-release-integer SP future-release-date-time`
    fn read(words: Words<'_>) -> Option<Self> {
        let (seconds, words) = words.split_first()?;
        let (until, words) = words.split_first()?;
        words.is_empty().then(|| Self::new(Seconds::read(seconds)?, until.parse().ok()?).ok())?
    }
}

impl fmt::Display for FutureRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seconds, self.until)
    }
}

/// Decimal digits, at most so many, of a number of at most 64 bits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let valid = text.len() <= digits && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| valid)
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
        if let Some((keyword, params)) = keyword::split(line) {
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
            Known::Size => Self::Size(optional(words, |text| number(text, 20))?),
            Known::Auth => Self::Auth(words),
            Known::DeliverBy => Self::DeliverBy(optional(words, Seconds::read)?),
            Known::FutureRelease => Self::FutureRelease(FutureRelease::read(words)?),
            Known::MtPriority => Self::MtPriority(words.at_most_one()?),
            Known::Limits => Self::Limits(Limits::read(words)),
            Known::NoSoliciting => Self::NoSoliciting(words.at_most_one()?),
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
            Self::FutureRelease(_) => Known::FutureRelease,
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
fn optional<T>(words: Words<'_>, read: fn(&str) -> Option<T>) -> Option<Option<T>> {
    match words.at_most_one()? {
        None => Some(None),
        Some(word) => read(word.as_str()).map(Some),
    }
}

/// The line as it stands in an EHLO reply, without code and line end.
impl fmt::Display for Capability<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.keyword())?;
        match self {
            Self::Size(Some(limit)) => write!(f, " {limit}"),
            Self::DeliverBy(Some(seconds)) => write!(f, " {seconds}"),
            Self::FutureRelease(release) => write!(f, " {release}"),
            Self::MtPriority(Some(word)) | Self::NoSoliciting(Some(word)) => write!(f, " {word}"),
            Self::Limits(limits) if *limits != Limits::default() => write!(f, " {limits}"),
            Self::Auth(words) | Self::Burl(words) | Self::XClient(words) if !words.is_empty() => write!(f, " {words}"),
            Self::Other(extension) if !extension.params.is_empty() => write!(f, " {}", extension.params),
            _ => Ok(()),
        }
    }
}
