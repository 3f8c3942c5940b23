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
        let known = [
            self.size.map(|_| "SIZE"),
            self.body.map(|_| "BODY"),
            self.smtputf8.then_some("SMTPUTF8"),
            self.auth.as_ref().map(|_| "AUTH"),
            self.ret.map(|_| "RET"),
            self.envid.as_ref().map(|_| "ENVID"),
            self.requiretls.then_some("REQUIRETLS"),
            self.hold.as_ref().map(Hold::keyword),
            self.by.map(|_| "BY"),
            self.priority.map(|_| "MT-PRIORITY"),
        ];
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, XtextErrorKind};

    const EVERY: &str = " SIZE=0 BODY=BINARYMIME SMTPUTF8 AUTH=a+2Bb@x.test RET=HDRS ENVID=a+2Bb REQUIRETLS HOLDFOR=60 \
                         BY=-5;NT MT-PRIORITY=-9";

    fn mail(tail: &str) -> Result<MailParams, CommandError> {
        let line = format!("MAIL FROM:<>{tail}");
        MailParams::read(&line, "MAIL FROM:<>".len()).map(MailParams::into_owned)
    }

    fn rcpt(tail: &str) -> Result<RecipientParams, CommandError> {
        let line = format!("RCPT TO:<>{tail}");
        RecipientParams::read(&line, "RCPT TO:<>".len()).map(RecipientParams::into_owned)
    }

    fn words(tail: &str) -> Vec<String> {
        tail.split_whitespace().map(|word| word.split('=').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_parameter_has_its_field() {
        let params = mail(EVERY).unwrap();
        assert_eq!((params.size, params.body, params.smtputf8), (Some(0), Some(Body::BinaryMime), true));
        assert_eq!(params.auth.as_ref().unwrap().mailbox().as_deref(), Some("a+b@x.test"));
        assert_eq!((params.ret, params.requiretls), (Some(Ret::Headers), true));
        assert_eq!(params.envid.as_ref().unwrap().decode(), "a+b");
        assert_eq!(params.hold, HoldFor::new(60).map(Hold::For));
        assert_eq!(params.by.unwrap().seconds(), -5);
        assert_eq!(params.priority, Priority::new(-9));
        assert!(params.other().is_empty());
        assert_eq!(params.keywords().collect::<Vec<_>>(), words(EVERY));
        assert_eq!(params.to_string(), EVERY);
        assert_eq!(mail(&EVERY.to_ascii_lowercase().replace("hdrs", "HDRS").replace("+2b", "+2B")), Ok(params));

        let until = mail(" HOLDUNTIL=2026-11-24T05:52:00Z").unwrap();
        assert!(until.keywords().eq(["HOLDUNTIL"]));
        assert_eq!(until.to_string(), " HOLDUNTIL=2026-11-24T05:52:00Z");

        let tail = " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x.test";
        let params = rcpt(tail).unwrap();
        assert!(params.notify.unwrap().on_delay());
        assert_eq!(params.orcpt.as_ref().unwrap().decode(), "a+b@x.test");
        assert_eq!(
            (params.keywords().map(str::to_owned).collect(), params.to_string()),
            (words(tail), tail.to_owned())
        );
    }

    #[test]
    fn each_parameter_makes_a_difference() {
        let none = mail("").unwrap();
        for word in EVERY.split_whitespace().chain(["X=1", "HOLDUNTIL=2026-11-24T05:52:00Z"]) {
            let one = mail(&format!(" {word}")).unwrap();
            assert_ne!(one, none, "{word}");
            assert_eq!(one, one.clone());
        }
        for word in ["NOTIFY=NEVER", "ORCPT=rfc822;a", "X"] {
            assert_ne!(rcpt(&format!(" {word}")).unwrap(), rcpt("").unwrap(), "{word}");
        }
        assert_ne!(mail(" X=1").unwrap(), mail(" X=2").unwrap());
        assert_ne!(mail(" X=1 Y").unwrap(), mail(" X=1").unwrap());
    }

    #[test]
    fn d18_d20_no_keyword_comes_twice() {
        let every = EVERY.split_whitespace().chain(["HOLDUNTIL=2026-11-24T05:52:00Z", "X-A=1", "X-B"]);
        for word in every {
            for again in [word.to_owned(), word.to_ascii_lowercase().replace("+2b", "+2B")] {
                let error = mail(&format!(" {word} {again}")).unwrap_err();
                assert_eq!(error, CommandErrorKind::Parameter.at(12 + word.len() + 2), "{word} {again}");
            }
        }
        for word in ["NOTIFY=NEVER", "ORCPT=rfc822;a", "SIZE=1"] {
            assert_eq!(rcpt(&format!(" {word} {word}")), Err(CommandErrorKind::Parameter.at(10 + word.len() + 2)));
        }
        let both = mail(" HOLDFOR=1 HOLDUNTIL=2026-11-24T05:52:00Z");
        assert_eq!(both, Err(CommandErrorKind::Parameter.at(23)));
        assert_eq!(mail(" X-A X-B x-a"), Err(CommandErrorKind::Parameter.at(21)));
    }

    #[test]
    fn d18_d20_c1_9_an_error_points_at_the_octet() {
        use CommandErrorKind::{Parameter, Size, Value};
        for (tail, kind, at) in [
            (" SIZE", Parameter, 1),
            (" SIZE=", Parameter, 5),
            (" SIZE=-1", Value(ValueErrorKind::Number), 6),
            (" SIZE=1x", Value(ValueErrorKind::Number), 7),
            (" SIZE=000000000000000000001", Value(ValueErrorKind::Number), 26),
            (" SIZE=99999999999999999999", Size, 6),
            (" BODY=9BIT", Value(ValueErrorKind::Word), 6),
            (" SMTPUTF8=1", Parameter, 1),
            (" REQUIRETLS=", Parameter, 11),
            (" REQUIRETLS=1", Parameter, 1),
            (" RET=ALL", Value(ValueErrorKind::Word), 5),
            (" ENVID=a+00b", Value(ValueErrorKind::Xtext(XtextErrorKind::Content)), 8),
            (" X=a=b", Parameter, 1),
            (" X=\u{7f}", Parameter, 1),
            (" =x", Parameter, 1),
            (" -X", Parameter, 1),
            (" X_Y", Parameter, 2),
            ("  X", Parameter, 1),
            ("X", Parameter, 0),
            (" X ", Parameter, 3),
        ] {
            assert_eq!(mail(tail), Err(kind.at(12 + at)), "{tail}");
        }
        for (tail, kind, at) in [
            (" NOTIFY=", Parameter, 7),
            (" NOTIFY=NEVER,FAILURE", Value(ValueErrorKind::NeverWithOthers), 14),
            (" ORCPT=;a", Value(ValueErrorKind::AddressType), 7),
            (" ORCPT=rfc822;a+4g", Value(ValueErrorKind::Xtext(XtextErrorKind::Escape)), 15),
        ] {
            assert_eq!(rcpt(tail), Err(kind.at(10 + at)), "{tail}");
        }
        let error = Value(ValueErrorKind::TooLong(100)).at(19);
        assert_eq!(error.reply().to_string(), "501 5.5.4 invalid parameter: value longer than 100 octets at octet 19");
    }

    #[test]
    fn what_has_no_field_is_kept() {
        let line = b"MAIL FROM:<> x-a=1 SIZE=1 X-B NOTIFY=NEVER SMTPUTF8";
        let Command::Mail(mail) = Command::parse(line).unwrap() else { panic!() };
        for params in [mail.params.into_owned(), mail.params.into_owned().into_owned()] {
            assert_eq!(params, mail.params);
            assert_eq!(params.to_string(), " SIZE=1 SMTPUTF8 X-A=1 X-B NOTIFY=NEVER");
            assert!(params.keywords().eq(["SIZE", "SMTPUTF8", "X-A", "X-B", "NOTIFY"]));
        }
        assert!(mail.params.keywords().eq(["SIZE", "SMTPUTF8", "x-a", "X-B", "NOTIFY"]));
        assert_eq!(mail.params.other().value("NOTIFY"), Some("NEVER"));
        assert_eq!((mail.params.other().value("X-B"), mail.params.other().value("SIZE")), (None, None));
        assert!(rcpt(" SIZE=1").unwrap().keywords().eq(["SIZE"]));
    }

    #[test]
    fn parameters_have_a_number() {
        let many = |count| (0..count).map(|i| format!(" X{i}")).collect::<String>();
        assert_eq!(mail(&many(32)).unwrap().other().iter().count(), 32);
        assert_eq!(mail(&many(33)).unwrap_err().kind, CommandErrorKind::Parameter);
        assert!(mail(&format!("{EVERY}{}", many(32))).is_ok());
        let mut params = rcpt(&many(31)).unwrap();
        assert_eq!(params.push(Param::parse("Y=1").unwrap()), Ok(()));
        assert!(params.push(Param::parse("Z").unwrap()).is_err());
        assert_eq!(params.to_string(), format!("{} Y=1", many(31)));
    }

    #[test]
    fn what_is_appended_stands_alone() {
        let mut params = mail(" X=1").unwrap();
        for text in ["x", "SIZE=1", "requiretls", "HOLDUNTIL=x"] {
            assert_eq!(params.push(Param::parse(text).unwrap()), Err(CommandErrorKind::Parameter.at(0)), "{text}");
        }
        params.push(Param::parse("orcpt").unwrap()).unwrap();
        assert_eq!(params.to_string(), " X=1 ORCPT");
        let mut params = RecipientParams::default();
        assert!(params.push(Param::parse("NOTIFY=NEVER").unwrap()).is_err());
        params.push(Param::parse("SIZE=1").unwrap()).unwrap();
        assert_eq!(params.to_string(), " SIZE=1");
    }

    #[test]
    fn c1_29_what_would_end_a_parameter_is_none() {
        for (text, at) in [
            ("", 0),
            ("X=", 1),
            ("X=a b", 3),
            ("X=1\r\nRSET", 2),
            ("X\r\n", 1),
            ("X=a=b", 2),
            ("X=\u{85}", 2),
            ("-X", 0),
            ("Ü", 0),
        ] {
            assert_eq!(Param::parse(text), Err(CommandErrorKind::Parameter.at(at)), "{text:?}");
        }
        for (keyword, value, at) in [
            ("X=1", None, 1),
            ("X Y", None, 1),
            ("", Some("1"), 0),
            ("X", Some(""), 2),
            ("X", Some("a b"), 2),
            ("X", Some("\n"), 2),
        ] {
            assert_eq!(Param::new(keyword, value), Err(CommandErrorKind::Parameter.at(at)), "{keyword} {value:?}");
        }
        assert_eq!(Param::parse("x-a=ü;<>").unwrap(), "X-A=ü;<>".parse::<Param>().unwrap());
        assert_ne!(Param::parse("X=a").unwrap(), Param::parse("X=A").unwrap());
        assert_ne!(Param::parse("X").unwrap(), Param::parse("Y").unwrap());
    }
}
