//! The two codes of a reply: three digits (RFC 5321 §4.2.1), and the enhanced code
//! (RFC 3463 §2, RFC 2034 §4).
//!
//! ```
//! use hikyaku_wire::{Code, EnhancedCode};
//!
//! assert_eq!(Code::new(250), Some(Code::OK_250));
//! assert_eq!(Code::new(260), None);
//! assert_eq!("5.7.1".parse(), Ok(EnhancedCode::new(5, 7, 1)));
//! ```

use std::{fmt, str::FromStr};

use crate::reply_error::{ReplyError, ReplyErrorKind};

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
    ACCOUNT_DISABLED_525 = 525, "User account disabled (RFC 5248).";
    AUTHENTICATION_REQUIRED_530 = 530, "Authentication or TLS required (RFC 3207, RFC 4954).";
    AUTHENTICATION_FAILED_535 = 535, "Authentication credentials invalid (RFC 4954 §6).";
    ENCRYPTION_REQUIRED_538 = 538, "Encryption required for the requested authentication mechanism (RFC 4954 §6).";
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

    /// The first digit, which is the class of an enhanced code beside it.
    pub(crate) const fn class(self) -> u8 {
        (self.0 / 100) as u8
    }

    /// `Reply-code = %x32-35 %x30-35 %x30-39`
    pub(crate) fn read([hundreds, tens, ones]: [u8; 3]) -> Option<Self> {
        let valid = matches!(hundreds, b'2'..=b'5') && matches!(tens, b'0'..=b'5') && ones.is_ascii_digit();
        let digit = |b: u8| u16::from(b - b'0');
        valid.then(|| Self(digit(hundreds) * 100 + digit(tens) * 10 + digit(ones)))
    }

    pub(crate) const fn digits(self) -> [u8; 3] {
        [b'0' + (self.0 / 100) as u8, b'0' + (self.0 / 10 % 10) as u8, b'0' + (self.0 % 10) as u8]
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

    /// The same code in the class of a reply code; `None` beside 3xx, which has no class.
    pub(crate) const fn in_class_of(self, code: Code) -> Option<Self> {
        Self::checked(code.class(), self.subject, self.detail)
    }

    /// The code at the beginning of a text of harmless lines, and how many octets it takes with
    /// the space behind it. It must have the class of the reply code (RFC 2034 §4).
    #[inline]
    pub(crate) fn lead(text: &[u8], code: Code) -> Option<(Self, usize)> {
        // Most texts begin with none, and that shows in their first two octets.
        if text.get(1) != Some(&b'.') || text[0] != b'0' + code.class() {
            return None;
        }
        let (enhanced, length) = Self::read(text)?;
        match text.get(length) {
            None | Some(b'\r' | b'\n') => Some((enhanced, length)),
            Some(b' ') => Some((enhanced, length + 1)),
            Some(_) => None,
        }
    }

    /// `status-code = class "." subject "." detail`, where `class = "2" / "4" / "5"`,
    /// `subject = 1*3digit`, `detail = 1*3digit`, without leading zeros (RFC 3463 §2); and how
    /// many octets it takes.
    fn read(text: &[u8]) -> Option<(Self, usize)> {
        let [class @ (b'2' | b'4' | b'5'), b'.', rest @ ..] = text else { return None };
        let (subject, rest) = number(rest)?;
        let [b'.', rest @ ..] = rest else { return None };
        let (detail, rest) = number(rest)?;
        Some((Self { class: class - b'0', subject, detail }, text.len() - rest.len()))
    }

    /// The code as it is printed, its first octet in the lowest bits, and how many octets it has:
    /// at most nine.
    #[inline]
    pub(crate) fn print(self) -> (u128, usize) {
        let mut text = u128::from(b'0' + self.class);
        let mut length = 1;
        let mut push = |octet: u8| {
            text |= u128::from(octet) << (8 * length);
            length += 1;
        };
        for number in [self.subject, self.detail] {
            push(b'.');
            for (least, divisor) in [(100, 100), (10, 10), (0, 1)] {
                if number >= least {
                    push(b'0' + (number / divisor % 10) as u8);
                }
            }
        }
        (text, length)
    }
}

/// `1*3digit`, without leading zeros.
fn number(text: &[u8]) -> Option<(u16, &[u8])> {
    let digit = |at: usize| text.get(at).filter(|b| b.is_ascii_digit()).map(|b| u16::from(b - b'0'));
    let first = digit(0)?;
    let Some(second) = digit(1) else { return Some((first, &text[1..])) };
    if first == 0 {
        return None;
    }
    let Some(third) = digit(2) else { return Some((first * 10 + second, &text[2..])) };
    digit(3).is_none().then(|| (first * 100 + second * 10 + third, &text[3..]))
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl FromStr for EnhancedCode {
    type Err = ReplyError;

    fn from_str(text: &str) -> Result<Self, ReplyError> {
        Self::read(text.as_bytes())
            .filter(|&(_, length)| length == text.len())
            .map(|(code, _)| code)
            .ok_or(ReplyErrorKind::EnhancedCode.at(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_in_their_range() {
        for number in 0..=9999u16 {
            let code = Code::new(number);
            let text = format!("{number:03}");
            let read = text.as_bytes().try_into().ok().and_then(Code::read);
            assert_eq!(read, code, "{number}");
            if let Some(code) = code {
                assert!(matches!(number / 100, 2..=5) && matches!(number / 10 % 10, 0..=5));
                assert_eq!((code.digits().as_slice(), code.to_string()), (text.as_bytes(), text.clone()));
            }
        }
        assert_eq!((200..560).filter_map(Code::new).count(), 4 * 6 * 10);
        assert_eq!(Code::read(*b"2:0"), None);
        assert_eq!(Code::read(*b"25:"), None);
        assert_eq!(Code::read(*b"25/"), None);
    }

    #[test]
    fn d25_the_grammar_of_enhanced_codes() {
        for text in ["2.0.0", "4.3.10", "5.999.999", "5.10.100", "2.100.9"] {
            let code: EnhancedCode = text.parse().unwrap();
            assert_eq!(code.to_string(), text);
            let (printed, length) = code.print();
            assert_eq!(&printed.to_le_bytes()[..length], text.as_bytes());
            assert_eq!(printed >> (8 * length), 0);
        }
        let bad = [
            "", "5", "5.", "5.7", "5.7.", "5..1", ".7.1", "3.7.1", "1.0.0", "6.0.0", "55.7.1", "5.1000.1", "5.1.1000",
            "5.07.1", "5.7.01", "5.7.00", "5.7.1 ", " 5.7.1", "5.7.1.", "5.7.1x", "5.+7.1", "5.7.-1", "5,7,1",
        ];
        for text in bad {
            assert_eq!(text.parse::<EnhancedCode>(), Err(ReplyErrorKind::EnhancedCode.at(0)), "{text}");
        }
    }

    #[test]
    fn a_line_begins_with_a_code_of_its_class() {
        let lead = |line: &str| EnhancedCode::lead(line.as_bytes(), Code::MAILBOX_UNAVAILABLE_550);
        assert_eq!(lead("5.7.1 x"), Some((EnhancedCode::new(5, 7, 1), 6)));
        assert_eq!(lead("5.7.1"), Some((EnhancedCode::new(5, 7, 1), 5)));
        assert_eq!(lead("5.7.1  x"), Some((EnhancedCode::new(5, 7, 1), 6)));
        for line in ["", "5", "5.", "4.7.1 x", "2.7.1", "5.7.1\tx", "5.7.1x", "5.7.1.1", " 5.7.1"] {
            assert_eq!(lead(line), None, "{line}");
        }
        assert_eq!(EnhancedCode::lead(b"3.0.0 x", Code::START_INPUT_354), None);
    }
}
