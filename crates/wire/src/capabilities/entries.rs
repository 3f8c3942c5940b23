//! The lines of an EHLO reply as keywords and the text of their parameters.

use memchr::memchr2;

use super::{
    keyword::{EhloKeyword, Known},
    packed,
    words::LINE_LIMIT,
};
use crate::{EnhancedCode, reply_text::Form};

/// The keyword and the ASCII text of the parameters of each line that has them, in one pass.
///
/// Skipped is a line that is no `ehlo-line = ehlo-keyword *( SP ehlo-param )`, or longer than a
/// line of 512 octets can hold.
#[derive(Clone)]
pub(super) struct Entries<'a> {
    text: &'a str,
    /// Where the next line begins, behind its code.
    start: usize,
    /// Octets between two lines: the line end, and the code.
    between: usize,
    /// What may stand before a keyword.
    enhanced: Option<EnhancedCode>,
}

impl<'a> Entries<'a> {
    /// Of a harmless text: no control character but TAB stands inside of its lines.
    pub(super) fn new(text: &'a str, form: Form) -> Self {
        let enhanced = form.enhanced();
        Self { text, start: form.head(), between: form.line_end() + form.head(), enhanced }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (EhloKeyword<&'a str>, &'a str);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut start = self.start;
            if let Some(enhanced) = self.enhanced {
                start += enhanced_octets(self.text.as_bytes().get(start..)?, enhanced);
            }
            let rest = self.text.as_bytes().get(start..)?;
            let (word, length) = packed::word(rest);
            let end = match rest.get(length) {
                None | Some(b'\r' | b'\n') => length,
                Some(_) => length + memchr2(b'\r', b'\n', &rest[length..]).unwrap_or(rest.len() - length),
            };
            self.start = start + end + self.between;
            if end > LINE_LIMIT {
                continue;
            }
            match Known::of_word(word) {
                Some(known) if end == length => return Some((known.into(), "")),
                Some(known) => {
                    let params = &self.text[start + length..start + end];
                    if params.is_ascii() {
                        return Some((known.into(), params));
                    }
                }
                None => {
                    if let Some(entry) = unusual(&self.text[start..start + end]) {
                        return Some(entry);
                    }
                }
            }
        }
    }
}

/// Octets of an enhanced code and its space at the beginning of a line.
#[cold]
fn enhanced_octets(rest: &[u8], enhanced: EnhancedCode) -> usize {
    let (code, length) = enhanced.print();
    match rest.strip_prefix(&code.to_le_bytes()[..length]) {
        Some([b' ', ..]) => length + 1,
        Some([] | [b'\r', ..]) => length,
        _ => 0,
    }
}

/// A line whose keyword is not known, or does not end with a space: after AUTH, `=` separates
/// too, since some old servers write `AUTH=LOGIN`.
#[cold]
fn unusual(line: &str) -> Option<(EhloKeyword<&str>, &str)> {
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let (keyword, params) = line.split_at(end);
    let keyword = EhloKeyword::parse(keyword).ok()?;
    let params = match params.strip_prefix('=') {
        Some(params) if keyword == EhloKeyword::AUTH => params,
        Some(_) => return None,
        None => params,
    };
    params.is_ascii().then_some((keyword, params))
}
