//! The field Authentication-Results (RFC 8601 §2.2).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::lexer::Lexer;
use super::value::{Keyword, ResultsError, ResultsErrorKind, Token, Value};

/// The line length that RFC 5322 §2.1.1 recommends, without CR LF.
const WIDTH: usize = 78;

/// The body of an Authentication-Results field (RFC 8601 §2.2).
///
/// [`parse`](Self::parse) borrows from the field, [`into_owned`](Self::into_owned) and `FromStr`
/// own their text. `Display` prints the body in one line, [`field`](Self::field) the whole header
/// field. Comments are read and not kept.
///
/// Read, though the grammar does not have it, is what well-known hosts print: a `;` at the end, a
/// property without a type (`action=none`), characters such as `:` or `/` in the word of a
/// property, and `reason` behind properties.
#[derive(Debug, Clone)]
pub struct AuthenticationResults<T = Box<str>> {
    authserv_id: Value<T>,
    version: Option<u32>,
    results: Vec<ResultInfo<T>>,
}

impl AuthenticationResults {
    /// No results so far, which prints as `none`.
    ///
    /// # Errors
    /// If the identifier is empty.
    pub fn new(authserv_id: Value) -> Result<Self, ResultsError> {
        if authserv_id.as_str().is_empty() {
            return Err(ResultsError { kind: ResultsErrorKind::Value, at: 0 });
        }
        Ok(Self { authserv_id, version: None, results: Vec::new() })
    }

    /// Adds a result.
    #[must_use]
    pub fn with(mut self, result: ResultInfo) -> Self {
        self.results.push(result);
        self
    }
}

impl<'a> AuthenticationResults<Cow<'a, str>> {
    /// Reads what follows the colon of the field, folded or not, in time linear in its length.
    ///
    /// ```text
    /// authres-payload = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo ) [CFWS]
    /// no-result = [CFWS] ";" [CFWS] "none"
    /// resinfo = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ]
    /// ```
    ///
    /// # Errors
    /// If it is not of this form, longer than 64 KiB, or has comments nested more than 32 deep.
    pub fn parse(field: &'a [u8]) -> Result<Self, ResultsError> {
        Self::read(&mut Lexer::new(field)?)
    }

    pub(super) fn read(lexer: &mut Lexer<'a>) -> Result<Self, ResultsError> {
        lexer.skip()?;
        let start = lexer.at();
        let authserv_id = lexer.value()?;
        if authserv_id.as_str().is_empty() {
            return Err(ResultsError { kind: ResultsErrorKind::Value, at: start });
        }
        let apart = lexer.skip()?;
        let mut version = None;
        if apart && lexer.peek().is_some_and(|octet| octet.is_ascii_digit()) {
            version = Some(lexer.number()?);
            lexer.skip()?;
        }
        let mut results = Vec::new();
        let mut none = false;
        while lexer.take(b';') {
            lexer.skip()?;
            if lexer.peek().is_none() && (none || !results.is_empty()) {
                break;
            }
            let start = lexer.at();
            let word = lexer.keyword()?;
            lexer.skip()?;
            if word == *"none" && matches!(lexer.peek(), None | Some(b';')) {
                if none || !results.is_empty() {
                    return Err(ResultsError { kind: ResultsErrorKind::Unexpected, at: start });
                }
                none = true;
                continue;
            }
            if none {
                return Err(ResultsError { kind: ResultsErrorKind::Unexpected, at: start });
            }
            results.push(ResultInfo::read(word, lexer)?);
        }
        if lexer.peek().is_some() {
            return Err(lexer.error(ResultsErrorKind::Unexpected));
        }
        if !none && results.is_empty() {
            return Err(lexer.error(ResultsErrorKind::NoResult));
        }
        Ok(Self { authserv_id, version, results })
    }
}

impl<T: AsRef<str>> AuthenticationResults<T> {
    /// Who says it.
    #[must_use]
    pub fn authserv_id(&self) -> &Value<T> {
        &self.authserv_id
    }

    /// The version of the format; what is not given is 1. The results of a version that is not
    /// known must be ignored (RFC 8601 §2.2).
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        self.version
    }

    /// The results in order; none for `none`.
    #[must_use]
    pub fn results(&self) -> &[ResultInfo<T>] {
        &self.results
    }

    /// The form that owns its text.
    #[must_use]
    pub fn into_owned(self) -> AuthenticationResults {
        AuthenticationResults {
            authserv_id: self.authserv_id.into_owned(),
            version: self.version,
            results: self.results.into_iter().map(ResultInfo::into_owned).collect(),
        }
    }

    /// The whole header field with its CR LF, one result a line.
    #[must_use]
    pub fn field(&self) -> String {
        let mut lines = Lines::new("Authentication-Results:");
        self.print(&mut lines);
        lines.end()
    }

    pub(super) fn print(&self, lines: &mut Lines) {
        lines.word(&Token(&self.authserv_id).to_string());
        if let Some(version) = self.version {
            lines.word(&version.to_string());
        }
        if self.results.is_empty() {
            lines.attach(";").word("none");
        }
        for info in &self.results {
            lines.attach(";").line();
            info.words(|word| {
                lines.word(word);
            });
        }
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<AuthenticationResults<U>> for AuthenticationResults<T> {
    fn eq(&self, other: &AuthenticationResults<U>) -> bool {
        let ids = self.authserv_id.as_str() == other.authserv_id.as_str();
        ids && self.version == other.version && self.results == other.results
    }
}

impl<T: AsRef<str>> fmt::Display for AuthenticationResults<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token(&self.authserv_id).fmt(f)?;
        if let Some(version) = self.version {
            write!(f, " {version}")?;
        }
        if self.results.is_empty() {
            return f.write_str("; none");
        }
        self.results.iter().try_for_each(|info| write!(f, "; {info}"))
    }
}

impl FromStr for AuthenticationResults {
    type Err = ResultsError;

    fn from_str(text: &str) -> Result<Self, ResultsError> {
        AuthenticationResults::parse(text.as_bytes()).map(AuthenticationResults::into_owned)
    }
}

/// One result (`resinfo`, RFC 8601 §2.2): method, result word, reason and properties.
///
/// A method or word that is not known is kept. The enums of this module such as
/// [`Spf`](super::Spf) are made into one with `From`, and read from it with `of`.
#[derive(Debug, Clone)]
pub struct ResultInfo<T = Box<str>> {
    method: Keyword<T>,
    version: Option<u32>,
    result: Keyword<T>,
    reason: Option<Value<T>>,
    properties: Vec<Property<T>>,
}

impl ResultInfo {
    /// A result of any method.
    #[must_use]
    pub fn new(method: Keyword, result: Keyword) -> Self {
        Self { method, version: None, result, reason: None, properties: Vec::new() }
    }

    /// A result of a method of this crate.
    pub(super) fn known(method: &'static str, result: &'static str) -> Self {
        Self::new(Keyword::known(method), Keyword::known(result))
    }

    /// Says why, for people.
    #[must_use]
    pub fn because(mut self, reason: Value) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds `ptype.property=value`, such as `smtp.mailfrom=bob@example.org`.
    ///
    /// # Errors
    /// If `ptype` or `property` is no [`Keyword`].
    pub fn with(mut self, ptype: &str, property: &str, value: Value) -> Result<Self, ResultsError> {
        let ptype = Some(Keyword::new(ptype)?);
        self.properties.push(Property { ptype, property: Keyword::new(property)?, value });
        Ok(self)
    }
}

impl<'a> ResultInfo<Cow<'a, str>> {
    /// ```text
    /// methodspec = [CFWS] method [CFWS] "=" [CFWS] result
    /// method = Keyword [ [CFWS] "/" [CFWS] method-version ]
    /// reasonspec = "reason" [CFWS] "=" [CFWS] value
    /// propspec = ptype [CFWS] "." [CFWS] property [CFWS] "=" pvalue
    /// ```
    fn read(method: Keyword<Cow<'a, str>>, lexer: &mut Lexer<'a>) -> Result<Self, ResultsError> {
        let mut version = None;
        if lexer.take(b'/') {
            lexer.skip()?;
            version = Some(lexer.number()?);
        }
        lexer.expect(b'=')?;
        let result = lexer.keyword()?;
        let mut info = Self { method, version, result, reason: None, properties: Vec::new() };
        loop {
            let apart = lexer.skip()?;
            if matches!(lexer.peek(), None | Some(b';')) {
                return Ok(info);
            }
            if !apart {
                return Err(lexer.error(ResultsErrorKind::Unexpected));
            }
            let start = lexer.at();
            let first = lexer.keyword()?;
            lexer.skip()?;
            if lexer.take(b'.') {
                lexer.skip()?;
                let property = lexer.keyword()?;
                lexer.expect(b'=')?;
                info.properties.push(Property { ptype: Some(first), property, value: lexer.pvalue()? });
                continue;
            }
            lexer.expect(b'=')?;
            let value = lexer.pvalue()?;
            if first != *"reason" {
                info.properties.push(Property { ptype: None, property: first, value });
            } else if info.reason.replace(value).is_some() {
                return Err(ResultsError { kind: ResultsErrorKind::Unexpected, at: start });
            }
        }
    }
}

impl<T: AsRef<str>> ResultInfo<T> {
    /// What was checked, such as `spf`.
    #[must_use]
    pub fn method(&self) -> &Keyword<T> {
        &self.method
    }

    /// The version of the method; what is not given is 1.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        self.version
    }

    /// What came out, such as `pass`.
    #[must_use]
    pub fn result(&self) -> &Keyword<T> {
        &self.result
    }

    /// Why, for people.
    #[must_use]
    pub fn reason(&self) -> Option<&Value<T>> {
        self.reason.as_ref()
    }

    /// The properties in order.
    #[must_use]
    pub fn properties(&self) -> &[Property<T>] {
        &self.properties
    }

    /// The first value of `ptype.property`, in any case.
    #[must_use]
    pub fn property(&self, ptype: &str, property: &str) -> Option<&Value<T>> {
        let mut values = self.properties.iter();
        let found = values.find(|p| p.ptype().is_some_and(|t| *t == *ptype) && *p.property() == *property);
        found.map(Property::value)
    }

    /// The form that owns its text.
    #[must_use]
    pub fn into_owned(self) -> ResultInfo {
        ResultInfo {
            method: self.method.into_owned(),
            version: self.version,
            result: self.result.into_owned(),
            reason: self.reason.map(Value::into_owned),
            properties: self.properties.into_iter().map(Property::into_owned).collect(),
        }
    }

    /// What is printed, in pieces between which a line may be folded.
    fn words(&self, mut word: impl FnMut(&str)) {
        let version = self.version.map(|version| format!("/{version}")).unwrap_or_default();
        word(&format!("{}{version}={}", self.method, self.result));
        if let Some(reason) = &self.reason {
            word(&format!("reason={}", Token(reason)));
        }
        for property in &self.properties {
            word(&property.to_string());
        }
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<ResultInfo<U>> for ResultInfo<T> {
    fn eq(&self, other: &ResultInfo<U>) -> bool {
        let reason = self.reason.as_ref().map(Value::as_str) == other.reason.as_ref().map(Value::as_str);
        let words = self.method == other.method && self.result == other.result;
        reason && words && self.version == other.version && self.properties == other.properties
    }
}

impl<T: AsRef<str>> fmt::Display for ResultInfo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.words(|word| {
            text.push_str(if text.is_empty() { "" } else { " " });
            text.push_str(word);
        });
        f.write_str(&text)
    }
}

/// One property of a result: `ptype.property=value` (`propspec`, RFC 8601 §2.2).
#[derive(Debug, Clone)]
pub struct Property<T = Box<str>> {
    ptype: Option<Keyword<T>>,
    property: Keyword<T>,
    value: Value<T>,
}

impl<T: AsRef<str>> Property<T> {
    /// Where the value comes from: `smtp`, `header`, `body`, `policy`, `dns`, or another word;
    /// `None` where a host left it out, against the grammar.
    #[must_use]
    pub fn ptype(&self) -> Option<&Keyword<T>> {
        self.ptype.as_ref()
    }

    /// What the value is, such as `mailfrom`.
    #[must_use]
    pub fn property(&self) -> &Keyword<T> {
        &self.property
    }

    /// The value without quotes.
    #[must_use]
    pub fn value(&self) -> &Value<T> {
        &self.value
    }

    /// The form that owns its text.
    #[must_use]
    pub fn into_owned(self) -> Property {
        Property {
            ptype: self.ptype.map(Keyword::into_owned),
            property: self.property.into_owned(),
            value: self.value.into_owned(),
        }
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Property<U>> for Property<T> {
    fn eq(&self, other: &Property<U>) -> bool {
        let ptypes = match (&self.ptype, &other.ptype) {
            (Some(one), Some(other)) => one == other,
            (None, None) => true,
            _ => false,
        };
        ptypes && self.property == other.property && self.value.as_str() == other.value.as_str()
    }
}

impl<T: AsRef<str>> fmt::Display for Property<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ptype) = &self.ptype {
            write!(f, "{ptype}.")?;
        }
        write!(f, "{}={}", self.property, self.value)
    }
}

/// The lines of a header field being printed. A value is never broken, because a reader may take
/// the fold for a part of it.
#[derive(Debug)]
pub(super) struct Lines {
    text: String,
    /// Where the current line begins.
    start: usize,
}

impl Lines {
    pub(super) fn new(name: &str) -> Self {
        Self { text: name.to_owned(), start: 0 }
    }

    pub(super) fn word(&mut self, word: &str) -> &mut Self {
        if self.text.ends_with('\t') {
            self.text.push_str(word);
            return self;
        }
        // One octet for the space, one for a `;` that may follow.
        if self.text.len() - self.start + word.len() + 2 > WIDTH {
            return self.line().word(word);
        }
        self.text.push(' ');
        self.text.push_str(word);
        self
    }

    pub(super) fn attach(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(super) fn line(&mut self) -> &mut Self {
        self.text.push_str("\r\n");
        self.start = self.text.len();
        self.text.push('\t');
        self
    }

    pub(super) fn end(mut self) -> String {
        self.text.push_str("\r\n");
        self.text
    }
}
