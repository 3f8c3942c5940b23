//! The productions of RFC 5321 §4.1.2 and §4.1.3 that addresses, commands and parameters share.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, tag_no_case, take_while, take_while1},
    character::complete::char,
    combinator::{recognize, verify},
    error::{ErrorKind, ParseError},
    multi::many0_count,
    sequence::{delimited, preceded},
};

/// Where a production did not match: the number of octets that were left. It is as small as an
/// error can be, so that trying alternatives costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) left: usize,
}

impl ParseError<&[u8]> for Mismatch {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { left: input.len() }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }

    // Of two alternatives the one that came farther says more.
    fn or(self, other: Self) -> Self {
        if self.left <= other.left { self } else { other }
    }
}

pub(crate) type Parsed<'a, O = &'a [u8]> = IResult<&'a [u8], O, Mismatch>;

/// How many octets of `whole` were read before the production failed.
pub(crate) fn offset(whole: &[u8], error: nom::Err<Mismatch>) -> usize {
    match error {
        nom::Err::Error(e) | nom::Err::Failure(e) => whole.len() - e.left,
        nom::Err::Incomplete(_) => whole.len(),
    }
}

/// `atext`, and UTF8-non-ascii as RFC 6531 §3.3 adds it.
pub(crate) fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte) || byte >= 0x80
}

/// `qtextSMTP = %d32-33 / %d35-91 / %d93-126`, and UTF8-non-ascii.
pub(crate) fn is_qtext(byte: u8) -> bool {
    matches!(byte, 32..=33 | 35..=91 | 93..=126) || byte >= 0x80
}

/// `Dot-string = Atom *("." Atom)`
pub(crate) fn dot_string(input: &[u8]) -> Parsed<'_> {
    recognize((take_while1(is_atext), many0_count(preceded(char('.'), take_while1(is_atext))))).parse(input)
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, with
/// `quoted-pairSMTP = %d92 %d32-126`; the quotes are part of what it gives.
pub(crate) fn quoted_string(input: &[u8]) -> Parsed<'_> {
    let pair = recognize((char('\\'), verify(nom::number::complete::u8, |b| matches!(b, 32..=126))));
    recognize(delimited(char('"'), many0_count(alt((take_while1(is_qtext), pair))), char('"'))).parse(input)
}

/// `Local-part = Dot-string / Quoted-string`
pub(crate) fn local_part(input: &[u8]) -> Parsed<'_> {
    alt((dot_string, quoted_string)).parse(input)
}

/// `sub-domain = Let-dig [Ldh-str]`, and U-labels as RFC 6531 §3.3 adds them.
fn sub_domain(input: &[u8]) -> Parsed<'_> {
    let ldh = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b >= 0x80;
    verify(take_while1(ldh), |label: &[u8]| !label.starts_with(b"-") && !label.ends_with(b"-")).parse(input)
}

/// `Domain = sub-domain *("." sub-domain)`
pub(crate) fn domain(input: &[u8]) -> Parsed<'_> {
    recognize((sub_domain, many0_count(preceded(char('.'), sub_domain)))).parse(input)
}

/// `address-literal`: the text between the brackets. What it means is checked by the caller.
pub(crate) fn address_literal(input: &[u8]) -> Parsed<'_> {
    delimited(char('['), take_while(|b: u8| b.is_ascii_graphic() && !b"[]\\".contains(&b)), char(']')).parse(input)
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`, as its two parts.
pub(crate) fn mailbox(input: &[u8]) -> Parsed<'_, (&[u8], &[u8])> {
    let host = alt((recognize(address_literal), domain));
    (local_part, preceded(char('@'), host)).parse(input)
}

/// `A-d-l ":"` with `A-d-l = At-domain *( "," At-domain )`: a source route, which is read and
/// dropped (RFC 5321 §4.1.1.3, appendix C).
pub(crate) fn source_route(input: &[u8]) -> Parsed<'_> {
    let at_domain = |i| preceded(char('@'), domain).parse(i);
    recognize((at_domain, many0_count(preceded(char(','), at_domain)), char(':'))).parse(input)
}

/// `"<>"`
pub(crate) fn null_path(input: &[u8]) -> Parsed<'_> {
    tag(&b"<>"[..]).parse(input)
}

/// `"<Postmaster>"`, in any case (RFC 5321 §4.1.1.3).
pub(crate) fn postmaster_path(input: &[u8]) -> Parsed<'_> {
    tag_no_case(&b"<postmaster>"[..]).parse(input)
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
pub(crate) fn path(input: &[u8]) -> Parsed<'_, (&[u8], &[u8])> {
    let routed = preceded(nom::combinator::opt(source_route), mailbox);
    delimited(char('<'), routed, char('>')).parse(input)
}

/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`
pub(crate) fn esmtp_keyword(input: &[u8]) -> Parsed<'_> {
    verify(take_while1(|b: u8| b.is_ascii_alphanumeric() || b == b'-'), |k: &[u8]| !k.starts_with(b"-")).parse(input)
}

/// `esmtp-value = 1*(%d33-60 / %d62-126)`, and UTF8-non-ascii.
pub(crate) fn esmtp_value(input: &[u8]) -> Parsed<'_> {
    take_while1(|b: u8| matches!(b, 33..=60 | 62..=126) || b >= 0x80).parse(input)
}
