//! Replies (RFC 5321 §4.2), the universal outcome: whatever is decided anywhere is one of these.

use std::{borrow::Cow, fmt, str::FromStr};

use bytes::{BufMut, BytesMut};

/// A reply code of three digits, `[2-5][0-5][0-9]` (RFC 5321 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

macro_rules! codes {
    ($($name:ident = $code:literal, $doc:literal;)*) => {
        impl Code {
            $(#[doc = $doc] pub const $name: Self = Self($code);)*
        }
    };
}

codes! {
    HELP_214 = 214, "Help message.";
    GREETING_220 = 220, "Service ready; also: go ahead with TLS.";
    BYE_221 = 221, "Service closing transmission channel.";
    AUTHENTICATED_235 = 235, "Authentication succeeded (RFC 4954 §6).";
    OK_250 = 250, "Requested mail action okay, completed.";
    CANNOT_VERIFY_252 = 252, "Cannot VRFY user, but will accept message and attempt delivery.";
    CHALLENGE_334 = 334, "Server challenge (RFC 4954 §4).";
    START_INPUT_354 = 354, "Start mail input.";
    UNAVAILABLE_421 = 421, "Service not available, closing transmission channel.";
    MAILBOX_BUSY_450 = 450, "Requested mail action not taken: mailbox unavailable.";
    LOCAL_ERROR_451 = 451, "Requested action aborted: error in processing.";
    INSUFFICIENT_STORAGE_452 = 452, "Requested action not taken: insufficient system storage.";
    TEMPORARY_AUTH_FAILURE_454 = 454, "Temporary authentication failure, or TLS not available (RFC 3207, RFC 4954).";
    SYNTAX_ERROR_500 = 500, "Syntax error, command unrecognized.";
    PARAMETER_ERROR_501 = 501, "Syntax error in parameters or arguments.";
    NOT_IMPLEMENTED_502 = 502, "Command not implemented.";
    BAD_SEQUENCE_503 = 503, "Bad sequence of commands.";
    PARAMETER_NOT_IMPLEMENTED_504 = 504, "Command parameter not implemented.";
    NO_MAIL_521 = 521, "Host does not accept mail (RFC 7504).";
    AUTHENTICATION_REQUIRED_530 = 530, "Authentication or TLS required (RFC 3207, RFC 4954).";
    MAILBOX_UNAVAILABLE_550 = 550, "Requested action not taken: mailbox unavailable, or refused by policy.";
    TOO_BIG_552 = 552, "Requested mail action aborted: exceeded storage allocation.";
    MAILBOX_NAME_553 = 553, "Requested action not taken: mailbox name not allowed.";
    TRANSACTION_FAILED_554 = 554, "Transaction failed.";
    UNKNOWN_PARAMETER_555 = 555, "MAIL or RCPT parameters not recognized or not implemented.";
    DOMAIN_TAKES_NO_MAIL_556 = 556, "Domain does not accept mail (RFC 7504).";
}

impl Code {
    /// A code, if the number can be one: 200 to 559 with a second digit of at most 5.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code < 560 && code / 10 % 10 <= 5 { Some(Self(code)) } else { None }
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An enhanced status code, `class.subject.detail` (RFC 3463, RFC 5248).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedCode {
    /// `class` is 2, 4 or 5; `subject` and `detail` have at most three digits.
    ///
    /// # Panics
    /// If they are not: it is meant for constants, where the compiler evaluates it.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        match Self::checked(class, subject, detail) {
            Some(code) => code,
            None => panic!("not an enhanced status code of RFC 3463"),
        }
    }

    const fn checked(class: u8, subject: u16, detail: u16) -> Option<Self> {
        if matches!(class, 2 | 4 | 5) && subject < 1000 && detail < 1000 {
            Some(Self { class, subject, detail })
        } else {
            None
        }
    }

    /// 2 for success, 4 for a persistent transient failure, 5 for a permanent failure.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The second number: what the code is about.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number.
    pub const fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl FromStr for EnhancedCode {
    type Err = ReplyParseError;

    fn from_str(text: &str) -> Result<Self, ReplyParseError> {
        let mut parts = text.split('.').map(|part| {
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok())?
        });
        let (Some(Some(class)), Some(Some(subject)), Some(Some(detail)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ReplyParseError);
        };
        u8::try_from(class).ok().and_then(|class| Self::checked(class, subject, detail)).ok_or(ReplyParseError)
    }
}

/// The text is not a reply such as `250 2.0.0 ok`, or not an enhanced code such as `2.0.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reply such as `250 2.0.0 ok`")]
pub struct ReplyParseError;

/// A reply: a code, in most cases an enhanced code, and a text of one or more lines.
///
/// The text is made harmless when the reply is made: it never holds a control character, so that
/// no reply can end early or become two. The enhanced code has the class of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: Code,
    enhanced: Option<EnhancedCode>,
    /// Lines separated by LF.
    text: Cow<'static, str>,
}

/// Octets of text in one line that we write: with code, enhanced code and CRLF it stays within
/// the 512 of RFC 5321 §4.5.3.1.5.
const TEXT_LIMIT: usize = 480;

impl Reply {
    /// A reply with an enhanced code. LF in `text` begins a new line; every other control
    /// character becomes `?`; a line of more than 480 octets is broken.
    ///
    /// The class of `enhanced` gives way to the first digit of `code` where they disagree
    /// (RFC 2034 §4).
    pub fn new(code: Code, enhanced: EnhancedCode, text: impl Into<Cow<'static, str>>) -> Self {
        let class = (code.0 / 100) as u8;
        let enhanced = EnhancedCode::checked(class, enhanced.subject, enhanced.detail);
        Self { code, enhanced, text: harmless(text.into()) }
    }

    /// A reply without an enhanced code: a greeting, the answer to EHLO, or 3xx.
    pub fn plain(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, text: harmless(text.into()) }
    }

    /// For constants: the text is ASCII, short and of one line.
    pub(crate) const fn constant(code: Code, enhanced: Option<EnhancedCode>, text: &'static str) -> Self {
        Self { code, enhanced, text: Cow::Borrowed(text) }
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The enhanced code.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The lines of text, without codes. There is at least one, which may be empty.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// Whether it is 2xx: done.
    pub fn is_positive(&self) -> bool {
        self.code.0 / 100 == 2
    }

    /// Whether it is 3xx: go on.
    pub fn is_intermediate(&self) -> bool {
        self.code.0 / 100 == 3
    }

    /// Whether it is 4xx: try again later.
    pub fn is_transient(&self) -> bool {
        self.code.0 / 100 == 4
    }

    /// Whether it is 5xx: do not try again.
    pub fn is_permanent(&self) -> bool {
        self.code.0 / 100 == 5
    }

    /// The same reply with `more` added to the end of its last line.
    #[must_use]
    pub fn append(self, more: &str) -> Self {
        let text = format!("{}{more}", self.text);
        Self { text: harmless(text.into()), ..self }
    }

    /// Appends the reply as it goes over the wire: every line with the code, the enhanced code
    /// and CRLF (RFC 5321 §4.2.1, RFC 2034 §4).
    pub fn write(&self, out: &mut BytesMut) {
        let mut lines = self.lines().peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { '-' } else { ' ' };
            let head = match self.enhanced {
                Some(enhanced) => format!("{}{separator}{enhanced} ", self.code),
                None => format!("{}{separator}", self.code),
            };
            out.put_slice(head.as_bytes());
            out.put_slice(line.as_bytes());
            out.put_slice(b"\r\n");
        }
    }

    /// From the lines of a peer, whose enhanced codes are still at their beginning.
    pub(crate) fn from_lines(code: Code, text: String) -> Self {
        let class = (code.0 / 100) as u8;
        let split = |line: &str| -> Option<EnhancedCode> {
            let word = line.split(' ').next()?;
            word.parse().ok().filter(|enhanced: &EnhancedCode| enhanced.class == class)
        };
        let enhanced = split(&text);
        let text = match enhanced {
            Some(enhanced) => {
                let prefix = enhanced.to_string();
                let strip = |line: &str| match line.strip_prefix(&prefix) {
                    Some(rest) if rest.is_empty() || rest.starts_with(' ') => {
                        rest.strip_prefix(' ').unwrap_or(rest).to_owned()
                    }
                    _ => line.to_owned(),
                };
                text.split('\n').map(strip).collect::<Vec<_>>().join("\n")
            }
            None => text,
        };
        Self { code, enhanced, text: harmless(text.into()) }
    }
}

/// Control characters become `?`, except LF, which separates lines; long lines are broken.
fn harmless(text: Cow<'static, str>) -> Cow<'static, str> {
    let short = text.split('\n').all(|line| line.len() <= TEXT_LIMIT);
    if short && !text.contains(|c: char| c.is_control() && c != '\n') {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut column = 0;
    for c in text.chars() {
        let c = if c.is_control() && c != '\n' { '?' } else { c };
        if c == '\n' {
            column = 0;
        } else if column + c.len_utf8() > TEXT_LIMIT {
            out.push('\n');
            column = c.len_utf8();
        } else {
            column += c.len_utf8();
        }
        out.push(c);
    }
    out.into()
}

/// On one line, `250 2.0.0 text`; lines are joined by a space.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        self.lines().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

impl FromStr for Reply {
    type Err = ReplyParseError;

    fn from_str(text: &str) -> Result<Self, ReplyParseError> {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        let digits = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
        let code = digits.then(|| Code::new(code.parse().ok()?)).flatten().ok_or(ReplyParseError)?;
        Ok(Self::from_lines(code, rest.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = BytesMut::new();
        reply.write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn every_line_has_both_codes() {
        let reply = Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), "no\nreally not");
        assert_eq!(written(&reply), "550-5.7.1 no\r\n550 5.7.1 really not\r\n");
        assert_eq!(reply.to_string(), "550 5.7.1 no really not");
        assert_eq!(written(&Reply::plain(Code::OK_250, "")), "250 \r\n");
    }

    #[test]
    fn c1_6_a_reply_is_always_a_reply() {
        for text in ["5.7.2", "5.7.", "", "9.9.9 x", "a\r\nb\0\u{1b}[2J"] {
            let out = written(&Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 3, 0), text));
            assert!(out.ends_with("\r\n") && out.starts_with("451"), "{out:?}");
            assert!(out.split("\r\n").all(|l| !l.contains(|c: char| c.is_control())), "{out:?}");
        }
        let long = written(&Reply::plain(Code::OK_250, "ü".repeat(2000)));
        assert!(long.split("\r\n").all(|line| line.len() <= 510));
    }

    #[test]
    fn the_class_follows_the_code() {
        let reply = Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(5, 7, 1), "x");
        assert_eq!(reply.enhanced(), Some(EnhancedCode::new(4, 7, 1)));
        assert_eq!(Reply::new(Code::START_INPUT_354, EnhancedCode::new(2, 0, 0), "x").enhanced(), None);
    }

    #[test]
    fn d25_enhanced_codes() {
        let parse = |text: &str| text.parse::<Reply>().unwrap();
        assert_eq!(parse("550 5.7.1 x").enhanced(), Some(EnhancedCode::new(5, 7, 1)));
        assert_eq!(parse("550 5.7.1").enhanced(), Some(EnhancedCode::new(5, 7, 1)));
        assert_eq!(parse("550 5.7.1").lines().collect::<Vec<_>>(), [""]);
        for text in ["550 4.7.1 x", "550 5.1000.1", "550 5.7.", "550 5.7", "550 5.7.1x y", "550 5.7.1.1"] {
            assert_eq!(parse(text).enhanced(), None, "{text}");
        }
        for text in ["", "25", "600 x", "199 x", "260 x", "25x x", "2500 x", "+25 x"] {
            assert!(text.parse::<Reply>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn one_line_survives_display(code in 200u16..560, text in "[ -~]{0,40}") {
            if let Some(code) = Code::new(code) {
                let reply = Reply::from_lines(code, text.trim().to_owned());
                proptest::prop_assert_eq!(reply.to_string().parse(), Ok(reply));
            }
        }
    }
}
