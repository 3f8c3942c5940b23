//! Words for people: nothing that came with mail acts on a terminal.

use std::time::Duration;

use hikyaku::wire::Timestamp;

/// The text with what a terminal would obey, or a reader not see, as an escape.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// The same for octets of a message: lines stay lines, and what is no UTF-8 is written as `\xff`.
pub(crate) fn visible_lines(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        let text = chunk.valid();
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                if out.ends_with("\\u{d}") {
                    out.truncate(out.len() - 5);
                }
                out.push('\n');
            }
            out.push_str(&line.split('\t').map(visible).collect::<Vec<_>>().join("\t"));
        }
        chunk.invalid().iter().for_each(|octet| out.push_str(&format!("\\x{octet:02x}")));
    }
    out
}

/// Controls, line separators, and the ignorable and bidirectional formatting characters.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The text, or its beginning and `…`, in at most `width` characters.
pub(crate) fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A time in one unit: `12 min`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (number, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7200 => (seconds / 60, "min"),
        7200..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{number} {unit}")
}

/// A time that is to come: `in 12 min`, or `now`.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> String {
    let left = at.saturating_since(now);
    if left.is_zero() { "now".to_owned() } else { format!("in {}", span(left)) }
}

/// Octets: `532 B`, `1.2 K`, `34 M`.
pub(crate) fn size(octets: u64) -> String {
    if octets < 1000 {
        return format!("{octets} B");
    }
    let (mut tenths, mut unit) = (octets.saturating_mul(10) / 1024, 0);
    while tenths >= 9995 && unit < 3 {
        tenths /= 1024;
        unit += 1;
    }
    let unit = ["K", "M", "G", "T"][unit];
    if tenths < 100 { format!("{}.{} {unit}", tenths / 10, tenths % 10) } else { format!("{} {unit}", tenths / 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_a_terminal() {
        assert_eq!(visible("a\u{1b}[2J\r\n\t\u{9b}\u{202e}\u{7f}ü"), r"a\u{1b}[2J\u{d}\u{a}\u{9}\u{9b}\u{202e}\u{7f}ü");
        assert_eq!(
            visible_lines(b"Subject: \x1b]0;x\x07\r\n\tf\xff\xc3\xbc\r\n\r\na\rb\n"),
            "Subject: \\u{1b}]0;x\\u{7}\n\tf\\xffü\n\na\\u{d}b\n"
        );
        assert_eq!(visible_lines(b""), "");
    }

    #[test]
    fn short_forms() {
        assert_eq!((cut("abc", 3), cut("abcd", 3), cut("äöüß", 3)), ("abc".into(), "ab…".into(), "äö…".into()));
        for (seconds, text) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        for (octets, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.9 K"),
            (1234, "1.2 K"),
            (10_240, "10 K"),
            (1 << 20, "1.0 M"),
            (50 << 20, "50 M"),
            (3 << 40, "3.0 T"),
        ] {
            assert_eq!(size(octets), text, "{octets}");
        }
        let at = Timestamp::from_millis;
        assert_eq!((until(at(0), at(1)), until(at(720_000), at(0))), ("now".into(), "in 12 min".into()));
    }
}
