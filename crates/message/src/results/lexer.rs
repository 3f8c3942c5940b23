//! The lexical forms below RFC 8601 §2.2: white space, comments, words, quoted strings.

use std::borrow::Cow;

use super::value::{Keyword, ResultsError, ResultsErrorKind, Value, is_forbidden, is_keyword};

/// Comments inside comments.
const NESTING_MAX: usize = 32;
/// The longest field, in octets.
const FIELD_MAX: usize = 64 * 1024;

/// Reads from the left; no octet is looked at more than a few times.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(field: &'a [u8]) -> Result<Self, ResultsError> {
        if field.len() > FIELD_MAX {
            return Err(ResultsError { kind: ResultsErrorKind::TooLong, at: FIELD_MAX });
        }
        let not_utf8 =
            |error: std::str::Utf8Error| ResultsError { kind: ResultsErrorKind::NotUtf8, at: error.valid_up_to() };
        Ok(Self { text: std::str::from_utf8(field).map_err(not_utf8)?, at: 0 })
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn error(&self, kind: ResultsErrorKind) -> ResultsError {
        ResultsError { kind, at: self.at }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    /// Takes `octet`, which is ASCII, if it comes next.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        let next = self.peek() == Some(octet);
        self.at += usize::from(next);
        next
    }

    /// Takes `octet` with the white space and comments around it.
    pub(super) fn expect(&mut self, octet: u8) -> Result<(), ResultsError> {
        self.skip()?;
        if !self.take(octet) {
            return Err(self.error(ResultsErrorKind::Unexpected));
        }
        self.skip()?;
        Ok(())
    }

    /// `[CFWS]` (RFC 5322 §3.2.2), and whether there was any.
    pub(super) fn skip(&mut self) -> Result<bool, ResultsError> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(c) = self.rest().chars().next() {
            #[cfg(test)]
            crate::work::add(1);
            match c {
                ' ' | '\t' => self.at += 1,
                '\r' => self.fold()?,
                '(' if depth == NESTING_MAX => return Err(self.error(ResultsErrorKind::Nesting)),
                '(' => {
                    depth += 1;
                    self.at += 1;
                }
                ')' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                _ if depth == 0 => break,
                '\\' => {
                    self.at += 1;
                    self.any()?;
                }
                _ => {
                    self.any()?;
                }
            }
        }
        if depth > 0 {
            return Err(self.error(ResultsErrorKind::Unterminated));
        }
        Ok(self.at > start)
    }

    pub(super) fn keyword(&mut self) -> Result<Keyword<Cow<'a, str>>, ResultsError> {
        let start = self.at;
        let word = self.while_octet(is_keyword);
        Keyword::check(word).map_err(|error| ResultsError { at: start + error.at, ..error })
    }

    /// `1*DIGIT`
    pub(super) fn number(&mut self) -> Result<u32, ResultsError> {
        let start = self.at;
        let digits = self.while_octet(|octet| octet.is_ascii_digit());
        let number = if digits.len() <= 9 { digits.parse().ok() } else { None };
        number.ok_or(ResultsError { kind: ResultsErrorKind::Version, at: start })
    }

    /// `value = token / quoted-string` (RFC 2045 §5.1), with the characters above ASCII of
    /// RFC 8616 §5.
    pub(super) fn value(&mut self) -> Result<Value<Cow<'a, str>>, ResultsError> {
        let start = self.at;
        if self.peek() == Some(b'"') {
            let (_, content) = self.quoted()?;
            return Value::check(content, start);
        }
        let token = self.while_octet(|octet| !octet.is_ascii() || octet.is_ascii_graphic() && !is_tspecial(octet));
        if token.is_empty() {
            return Err(self.error(ResultsErrorKind::Value));
        }
        Value::check(Cow::Borrowed(token), start)
    }

    /// `pvalue = [CFWS] ( value / [ [ local-part ] "@" ] domain-name ) [CFWS]`, and what is in
    /// use beside it: a word with any character that has no meaning between values.
    pub(super) fn pvalue(&mut self) -> Result<Value<Cow<'a, str>>, ResultsError> {
        let start = self.at;
        let loose = |octet: u8| {
            !octet.is_ascii() || octet.is_ascii_graphic() && !matches!(octet, b';' | b'(' | b')' | b'"' | b'\\')
        };
        if self.peek() == Some(b'"') {
            let (raw, content) = self.quoted()?;
            if self.peek() != Some(b'@') {
                return Value::check(content, start);
            }
            let domain = self.while_octet(loose);
            return Value::check(Cow::Owned(format!("{raw}{domain}")), start);
        }
        let word = self.while_octet(loose);
        if word.is_empty() {
            return Err(self.error(ResultsErrorKind::Value));
        }
        Value::check(Cow::Borrowed(word), start)
    }

    /// A quoted string, unfolded: with its quotes and pairs, and without them.
    fn quoted(&mut self) -> Result<(Cow<'a, str>, Cow<'a, str>), ResultsError> {
        let start = self.at;
        self.at += 1;
        let mut plain = true;
        let mut raw = String::from("\"");
        let mut content = String::new();
        loop {
            #[cfg(test)]
            crate::work::add(1);
            let before = self.at;
            match self.rest().chars().next() {
                None => return Err(self.error(ResultsErrorKind::Unterminated)),
                Some('"') => {
                    self.at += 1;
                    break;
                }
                Some('\r') => {
                    self.fold()?;
                    plain = false;
                }
                Some('\\') => {
                    self.at += 1;
                    content.push(self.any()?);
                    raw.push_str(&self.text[before..self.at]);
                    plain = false;
                }
                Some(_) => {
                    let c = self.any()?;
                    content.push(c);
                    raw.push(c);
                }
            }
        }
        raw.push('"');
        if plain {
            let raw = &self.text[start..self.at];
            return Ok((Cow::Borrowed(raw), Cow::Borrowed(&raw[1..raw.len() - 1])));
        }
        Ok((Cow::Owned(raw), Cow::Owned(content)))
    }

    /// A CR LF that folds a line: white space, or the end of the field, follows.
    fn fold(&mut self) -> Result<(), ResultsError> {
        let folds = match self.rest().strip_prefix("\r\n") {
            Some(after) => after.is_empty() || after.starts_with([' ', '\t']),
            None => false,
        };
        if !folds {
            return Err(self.error(ResultsErrorKind::Control));
        }
        self.at += 2;
        Ok(())
    }

    /// The next character, which is not a control character.
    fn any(&mut self) -> Result<char, ResultsError> {
        let Some(c) = self.rest().chars().next() else {
            return Err(self.error(ResultsErrorKind::Unterminated));
        };
        if is_forbidden(c) {
            return Err(self.error(ResultsErrorKind::Control));
        }
        self.at += c.len_utf8();
        Ok(c)
    }

    /// The octets for which `keep` holds, which takes all above ASCII or none.
    fn while_octet(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|octet| !keep(octet)).unwrap_or(rest.len());
        #[cfg(test)]
        crate::work::add(end);
        self.at += end;
        &rest[..end]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

/// RFC 2045 §5.1.
fn is_tspecial(octet: u8) -> bool {
    b"()<>@,;:\\\"/[]?=".contains(&octet)
}
