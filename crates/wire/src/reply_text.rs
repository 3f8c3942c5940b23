//! The text of a reply, as it lies in the input or on its own.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use crate::{Code, EnhancedCode};

/// How the lines of a text lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Separated by LF, and nothing else.
    Clean,
    /// As on the wire, without the last CRLF.
    Wire {
        /// What the first line has behind its code, and the others may have.
        enhanced: Option<EnhancedCode>,
        /// Whether it is octet for octet what is to be written.
        exact: bool,
    },
}

impl Form {
    /// Octets of the code and what separates it from the text, in front of each line.
    pub(crate) fn head(self) -> usize {
        if matches!(self, Self::Clean) { 0 } else { CODE }
    }

    /// Octets of a line end.
    pub(crate) fn line_end(self) -> usize {
        if matches!(self, Self::Clean) { 1 } else { 2 }
    }

    /// What may stand between the code and the text of each line.
    pub(crate) fn enhanced(self) -> Option<EnhancedCode> {
        if let Self::Wire { enhanced, .. } = self { enhanced } else { None }
    }

    /// What separates two lines, where no reader looks at the code.
    pub(crate) fn between(self) -> &'static str {
        if matches!(self, Self::Clean) { "\n" } else { "\r\n250-" }
    }
}

/// The lines of a text, without codes.
#[derive(Clone, Debug)]
pub(crate) struct TextLines<'a> {
    rest: Option<&'a str>,
    form: Form,
}

/// Octets of a reply code and what separates it from the text.
const CODE: usize = 4;
/// Octets of a line that we write, without CRLF, at the most (RFC 5321 §4.5.3.1.5).
pub(crate) const LINE_LIMIT: usize = 510;

impl<'a> TextLines<'a> {
    pub(crate) fn new(text: &'a str, form: Form) -> Self {
        Self { rest: Some(text), form }
    }

    /// The text of what has not been taken yet, empty after the last line, and its form.
    pub(crate) fn rest(&self) -> (&'a str, Form) {
        match self.rest {
            Some(rest) => (rest, self.form),
            None => ("", Form::Clean),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_none()
    }
}

impl<'a> Iterator for TextLines<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        let line = match memchr(b'\n', text.as_bytes()) {
            Some(end) => {
                self.rest = Some(&text[end + 1..]);
                &text[..end]
            }
            None => {
                self.rest = None;
                text
            }
        };
        let Form::Wire { enhanced, .. } = self.form else { return Some(line) };
        let line = line.strip_suffix('\r').unwrap_or(line);
        // The last line may be a bare code.
        let line = line.get(CODE..).unwrap_or_default();
        Some(enhanced.map_or(line, |enhanced| strip(line, enhanced)))
    }
}

/// The line without the enhanced code, if it begins with it.
pub(crate) fn strip(line: &str, enhanced: EnhancedCode) -> &str {
    let (code, length) = enhanced.print();
    match line.as_bytes().strip_prefix(&code.to_le_bytes()[..length]) {
        Some([]) => "",
        Some([b' ', ..]) => &line[length + 1..],
        _ => line,
    }
}

/// Several clean lines in the form of the wire.
pub(crate) fn on_wire(lines: &str, code: Code, enhanced: Option<EnhancedCode>) -> (String, Form) {
    let head = match enhanced {
        Some(enhanced) => format!("{code}-{enhanced} "),
        None => format!("{code}-"),
    };
    let count = memchr_iter(b'\n', lines.as_bytes()).count() + 1;
    let mut text = String::with_capacity(lines.len() + count * (head.len() + 1));
    let (mut last, mut exact) = (0, true);
    for line in lines.split('\n') {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        last = text.len();
        text.push_str(&head);
        text.push_str(line);
        exact &= text.len() - last <= LINE_LIMIT;
    }
    text.replace_range(last + CODE - 1..last + CODE, " ");
    (text, Form::Wire { enhanced, exact })
}

/// Whether a text holds no control characters but TAB, and, between lines, LF. TAB is allowed
/// by `textstring = 1*(%d09 / %d32-126)` (RFC 5321 §4.2.1), and UTF-8 by RFC 6531 §3.7.4.2.
pub(crate) fn is_harmless(text: &str) -> bool {
    let odd = |b: u8| u8::from(b < b' ' && b != b'\t' && b != b'\n') | u8::from(b >= 0x7f);
    text.bytes().fold(0, |all, b| all | odd(b)) == 0 || !text.contains(|c| c != '\n' && is_harmful(c))
}

fn is_harmful(c: char) -> bool {
    c.is_control() && c != '\t'
}

/// The same text with `?` in place of each control character that [`is_harmless`] refuses.
pub(crate) fn harmless<'a>(text: Cow<'a, str>) -> Cow<'a, str> {
    if is_harmless(&text) {
        return text;
    }
    text.chars().map(|c| if c != '\n' && is_harmful(c) { '?' } else { c }).collect::<String>().into()
}

/// Builds the clean text of a reply from its lines.
#[derive(Debug, Default)]
pub(crate) struct TextBuilder {
    text: String,
    lines: usize,
    enhanced: Option<EnhancedCode>,
}

impl TextBuilder {
    /// Adds a line as a peer has sent it. The enhanced code that the first line begins with is
    /// taken off from all lines that have it.
    pub(crate) fn line(&mut self, line: &[u8], code: Code) {
        let line = String::from_utf8_lossy(line);
        if self.lines == 0 {
            self.enhanced = EnhancedCode::lead(line.as_bytes(), code).map(|(enhanced, _)| enhanced);
        } else {
            self.text.push('\n');
        }
        self.lines += 1;
        let line = self.enhanced.map_or(&*line, |enhanced| strip(&line, enhanced));
        if line.bytes().all(|b| matches!(b, b' '..0x7f)) {
            self.text.push_str(line);
        } else {
            self.text.extend(line.chars().map(|c| if is_harmful(c) { '?' } else { c }));
        }
    }

    /// The text, and the enhanced code that its lines had.
    pub(crate) fn finish(self) -> (Option<EnhancedCode>, String) {
        (self.enhanced, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_control_character_alone_is_harmful() {
        for number in 0..0x300u32 {
            let c = char::from_u32(number).unwrap();
            for text in [format!("{c}"), format!("a{c}b"), format!("ü{c}")] {
                let expected = if c.is_control() && c != '\t' && c != '\n' { '?' } else { c };
                assert_eq!(is_harmless(&text), expected == c, "{text:?}");
                assert_eq!(harmless(text.clone().into()), text.replace(c, &expected.to_string()), "{text:?}");
                let mut builder = TextBuilder::default();
                builder.line(text.as_bytes(), Code::OK_250);
                // Within one line, LF is a control character too.
                let expected = if c == '\n' { '?' } else { expected };
                assert_eq!(builder.finish(), (None, text.replace(c, &expected.to_string())));
            }
        }
    }

    #[test]
    fn an_enhanced_code_is_stripped_as_a_word() {
        let code = EnhancedCode::new(5, 7, 1);
        for (line, text) in [
            ("5.7.1", ""),
            ("5.7.1 ", ""),
            ("5.7.1 x", "x"),
            ("5.7.1  x", " x"),
            ("5.7.10", "5.7.10"),
            ("5.7.1\tx", "5.7.1\tx"),
            ("x", "x"),
            ("", ""),
        ] {
            assert_eq!(strip(line, code), text, "{line:?}");
        }
    }
}
