//! The base64 lines of AUTH (RFC 4954 §4), with the feature `sasl`.
//!
//! What they carry are secrets: `Debug` never prints it, nothing is copied unless the caller asks
//! for it, and [`Base64::decode_into`] writes to a buffer that the caller can wipe.
//!
//! ```
//! use hikyaku_wire::{AuthResponse, Base64, Challenge, InitialResponse};
//!
//! let challenge = Challenge::new(Base64::encode(b"Username:").unwrap()).unwrap();
//! assert_eq!(challenge.to_string(), "334 VXNlcm5hbWU6");
//!
//! let AuthResponse::Data(data) = AuthResponse::parse("AGEAYg==").unwrap() else { panic!("cancelled") };
//! let mut buffer = [0; 64];
//! assert_eq!(data.decode_into(&mut buffer), Some(&b"\0a\0b"[..]));
//! assert!(matches!(AuthResponse::parse("*"), Ok(AuthResponse::Cancel)));
//! assert!(InitialResponse::parse("=").unwrap().data().is_empty());
//! ```

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{Code, EnhancedCode, Reply, text::wire_text};

/// Octets of a line at the most, CRLF included (RFC 4954 §4).
const LINE_LIMIT: usize = 12_288;
/// Octets of a command line at the most, CRLF included (RFC 5321 §4.5.3.1.4).
const COMMAND_LIMIT: usize = 512;
const LIMIT: usize = LINE_LIMIT - "\r\n".len();

/// `[base64]` (RFC 4954 §8), maybe empty, of at most 12,286 octets in the encoded form. Only the
/// one encoding that the standard has is valid: the padding is there, and the bits that it fills
/// are zeros.
#[derive(Clone, Copy)]
pub struct Base64<T = Box<str>>(T);

/// `initial-response = base64 / "="` behind the mechanism of AUTH (RFC 4954 §4); `=` is an empty
/// one, which is not the same as none.
#[derive(Clone, Copy, Debug)]
pub struct InitialResponse<T = Box<str>>(Base64<T>);

/// What a client answers to a challenge, on a line of its own (RFC 4954 §4).
#[derive(Clone, Copy, Debug)]
pub enum AuthResponse<T = Box<str>> {
    /// `*`: the client gives up.
    Cancel,
    /// `[base64]`: the response; an empty line is an empty one.
    Data(Base64<T>),
}

/// `continue-req = "334" SP [base64] CRLF` (RFC 4954 §4): what a server asks of a client.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<T = Box<str>>(Base64<T>);

/// Why a line is not one of AUTH's, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct SaslError {
    /// What is wrong.
    pub kind: SaslErrorKind,
    /// The octet, counted from 0 at the start of what was parsed.
    pub at: usize,
}

/// What is wrong with a line of AUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslErrorKind {
    /// More than 12,288 octets with the CRLF.
    #[error("authentication exchange line is too long")]
    TooLong,
    /// An octet that base64 does not know.
    #[error("not base64")]
    Alphabet,
    /// Not a multiple of four, or `=` where it does not belong.
    #[error("base64 without its padding")]
    Padding,
    /// Bits that the padding fills are not zeros: there would be two encodings of the same.
    #[error("base64 with bits that mean nothing")]
    TrailingBits,
    /// An empty initial response that is not written `=`.
    #[error("empty initial response has to be `=`")]
    Empty,
    /// Not `334` and a space.
    #[error("not a 334 challenge")]
    Code,
}

impl SaslErrorKind {
    fn at(self, at: usize) -> SaslError {
        SaslError { kind: self, at }
    }
}

impl SaslError {
    /// The reply that belongs to this error, if a client has said it: 500 5.5.6 for a line that is
    /// too long, 501 5.5.2 else (RFC 4954 §4, §6).
    pub fn reply(&self) -> Reply {
        let (code, enhanced) = match self.kind {
            SaslErrorKind::TooLong => (Code::SYNTAX_ERROR_500, EnhancedCode::new(5, 5, 6)),
            _ => (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 2)),
        };
        Reply::new(code, enhanced, self.to_string())
    }

    fn moved(self, by: usize) -> Self {
        self.kind.at(self.at + by)
    }
}

impl<'a> Base64<&'a str> {
    /// Checks the encoded form; nothing is copied or decoded.
    ///
    /// ```text
    /// base64 = base64-terminal / ( 1*(4base64-char) [base64-terminal] )
    /// base64-char = ALPHA / DIGIT / "+" / "/"
    /// base64-terminal = (2base64-char "==") / (3base64-char "=")
    /// ```
    ///
    /// # Errors
    /// Whatever is not the one encoding of some octets, and more than 12,286 octets.
    pub fn parse(text: &'a str) -> Result<Self, SaslError> {
        use SaslErrorKind::*;
        if text.len() > LIMIT {
            return Err(TooLong.at(LIMIT));
        }
        let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let end = text.bytes().position(|b| !known(&b)).unwrap_or(text.len());
        let (data, padding) = text.as_bytes().split_at(end);
        // The last characters of which the bits that the padding fills are zeros.
        let canonical: &[u8] = match (data.len() % 4, padding) {
            (0, b"") => return Ok(Self(text)),
            (2, b"==") => b"AQgw",
            (3, b"=") => b"AEIMQUYcgkosw048",
            (_, b"" | [b'=', ..]) => return Err(Padding.at(end)),
            _ => return Err(Alphabet.at(end)),
        };
        if data.last().is_some_and(|last| canonical.contains(last)) {
            Ok(Self(text))
        } else {
            Err(TrailingBits.at(end - 1))
        }
    }
}

impl Base64 {
    /// Encodes octets; it allocates the text, once.
    ///
    /// # Errors
    /// More than 9,213 octets, which would be more than 12,286 in the encoded form.
    pub fn encode(octets: &[u8]) -> Result<Self, SaslError> {
        if octets.len().div_ceil(3) > LIMIT / 4 {
            return Err(SaslErrorKind::TooLong.at(LIMIT / 4 * 3));
        }
        Ok(Self(BASE64_STANDARD.encode(octets).into()))
    }
}

impl<T: AsRef<str>> Base64<T> {
    /// The encoded form.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// Whether it stands for no octets.
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }

    /// How many octets it stands for.
    pub fn decoded_len(&self) -> usize {
        let text = self.as_str();
        text.len() / 4 * 3 - text.bytes().rev().take_while(|b| *b == b'=').count()
    }

    /// Decodes into a buffer of the caller's and gives the part that was filled; `None` if it has
    /// less than [`decoded_len`](Self::decoded_len) octets. It does not allocate.
    pub fn decode_into<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let out = buffer.get_mut(..self.decoded_len())?;
        let written = BASE64_STANDARD.decode_slice(self.as_str(), out).ok()?;
        Some(&out[..written])
    }

    /// Decodes; it allocates once, exactly what is needed, so that no copy of a secret is left
    /// behind where a vector has grown.
    pub fn decode(&self) -> Vec<u8> {
        let mut octets = vec![0; self.decoded_len()];
        let written = BASE64_STANDARD.decode_slice(self.as_str(), &mut octets);
        written.expect("the text was checked, and the buffer has its length");
        octets
    }

    /// The same without its own text.
    pub fn borrowed(&self) -> Base64<&str> {
        Base64(self.as_str())
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> Base64
    where
        T: Into<Box<str>>,
    {
        Base64(self.0.into())
    }
}

wire_text!(Base64, SaslError);

impl<T> fmt::Debug for Base64<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base64").finish_non_exhaustive()
    }
}

impl<'a> InitialResponse<&'a str> {
    /// Reads what stands behind the mechanism and its space; nothing is copied.
    ///
    /// # Errors
    /// What is neither `=` nor [`Base64`], nothing among it.
    pub fn parse(text: &'a str) -> Result<Self, SaslError> {
        match text {
            "" => Err(SaslErrorKind::Empty.at(0)),
            "=" => Ok(Self(Base64(""))),
            text => Base64::parse(text).map(Self),
        }
    }
}

impl<T: AsRef<str>> InitialResponse<T> {
    /// A response, which may be empty.
    pub fn new(data: Base64<T>) -> Self {
        Self(data)
    }

    /// What it carries.
    pub fn data(&self) -> &Base64<T> {
        &self.0
    }

    /// The text on the line.
    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { "=" } else { self.0.as_str() }
    }

    /// Whether the command with this mechanism has at most 512 octets. If it has more, a client
    /// must wait for the challenge with its response (RFC 4954 §4).
    pub fn fits_in_command(&self, mechanism: &str) -> bool {
        "AUTH ".len() + mechanism.len() + " ".len() + self.as_str().len() + "\r\n".len() <= COMMAND_LIMIT
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> InitialResponse
    where
        T: Into<Box<str>>,
    {
        InitialResponse(self.0.into_owned())
    }
}

wire_text!(InitialResponse, SaslError);

impl<'a> AuthResponse<&'a str> {
    /// Reads a line without its CRLF; nothing is copied.
    ///
    /// # Errors
    /// What is neither `*` nor [`Base64`].
    pub fn parse(line: &'a str) -> Result<Self, SaslError> {
        if line == "*" { Ok(Self::Cancel) } else { Base64::parse(line).map(Self::Data) }
    }
}

impl<T: AsRef<str>> AuthResponse<T> {
    /// The line without its CRLF.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cancel => "*",
            Self::Data(data) => data.as_str(),
        }
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> AuthResponse
    where
        T: Into<Box<str>>,
    {
        match self {
            Self::Cancel => AuthResponse::Cancel,
            Self::Data(data) => AuthResponse::Data(data.into_owned()),
        }
    }
}

wire_text!(AuthResponse, SaslError);

impl<'a> Challenge<&'a str> {
    const PREFIX: &'static str = "334 ";

    /// Reads a server's line without its CRLF; nothing is copied. A bare `334` is an empty
    /// challenge, as some servers write it.
    ///
    /// # Errors
    /// A line with another code, what is not [`Base64`] behind it, and more than 12,286 octets.
    pub fn parse(line: &'a str) -> Result<Self, SaslError> {
        if line.len() > LIMIT {
            return Err(SaslErrorKind::TooLong.at(LIMIT));
        }
        if line == "334" {
            return Ok(Self(Base64("")));
        }
        let text = line.strip_prefix(Self::PREFIX).ok_or(SaslErrorKind::Code.at(0))?;
        Base64::parse(text).map(Self).map_err(|e| e.moved(Self::PREFIX.len()))
    }
}

impl<T: AsRef<str>> Challenge<T> {
    /// A challenge, which may be empty.
    ///
    /// # Errors
    /// One of which the line would have more than 12,288 octets.
    pub fn new(data: Base64<T>) -> Result<Self, SaslError> {
        let limit = LIMIT - Challenge::PREFIX.len();
        if data.as_str().len() > limit { Err(SaslErrorKind::TooLong.at(limit)) } else { Ok(Self(data)) }
    }

    /// What it carries.
    pub fn data(&self) -> &Base64<T> {
        &self.0
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> Challenge
    where
        T: Into<Box<str>>,
    {
        Challenge(self.0.into_owned())
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Challenge<U>> for Challenge<T> {
    fn eq(&self, other: &Challenge<U>) -> bool {
        self.0 == other.0
    }
}

impl<T: AsRef<str>> Eq for Challenge<T> {}

impl std::str::FromStr for Challenge {
    type Err = SaslError;

    fn from_str(line: &str) -> Result<Self, SaslError> {
        Challenge::parse(line).map(Challenge::into_owned)
    }
}

impl<T: AsRef<str>> fmt::Display for Challenge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Challenge::PREFIX, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4648_test_vectors() {
        for (octets, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let base64 = Base64::encode(octets.as_bytes()).unwrap();
            assert_eq!(base64.as_str(), text);
            assert_eq!((base64.decode(), base64.decoded_len()), (octets.as_bytes().to_vec(), octets.len()));
            let again = Base64::parse(text).unwrap();
            assert_eq!((again == base64, again.is_empty()), (true, octets.is_empty()));
            assert_eq!(again.into_owned().borrowed(), again);
        }
    }

    #[test]
    fn c1_23_what_is_no_base64() {
        use SaslErrorKind::*;
        for (text, kind, at) in [
            ("!!!", Alphabet, 0),
            ("Zg= =", Padding, 2),
            ("Zg==\r\n", Padding, 2),
            ("Zm9v\n", Alphabet, 4),
            ("Zm9v\0", Alphabet, 4),
            ("Zm 9v", Alphabet, 2),
            ("Zm-_", Alphabet, 2),
            ("Zm9ü", Alphabet, 3),
            ("*", Alphabet, 0),
            ("Z", Padding, 1),
            ("Zg", Padding, 2),
            ("Zm8", Padding, 3),
            ("Zm9vY", Padding, 5),
            ("=", Padding, 0),
            ("==", Padding, 0),
            ("====", Padding, 0),
            ("Z===", Padding, 1),
            ("Zg=", Padding, 2),
            ("Zg===", Padding, 2),
            ("Zm8==", Padding, 3),
            ("Zm9v=", Padding, 4),
            ("Zm9v==", Padding, 4),
            ("Zg==Zg==", Padding, 2),
            ("Zh==", TrailingBits, 1),
            ("Zm9=", TrailingBits, 2),
            ("Zm9vZ/==", TrailingBits, 5),
        ] {
            assert_eq!(text.parse::<Base64>(), Err(kind.at(at)), "{text:?}");
        }
    }

    #[test]
    fn rfc4954_limits() {
        let text = "A".repeat(12_284);
        let base64 = Base64::parse(&text).unwrap();
        assert_eq!(base64.decoded_len(), 9213);
        assert_eq!(Base64::encode(&[0; 9213]), Ok(base64.into_owned()));
        assert_eq!(Base64::encode(&[0; 9214]), Err(SaslErrorKind::TooLong.at(9213)));
        assert_eq!(Base64::parse(&"A".repeat(12_286)), Err(SaslErrorKind::Padding.at(12_286)));
        assert_eq!(Base64::parse(&"A".repeat(12_287)), Err(SaslErrorKind::TooLong.at(12_286)));
        assert_eq!(Base64::parse(&"A".repeat(12_288)), Err(SaslErrorKind::TooLong.at(12_286)));
        let challenge = |n: usize| format!("334 {}", "A".repeat(n));
        assert!(Challenge::parse(&challenge(12_280)).is_ok());
        assert_eq!(Challenge::parse(&challenge(12_283)), Err(SaslErrorKind::TooLong.at(12_286)));
        assert_eq!(Challenge::parse(&challenge(12_282)), Err(SaslErrorKind::Padding.at(12_286)));
        assert!(Challenge::new(Base64::parse(&text[..12_280]).unwrap()).is_ok());
        assert_eq!(Challenge::new(base64), Err(SaslErrorKind::TooLong.at(12_282)));
    }

    #[test]
    fn rfc4954_initial_responses() {
        let empty: InitialResponse = "=".parse().unwrap();
        assert_eq!((empty.data().decode(), empty.to_string().as_str()), (Vec::new(), "="));
        assert_eq!(InitialResponse::new(Base64::encode(b"").unwrap()), empty);
        let one = InitialResponse::parse("AQ==").unwrap();
        assert_eq!((one.data().decode(), one.to_string().as_str()), (vec![1], "AQ=="));
        assert_ne!(one, empty);
        assert_eq!(InitialResponse::parse(""), Err(SaslErrorKind::Empty.at(0)));
        assert_eq!(InitialResponse::parse("*"), Err(SaslErrorKind::Alphabet.at(0)));
        assert_eq!(InitialResponse::parse("=="), Err(SaslErrorKind::Padding.at(0)));
        let of = |n: usize| InitialResponse::new(Base64::encode(&vec![0; n]).unwrap());
        assert_eq!(("AUTH PLAIN  \r\n".len(), of(372).as_str().len()), (14, 496));
        assert!(of(372).fits_in_command("PLAIN") && of(372).fits_in_command("SCRAM-16"));
        assert!(!of(372).fits_in_command("NINE-LONG") && !of(373).fits_in_command("PLAIN"));
    }

    #[test]
    fn rfc4954_answers_and_challenges() {
        assert_eq!(AuthResponse::parse("*"), Ok(AuthResponse::<&str>::Cancel));
        assert_eq!("*".parse::<AuthResponse>().unwrap().to_string(), "*");
        let empty: AuthResponse = "".parse().unwrap();
        assert!(matches!(&empty, AuthResponse::Data(data) if data.is_empty()));
        assert_eq!(empty.to_string(), "");
        assert_eq!("AQ==".parse::<AuthResponse>().unwrap().to_string(), "AQ==");
        assert_eq!(AuthResponse::parse("**"), Err(SaslErrorKind::Alphabet.at(0)));
        assert_eq!(AuthResponse::parse("="), Err(SaslErrorKind::Padding.at(0)));

        let challenge: Challenge = "334 VXNlcm5hbWU6".parse().unwrap();
        assert_eq!(
            (challenge.data().decode(), challenge.to_string()),
            (b"Username:".to_vec(), "334 VXNlcm5hbWU6".into())
        );
        for line in ["334 ", "334"] {
            assert_eq!(Challenge::parse(line).unwrap().to_string(), "334 ");
        }
        for (line, kind, at) in [
            ("334-VXNlcm5hbWU6", SaslErrorKind::Code, 0),
            ("335 VXNlcm5hbWU6", SaslErrorKind::Code, 0),
            ("334VXNlcm5hbWU6", SaslErrorKind::Code, 0),
            ("", SaslErrorKind::Code, 0),
            ("334 Username:", SaslErrorKind::Alphabet, 12),
            ("334  VXNlcm5hbWU6", SaslErrorKind::Alphabet, 4),
            ("334 Zh==", SaslErrorKind::TrailingBits, 5),
        ] {
            assert_eq!(line.parse::<Challenge>(), Err(kind.at(at)), "{line}");
        }
    }

    #[test]
    fn secrets_are_not_printed_by_debug() {
        let secret = "AGEAc2VjcmV0";
        let printed = format!(
            "{:?} {:?} {:?} {:?}",
            Base64::parse(secret),
            InitialResponse::parse(secret),
            AuthResponse::parse(secret),
            Challenge::parse("334 AGEAc2VjcmV0"),
        );
        assert!(!printed.contains("AGEA") && printed.contains("Base64 { .. }"), "{printed}");
    }

    #[test]
    fn a_buffer_that_is_too_small() {
        let base64 = Base64::parse("Zm9vYg==").unwrap();
        let mut buffer = [9; 5];
        assert_eq!(base64.decode_into(&mut buffer[..3]), None);
        assert_eq!(base64.decode_into(&mut buffer[..4]), Some(&b"foob"[..]));
        assert_eq!(base64.decode_into(&mut buffer), Some(&b"foob"[..]));
        assert_eq!(buffer[4], 9);
    }

    #[test]
    fn rfc4954_replies() {
        let reply = |kind: SaslErrorKind| kind.at(3).reply().to_string();
        assert_eq!(reply(SaslErrorKind::TooLong), "500 5.5.6 authentication exchange line is too long at octet 3");
        assert_eq!(reply(SaslErrorKind::Alphabet), "501 5.5.2 not base64 at octet 3");
    }

    proptest::proptest! {
        #[test]
        fn every_octets_survive(octets: Vec<u8>) {
            let base64 = Base64::encode(&octets).unwrap();
            proptest::prop_assert_eq!(Base64::parse(base64.as_str()).unwrap(), base64.clone());
            proptest::prop_assert_eq!(base64.decode(), octets);
        }

        #[test]
        fn what_is_valid_is_what_the_engine_decodes(text in "[A-D/+g]{0,7}={0,3}[AE=*]?") {
            let decoded = BASE64_STANDARD.decode(&text).ok();
            proptest::prop_assert_eq!(Base64::parse(&text).ok().map(|b| b.decode()), decoded);
        }
    }
}
