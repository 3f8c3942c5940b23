//! Content transfer encodings (RFC 2045 §6) for what a report carries back.

use memchr::{memchr, memmem};

/// The longest line of a message without its CR LF (RFC 5322 §2.1.1).
const LINE_MAX: usize = 998;
/// The longest line of quoted-printable without its CR LF (RFC 2045 §6.7).
const QUOTED_LINE_MAX: usize = 76;

/// How the octets of a body part are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    SevenBit,
    EightBit,
    QuotedPrintable,
}

impl Encoding {
    /// The plainest encoding in which `content` is legal.
    pub(crate) fn of(content: &[u8], eight_bit: bool) -> Self {
        if !is_text(content) {
            Self::QuotedPrintable
        } else if content.is_ascii() {
            Self::SevenBit
        } else if eight_bit && std::str::from_utf8(content).is_ok() {
            Self::EightBit
        } else {
            Self::QuotedPrintable
        }
    }

    /// The encoding of content that may not be changed; `None` if it is no text of lines.
    pub(crate) fn identity(content: &[u8]) -> Option<Self> {
        is_text(content).then_some(if content.is_ascii() { Self::SevenBit } else { Self::EightBit })
    }

    /// The value of Content-Transfer-Encoding.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::QuotedPrintable => "quoted-printable",
        }
    }

    /// Appends `content`, which ends in CR LF afterwards unless it is empty.
    pub(crate) fn write(self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::SevenBit | Self::EightBit => out.extend_from_slice(content),
            Self::QuotedPrintable => quoted_printable(content, out),
        }
        if !content.is_empty() && !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// No NUL, CR and LF only together, no line too long.
fn is_text(content: &[u8]) -> bool {
    let mut rest = content;
    loop {
        let end = memmem::find(rest, b"\r\n");
        let line = &rest[..end.unwrap_or(rest.len())];
        if line.len() > LINE_MAX || line.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) {
            return false;
        }
        match end {
            Some(end) => rest = &rest[end + 2..],
            None => return true,
        }
    }
}

/// RFC 2045 §6.7; CR LF is a line end, CR and LF alone are data.
fn quoted_printable(content: &[u8], out: &mut Vec<u8>) {
    let mut line = out.len();
    let mut index = 0;
    while let Some(&octet) = content.get(index) {
        let rest = &content[index + 1..];
        index += 1;
        if octet == b'\r' && rest.first() == Some(&b'\n') {
            index += 1;
            out.extend_from_slice(b"\r\n");
            line = out.len();
            continue;
        }
        // White space at the end of a line would be lost on the way.
        let last = rest.is_empty() || rest.starts_with(b"\r\n");
        let plain = match octet {
            b' ' | b'\t' => !last,
            b'!'..=b'~' => octet != b'=',
            _ => false,
        };
        // A soft line break needs one octet itself.
        let width = if plain { 1 } else { 3 };
        if out.len() - line + width > QUOTED_LINE_MAX - 1 {
            out.extend_from_slice(b"=\r\n");
            line = out.len();
        }
        if plain {
            out.push(octet);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.extend_from_slice(&[b'=', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]);
        }
    }
}

/// What quoted-printable stands for (RFC 2045 §6.7); a `=` that begins nothing stands for itself.
pub(crate) fn from_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(equals) = memchr(b'=', rest) {
        out.extend_from_slice(&rest[..equals]);
        rest = &rest[equals + 1..];
        if let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else if let Some(after) = soft_break(rest) {
            rest = after;
        } else {
            out.push(b'=');
        }
    }
    out.extend_from_slice(rest);
    out
}

/// What follows a soft line break, which may have white space before its line end.
fn soft_break(text: &[u8]) -> Option<&[u8]> {
    let line = &text[..text.iter().take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r')).count()];
    let after = &text[line.len()..];
    if after.is_empty() { Some(after) } else { after.strip_prefix(b"\n") }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// What base64 stands for (RFC 2045 §6.8), up to the padding; other characters are passed over.
pub(crate) fn from_base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for octet in text.iter().take_while(|octet| **octet != b'=') {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            // The octets that are left are those below.
            out.push((bits >> count) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quoted(content: &[u8]) -> String {
        let mut out = Vec::new();
        Encoding::QuotedPrintable.write(content, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The reading side of RFC 2045 §6.7, for what we print.
    fn unquoted(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let text = text.replace("=\r\n", "");
        let mut octets = text.bytes();
        while let Some(octet) = octets.next() {
            if octet == b'=' {
                let hex = [octets.next().unwrap(), octets.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            } else {
                out.push(octet);
            }
        }
        out
    }

    #[test]
    fn the_plainest_legal_encoding() {
        let long = "x".repeat(999);
        let cases: [(&[u8], bool, Encoding); 11] = [
            (b"", false, Encoding::SevenBit),
            (b"A: b\r\n", false, Encoding::SevenBit),
            (b"A: b\r\n", true, Encoding::SevenBit),
            ("A: ü\r\n".as_bytes(), false, Encoding::QuotedPrintable),
            ("A: ü\r\n".as_bytes(), true, Encoding::EightBit),
            (b"A: \xfc\r\n", true, Encoding::QuotedPrintable),
            (b"A: b\n", true, Encoding::QuotedPrintable),
            (b"A: b\rc\r\n", true, Encoding::QuotedPrintable),
            (b"A: \0\r\n", true, Encoding::QuotedPrintable),
            (&long.as_bytes()[1..], true, Encoding::SevenBit),
            (long.as_bytes(), true, Encoding::QuotedPrintable),
        ];
        for (content, eight_bit, encoding) in cases {
            assert_eq!(Encoding::of(content, eight_bit), encoding, "{content:?}");
        }
    }

    #[test]
    fn quoted_printable_forms() {
        let cases: [(&[u8], &str); 6] = [
            (b"", ""),
            (b"a=b\r\n", "a=3Db\r\n"),
            (b"a \r\nb\t", "a=20\r\nb=09\r\n"),
            (b"a\rb\nc\r\n", "a=0Db=0Ac\r\n"),
            (b"\xff\0", "=FF=00\r\n"),
            (b"\r\n\r\n", "\r\n\r\n"),
        ];
        for (content, expected) in cases {
            assert_eq!(quoted(content), expected, "{content:?}");
        }
        assert_eq!(quoted(&[b'x'; 76]), format!("{}=\r\nx\r\n", "x".repeat(75)));
    }

    proptest! {
        #[test]
        fn what_is_quoted_can_be_read(content in proptest::collection::vec(any::<u8>(), 1..400)) {
            let text = quoted(&content);
            prop_assert!(text.lines().all(|line| line.len() <= 76 && !line.ends_with([' ', '\t'])), "{text:?}");
            let mut read = unquoted(&text);
            if !content.ends_with(b"\r\n") {
                read.truncate(read.len() - 2);
            }
            prop_assert_eq!(read, content);
        }
    }
}
