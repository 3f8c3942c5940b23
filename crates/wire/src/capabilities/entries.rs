//! The lines of an EHLO reply as keywords and the text of their parameters.

use memchr::memchr;

use super::keyword::{self, EhloKeyword, Known};
use crate::reply_text::{CODE, Form, TextLines};

/// A line of a text that lies in a reply.
struct Line {
    /// Its keyword, if that is known and all that it holds: so are most lines.
    alone: Option<Known>,
    /// Where the line ends: its length without LF, but perhaps with CR.
    end: usize,
}

#[inline(always)]
fn line(text: &[u8]) -> Line {
    let (word, length) = keyword::word(text);
    match text.get(length) {
        None => Line { alone: Known::of_word(word), end: text.len() },
        Some(b'\n') => Line { alone: Known::of_word(word), end: length },
        // In a reply, a CR stands before a LF only.
        Some(b'\r') => Line { alone: Known::of_word(word), end: length + 1 },
        Some(_) => {
            let rest = memchr(b'\n', &text[length..]);
            Line { alone: None, end: rest.map_or(text.len(), |at| length + at) }
        }
    }
}

fn split(line: &str) -> Option<(EhloKeyword<&str>, &str)> {
    keyword::split(line.strip_suffix('\r').unwrap_or(line))
}

/// Octets before each line, or `None` if enhanced codes stand there too.
fn head(form: Form) -> Option<usize> {
    match form {
        Form::Clean => Some(0),
        Form::Wire(None) => Some(CODE),
        Form::Wire(Some(_)) => None,
    }
}

/// The bits of the keywords of all lines.
pub(super) fn known(text: &str, form: Form) -> u32 {
    let bit = |line: Option<(EhloKeyword<&str>, &str)>| line.map_or(0, |(keyword, _)| keyword.bit());
    let Some(head) = head(form) else {
        return TextLines::new(text, form).fold(0, |known, line| known | bit(keyword::split(line)));
    };
    let mut known = 0;
    let mut start = head;
    while let Some(rest) = text.as_bytes().get(start..) {
        let Line { alone, end } = line(rest);
        known |= alone.map_or_else(|| bit(split(&text[start..start + end])), Known::bit);
        start += end + 1 + head;
    }
    known
}

/// The keyword and the ASCII text of the parameters of each line that has them.
pub(super) fn entries(text: &str, form: Form) -> impl Iterator<Item = (EhloKeyword<&str>, &str)> {
    let plain = head(form);
    let mut start = plain.unwrap_or_default();
    let mut lines = TextLines::new(text, form);
    std::iter::from_fn(move || {
        let Some(head) = plain else { return lines.find_map(keyword::split) };
        loop {
            let rest = text.as_bytes().get(start..)?;
            let Line { alone, end } = line(rest);
            let line = &text[start..start + end];
            start += end + 1 + head;
            if let Some(known) = alone {
                return Some((known.into(), ""));
            }
            if let Some(entry) = split(line) {
                return Some(entry);
            }
        }
    })
}
