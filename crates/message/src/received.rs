//! The trace fields that a relay adds in front of a message, and those that it finds there
//! (RFC 5321 §4.4).
//!
//! ```
//! use hikyaku_message::ReceivedClauses;
//!
//! let value = b"from a.test (a.test [192.0.2.1])\r\n by b.test with ESMTPS; 24 Nov 2026 05:52 +0000";
//! let received = ReceivedClauses::parse(value)?;
//! assert_eq!((received.from, received.with), (Some("a.test"), Some("ESMTPS")));
//! assert_eq!(received.from_info, Some("a.test [192.0.2.1]".into()));
//! # Ok::<(), hikyaku_message::FieldError>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use hikyaku_wire::{AddressError, Host, Mailbox, ReversePath, Timestamp};
use memchr::memchr;

use crate::fold::{Fold, host, token};
use crate::lexer::{FieldErrorKind, Lexer, utf8};
use crate::{Date, FieldError};

/// One `Received` field (RFC 5321 §4.4); `Display` prints it folded and with
/// its CR LF.
///
/// Values that a peer supplied lose what could end the field or pass for
/// another clause of it: each other character becomes `?`. Lines have at most
/// 78 octets where the values allow it, and never more than 998.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'a> {
    /// What the client said in HELO, EHLO or LHLO.
    pub helo: &'a str,
    /// The address of the client; `None` for a Unix socket.
    pub peer: Option<IpAddr>,
    /// The name of this host.
    pub by: &'a str,
    /// The protocol word of RFC 3848, such as `ESMTPS`.
    pub with: &'a str,
    /// The identifier of the message on this host.
    pub id: &'a str,
    /// The recipient, to be given only when there is exactly one: more would
    /// disclose the others (RFC 5321 §7.2).
    pub recipient: Option<&'a Mailbox>,
    /// When the message was received.
    pub time: Timestamp,
}

impl fmt::Display for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fold = Fold::new("Received");
        fold.word("from").word(&host(self.helo));
        if let Some(peer) = self.peer {
            fold.word(&format!("({})", Host::<&str>::Address(peer)));
        }
        fold.new_line();
        fold.word("by").word(&host(self.by));
        fold.word(&format!("with {}", token(self.with, 32)));
        fold.word(&format!("id {}", token(self.id, 128)));
        if let Some(recipient) = self.recipient {
            fold.new_line().word(&format!("for <{recipient}>;"));
        } else {
            fold.attach(";").new_line();
        }
        fold.word(&Date::from(self.time).to_string());
        f.write_str(&fold.end())
    }
}

/// What a `Received` field says (RFC 5321 §4.4), borrowed from its value.
///
/// ```text
/// from domain (info) by domain via link with protocol id id for path ; date-time
/// ```
///
/// Each clause may be missing, stand in any order, and be followed by comments; of a clause that
/// stands there twice the first counts. Other words are passed over: hosts write what they like.
/// Whoever handed the message over may have made all of it up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceivedClauses<'a> {
    /// What the client said in HELO, EHLO or LHLO.
    pub from: Option<&'a str>,
    /// The comment behind it, unfolded and without its parentheses: what the host knew of the
    /// client.
    pub from_info: Option<Cow<'a, str>>,
    /// The name of the host that wrote the field.
    pub by: Option<&'a str>,
    /// The link, where it was not TCP.
    pub via: Option<&'a str>,
    /// The protocol, one of RFC 3848 as a rule.
    pub with: Option<&'a str>,
    /// The identifier that the host gave to the message.
    pub id: Option<&'a str>,
    /// The recipient, without angle brackets.
    pub recipient: Option<&'a str>,
    /// When the message was received; `None` without a semicolon.
    pub date: Option<Date>,
}

impl<'a> ReceivedClauses<'a> {
    /// Reads the value of a `Received` field, folded or not, in time linear in its length.
    ///
    /// # Errors
    /// A control character, a comment or quoted string that is not closed, comments more than 32
    /// deep, a quoted string that is folded, a clause that is not UTF-8, or a date that is none.
    pub fn parse(value: &'a [u8]) -> Result<Self, FieldError> {
        let mut clauses = Self::default();
        let mut lexer = Lexer::new(value);
        // The keyword whose value comes next, and whether a comment behind it is of use.
        let mut keyword: Option<&[u8]> = None;
        let mut info = false;
        loop {
            let start = lexer.at();
            lexer.skip()?;
            if std::mem::take(&mut info) {
                clauses.from_info = comment(lexer.slice(start, lexer.at()), start)?;
            }
            let at = lexer.at();
            match lexer.peek() {
                None => return Ok(clauses),
                Some(b';') => {
                    let date = lexer.slice(at + 1, value.len());
                    let moved = |error: crate::DateError| FieldErrorKind::Date.at(at + 1 + error.at);
                    clauses.date = Some(Date::parse(date).map_err(moved)?);
                    return Ok(clauses);
                }
                Some(_) => {}
            }
            let word = word(&mut lexer)?;
            let is_keyword = clauses.slot(word).is_some();
            match keyword.take() {
                Some(key) if !is_keyword => {
                    let text = utf8(word, at)?;
                    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
                    if let Some(slot) = clauses.slot(key).filter(|slot| slot.is_none()) {
                        *slot = Some(text);
                        info = key.eq_ignore_ascii_case(b"from");
                    }
                }
                _ => keyword = is_keyword.then_some(word),
            }
        }
    }

    /// Where the value of a keyword goes; `None` for any other word.
    fn slot(&mut self, keyword: &[u8]) -> Option<&mut Option<&'a str>> {
        let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("from") => Some(&mut self.from),
            () if is("by") => Some(&mut self.by),
            () if is("via") => Some(&mut self.via),
            () if is("with") => Some(&mut self.with),
            () if is("id") => Some(&mut self.id),
            () if is("for") => Some(&mut self.recipient),
            () => None,
        }
    }
}

/// One word: up to white space, a comment or a semicolon, but a quoted string is never cut, and
/// must not be folded: a word is given as it stands there.
fn word<'a>(lexer: &mut Lexer<'a>) -> Result<&'a [u8], FieldError> {
    let start = lexer.at();
    loop {
        match lexer.peek() {
            Some(b'"') => {
                let at = lexer.at();
                if let Some(fold) = memchr(b'\r', lexer.quoted_string()?) {
                    return Err(FieldErrorKind::Unexpected.at(at + 1 + fold));
                }
            }
            Some(octet) if is_word(octet) => {
                lexer.take_while(is_word);
            }
            // A control character, or a closing parenthesis without an opening one.
            _ if lexer.at() == start => return Err(lexer.unexpected()),
            _ => return Ok(lexer.slice(start, lexer.at())),
        }
    }
}

fn is_word(octet: u8) -> bool {
    matches!(octet, b'!'..=b'~' | 0x80..) && !matches!(octet, b'"' | b'(' | b')' | b';')
}

/// The content of the first comment in `between`, which is white space and comments.
fn comment(between: &[u8], at: usize) -> Result<Option<Cow<'_, str>>, FieldError> {
    let Some(open) = between.iter().position(|&octet| octet == b'(') else {
        return Ok(None);
    };
    let mut one = Lexer::new(&between[open..]);
    one.comment()?;
    let content = utf8(one.slice(1, one.at() - 1), at + open + 1)?;
    if !content.contains('\r') {
        return Ok(Some(Cow::Borrowed(content)));
    }
    // Each CR LF in a comment folds it.
    Ok(Some(Cow::Owned(content.replace("\r\n", ""))))
}

/// The `Return-Path` field that final delivery adds (RFC 5321 §4.4);
/// `Display` prints it with its CR LF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnPath<'a>(
    /// The sender of the envelope.
    pub &'a ReversePath,
);

impl ReturnPath<'_> {
    /// Reads the value of a `Return-Path` field: `path = angle-addr / ([CFWS] "<" [CFWS] ">" [CFWS])`
    /// (RFC 5322 §3.6.7), as far as SMTP has such a path. A source route is dropped.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(value: &[u8]) -> Result<ReversePath, FieldError> {
        let mut lexer = Lexer::new(value);
        lexer.skip()?;
        let start = lexer.at();
        lexer.expect(b'<')?;
        lexer.skip()?;
        let null = lexer.peek() == Some(b'>');
        // A quoted local part may hold what else would end the path.
        while lexer.peek().is_some_and(|octet| octet != b'>') {
            if lexer.peek() == Some(b'"') {
                lexer.quoted_string()?;
            }
            lexer.take_while(|octet| !matches!(octet, b'"' | b'>'));
        }
        lexer.expect(b'>')?;
        let path = utf8(lexer.slice(start, lexer.at()), start)?;
        lexer.skip()?;
        if lexer.peek().is_some() {
            return Err(lexer.unexpected());
        }
        if null {
            return Ok(ReversePath::Null);
        }
        path.parse().map_err(|error: AddressError| FieldErrorKind::Unexpected.at(start + error.at))
    }
}

impl fmt::Display for ReturnPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Return-Path: {}\r\n", self.0)
    }
}

#[cfg(test)]
mod tests;
