//! The words of a master file (RFC 1035 §5.1).

use super::{ZoneError, ZoneErrorKind};

/// Where something stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) fn wrong(self, kind: ZoneErrorKind) -> ZoneError {
        let Self { line, column } = self;
        ZoneError { line, column, kind }
    }
}

/// A word or a quoted string, with its escapes and without its quotes.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) raw: &'a [u8],
    pub(super) quoted: bool,
    pub(super) place: Place,
}

impl Token<'_> {
    pub(super) fn wrong(&self, kind: ZoneErrorKind) -> ZoneError {
        self.place.wrong(kind)
    }

    /// The text of a word that is no quoted string.
    pub(super) fn word(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.raw).ok()?;
        (!self.quoted).then_some(text)
    }
}

/// The words of one line, or of several held together by parentheses.
pub(super) struct Entry<'a> {
    /// The line begins with white space: its name is that of the record before.
    pub(super) indented: bool,
    /// At least one.
    pub(super) tokens: Vec<Token<'a>>,
    /// The comments behind one of them.
    pub(super) comments: Vec<Comment<'a>>,
    pub(super) end: Place,
}

/// From an unquoted `;` to the end of the line.
pub(super) struct Comment<'a> {
    pub(super) place: Place,
    /// How many words come before it.
    pub(super) behind: usize,
    /// There is no white space before it.
    pub(super) adjacent: bool,
    pub(super) raw: &'a [u8],
}

pub(super) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1, line_start: 0 }
    }

    fn place(&self) -> Place {
        Place { line: self.line, column: self.at - self.line_start + 1 }
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ZoneError> {
        let (mut tokens, mut comments) = (Vec::new(), Vec::new());
        let mut open: Option<Place> = None;
        let mut indented = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
        while let Some(octet) = self.text.get(self.at) {
            match octet {
                b'\n' => {
                    let end = self.place();
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.at;
                    if open.is_some() {
                        continue;
                    }
                    if !tokens.is_empty() {
                        return Ok(Some(Entry { indented, tokens, comments, end }));
                    }
                    indented = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => {
                    let comment = self.comment(tokens.len());
                    if comment.behind > 0 {
                        comments.push(comment);
                    }
                }
                b'(' if open.is_none() => {
                    open = Some(self.place());
                    self.at += 1;
                }
                b')' if open.take().is_some() => self.at += 1,
                b'(' | b')' => return Err(self.place().wrong(ZoneErrorKind::Parenthesis)),
                b'"' => tokens.push(self.quoted()?),
                _ => tokens.push(self.word()),
            }
        }
        if let Some(place) = open {
            return Err(place.wrong(ZoneErrorKind::Parenthesis));
        }
        let end = self.place();
        Ok((!tokens.is_empty()).then_some(Entry { indented, tokens, comments, end }))
    }

    fn comment(&mut self, behind: usize) -> Comment<'a> {
        let (place, start) = (self.place(), self.at);
        let adjacent = start > self.line_start && !matches!(self.text[start - 1], b' ' | b'\t' | b'(' | b')');
        while self.text.get(self.at).is_some_and(|octet| *octet != b'\n') {
            self.at += 1;
        }
        Comment { place, behind, adjacent, raw: &self.text[start..self.at] }
    }

    fn quoted(&mut self) -> Result<Token<'a>, ZoneError> {
        let place = self.place();
        self.at += 1;
        let raw = self.until(|octet| matches!(octet, b'"' | b'\n'));
        if self.text.get(self.at) != Some(&b'"') {
            return Err(place.wrong(ZoneErrorKind::Quote));
        }
        self.at += 1;
        Ok(Token { raw, quoted: true, place })
    }

    fn word(&mut self) -> Token<'a> {
        let place = self.place();
        let raw = self.until(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"'));
        Token { raw, quoted: false, place }
    }

    /// Takes what comes before an octet that ends it; an escaped octet ends
    /// nothing, but for the end of the line.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while let Some(octet) = self.text.get(self.at) {
            let escaped = *octet == b'\\' && !matches!(self.text.get(self.at + 1), None | Some(b'\n'));
            if escaped {
                self.at += 2;
            } else if ends(*octet) {
                break;
            } else {
                self.at += 1;
            }
        }
        &self.text[start..self.at]
    }
}
