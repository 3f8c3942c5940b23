//! Message identifiers and lists of them (RFC 5322 §3.6.4, obsolete forms §4.5.4).
//!
//! ```
//! use hikyaku_message::MessageId;
//!
//! let references = MessageId::list(b"<1@example.org>\r\n (see) < 2 . 3 @ example.org >");
//! let ids = references.collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(ids[1].as_str(), "2.3@example.org");
//! assert_eq!(MessageId::new("4@example.org")?.to_string(), "<4@example.org>");
//! # Ok::<(), hikyaku_message::FieldError>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::iter::FusedIterator;

use crate::FieldError;
use crate::lexer::{FieldErrorKind, Lexer, is_atext, utf8};

/// Octets of an identifier at the most, so that a line holds it with its brackets.
const LIMIT: usize = 995;

/// `msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]` (RFC 5322 §3.6.4), without the brackets.
///
/// It holds at most 995 octets and no white space, control character or angle bracket. Message-IDs
/// in the wild have other faults, which two programs read in one way only: they are accepted. Two
/// are equal if all octets are; prints in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId<'a>(Cow<'a, str>);

impl<'a> MessageId<'a> {
    /// An identifier for a new message, without brackets:
    /// `dot-atom-text "@" (dot-atom-text / no-fold-literal)`.
    ///
    /// # Errors
    /// Why the text is no identifier, and where.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Result<Self, FieldError> {
        let text = text.into();
        let Some((left, right)) = text.split_once('@') else {
            return Err(FieldErrorKind::NoDomain.at(text.len()));
        };
        dot_atom(left, 0)?;
        let at = left.len() + 1;
        match right.strip_prefix('[').and_then(|right| right.strip_suffix(']')) {
            Some(literal) => {
                // Parentheses would be read as a comment.
                if let Some(index) = literal.find(|c| !matches!(c, '!'..='Z' | '^'..='~') || "<>()".contains(c)) {
                    return Err(FieldErrorKind::Unexpected.at(at + 1 + index));
                }
            }
            None => dot_atom(right, at)?,
        }
        held(&text, 0)?;
        Ok(Self(text))
    }

    /// Reads the value of a Message-ID field, which is one identifier.
    ///
    /// # Errors
    /// What is wrong, and where: also a second identifier.
    pub fn parse(value: &'a [u8]) -> Result<Self, FieldError> {
        let mut ids = MessageIds { lexer: Lexer::new(value), phrases: false, over: false };
        let Some(id) = ids.next() else {
            return Err(FieldErrorKind::Missing.at(value.len()));
        };
        let id = id?;
        match ids.lexer.peek() {
            None => Ok(id),
            Some(_) => Err(ids.lexer.unexpected()),
        }
    }

    /// Reads the value of an In-Reply-To or References field, one identifier after the other:
    /// `*(phrase / msg-id)`, as RFC 5322 §4.5.4 has it, where phrases say nothing. Commas between
    /// identifiers are tolerated.
    ///
    /// The list ends with its first error.
    #[must_use]
    pub fn list(value: &'a [u8]) -> MessageIds<'a> {
        MessageIds { lexer: Lexer::new(value), phrases: true, over: false }
    }

    /// The identifier without its brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives up the borrow.
    #[must_use]
    pub fn into_owned(self) -> MessageId<'static> {
        MessageId(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Display for MessageId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

/// The identifiers of [`MessageId::list`], read as they are asked for.
#[derive(Debug, Clone)]
pub struct MessageIds<'a> {
    lexer: Lexer<'a>,
    /// Words between identifiers are passed over.
    phrases: bool,
    /// An error has been told.
    over: bool,
}

impl<'a> Iterator for MessageIds<'a> {
    type Item = Result<MessageId<'a>, FieldError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let id = self.read().transpose();
        self.over = id.as_ref().is_none_or(Result::is_err);
        id
    }
}

impl FusedIterator for MessageIds<'_> {}

impl<'a> MessageIds<'a> {
    fn read(&mut self) -> Result<Option<MessageId<'a>>, FieldError> {
        loop {
            self.lexer.skip()?;
            match self.lexer.peek() {
                None => return Ok(None),
                Some(b'<') => {
                    let id = self.id()?;
                    self.lexer.skip()?;
                    return Ok(Some(id));
                }
                Some(b'"') if self.phrases => {
                    self.lexer.quoted_string()?;
                }
                Some(octet) if self.phrases && is_phrase(octet) => {
                    self.lexer.take_while(is_phrase);
                }
                Some(_) => return Err(self.lexer.unexpected()),
            }
        }
    }

    /// `msg-id`, where `obs-id-left = local-part` and `obs-id-right = domain` may have white space
    /// and comments around each word.
    fn id(&mut self) -> Result<MessageId<'a>, FieldError> {
        self.lexer.expect(b'<')?;
        self.lexer.skip()?;
        let start = self.lexer.at();
        let mut text: Option<Cow<'a, [u8]>> = None;
        // Whether something stood before the word, where it joins only next to a sign.
        let mut apart = false;
        while self.lexer.peek() != Some(b'>') {
            let at = self.lexer.at();
            let word = self.lexer.take_while(is_id);
            if word.is_empty() {
                return Err(self.lexer.unexpected());
            }
            match &mut text {
                None => text = Some(Cow::Borrowed(word)),
                Some(text) if !apart || joins(text.last()) || joins(word.first()) => {
                    text.to_mut().extend_from_slice(word);
                }
                Some(_) => return Err(FieldErrorKind::Unexpected.at(at)),
            }
            apart = self.lexer.skip()?.any;
        }
        let text = match text.unwrap_or_default() {
            Cow::Borrowed(text) => Cow::Borrowed(utf8(text, start)?),
            Cow::Owned(text) => Cow::Owned(utf8(&text, start)?.to_owned()),
        };
        held(&text, start)?;
        self.lexer.expect(b'>')?;
        Ok(MessageId(text))
    }
}

/// The octets of identifiers as they are found, and of no other token.
fn is_id(octet: u8) -> bool {
    matches!(octet, b'!'..=b'~' | 0x80..) && !matches!(octet, b'<' | b'>' | b'(' | b')')
}

/// Words of a phrase, and commas.
fn is_phrase(octet: u8) -> bool {
    is_atext(octet) || matches!(octet, b'.' | b',')
}

fn joins(octet: Option<&u8>) -> bool {
    matches!(octet, Some(b'.' | b'@'))
}

fn dot_atom(text: &str, at: usize) -> Result<(), FieldError> {
    let mut before = b'.';
    for (index, octet) in text.bytes().enumerate() {
        if !(is_atext(octet) || octet == b'.' && before != b'.') {
            return Err(FieldErrorKind::Unexpected.at(at + index));
        }
        before = octet;
    }
    if before == b'.' { Err(FieldErrorKind::Missing.at(at + text.len())) } else { Ok(()) }
}

/// What each identifier keeps, also one that was read.
fn held(text: &str, at: usize) -> Result<(), FieldError> {
    if text.is_empty() {
        return Err(FieldErrorKind::Missing.at(at));
    }
    if let Some(index) = text.find(char::is_control) {
        return Err(FieldErrorKind::Control.at(at + index));
    }
    if text.len() > LIMIT {
        return Err(FieldErrorKind::LineTooLong.at(at + LIMIT));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
