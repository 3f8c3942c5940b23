//! Replies (RFC 5321 §4.2), the universal outcome: whatever is decided anywhere is one of these.
//!
//! ```
//! use hikyaku_wire::{Code, EnhancedCode, Reply};
//!
//! let (reply, octets) = Reply::parse(b"550-5.7.1 not here\r\n550 5.7.1 go away\r\n").unwrap().unwrap();
//! assert_eq!((reply.code(), octets), (Code::MAILBOX_UNAVAILABLE_550, 39));
//! assert_eq!(reply.enhanced(), Some(EnhancedCode::new(5, 7, 1)));
//! assert_eq!(reply.lines().collect::<Vec<_>>(), ["not here", "go away"]);
//! assert_eq!(reply.to_string(), "550 5.7.1 not here go away");
//! ```

use std::{borrow::Cow, fmt, str::FromStr};

use bytes::{BufMut, BytesMut};
use memchr::memchr_iter;

use crate::{
    Code, EnhancedCode,
    reply_error::{ReplyError, ReplyErrorKind},
    reply_reader::Scan,
    reply_text::{Form, TextBuilder, TextLines, harmless, is_harmless},
};

/// A reply: a code, in most cases an enhanced code, and a text of one or more lines.
///
/// The text is made harmless when the reply is made: it never holds a control character (but
/// TAB), so that no reply can end early or become two. The enhanced code has the class of the
/// code, and no text begins with an enhanced code that [`enhanced`](Self::enhanced) does not
/// give: such a one is lifted out of the text.
///
/// `Reply` owns its text or names a constant; `Reply<Cow<'_, str>>`, which [`parse`](Self::parse)
/// gives, lies in the bytes of the input. Both compare and print alike.
///
/// ```
/// # use hikyaku_wire::{Code, EnhancedCode, Reply};
/// let reply = Reply::new(Code::OK_250, EnhancedCode::new(2, 0, 0), "queued as 4711");
/// assert_eq!(Reply::parse(b"250 2.0.0 queued as 4711\r\n").unwrap().unwrap().0, reply);
/// ```
#[derive(Clone)]
pub struct Reply<T = Cow<'static, str>> {
    code: Code,
    enhanced: Option<EnhancedCode>,
    text: T,
    form: Form,
}

/// Octets of a line that we write, with CRLF, at the most (RFC 5321 §4.5.3.1.5).
const LINE_LIMIT: usize = 512;

impl Reply {
    /// A reply with an enhanced code. LF in `text` begins a new line; every other control
    /// character but TAB becomes `?`. Long lines are broken when they are [written](Self::write).
    ///
    /// The class of `enhanced` gives way to the first digit of `code` where they disagree
    /// (RFC 2034 §4); beside 3xx there is none.
    pub fn new(code: Code, enhanced: EnhancedCode, text: impl Into<Cow<'static, str>>) -> Self {
        match enhanced.in_class_of(code) {
            Some(enhanced) => Self { code, enhanced: Some(enhanced), text: harmless(text.into()), form: Form::Clean },
            None => Self::plain(code, text),
        }
    }

    /// A reply without an enhanced code, unless `text` begins with one: a greeting, the answer
    /// to EHLO, or 3xx. The text is made harmless as in [`new`](Self::new).
    pub fn plain(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        let text = harmless(text.into());
        if EnhancedCode::lead(text.as_bytes(), code).is_some() {
            return Self::from_text(code, &text);
        }
        Self { code, enhanced: None, text, form: Form::Clean }
    }

    /// For constants: the text is ASCII, short, of one line, and begins with no enhanced code.
    pub(crate) const fn constant(code: Code, enhanced: Option<EnhancedCode>, text: &'static str) -> Self {
        Self { code, enhanced, text: Cow::Borrowed(text), form: Form::Clean }
    }

    /// The same reply with `more` added to the end of its last line.
    #[must_use]
    pub fn append(self, more: &str) -> Self {
        let Self { code, enhanced, text, .. } = self.into_owned();
        let mut text = text.into_owned();
        text.push_str(more);
        match enhanced {
            Some(enhanced) => Self::new(code, enhanced, text),
            None => Self::plain(code, text),
        }
    }

    /// From harmless lines whose enhanced codes are still at their beginning.
    fn from_text(code: Code, text: &str) -> Self {
        let mut builder = TextBuilder::default();
        text.split('\n').for_each(|line| builder.line(line.as_bytes(), code));
        Self::built(code, builder)
    }

    pub(crate) fn built(code: Code, text: TextBuilder) -> Self {
        let (enhanced, text) = text.finish();
        Self { code, enhanced, text: text.into(), form: Form::Clean }
    }
}

impl<'a> Reply<Cow<'a, str>> {
    /// The reply at the beginning of `input`, and how many octets it takes; `None` if more bytes
    /// are needed.
    ///
    /// Nothing is allocated, unless the text holds what is not UTF-8 or a control character:
    /// then it is a harmless copy. A caller whose input grows piece by piece is better served by
    /// [`ReplyReader`](crate::ReplyReader), which looks at no octet twice.
    ///
    /// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`
    /// (RFC 5321 §4.2)
    ///
    /// # Errors
    /// [`ReplyError`]: this is no reply, and never will be.
    #[inline]
    pub fn parse(input: &'a [u8]) -> Result<Option<(Self, usize)>, ReplyError> {
        match Self::parse_usual(input) {
            Some(parsed) => Ok(Some(parsed)),
            None => Self::parse_any(input),
        }
    }

    /// A complete reply of printable ASCII, which almost all are; `None` is no verdict.
    #[inline(always)]
    pub(crate) fn parse_usual(input: &'a [u8]) -> Option<(Self, usize)> {
        let code_octets = *input.first_chunk::<3>()?;
        let code = Code::read(code_octets)?;
        let mut start = 0;
        let mut lines = 0;
        let end = loop {
            let rest = input.get(start..)?;
            let length = printable(rest);
            if rest.get(length..length + 2) != Some(b"\r\n") || rest[..length].first_chunk() != Some(&code_octets) {
                return None;
            }
            lines += 1;
            start += length + 2;
            if length + 2 > Scan::LINE_LIMIT || lines > Scan::LINES_LIMIT || start > Scan::REPLY_LIMIT {
                return None;
            }
            match rest[3] {
                b'-' => {}
                b' ' | b'\r' => break start,
                _ => return None,
            }
        };
        let text = std::str::from_utf8(&input[..end - 2]).ok()?;
        Some((Self::lying_in(text, code, lines == 1), end))
    }

    /// What is rare: an incomplete reply, a wrong one, TAB, UTF-8, and what must become harmless.
    #[cold]
    fn parse_any(input: &'a [u8]) -> Result<Option<(Self, usize)>, ReplyError> {
        let mut scan = Scan::default();
        let code = loop {
            match scan.line(&input[scan.octets()..])? {
                None => return Ok(None),
                Some(line) if line.last => break line.code,
                Some(_) => {}
            }
        };
        let end = scan.octets();
        let text = std::str::from_utf8(&input[..end - 2]).ok().filter(|text| {
            // Each CR and LF here belongs to the end of a line.
            text.split("\r\n").all(is_harmless)
        });
        if let Some(text) = text {
            return Ok(Some((Self::lying_in(text, code, scan.lines() == 1), end)));
        }
        let mut scan = Scan::default();
        let mut builder = TextBuilder::default();
        while let Some(line) = scan.line(&input[scan.octets()..end])? {
            builder.line(line.text, code);
        }
        Ok(Some((Reply::built(code, builder), end)))
    }

    /// The same reply with a text of its own. It allocates for the text, unless that is empty
    /// or already its own.
    pub fn into_owned(self) -> Reply {
        let Self { code, enhanced, text, form } = self;
        let text = match (form, text) {
            (Form::Clean, text) => text.into_owned(),
            (Form::Wire(_), text) => {
                let mut lines = TextLines::new(&text, form);
                let mut clean = String::with_capacity(text.len());
                clean.push_str(lines.next().unwrap_or_default());
                for line in lines {
                    clean.push('\n');
                    clean.push_str(line);
                }
                clean
            }
        };
        Reply { code, enhanced, text: text.into(), form: Form::Clean }
    }

    /// The reply whose octets, without the last CRLF, are these.
    #[inline(always)]
    fn lying_in(text: &'a str, code: Code, is_one_line: bool) -> Self {
        let line = text.get(4..).unwrap_or_default();
        let lead = EnhancedCode::lead(line.as_bytes(), code);
        let enhanced = lead.map(|(enhanced, _)| enhanced);
        let (text, form) = if is_one_line {
            (lead.map_or(line, |(_, length)| &line[length..]), Form::Clean)
        } else {
            (text, Form::Wire(enhanced))
        };
        Self { code, enhanced, text: Cow::Borrowed(text), form }
    }
}

/// How many octets of printable ASCII a text begins with.
#[inline]
fn printable(text: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = text.as_chunks::<8>();
    for (at, octets) in words.iter().enumerate() {
        let octets = u64::from_le_bytes(*octets);
        // The high bit of each octet that is none, exact for the first of them.
        let controls = octets.wrapping_sub(0x20 * EACH) & !octets;
        let others = (controls | octets | octets.wrapping_add(EACH)) & (0x80 * EACH);
        if others != 0 {
            return at * 8 + others.trailing_zeros() as usize / 8;
        }
    }
    let other = rest.iter().position(|b| !matches!(b, b' '..=b'~'));
    text.len() - rest.len() + other.unwrap_or(rest.len())
}

impl<T: AsRef<str>> Reply<T> {
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
        self.text_lines()
    }

    pub(crate) fn text_lines(&self) -> TextLines<'_> {
        TextLines::new(self.text.as_ref(), self.form)
    }

    /// Whether it is 2xx: done.
    pub fn is_positive(&self) -> bool {
        self.code.class() == 2
    }

    /// Whether it is 3xx: go on.
    pub fn is_intermediate(&self) -> bool {
        self.code.class() == 3
    }

    /// Whether it is 4xx: try again later.
    pub fn is_transient(&self) -> bool {
        self.code.class() == 4
    }

    /// Whether it is 5xx: do not try again.
    pub fn is_permanent(&self) -> bool {
        self.code.class() == 5
    }

    /// Appends the reply as it goes over the wire: every line with the code, the enhanced code
    /// and CRLF (RFC 5321 §4.2.1, RFC 2034 §4). A line of more than the 512 octets of RFC 5321
    /// §4.5.3.1.5 is broken.
    ///
    /// Nothing is allocated but room in `out`.
    pub fn write(&self, out: &mut BytesMut) {
        let (mut head, length) = self.head();
        let limit = LINE_LIMIT - length;
        let mut lines = self.text_lines();
        // Enough, unless a line is broken.
        let text = self.text.as_ref();
        out.reserve(text.len() + (memchr_iter(b'\n', text.as_bytes()).count() + 1) * length + 2);
        let mut begin = 2;
        while let Some(mut line) = lines.next() {
            head[SEPARATOR] = b'-';
            while line.len() > limit {
                let (piece, rest) = line.split_at(line.floor_char_boundary(limit));
                out.put_slice(&head[begin..length]);
                out.put_slice(piece.as_bytes());
                line = rest;
                begin = 0;
            }
            if lines.is_empty() {
                head[SEPARATOR] = b' ';
            }
            out.put_slice(&head[begin..length]);
            out.put_slice(line.as_bytes());
            begin = 0;
        }
        out.put_slice(b"\r\n");
    }

    /// What ends one line and begins the next, and how many octets of it count.
    fn head(&self) -> ([u8; HEAD], usize) {
        let mut head = *b"\r\n000 0.000.000 ";
        head[2..SEPARATOR].copy_from_slice(&self.code.digits());
        let Some(enhanced) = self.enhanced else { return (head, SEPARATOR + 1) };
        let (printed, length) = enhanced.print();
        head[SEPARATOR + 1..][..length].copy_from_slice(&printed[..length]);
        head[SEPARATOR + 1 + length] = b' ';
        (head, SEPARATOR + 1 + length + 1)
    }
}

/// Where the octet behind the reply code stands in the head of a line.
const SEPARATOR: usize = 5;
/// Octets of the longest head: CRLF, code, separator, enhanced code and space.
const HEAD: usize = SEPARATOR + 1 + EnhancedCode::LONGEST + 1;

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Reply<U>> for Reply<T> {
    fn eq(&self, other: &Reply<U>) -> bool {
        self.code == other.code && self.enhanced == other.enhanced && self.lines().eq(other.lines())
    }
}

impl<T: AsRef<str>> Eq for Reply<T> {}

impl<T: AsRef<str>> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Reply");
        fields.field("code", &self.code).field("enhanced", &self.enhanced);
        fields.field("lines", &self.lines().collect::<Vec<_>>()).finish()
    }
}

/// On one line, `250 2.0.0 text`; lines are joined by a space.
impl<T: AsRef<str>> fmt::Display for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        self.lines().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

/// Reads the form of `Display`. LF in the text begins a new line, and the text is made harmless.
impl FromStr for Reply {
    type Err = ReplyError;

    fn from_str(text: &str) -> Result<Self, ReplyError> {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        let code = code.as_bytes().try_into().ok().and_then(Code::read).ok_or(ReplyErrorKind::Code.at(0))?;
        Ok(Self::from_text(code, &harmless(rest.into())))
    }
}

#[cfg(test)]
mod tests;
