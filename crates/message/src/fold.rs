//! Folded header fields (RFC 5322 §2.2.3), and what peers may put into them.

/// The line length that RFC 5322 §2.1.1 recommends, without CR LF.
const WIDTH: usize = 78;

/// A header field being printed: words go on the current line while they fit,
/// else on a new line that begins with a tab.
#[derive(Debug)]
pub(crate) struct Fold {
    text: String,
    /// Where the current line begins in `text`.
    line: usize,
}

impl Fold {
    /// Begins with `name` and a colon.
    pub(crate) fn new(name: &str) -> Self {
        Self { text: format!("{name}:"), line: 0 }
    }

    /// Adds a word that is not broken; it holds no CR and no LF.
    pub(crate) fn word(&mut self, word: &str) -> &mut Self {
        let column = self.text.len() - self.line;
        if column > 1 && column + 1 + word.len() > WIDTH {
            self.new_line();
        }
        if self.text.len() - self.line > 1 {
            self.text.push(' ');
        }
        self.text.push_str(word);
        self
    }

    /// Adds each word of a text; white space between them becomes one space.
    pub(crate) fn words(&mut self, text: &str) -> &mut Self {
        for word in text.split_ascii_whitespace() {
            self.word(word);
        }
        self
    }

    /// Adds to the last word.
    pub(crate) fn attach(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Goes on in a new line.
    pub(crate) fn new_line(&mut self) -> &mut Self {
        self.text.push_str("\r\n");
        self.line = self.text.len();
        self.text.push('\t');
        self
    }

    /// The field with its last CR LF.
    pub(crate) fn end(&mut self) -> String {
        self.text.push_str("\r\n");
        std::mem::take(&mut self.text)
    }
}

/// Printable ASCII only: every other character becomes `?`; at most `limit`
/// octets.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    filter(text, limit, |c| matches!(c, ' '..='~'))
}

/// The characters of atoms and dots that no reader takes for syntax: every
/// other becomes `?`; at most `limit` octets; `?` where nothing is left.
pub(crate) fn token(text: &str, limit: usize) -> String {
    let token = filter(text, limit, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+'));
    if token.is_empty() { String::from("?") } else { token }
}

/// A host name or an address literal; what is neither loses its syntax, see
/// [`token`]. A name has at most 255 octets (RFC 5321 §4.5.3.1.2).
pub(crate) fn host(text: &str) -> String {
    let literal = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match literal {
        Some(inner) => {
            format!("[{}]", filter(inner, 253, |c| { c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-') }))
        }
        None => token(text, 255),
    }
}

fn filter(text: &str, limit: usize, keep: impl Fn(char) -> bool) -> String {
    text.chars().take(limit).map(|c| if keep(c) { c } else { '?' }).collect()
}
