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

use bytes::BytesMut;
use memchr::memchr;

use crate::{
    Code, EnhancedCode,
    reply_error::{ReplyError, ReplyErrorKind},
    reply_reader::Scan,
    reply_text::{Form, LINE_LIMIT, TextBuilder, TextLines, harmless, is_harmless, on_wire},
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
    /// One line is clean, several are as on the wire.
    form: Form,
}

impl Reply {
    /// A reply with an enhanced code. LF in `text` begins a new line; every other control
    /// character but TAB becomes `?`. Long lines are broken when they are [written](Self::write).
    ///
    /// The class of `enhanced` gives way to the first digit of `code` where they disagree
    /// (RFC 2034 §4); beside 3xx there is none.
    pub fn new(code: Code, enhanced: EnhancedCode, text: impl Into<Cow<'static, str>>) -> Self {
        match enhanced.in_class_of(code) {
            Some(enhanced) => Self::of_lines(code, Some(enhanced), harmless(text.into())),
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
        Self::of_lines(code, None, text)
    }

    /// From harmless lines without enhanced codes.
    fn of_lines(code: Code, enhanced: Option<EnhancedCode>, text: Cow<'static, str>) -> Self {
        if memchr(b'\n', text.as_bytes()).is_none() {
            return Self { code, enhanced, text, form: Form::Clean };
        }
        let (text, form) = on_wire(&text, code, enhanced);
        Self { code, enhanced, text: text.into(), form }
    }

    /// For constants: the text is ASCII, short, of one line, and begins with no enhanced code.
    pub(crate) const fn constant(code: Code, enhanced: Option<EnhancedCode>, text: &'static str) -> Self {
        Self { code, enhanced, text: Cow::Borrowed(text), form: Form::Clean }
    }

    /// The same reply with `more` added to the end of its last line.
    #[must_use]
    pub fn append(self, more: &str) -> Self {
        let text = self.lines().collect::<Vec<_>>().join("\n") + more;
        match self.enhanced {
            Some(enhanced) => Self::new(self.code, enhanced, text),
            None => Self::plain(self.code, text),
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
        Self::of_lines(code, enhanced, text.into())
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
        let mut longest = 0;
        let end = loop {
            let rest = input.get(start..)?;
            let length = printable(rest);
            if rest.get(length..length + 2) != Some(b"\r\n") || rest[..length].first_chunk() != Some(&code_octets) {
                return None;
            }
            lines += 1;
            start += length + 2;
            longest = longest.max(length);
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
        Some((Self::lying_in(text, code, lines == 1, longest), end))
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
            let longest = text.split("\r\n").map(str::len).max().unwrap_or_default();
            return Ok(Some((Self::lying_in(text, code, scan.lines() == 1, longest), end)));
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
        Reply { code: self.code, enhanced: self.enhanced, text: self.text.into_owned().into(), form: self.form }
    }

    /// The reply whose octets, without the last CRLF, are these.
    #[inline(always)]
    fn lying_in(text: &'a str, code: Code, is_one_line: bool, longest: usize) -> Self {
        let line = text.get(4..).unwrap_or_default();
        let lead = EnhancedCode::lead(line.as_bytes(), code);
        let enhanced = lead.map(|(enhanced, _)| enhanced);
        let (text, form) = if is_one_line {
            (lead.map_or(line, |(_, length)| &line[length..]), Form::Clean)
        } else {
            // Every line gets the enhanced code, and a space stands behind the last code.
            let is_bare = text.as_bytes()[text.len() - 4] == b'\n';
            (text, Form::Wire { enhanced, exact: enhanced.is_none() && !is_bare && longest <= LINE_LIMIT })
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
    #[inline]
    pub fn write(&self, out: &mut BytesMut) {
        let text = self.text.as_ref();
        out.reserve(HEAD + text.len() + 2);
        match self.form {
            Form::Wire { exact: true, .. } => out.extend_from_slice(text.as_bytes()),
            Form::Clean if HEAD + text.len() <= LINE_LIMIT => {
                let start = out.len();
                let (head, length) = self.head();
                // A copy of a fixed size costs less, and what is too much is written over.
                out.extend_from_slice(&head.to_le_bytes());
                out.truncate(start + length);
                out.extend_from_slice(text.as_bytes());
            }
            _ => return self.write_lines(out),
        }
        out.extend_from_slice(b"\r\n");
    }

    #[cold]
    fn write_lines(&self, out: &mut BytesMut) {
        let (head, length) = self.head();
        let mut head = head.to_le_bytes();
        let limit = LINE_LIMIT - length;
        let mut lines = self.text_lines();
        while let Some(mut line) = lines.next() {
            head[SEPARATOR] = b'-';
            while line.len() > limit {
                let (piece, rest) = line.split_at(line.floor_char_boundary(limit));
                push_line(out, &head[..length], piece);
                line = rest;
            }
            if lines.is_empty() {
                head[SEPARATOR] = b' ';
            }
            push_line(out, &head[..length], line);
        }
    }

    /// What the last line begins with, little-endian, and how many octets of it count.
    #[inline]
    fn head(&self) -> (u128, usize) {
        let [a, b, c] = self.code.digits();
        let code = u32::from_le_bytes([a, b, c, b' ']);
        let Some(enhanced) = self.enhanced else { return (code.into(), SEPARATOR + 1) };
        let (enhanced, length) = enhanced.print();
        let spaces = u128::from_le_bytes([b' '; 16]) << (8 * length);
        (u128::from(code) | (enhanced | spaces) << 32, SEPARATOR + 1 + length + 1)
    }
}

fn push_line(out: &mut BytesMut, head: &[u8], text: &str) {
    out.reserve(head.len() + text.len() + 2);
    out.extend_from_slice(head);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Where the octet behind the reply code stands in a line.
const SEPARATOR: usize = 3;
/// Octets of a head as an integer; 14 of them hold the longest one.
const HEAD: usize = size_of::<u128>();

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
        let mut lines = self.lines().filter(|line| !line.is_empty()).peekable();
        while let Some(line) = lines.next() {
            // What reads as an enhanced code alone would lose its last space when it is read.
            let ends = self.enhanced.is_none() && lines.peek().is_none();
            let is_code =
                |line: &str| EnhancedCode::lead(line.as_bytes(), self.code).is_some_and(|(_, n)| n == line.len());
            write!(f, " {}", if ends && is_code(line) { line.trim_end_matches(' ') } else { line })?;
        }
        Ok(())
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
