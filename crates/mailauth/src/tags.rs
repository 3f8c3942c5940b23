//! Lists of tags (RFC 6376 §3.2), which signatures, keys and seals are written in.

use std::borrow::Cow;
use std::ops::Range;

/// A list of tags, in the order in which they stand; names are case-sensitive.
#[derive(Clone, Debug)]
pub(crate) struct Tags<'a> {
    pub(crate) tags: Vec<Tag<'a>>,
    /// Of each name that is one small letter, as most are, one more than its place; or 0.
    letters: [usize; 26],
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
        let (mut letters, mut twice) = ([0; 26], false);
        let mut at = 0;
        loop {
            let end = memchr::memchr(b';', &text[at..]).map_or(text.len(), |semicolon| at + semicolon);
            let spec = &text[at..end];
            let name = trim_start(spec);
            let length = name.iter().position(|octet| !is_of_name(*octet)).unwrap_or(name.len());
            let (name, after) = name.split_at(length);
            let after = trim_start(after);
            match (name.first(), after.split_first()) {
                (Some(b'A'..=b'Z' | b'a'..=b'z'), Some((b'=', value))) => {
                    tags.push(Tag { name, value: trim(value), span: end - value.len()..end });
                    if let Some(letter) = letter(name) {
                        twice |= letters[letter] > 0;
                        letters[letter] = tags.len();
                    }
                }
                // Only white space may stand behind the last semicolon.
                (None, None) if end == text.len() && !tags.is_empty() => break,
                _ => return Err(TagsError::Syntax),
            }
            if end == text.len() {
                break;
            }
            at = end + 1;
        }
        if twice || has_twins(&tags) { Err(TagsError::Twice) } else { Ok(Self { tags, letters }) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.tag(name).map(|tag| tag.value)
    }

    pub(crate) fn tag(&self, name: &str) -> Option<&Tag<'a>> {
        match letter(name.as_bytes()) {
            Some(letter) => self.tags.get(self.letters[letter].checked_sub(1)?),
            None => self.tags.iter().find(|tag| same(tag.name, name.as_bytes())),
        }
    }
}

/// Which small letter is the whole name.
fn letter(name: &[u8]) -> Option<usize> {
    match name {
        [letter @ b'a'..=b'z'] => Some(usize::from(letter - b'a')),
        _ => None,
    }
}

/// Whether two tags have one name of other than one small letter, in less than quadratic time.
fn has_twins(tags: &[Tag<'_>]) -> bool {
    let names = tags.iter().map(|tag| tag.name).filter(|name| letter(name).is_none());
    if tags.len() <= 16 {
        return names.clone().enumerate().any(|(at, name)| names.clone().take(at).any(|other| same(other, name)));
    }
    let mut names: Vec<&[u8]> = names.collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// Whether two names are one. Most have one or two letters and differ in the first.
fn same(one: &[u8], other: &[u8]) -> bool {
    #[cfg(test)]
    tests::COMPARED.set(tests::COMPARED.get() + 1);
    one.len() == other.len() && one.first() == other.first() && one == other
}

/// `tag-name = ALPHA *ALNUMPUNC`
fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_'
}

/// Whether these are visible characters with white space between them, in which every line end
/// is folding: `tag-value = [ tval *( 1*(WSP / FWS) tval ) ]`, `FWS = [*WSP CRLF] 1*WSP`
/// (RFC 6376 §2.8, §3.2).
fn is_text(text: &[u8]) -> bool {
    let (Some((first, rest)), Some(last)) = (text.split_first(), text.last()) else { return true };
    // Each octet beside the one behind it, without a branch, so that many are looked at together.
    let bad = text.iter().zip(rest).fold(is_control(*last), |bad, (&octet, &next)| {
        let white = u8::from(next == b' ') | u8::from(next == b'\t');
        let ends = u8::from(octet == b'\r') ^ u8::from(next == b'\n');
        bad | is_control(octet) | ends | u8::from(octet == b'\n') & !white
    });
    bad & 1 == 0 && *first != b'\n' && !matches!(last, b'\r' | b'\n')
}

/// 1 for what no text holds.
fn is_control(octet: u8) -> u8 {
    let white = u8::from(octet == b'\t') | u8::from(octet == b'\r') | u8::from(octet == b'\n');
    u8::from(octet < b' ') & !white | u8::from(octet == 0x7f)
}

fn is_space(octet: &u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// The text without folding white space around it.
///
/// Several foldings in a row are taken too, as old mail has them (RFC 5322 §4.2).
fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    let end = text.iter().rposition(|octet| !is_space(octet)).map_or(0, |last| last + 1);
    &text[..end]
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|octet| !is_space(octet)).unwrap_or(text.len())..]
}

/// The parts of a value that colons separate, each without the white space around it.
///
/// `x *( [FWS] ":" [FWS] x )` (RFC 6376 §3.5, §3.6.1)
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let (part, after) = match memchr::memchr(b':', value) {
            Some(colon) => (&value[..colon], Some(&value[colon + 1..])),
            None => (value, None),
        };
        rest = after;
        Some(trim(part))
    })
}

/// Whether white space stands only beside the colons of a list.
///
/// The text is one of a list of tags, so that each CR begins a fold.
pub(crate) fn is_list(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = memchr::memchr3(b' ', b'\t', b'\r', rest) {
        let (before, after) = (&rest[..at], trim_start(&rest[at..]));
        if !before.is_empty() && !before.ends_with(b":") && !after.is_empty() && !after.starts_with(b":") {
            return false;
        }
        rest = after;
    }
    true
}

/// The octets of a value in base64, with white space anywhere; `None` if it is none, or nothing.
///
/// `base64string = ALPHADIGITPS *([FWS] ALPHADIGITPS) [ [FWS] "=" [ [FWS] "=" ] ]`
/// (RFC 6376 §2.10): the padding may be missing, but not be wrong.
pub(crate) fn base64(value: &[u8]) -> Option<Vec<u8>> {
    let text = without_space(value);
    let (letters, padding) = match &text[..] {
        [letters @ .., b'=', b'='] => (letters, 2),
        [letters @ .., b'='] => (letters, 1),
        letters => (letters, 0),
    };
    let (groups, last) = letters.as_chunks::<4>();
    if letters.is_empty() || !matches!((last.len(), padding), (0, 0) | (2, 0 | 2) | (3, 0 | 1)) {
        return None;
    }
    let mut octets = Vec::with_capacity(groups.len() * 3 + 2);
    octets.resize(groups.len() * 3, 0);
    let mut all = 0;
    for (group, three) in groups.iter().zip(octets.as_chunks_mut().0) {
        let bits = joined(group);
        all |= bits;
        let [_, octets @ ..] = bits.to_be_bytes();
        *three = octets;
    }
    // The bits that are missing in the last group are 0, as those of an `A` are.
    let mut whole = [b'A'; 4];
    whole[..last.len()].copy_from_slice(last);
    let bits = joined(&whole);
    octets.extend_from_slice(&bits.to_be_bytes()[1..][..last.len().saturating_sub(1)]);
    ((all | bits) < NO_LETTER).then_some(octets)
}

/// A text of a list of tags without white space; borrowed where there is none.
fn without_space(text: &[u8]) -> Cow<'_, [u8]> {
    let space = |text| memchr::memchr3(b' ', b'\t', b'\r', text);
    let Some(mut end) = space(text) else { return text.into() };
    let (mut kept, mut rest) = (Vec::with_capacity(text.len()), text);
    while end < rest.len() {
        kept.extend_from_slice(&rest[..end]);
        rest = trim_start(&rest[end..]);
        end = space(rest).unwrap_or(rest.len());
    }
    kept.extend_from_slice(rest);
    kept.into()
}

/// The bits of four letters of base64; [`NO_LETTER`] is among them if one is none.
fn joined(&[a, b, c, d]: &[u8; 4]) -> u32 {
    let letter = |place: usize, octet: u8| LETTERS[place][usize::from(octet)];
    letter(0, a) | letter(1, b) | letter(2, c) | letter(3, d)
}

const NO_LETTER: u32 = 1 << 24;

/// What each octet stands for in base64 (RFC 4648 §4): a table for each place in a group, with the
/// six bits where they are, so that they only have to be joined.
static LETTERS: [[u32; 256]; 4] = {
    let mut tables = [[NO_LETTER; 256]; 4];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 4 * alphabet.len() {
        let (place, six) = (at / alphabet.len(), at % alphabet.len());
        tables[place][alphabet[six] as usize] = (six as u32) << (18 - 6 * place);
        at += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

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
            "\n a=b",
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
        // Not each with each.
        let many: String = (0..20_000).map(|at| format!("t{at}=x;")).collect();
        COMPARED.set(0);
        assert!(read(&many).is_ok() && COMPARED.get() < 1000);
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
    fn white_space_beside_colons() {
        for text in ["", "a", "a:b", "a : b", "a\r\n\t:b", "a: \r\n b", ":", " : ", "a:\r\n :b", " a:b "] {
            assert!(is_list(text.as_bytes()), "{text:?}");
        }
        for text in ["a b", "a:b c", "a b:c", "a\tb", "a\r\n b", "a: b \r\n c:d", "a:b c:"] {
            assert!(!is_list(text.as_bytes()), "{text:?}");
        }
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
                // Each letter and each `=` in a line of its own, or three.
                for count in [1, 3] {
                    let lines: Vec<_> = engine.encode(&octets[..length]).into_bytes();
                    let lines: Vec<&[u8]> = lines.chunks(count).collect();
                    assert_eq!(base64(&lines.join(&b"\r\n "[..])).as_deref(), Some(&octets[..length]));
                }
            }
        }
        for text in [
            "",
            " ",
            "=",
            "==",
            "A",
            "A=",
            "A A A A A",
            "AA=",
            "AA===",
            "AAA==",
            "AAAA=",
            "AAAA==",
            "AAAAA",
            "A=A",
            "AA=A",
            "AA-_",
            "A\u{e9}A",
        ] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
        // Bits that belong to no octet do not matter.
        assert_eq!((base64(b"AB"), base64(b"AA==")), (Some(vec![0]), Some(vec![0])));
        assert_eq!(base64(b" A A = \t= "), Some(vec![0]));
    }
}
