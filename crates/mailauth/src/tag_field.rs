//! Fields that hold a list of tags, being written (RFC 6376 §3.2, RFC 5322 §2.2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The line length that RFC 5322 §2.1.1 recommends, without CR LF.
const WIDTH: usize = 78;

/// A field with a list of tags: it is folded between tags, behind the colons of lists, and within
/// base64, where readers take white space for nothing.
#[derive(Debug)]
pub(crate) struct TagField {
    text: String,
    /// Where the current line begins.
    line: usize,
}

impl TagField {
    /// Begins with a name and a colon.
    pub(crate) fn new(name: &str) -> Self {
        // Most are that long: names of twenty fields, and a signature of 256 octets in base64.
        let mut text = String::with_capacity(1024);
        text.push_str(name);
        text.push(':');
        Self { text, line: 0 }
    }

    /// Adds a tag that is not broken.
    pub(crate) fn tag(&mut self, name: &str, value: &str) {
        self.begin(name, value);
        self.text.push(';');
    }

    /// Adds a tag with a list.
    pub(crate) fn list(&mut self, name: &str, values: &[&str]) {
        let (first, more) = values.split_first().unwrap_or((&"", &[]));
        self.begin(name, first);
        for value in more {
            self.text.push(':');
            // What ends it, a colon or a semicolon, stays in its line.
            if self.room() < value.len() + 1 {
                self.fold();
            }
            self.text.push_str(value);
        }
        self.text.push(';');
    }

    /// Adds a tag with octets in base64, which is not broken.
    pub(crate) fn base64(&mut self, name: &str, octets: &[u8]) {
        self.tag(name, &STANDARD.encode(octets));
    }

    /// Adds the tag `b=`, still without its value, as the last one: the field as it is signed,
    /// without a line end.
    pub(crate) fn unsigned(mut self) -> Unsigned {
        if self.room() < " b=".len() {
            self.fold();
        } else {
            self.text.push(' ');
        }
        self.text.push_str("b=");
        Unsigned(self)
    }

    /// How many octets still fit into the line.
    fn room(&self) -> usize {
        WIDTH.saturating_sub(self.text.len() - self.line)
    }

    fn fold(&mut self) {
        self.text.push_str("\r\n");
        self.line = self.text.len();
        self.text.push('\t');
    }

    /// Begins a tag: behind a space, or in a new line where it and the octet behind it do not fit.
    fn begin(&mut self, name: &str, value: &str) {
        if self.room() < " =;".len() + name.len() + value.len() {
            self.fold();
        } else {
            self.text.push(' ');
        }
        self.text.push_str(name);
        self.text.push('=');
        self.text.push_str(value);
    }
}

/// A field that is whole but for its signature.
#[derive(Debug)]
pub(crate) struct Unsigned(TagField);

impl Unsigned {
    /// The field with an empty `b=`, and without a line end.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// The field with its signature and its CR LF.
    pub(crate) fn sign(self, signature: &[u8]) -> String {
        let Self(mut field) = self;
        let text = STANDARD.encode(signature);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            if field.room() == 0 {
                field.fold();
            }
            let (now, later) = rest.split_at(rest.len().min(field.room()));
            field.text.push_str(now);
            rest = later;
        }
        field.text.push_str("\r\n");
        field.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_where_nothing_is_meant() {
        let mut field = TagField::new("X");
        field.tag("a", &"1".repeat(72));
        field.tag("c", "2");
        let names = ["From"; 20];
        field.list("h", &names);
        field.tag("d", &"3".repeat(100));
        field.list("e", &[]);
        let unsigned = field.unsigned();
        assert_eq!(
            unsigned.text(),
            format!(
                "X: a={};\r\n\tc=2; h={}\r\n\t{};\r\n\td={};\r\n\te=; b=",
                "1".repeat(72),
                "From:".repeat(14),
                ["From"; 6].join(":"),
                "3".repeat(100),
            )
        );
        let lines = unsigned.text().split("\r\n").map(str::len).collect::<Vec<_>>();
        assert_eq!(lines[..3], [78, 78, 31]);
        let signed = unsigned.sign(&[0xff; 120]);
        let last: Vec<&str> = signed.trim_end().rsplit("\r\n").take(3).collect();
        assert_eq!(
            last,
            [
                &format!("\t{}", "/".repeat(12)),
                &format!("\t{}", "/".repeat(77)),
                &format!("\te=; b={}", "/".repeat(71))
            ][..]
        );
        assert!(signed.ends_with("/\r\n"));
    }

    #[test]
    fn a_signature_that_fills_its_line_is_not_folded() {
        let mut field = TagField::new("X");
        field.tag("a", &"1".repeat(61));
        assert_eq!(field.unsigned().sign(&[0; 6]), format!("X: a={}; b=AAAAAAAA\r\n", "1".repeat(61)));
        // The tag fills it, and the signature begins the next one.
        let mut field = TagField::new("X");
        field.tag("a", &"1".repeat(69));
        assert_eq!(field.unsigned().sign(&[0; 3]), format!("X: a={}; b=\r\n\tAAAA\r\n", "1".repeat(69)));
        let mut field = TagField::new("X");
        field.tag("a", &"1".repeat(70));
        assert_eq!(field.unsigned().sign(&[0; 3]), format!("X: a={};\r\n\tb=AAAA\r\n", "1".repeat(70)));
    }
}
