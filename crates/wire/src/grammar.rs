//! The productions of RFC 5321 §4.1.2 and §4.1.3 that addresses, commands and parameters share.

use nom::{
    IResult, Input, Parser,
    branch::alt,
    bytes::complete::{take_while, take_while1},
    character::complete::char,
    combinator::{cut, recognize, verify},
    error::{ErrorKind, ParseError},
    multi::many0_count,
    sequence::{delimited, preceded},
};

use crate::{AddressErrorKind, Mailbox};

/// Octets of a local part at the most, in the form sent (RFC 5321 §4.5.3.1.1).
pub(crate) const LOCAL_PART_LIMIT: usize = 64;
/// Octets of a domain at the most (RFC 5321 §4.5.3.1.2 says 255 in the form of the DNS, which are
/// 253 characters).
pub(crate) const DOMAIN_LIMIT: usize = 253;
/// Octets of a label at the most (RFC 1035 §2.3.4).
const LABEL_LIMIT: usize = 63;

/// Where a production did not match, as the number of octets that were left, and why. It is as
/// small as an error can be, so that trying alternatives costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) left: usize,
    pub(crate) kind: AddressErrorKind,
}

impl<I: Input> ParseError<I> for Mismatch {
    fn from_error_kind(input: I, _: ErrorKind) -> Self {
        Self { left: input.input_len(), kind: AddressErrorKind::Syntax }
    }

    fn append(_: I, _: ErrorKind, other: Self) -> Self {
        other
    }

    // Of two alternatives the one that came farther says more.
    fn or(self, other: Self) -> Self {
        if self.left <= other.left { self } else { other }
    }
}

pub(crate) type Parsed<'a, O = &'a str> = IResult<&'a str, O, Mismatch>;

/// The reason, and how many octets of `whole` were read before it.
pub(crate) fn reason(whole: &[u8], error: nom::Err<Mismatch>) -> (AddressErrorKind, usize) {
    match error {
        nom::Err::Error(e) | nom::Err::Failure(e) => (e.kind, whole.len() - e.left),
        nom::Err::Incomplete(_) => (AddressErrorKind::Syntax, whole.len()),
    }
}

/// How many octets of `whole` were read before the production failed.
pub(crate) fn offset(whole: &[u8], error: nom::Err<Mismatch>) -> usize {
    reason(whole, error).1
}

/// What `kind` says is wrong at octet `at` of `input`.
#[cold]
fn wrong<O>(input: &str, at: usize, kind: AddressErrorKind) -> Parsed<'_, O> {
    Err(nom::Err::Error(Mismatch { left: input.len() - at, kind }))
}

const ATEXT: u8 = 1;
const QTEXT: u8 = 2;
const LDH: u8 = 4;
const DIGIT: u8 = 8;
const VALUE: u8 = 16;
const KEYWORD: u8 = 32;
const HELLO: u8 = 64;

/// The classes of each octet, one bit a class: the loops over a line look at each octet once.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let byte = octet as u8;
        let (alnum, beyond) = (byte.is_ascii_alphanumeric(), byte >= 0x80);
        // `atext` of RFC 5322 §3.2.3.
        let special = matches!(
            byte,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~'
        );
        let mut class = 0;
        if alnum || special || beyond {
            class |= ATEXT;
        }
        if matches!(byte, 32..=33 | 35..=91 | 93..=126) || beyond {
            class |= QTEXT;
        }
        if alnum || byte == b'-' || beyond {
            class |= LDH;
        }
        if byte.is_ascii_digit() {
            class |= DIGIT;
        }
        if matches!(byte, 33..=60 | 62..=126) || beyond {
            class |= VALUE;
        }
        if alnum || byte == b'-' {
            class |= KEYWORD;
        }
        if alnum || matches!(byte, b'-' | b'_') {
            class |= HELLO;
        }
        classes[octet] = class;
        octet += 1;
    }
    classes
};

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// Whether all octets are of a class. No loop of this has a branch, so that sixteen octets, or
/// eight of a short text, are one step; the last step begins inside of the one before.
pub(crate) fn all(octets: &[u8], of: impl Fn(u8) -> bool + Copy) -> bool {
    fn every<const N: usize>(octets: &[u8], last: &[u8; N], of: impl Fn(u8) -> bool + Copy) -> bool {
        let block = |block: &[u8; N]| block.iter().fold(true, |all, b| all & of(*b));
        octets.as_chunks().0.iter().all(block) && block(last)
    }
    match (octets.last_chunk::<16>(), octets.last_chunk::<8>()) {
        (Some(last), _) => every(octets, last, of),
        (None, Some(last)) => every(octets, last, of),
        (None, None) => octets.iter().fold(true, |all, b| all & of(*b)),
    }
}

/// The first eight octets of a word as one number, the last of them lowest. In each the bit 0x20 is
/// cleared, which makes upper case of a letter and a letter of nothing else.
pub(crate) const fn number(word: &[u8]) -> u64 {
    let (mut number, mut at) = (0, 0);
    while at < word.len() && at < 8 {
        number = number << 8 | (word[at] & 0xdf) as u64;
        at += 1;
    }
    number
}

/// [`number`] of the first `length` octets of `text`: one load where there is enough text.
#[inline(always)]
pub(crate) fn number_at(text: &[u8], length: usize) -> u64 {
    match text.first_chunk::<8>() {
        Some(chunk) => (u64::from_be_bytes(*chunk) & 0xdfdf_dfdf_dfdf_dfdf) >> (64 - 8 * length.min(8)),
        None => number(&text[..length]),
    }
}

/// `atext`, and UTF8-non-ascii as RFC 6531 §3.3 adds it.
pub(crate) fn is_atext(byte: u8) -> bool {
    class(byte) & ATEXT != 0
}

/// `qtextSMTP = %d32-33 / %d35-91 / %d93-126`, and UTF8-non-ascii.
pub(crate) fn is_qtext(byte: u8) -> bool {
    class(byte) & QTEXT != 0
}

/// `Dot-string = Atom *("." Atom)`
#[inline(always)]
fn dot_string(input: &str) -> Parsed<'_> {
    let bytes = input.as_bytes();
    let mut at = 0;
    loop {
        let start = at;
        while bytes.get(at).is_some_and(|b| is_atext(*b)) {
            at += 1;
        }
        if at == start {
            return wrong(input, at, AddressErrorKind::Syntax);
        }
        if bytes.get(at) != Some(&b'.') {
            return Ok(split(input, at));
        }
        at += 1;
    }
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, with
/// `quoted-pairSMTP = %d92 %d32-126`; the quotes are part of what it gives.
#[cold]
fn quoted_string(input: &str) -> Parsed<'_> {
    let text = take_while1(|c: char| !c.is_ascii() || is_qtext(c as u8));
    let pair = recognize((char('\\'), take_one(|c| matches!(c, ' '..='~'))));
    recognize(delimited(char('"'), many0_count(alt((text, pair))), char('"'))).parse(input)
}

fn take_one<'a>(of: impl Fn(char) -> bool) -> impl Parser<&'a str, Output = char, Error = Mismatch> {
    verify(nom::character::complete::anychar, move |c| of(*c))
}

/// `Local-part = Dot-string / Quoted-string`, of at most 64 octets.
#[inline(always)]
pub(crate) fn local_part(input: &str) -> Parsed<'_> {
    let (rest, local) = if input.starts_with('"') { quoted_string(input)? } else { dot_string(input)? };
    if local.len() > LOCAL_PART_LIMIT {
        return wrong(input, LOCAL_PART_LIMIT, AddressErrorKind::LocalPartTooLong);
    }
    Ok((rest, local))
}

/// `Domain = sub-domain *("." sub-domain)` with `sub-domain = Let-dig [Ldh-str]`, and U-labels as
/// RFC 6531 §3.3 adds them. The last label is no number: RFC 1123 §2.1 tells names from addresses
/// by that.
#[inline(always)]
pub(crate) fn domain(input: &str) -> Parsed<'_> {
    use AddressErrorKind::{DomainTooLong, NumericDomain, Syntax};
    let bytes = input.as_bytes();
    let (mut at, mut start, mut digits) = (0, 0, DIGIT);
    loop {
        while let Some(class) = bytes.get(at).map(|b| class(*b)).filter(|class| class & LDH != 0) {
            digits &= class;
            at += 1;
        }
        match &bytes[start..at] {
            [] => return wrong(input, at, Syntax),
            [b'-', ..] => return wrong(input, start, Syntax),
            [.., b'-'] => return wrong(input, at - 1, Syntax),
            label if label.len() > LABEL_LIMIT => {
                return wrong(input, limit(input, start + LABEL_LIMIT), DomainTooLong);
            }
            _ => {}
        }
        if bytes.get(at) != Some(&b'.') {
            break;
        }
        at += 1;
        (start, digits) = (at, DIGIT);
    }
    if at > DOMAIN_LIMIT {
        return wrong(input, limit(input, DOMAIN_LIMIT), DomainTooLong);
    }
    if digits != 0 {
        return wrong(input, start, NumericDomain);
    }
    Ok(split(input, at))
}

/// The start of the character in which octet `at` lies.
fn limit(input: &str, at: usize) -> usize {
    input.floor_char_boundary(at)
}

/// `address-literal`: the text between the brackets. What it means is checked by the caller.
pub(crate) fn address_literal(input: &str) -> Parsed<'_> {
    delimited(char('['), take_while(|c: char| c.is_ascii_graphic() && !"[]\\".contains(c)), char(']')).parse(input)
}

/// `A-d-l ":"` with `A-d-l = At-domain *( "," At-domain )`: a source route, which is read and
/// dropped (RFC 5321 §4.1.1.3, appendix C).
#[cold]
fn source_route(input: &str) -> Parsed<'_> {
    let at_domain = |i| preceded(char('@'), domain).parse(i);
    recognize((at_domain, cut((many0_count(preceded(char(','), at_domain)), char(':'))))).parse(input)
}

/// One ASCII character of the grammar, as `"@"`; gives what follows it.
#[inline(always)]
pub(crate) fn literally(input: &str, c: char) -> Result<&str, nom::Err<Mismatch>> {
    match input.strip_prefix(c) {
        Some(rest) => Ok(rest),
        None => wrong(input, 0, AddressErrorKind::Syntax).map(|(rest, ())| rest),
    }
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
#[inline(always)]
pub(crate) fn path(input: &str) -> Parsed<'_, Mailbox<&str>> {
    let rest = literally(input, '<')?;
    let rest = if rest.starts_with('@') { source_route(rest)?.0 } else { rest };
    let (rest, mailbox) = Mailbox::read(rest)?;
    Ok((literally(rest, '>')?, mailbox))
}

/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`
pub(crate) fn esmtp_keyword(input: &[u8]) -> IResult<&[u8], &[u8], Mismatch> {
    verify(take_while1(|b: u8| class(b) & KEYWORD != 0), |k: &[u8]| !k.starts_with(b"-")).parse(input)
}

/// An octet of a label behind EHLO: `Ldh-str`, and the underscore of many clients.
pub(crate) fn is_hello(byte: u8) -> bool {
    class(byte) & HELLO != 0
}

/// An octet of an esmtp-keyword.
pub(crate) fn is_keyword(byte: u8) -> bool {
    class(byte) & KEYWORD != 0
}

/// `esmtp-value = 1*(%d33-60 / %d62-126)`, and UTF8-non-ascii.
pub(crate) fn is_esmtp_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| class(b) & VALUE != 0)
}

/// Cuts `input` at an octet before which only whole characters were read.
fn split(input: &str, at: usize) -> (&str, &str) {
    let (matched, rest) = input.split_at(at);
    (rest, matched)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ASCII octets of a class.
    fn members(of: impl Fn(u8) -> bool) -> String {
        (0..0x80).filter(|b| of(*b)).map(char::from).collect()
    }

    #[test]
    fn the_classes_are_those_of_the_standards() {
        const DIGITS: &str = "0123456789";
        const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
        let sorted = |parts: &[&str]| {
            let mut octets = parts.concat().into_bytes();
            octets.sort_unstable();
            String::from_utf8(octets).unwrap()
        };
        let graphic: String = ('!'..='~').collect();
        assert_eq!(members(is_atext), sorted(&[DIGITS, UPPER, LOWER, "!#$%&'*+-/=?^_`{|}~"]));
        assert_eq!(members(is_qtext), format!(" {}", graphic.replace(['"', '\\'], "")));
        assert_eq!(members(|b| class(b) & LDH != 0), sorted(&[DIGITS, UPPER, LOWER, "-"]));
        assert_eq!(members(|b| class(b) & DIGIT != 0), DIGITS);
        assert_eq!(members(|b| class(b) & VALUE != 0), graphic.replace('=', ""));
        assert_eq!(members(is_keyword), sorted(&[DIGITS, UPPER, LOWER, "-"]));
        assert_eq!(members(is_hello), sorted(&[DIGITS, UPPER, LOWER, "-_"]));
        for byte in 0x80..=0xff {
            assert_eq!(class(byte), ATEXT | QTEXT | LDH | VALUE);
        }
    }

    #[test]
    fn all_looks_at_every_octet() {
        for length in 0..50 {
            let mut octets = vec![b'a'; length];
            assert!(all(&octets, is_atext));
            for at in 0..length {
                octets[at] = b' ';
                assert!(!all(&octets, is_atext), "{at} of {length}");
                octets[at] = b'a';
            }
        }
    }

    #[test]
    fn a_number_is_the_same_with_text_behind_it() {
        for word in ["a", "BY", "SIZE", "Smtputf", "smtputf8", "MT-PRIORITY"] {
            let longer = format!("{word}=and more");
            assert_eq!(number_at(longer.as_bytes(), word.len()), number(word.to_ascii_uppercase().as_bytes()));
            assert_eq!(number_at(word.as_bytes(), word.len()), number(word.as_bytes()));
        }
    }
}
