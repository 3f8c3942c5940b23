//! The parameters of MAIL and RCPT (RFC 5321 §4.1.2 `esmtp-param`).

use std::fmt;

use nom::{Parser, character::complete::char, combinator::opt, sequence::preceded};

use crate::{
    CommandError, CommandErrorKind, ForwardPath, ReversePath,
    grammar::{self, offset},
};

/// What MAIL says: who gets a bounce, and the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The reverse-path.
    pub from: ReversePath,
    /// The parameters behind it.
    pub params: MailParams,
}

/// What RCPT says: one recipient, and the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The forward-path.
    pub to: ForwardPath,
    /// The parameters behind it.
    pub params: RecipientParams,
}

/// The parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParams {
    /// `SIZE=`: octets of the message as the client estimates them (RFC 1870 §6). It may be a
    /// lie. `Some(0)` is not the same as absent.
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152 §4, RFC 3030 §3).
    pub body: Option<Body>,
    /// `SMTPUTF8` (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// Parameters without a field of their own, in order, each keyword once.
    pub other: Vec<Param>,
}

/// The parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientParams {
    /// The parameters in order, each keyword once.
    pub other: Vec<Param>,
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

/// One parameter: a keyword and maybe a value, as they stand on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    keyword: Box<str>,
    value: Option<Box<str>>,
}

impl Param {
    /// The keyword in upper case.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// The value, still in the form of the wire (xtext is not decoded).
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl Body {
    fn parse(text: &str) -> Option<Self> {
        [Self::SevenBit, Self::EightBitMime, Self::BinaryMime]
            .into_iter()
            .find(|body| body.as_str().eq_ignore_ascii_case(text))
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

/// Digits of a SIZE at the most (RFC 1870 §3).
const SIZE_DIGITS: usize = 20;

impl MailParams {
    /// Reads `*(SP esmtp-param)` to the end of the line; `at` is where `input` stands in it.
    pub(crate) fn read(input: &[u8], at: usize) -> Result<Self, CommandError> {
        let mut params = Self::default();
        for param in read(input, at)? {
            let (param, at) = param;
            let invalid = || CommandErrorKind::Parameter.at(at);
            match (param.keyword(), param.value()) {
                ("SIZE", Some(digits)) => {
                    if digits.len() > SIZE_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
                        return Err(invalid());
                    }
                    // Twenty digits may be more than 64 bits hold: larger than any message.
                    params.size = Some(digits.parse().unwrap_or(u64::MAX));
                }
                ("BODY", Some(word)) => params.body = Some(Body::parse(word).ok_or_else(invalid)?),
                ("SMTPUTF8", None) => params.smtputf8 = true,
                ("SIZE" | "BODY" | "SMTPUTF8", _) => return Err(invalid()),
                _ => params.other.push(param),
            }
        }
        Ok(params)
    }
}

impl RecipientParams {
    /// Reads `*(SP esmtp-param)` to the end of the line; `at` is where `input` stands in it.
    pub(crate) fn read(input: &[u8], at: usize) -> Result<Self, CommandError> {
        let other = read(input, at)?.into_iter().map(|(param, _)| param).collect();
        Ok(Self { other })
    }
}

/// Every parameter with the octet at which it stands. A keyword that comes twice is an error,
/// because nobody could say which one counts.
fn read(mut input: &[u8], at: usize) -> Result<Vec<(Param, usize)>, CommandError> {
    let end = at + input.len();
    let mut params: Vec<(Param, usize)> = Vec::new();
    while !input.is_empty() {
        let one = (grammar::esmtp_keyword, opt(preceded(char('='), grammar::esmtp_value)));
        let (rest, (keyword, value)) = preceded(char(' '), one)
            .parse(input)
            .map_err(|e| CommandErrorKind::Parameter.at(end - input.len() + offset(input, e)))?;
        let here = end - input.len() + 1;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| CommandErrorKind::NotUtf8.at(here));
        let param = Param {
            keyword: text(keyword)?.to_ascii_uppercase().into(),
            value: value.map(text).transpose()?.map(Into::into),
        };
        if params.iter().any(|(earlier, _)| earlier.keyword == param.keyword) {
            return Err(CommandErrorKind::Parameter.at(here));
        }
        params.push((param, here));
        input = rest;
    }
    Ok(params)
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.keyword),
            None => f.write_str(&self.keyword),
        }
    }
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MAIL FROM:{}", self.from)?;
        if let Some(size) = self.params.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.params.body {
            write!(f, " BODY={}", body.as_str())?;
        }
        if self.params.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        self.params.other.iter().try_for_each(|param| write!(f, " {param}"))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RCPT TO:{}", self.to)?;
        self.params.other.iter().try_for_each(|param| write!(f, " {param}"))
    }
}
