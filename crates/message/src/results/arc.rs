//! The field ARC-Authentication-Results (RFC 8617 §4.1.1).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::field::{AuthenticationResults, Lines};
use super::lexer::Lexer;
use super::value::{ResultsError, ResultsErrorKind};

/// The highest instance of an ARC set (RFC 8617 §4.2.1).
const INSTANCE_MAX: u8 = 50;

/// The body of an ARC-Authentication-Results field (RFC 8617 §4.1.1): `i=1; mx.example.net; …`.
#[derive(Debug, Clone)]
pub struct ArcAuthenticationResults<T = Box<str>> {
    instance: u8,
    results: AuthenticationResults<T>,
}

impl ArcAuthenticationResults {
    /// The results as part of an ARC set.
    ///
    /// # Errors
    /// If `instance` is not 1 to 50.
    pub fn new(instance: u8, results: AuthenticationResults) -> Result<Self, ResultsError> {
        if !(1..=INSTANCE_MAX).contains(&instance) {
            return Err(ResultsError { kind: ResultsErrorKind::Instance, at: 0 });
        }
        Ok(Self { instance, results })
    }
}

impl<'a> ArcAuthenticationResults<Cow<'a, str>> {
    /// Reads what follows the colon of the field.
    ///
    /// ```text
    /// arc-info = instance [CFWS] ";" authres-payload
    /// instance = [CFWS] %s"i" [CFWS] "=" [CFWS] position
    /// position = 1*2DIGIT                         ; 1 - 50
    /// ```
    ///
    /// # Errors
    /// If it is not of this form; see also [`AuthenticationResults::parse`].
    pub fn parse(field: &'a [u8]) -> Result<Self, ResultsError> {
        let mut lexer = Lexer::new(field)?;
        lexer.skip()?;
        let start = lexer.at();
        let wrong = ResultsError { kind: ResultsErrorKind::Instance, at: start };
        if !lexer.take(b'i') {
            return Err(wrong);
        }
        lexer.expect(b'=')?;
        let digits = lexer.at();
        let instance = lexer.number().map_err(|_| wrong)?;
        let short = lexer.at() - digits <= 2;
        let instance = u8::try_from(instance).ok().filter(|i| short && (1..=INSTANCE_MAX).contains(i)).ok_or(wrong)?;
        lexer.expect(b';')?;
        Ok(Self { instance, results: AuthenticationResults::read(&mut lexer)? })
    }
}

impl<T: AsRef<str>> ArcAuthenticationResults<T> {
    /// The number of the ARC set, 1 to 50.
    #[must_use]
    pub fn instance(&self) -> u8 {
        self.instance
    }

    /// What the field says.
    #[must_use]
    pub fn results(&self) -> &AuthenticationResults<T> {
        &self.results
    }

    /// The form that owns its text.
    #[must_use]
    pub fn into_owned(self) -> ArcAuthenticationResults {
        ArcAuthenticationResults { instance: self.instance, results: self.results.into_owned() }
    }

    /// The whole header field with its CR LF, one result a line.
    #[must_use]
    pub fn field(&self) -> String {
        let mut lines = Lines::new("ARC-Authentication-Results:");
        lines.word(&format!("i={};", self.instance));
        self.results.print(&mut lines);
        lines.end()
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<ArcAuthenticationResults<U>> for ArcAuthenticationResults<T> {
    fn eq(&self, other: &ArcAuthenticationResults<U>) -> bool {
        self.instance == other.instance && self.results == other.results
    }
}

impl<T: AsRef<str>> fmt::Display for ArcAuthenticationResults<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i={}; {}", self.instance, self.results)
    }
}

impl FromStr for ArcAuthenticationResults {
    type Err = ResultsError;

    fn from_str(text: &str) -> Result<Self, ResultsError> {
        ArcAuthenticationResults::parse(text.as_bytes()).map(ArcAuthenticationResults::into_owned)
    }
}
