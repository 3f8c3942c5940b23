//! MAIL and RCPT with their parameters (RFC 5321 §4.1.1.2, §4.1.1.3 and the extensions).
//!
//! ```
//! use hikyaku_wire::{Body, Command};
//!
//! let line = b"MAIL FROM:<> SIZE=1024 BODY=8BITMIME X-TRACE=4711";
//! let Command::Mail(mail) = Command::parse(line).unwrap() else { panic!("not MAIL") };
//! assert_eq!((mail.params.size, mail.params.body), (Some(1024), Some(Body::EightBitMime)));
//! assert_eq!(mail.params.other().value("X-TRACE"), Some("4711"));
//! assert!(mail.params.keywords().eq(["SIZE", "BODY", "X-TRACE"]));
//! ```

mod keyword;
mod param;

use std::fmt;

pub use self::param::{Param, Params};
use self::{
    keyword::{Keyword, Of, Tail},
    param::Span,
};
use crate::{
    AuthParam, CommandError, CommandErrorKind, DeliverBy, EnvelopeId, ForwardPath, Hold, HoldFor, HoldUntil, Notify,
    OriginalRecipient, Priority, Ret, ReversePath, ValueError, ValueErrorKind, command::same,
};

/// What MAIL says: who gets a bounce, and the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Mail<T = Box<str>> {
    /// The reverse-path.
    pub from: ReversePath<T>,
    /// The parameters behind it.
    pub params: MailParams<T>,
}

/// What RCPT says: one recipient, and the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<T = Box<str>> {
    /// The forward-path.
    pub to: ForwardPath<T>,
    /// The parameters behind it.
    pub params: RecipientParams<T>,
}

/// The parameters of MAIL.
#[derive(Clone, Copy, Debug)]
pub struct MailParams<T = Box<str>> {
    /// `SIZE=`: octets of the message as the client estimates them (RFC 1870 §6). It may be a
    /// lie. `Some(0)` is not the same as absent.
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152 §4, RFC 3030 §3).
    pub body: Option<Body>,
    /// `SMTPUTF8` (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `AUTH=`: who has submitted the message (RFC 4954 §5). What a client says of it counts only
    /// if the client is trusted.
    pub auth: Option<AuthParam<T>>,
    /// `RET=`: how much of the message a report returns (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`: by what the sender knows the message (RFC 3461 §4.4).
    pub envid: Option<EnvelopeId<T>>,
    /// `REQUIRETLS` (RFC 8689 §2).
    pub requiretls: bool,
    /// `HOLDFOR=` or `HOLDUNTIL=`, not both (RFC 4865 §4).
    pub hold: Option<Hold<T>>,
    /// `BY=` (RFC 2852 §4).
    pub by: Option<DeliverBy>,
    /// `MT-PRIORITY=` (RFC 6710 §3).
    pub priority: Option<Priority>,
    other: Params<T>,
}

/// The parameters of RCPT.
#[derive(Clone, Copy, Debug)]
pub struct RecipientParams<T = Box<str>> {
    /// `NOTIFY=`: of what the sender wants to be told (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=`: the recipient that the sender wrote to (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient<T>>,
    other: Params<T>,
}

/// The value of `BODY=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// `7BIT`: ASCII only.
    #[default]
    SevenBit,
    /// `8BITMIME`: any octet, lines of at most 998 (RFC 6152).
    EightBitMime,
    /// `BINARYMIME`: no lines at all, only with BDAT (RFC 3030).
    BinaryMime,
}

impl Body {
    fn parse(text: &str) -> Result<Self, ValueError> {
        let mut words = [Self::EightBitMime, Self::SevenBit, Self::BinaryMime].into_iter();
        words.find(|body| body.as_str().eq_ignore_ascii_case(text)).ok_or(ValueErrorKind::Word.at(0))
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

/// Digits of a SIZE at the most: `size-value = 1*20DIGIT` (RFC 1870 §3).
const SIZE_DIGITS: usize = 20;

fn size(digits: &str) -> Result<u64, ValueError> {
    let mut size = Some(0_u64);
    for (at, digit) in digits.bytes().enumerate() {
        if !digit.is_ascii_digit() || at == SIZE_DIGITS {
            return Err(ValueErrorKind::Number.at(at));
        }
        size = size.and_then(|size| size.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    }
    size.ok_or(ValueErrorKind::Range.at(0))
}

/// Twenty digits may be more than 64 bits hold. Such a message is too big for anybody, and no
/// number stands in for it.
fn too_big(error: CommandError) -> CommandError {
    match error.kind {
        CommandErrorKind::Value(ValueErrorKind::Range) => CommandErrorKind::Size.at(error.at),
        _ => error,
    }
}

impl<'a> MailParams<&'a str> {
    /// Reads `*(SP esmtp-param)` from octet `at` of the line to its end.
    #[inline(always)]
    pub(crate) fn read(line: &'a str, at: usize) -> Result<Self, CommandError> {
        let mut params = Self::default();
        if at == line.len() {
            return Ok(params);
        }
        let mut tail = Tail::new(line, at, Of::Mail);
        let mut other = Span::new(Of::Mail);
        while let Some(word) = tail.next()? {
            match word.keyword {
                Some(Keyword::Size) => word.set(&mut params.size, size).map_err(too_big)?,
                Some(Keyword::Body) => word.set(&mut params.body, Body::parse)?,
                Some(Keyword::SmtpUtf8) => word.flag(&mut params.smtputf8)?,
                Some(Keyword::Auth) => word.set(&mut params.auth, AuthParam::parse)?,
                Some(Keyword::Ret) => word.set(&mut params.ret, Ret::parse)?,
                Some(Keyword::EnvId) => word.set(&mut params.envid, EnvelopeId::parse)?,
                Some(Keyword::RequireTls) => word.flag(&mut params.requiretls)?,
                Some(Keyword::HoldFor) => word.set(&mut params.hold, |text| HoldFor::parse(text).map(Hold::For))?,
                Some(Keyword::HoldUntil) => {
                    word.set(&mut params.hold, |text| HoldUntil::parse(text).map(Hold::Until))?
                }
                Some(Keyword::By) => word.set(&mut params.by, DeliverBy::parse)?,
                Some(Keyword::MtPriority) => word.set(&mut params.priority, Priority::parse)?,
                _ => other.push(line, word)?,
            }
        }
        params.other = other.finish();
        Ok(params)
    }
}

impl<'a> RecipientParams<&'a str> {
    /// Reads `*(SP esmtp-param)` from octet `at` of the line to its end.
    #[inline(always)]
    pub(crate) fn read(line: &'a str, at: usize) -> Result<Self, CommandError> {
        let mut params = Self::default();
        if at == line.len() {
            return Ok(params);
        }
        let mut tail = Tail::new(line, at, Of::Rcpt);
        let mut other = Span::new(Of::Rcpt);
        while let Some(word) = tail.next()? {
            match word.keyword {
                Some(Keyword::Notify) => word.set(&mut params.notify, Notify::parse)?,
                Some(Keyword::OrcPt) => word.set(&mut params.orcpt, OriginalRecipient::parse)?,
                _ => other.push(line, word)?,
            }
        }
        params.other = other.finish();
        Ok(params)
    }
}

impl<T: AsRef<str>> MailParams<T> {
    /// The keywords of all parameters that are there: those with a field in upper case, then the
    /// others as they were received. A server answers one that it has not offered with 555
    /// (RFC 5321 §4.1.1.11).
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        let known = [self.size.map(|_| "SIZE"), self.body.map(|_| "BODY"), self.smtputf8.then_some("SMTPUTF8")];
        known.into_iter().flatten().chain(self.other.keywords())
    }

    /// The parameters without a field of their own.
    pub fn other(&self) -> &Params<T> {
        &self.other
    }

    /// The same parameters with texts of their own.
    pub fn into_owned(self) -> MailParams
    where
        T: Into<Box<str>>,
    {
        MailParams {
            size: self.size,
            body: self.body,
            smtputf8: self.smtputf8,
            auth: self.auth.map(AuthParam::into_owned),
            ret: self.ret,
            envid: self.envid.map(EnvelopeId::into_owned),
            requiretls: self.requiretls,
            hold: self.hold.map(Hold::into_owned),
            by: self.by,
            priority: self.priority,
            other: self.other.into_owned(),
        }
    }
}

impl<T: AsRef<str>> RecipientParams<T> {
    /// The keywords of all parameters that are there, as [`MailParams::keywords`] gives them.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        let known = [self.notify.map(|_| "NOTIFY"), self.orcpt.as_ref().map(|_| "ORCPT")];
        known.into_iter().flatten().chain(self.other.keywords())
    }

    /// The parameters without a field of their own.
    pub fn other(&self) -> &Params<T> {
        &self.other
    }

    /// The same parameters with texts of their own.
    pub fn into_owned(self) -> RecipientParams
    where
        T: Into<Box<str>>,
    {
        RecipientParams {
            notify: self.notify,
            orcpt: self.orcpt.map(OriginalRecipient::into_owned),
            other: self.other.into_owned(),
        }
    }
}

/// What MAIL and RCPT have in common.
macro_rules! command {
    ($command:ident, $path:ident, $params:ident, $verb:literal) => {
        impl $params {
            /// Appends a parameter that has no field of its own.
            ///
            /// # Errors
            /// [`Parameter`](CommandErrorKind::Parameter) at octet 0 for a keyword that is there
            /// already or has a field of its own, and for the 33rd parameter.
            pub fn push(&mut self, param: Param<&str>) -> Result<(), CommandError> {
                self.other.push(param)
            }
        }

        impl<T: AsRef<str>> $command<T> {
            /// The same with texts of its own.
            pub fn into_owned(self) -> $command
            where
                T: Into<Box<str>>,
            {
                $command { $path: self.$path.into_owned(), params: self.params.into_owned() }
            }
        }

        impl<T: AsRef<str>, U: AsRef<str>> PartialEq<$command<U>> for $command<T> {
            fn eq(&self, other: &$command<U>) -> bool {
                self.$path == other.$path && self.params == other.params
            }
        }

        impl<T: AsRef<str>> Eq for $command<T> {}

        impl<T: AsRef<str>> Eq for $params<T> {}

        impl<T: AsRef<str>> fmt::Display for $command<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($verb, ":{}{}"), self.$path, self.params)
            }
        }
    };
}

command!(Mail, from, MailParams, "MAIL FROM");
command!(Recipient, to, RecipientParams, "RCPT TO");

impl<T: Default> Default for MailParams<T> {
    fn default() -> Self {
        Self {
            size: None,
            body: None,
            smtputf8: false,
            auth: None,
            ret: None,
            envid: None,
            requiretls: false,
            hold: None,
            by: None,
            priority: None,
            other: Params::empty(Of::Mail),
        }
    }
}

impl<T: Default> Default for RecipientParams<T> {
    fn default() -> Self {
        Self { notify: None, orcpt: None, other: Params::empty(Of::Rcpt) }
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<MailParams<U>> for MailParams<T> {
    fn eq(&self, other: &MailParams<U>) -> bool {
        self.size == other.size
            && self.body == other.body
            && self.smtputf8 == other.smtputf8
            && same(&self.auth, &other.auth)
            && self.ret == other.ret
            && same(&self.envid, &other.envid)
            && self.requiretls == other.requiretls
            && same(&self.hold, &other.hold)
            && self.by == other.by
            && self.priority == other.priority
            && self.other == other.other
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<RecipientParams<U>> for RecipientParams<T> {
    fn eq(&self, other: &RecipientParams<U>) -> bool {
        self.notify == other.notify && same(&self.orcpt, &other.orcpt) && self.other == other.other
    }
}

/// ` KEYWORD=value`, where there is a value.
fn print(f: &mut fmt::Formatter<'_>, keyword: &str, value: Option<&impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {keyword}={value}"))
}

impl<T: AsRef<str>> fmt::Display for MailParams<T> {
    /// Each parameter with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, "SIZE", self.size.as_ref())?;
        print(f, "BODY", self.body.map(Body::as_str).as_ref())?;
        f.write_str(if self.smtputf8 { " SMTPUTF8" } else { "" })?;
        print(f, "AUTH", self.auth.as_ref())?;
        print(f, "RET", self.ret.as_ref())?;
        print(f, "ENVID", self.envid.as_ref())?;
        f.write_str(if self.requiretls { " REQUIRETLS" } else { "" })?;
        print(f, self.hold.as_ref().map_or("", Hold::keyword), self.hold.as_ref())?;
        print(f, "BY", self.by.as_ref())?;
        print(f, "MT-PRIORITY", self.priority.as_ref())?;
        self.other.fmt(f)
    }
}

impl<T: AsRef<str>> fmt::Display for RecipientParams<T> {
    /// Each parameter with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, "NOTIFY", self.notify.as_ref())?;
        print(f, "ORCPT", self.orcpt.as_ref())?;
        self.other.fmt(f)
    }
}
