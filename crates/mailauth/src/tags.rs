//! Lists of tags (RFC 6376 §3.2), which signatures, keys and seals are written in.

use std::ops::Range;

/// A list of tags, in the order in which they stand; names are case-sensitive.
#[derive(Clone, Debug)]
pub(crate) struct Tags<'a> {
    pub(crate) tags: Vec<Tag<'a>>,
}

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) name: &'a [u8],
    /// The value without the white space around it; what is within stays.
    pub(crate) value: &'a [u8],
    /// Where the value lies in the text, with the white space around it: this is what is taken
    /// out of the field that holds the signature (RFC 6376 §3.7).
    pub(crate) span: Range<usize>,
}

/// Why a text is no list of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TagsError {
    #[error("not a list of tags")]
    Syntax,
    #[error("a tag stands twice")]
    Twice,
}

impl<'a> Tags<'a> {
    /// Reads a list.
    ///
    /// `tag-list = tag-spec *( ";" tag-spec ) [ ";" ]`,
    /// `tag-spec = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]` (RFC 6376 §3.2); white space
    /// may follow the last semicolon. Values may hold UTF-8 (RFC 8616 §5).
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, TagsError> {
        if !is_text(text) {
            return Err(TagsError::Syntax);
        }
        let mut tags = Vec::with_capacity(12);
        let mut at = 0;
        loop {
            let end = memchr::memchr(b';', &text[at..]).map_or(text.len(), |semicolon| at + semicolon);
            let spec = &text[at..end];
            match spec.iter().position(|&octet| octet == b'=') {
                Some(equals) => {
                    let name = trim(&spec[..equals]);
                    if !is_tag_name(name) {
                        return Err(TagsError::Syntax);
                    }
                    tags.push(Tag { name, value: trim(&spec[equals + 1..]), span: at + equals + 1..end });
                }
                // Only white space may stand behind the last semicolon.
                None if end == text.len() && !tags.is_empty() && trim(spec).is_empty() => break,
                None => return Err(TagsError::Syntax),
            }
            if end == text.len() {
                break;
            }
            at = end + 1;
        }
        if has_twins(&tags) { Err(TagsError::Twice) } else { Ok(Self { tags }) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.tag(name).map(|tag| tag.value)
    }

    pub(crate) fn tag(&self, name: &str) -> Option<&Tag<'a>> {
        self.tags.iter().find(|tag| same(tag.name, name.as_bytes()))
    }
}

/// Whether two tags have one name, in less than quadratic time.
fn has_twins(tags: &[Tag<'_>]) -> bool {
    if tags.len() <= 16 {
        return tags.iter().enumerate().any(|(at, tag)| tags[..at].iter().any(|other| same(other.name, tag.name)));
    }
    let mut names: Vec<&[u8]> = tags.iter().map(|tag| tag.name).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// Whether two names are one. Most have one or two letters and differ in the first.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.first() == other.first() && one == other
}

/// `tag-name = ALPHA *ALNUMPUNC`
fn is_tag_name(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|&octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

/// Whether these are visible characters with white space between them, in which every line end
/// is folding: `tag-value = [ tval *( 1*(WSP / FWS) tval ) ]`, `FWS = [*WSP CRLF] 1*WSP`
/// (RFC 6376 §2.8, §3.2).
fn is_text(text: &[u8]) -> bool {
    // Without a branch, so that many octets are looked at together.
    let (mut bad, mut ends) = (0, 0);
    for &octet in text {
        let end = u8::from(octet == b'\r') | u8::from(octet == b'\n');
        let control = u8::from(octet < b' ') & u8::from(octet != b'\t') | u8::from(octet == 0x7f);
        bad |= control & !end;
        ends |= end;
    }
    bad == 0 && (ends == 0 || folds_only(text))
}

/// Whether each CR and each LF is one of a CRLF that white space follows.
fn folds_only(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        match &rest[at..] {
            [b'\r', b'\n', b' ' | b'\t', ..] => rest = &rest[at + 2..],
            _ => return false,
        }
    }
    true
}

/// The text without folding white space around it.
///
/// Several foldings in a row are taken too, as old mail has them (RFC 5322 §4.2).
fn trim(text: &[u8]) -> &[u8] {
    let is_space = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let start = text.iter().position(|octet| !is_space(octet)).unwrap_or(text.len());
    let end = text.iter().rposition(|octet| !is_space(octet)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// The parts of a value that colons separate, each without the white space around it.
///
/// `x *( [FWS] ":" [FWS] x )` (RFC 6376 §3.5, §3.6.1)
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|&octet| octet == b':').map(trim)
}

/// The octets of a value in base64, with white space anywhere; `None` if it is none, or nothing.
///
/// `base64string = ALPHADIGITPS *([FWS] ALPHADIGITPS) [ [FWS] "=" [ [FWS] "=" ] ]`
/// (RFC 6376 §2.10): the padding may be missing, but not be wrong.
pub(crate) fn base64(value: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(value.len() / 4 * 3 + 3);
    let (mut bits, mut count, mut padding) = (0_u32, 0_usize, 0_usize);
    let mut rest = value;
    while let Some((&octet, after)) = rest.split_first() {
        // Whole groups without white space between them are read at once.
        if count % 4 == 0 && padding == 0 {
            let (groups, _) = rest.as_chunks::<4>();
            let mut read = 0;
            for group in groups {
                let [a, b, c, d] = group.map(|octet| u32::from(SIX_BITS[usize::from(octet)]));
                if (a | b | c | d) >= 64 {
                    break;
                }
                let [_, one, two, three] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
                octets.extend([one, two, three]);
                read += 4;
            }
            if read > 0 {
                count += read;
                rest = &rest[read..];
                continue;
            }
        }
        match SIX_BITS[usize::from(octet)] {
            six @ 0..64 if padding == 0 => {
                bits = bits << 6 | u32::from(six);
                count += 1;
                if count % 4 == 0 {
                    octets.extend_from_slice(&bits.to_be_bytes()[1..]);
                }
            }
            PADDING => padding += 1,
            SPACE => {}
            _ => return None,
        }
        rest = after;
    }
    let last = match (count % 4, padding) {
        (0, 0) => 0,
        (2, 0 | 2) => 1,
        (3, 0 | 1) => 2,
        _ => return None,
    };
    if last > 0 {
        // What the last group has, at the top of its three octets.
        octets.extend_from_slice(&(bits << (6 * (4 - count % 4))).to_be_bytes()[1..=last]);
    }
    (count > 0).then_some(octets)
}

const PADDING: u8 = 64;
const SPACE: u8 = 65;

/// What each octet stands for in base64 (RFC 4648 §4): six bits, padding, white space, or nothing.
const SIX_BITS: [u8; 256] = {
    let mut table = [u8::MAX; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < alphabet.len() {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b'=' as usize] = PADDING;
    table[b' ' as usize] = SPACE;
    table[b'\t' as usize] = SPACE;
    table[b'\r' as usize] = SPACE;
    table[b'\n' as usize] = SPACE;
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, TagsError> {
        let text_of = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let tags = Tags::parse(text.as_bytes())?;
        Ok(tags.tags.iter().map(|tag| (text_of(tag.name), text_of(tag.value))).collect())
    }

    #[test]
    fn lists() {
        for (text, expected) in [
            ("a=b", vec![("a", "b")]),
            ("a=b;", vec![("a", "b")]),
            ("a=b; ", vec![("a", "b")]),
            ("a=b;\r\n\t", vec![("a", "b")]),
            (" a \r\n = \r\n\tb \t;\r\n c = d:\r\n e ; ", vec![("a", "b"), ("c", "d:\r\n e")]),
            ("a=", vec![("a", "")]),
            ("a= ;b=\t", vec![("a", ""), ("b", "")]),
            ("a=b=c==", vec![("a", "b=c==")]),
            ("a_1=x;A_1=y", vec![("a_1", "x"), ("A_1", "y")]),
            ("a=b\r\n \r\n c", vec![("a", "b\r\n \r\n c")]),
            ("a=b \r\n \r\n ", vec![("a", "b")]),
            ("a=b\u{fc}cher", vec![("a", "b\u{fc}cher")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            assert_eq!(read(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn no_lists() {
        for text in [
            "",
            " ",
            ";",
            "a",
            "a=b;;",
            ";a=b",
            "a=b;;c=d",
            "a=b; ;",
            "=b",
            "1a=b",
            "_a=b",
            "a-b=c",
            "a b=c",
            "a=b\0",
            "a=\x7f",
            "a=b\rc",
            "a=b\nc",
            "a=b\r\nc",
            "a=b\r\n",
            "a=b\n ",
            "\na=b",
            "a\r\n=b",
            "a=\rb",
            "\u{fc}=a",
            "a=b;c",
            "a=b; \r\n",
        ] {
            assert_eq!(read(text), Err(TagsError::Syntax), "{text:?}");
        }
    }

    #[test]
    fn twins_are_found_in_short_and_long_lists() {
        for count in [1, 15, 16, 17, 40] {
            let mut text: String = (0..count).map(|at| format!("t{at}=x;")).collect();
            assert!(read(&text).is_ok(), "{count}");
            text.push_str("t0=x");
            assert_eq!(read(&text), Err(TagsError::Twice), "{count}");
        }
    }

    #[test]
    fn a_span_is_all_that_stands_for_the_value() {
        let text = b"a=1; b =\r\n x y\t;c=d";
        let tags = Tags::parse(text).unwrap();
        let tag = tags.tag("b").unwrap();
        assert_eq!((&text[tag.span.clone()], tag.value), (&b"\r\n x y\t"[..], &b"x y"[..]));
        assert_eq!((tags.get("c"), tags.get("C")), (Some(&b"d"[..]), None));
        assert_eq!(tags.tag("c").unwrap().span, text.len() - 1..text.len());
    }

    #[test]
    fn lists_in_values() {
        let parts: Vec<&[u8]> = list(b"from : to:\r\n subject").collect();
        assert_eq!(parts, [&b"from"[..], b"to", b"subject"]);
        assert_eq!(list(b"").collect::<Vec<_>>(), [b""]);
        assert_eq!(list(b"a:").collect::<Vec<_>>(), [&b"a"[..], b""]);
    }

    #[test]
    fn base64_is_that_of_others() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

        let octets: Vec<u8> = (0..=255).rev().collect();
        for length in 1..octets.len() {
            for engine in [&STANDARD, &STANDARD_NO_PAD] {
                let mut text = engine.encode(&octets[..length]);
                assert_eq!(base64(text.as_bytes()).as_deref(), Some(&octets[..length]));
                text.insert_str(length % text.len(), " \r\n\t");
                assert_eq!(base64(text.as_bytes()).as_deref(), Some(&octets[..length]));
            }
        }
        for text in
            ["", " ", "=", "A", "AA=", "AA===", "AAA==", "AAAA=", "AAAA==", "AAAAA", "A=A", "AA=A", "AA-_", "A\u{e9}A"]
        {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
        // Bits that belong to no octet do not matter.
        assert_eq!((base64(b"AB"), base64(b"AA==")), (Some(vec![0]), Some(vec![0])));
        assert_eq!(base64(b" A A = \t= "), Some(vec![0]));
    }
}
