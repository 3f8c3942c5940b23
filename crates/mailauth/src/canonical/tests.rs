use proptest::prelude::*;

use hikyaku_message::{Header, HeaderLimits};

use super::*;
use Canonicalization::{Relaxed, Simple};

fn canonical(body: &[u8], form: Canonicalization, step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut state = Body::new(form);
    for piece in body.chunks(step.max(1)) {
        state.push(piece, |octets| out.extend_from_slice(octets));
    }
    state.finish(|octets| out.extend_from_slice(octets));
    out
}

/// RFC 6376 §3.4.5, example 1 to 3.
#[test]
fn examples_of_the_standard() {
    let message = b"A: X \r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
    let header = Header::parse(message, HeaderLimits::default()).unwrap();
    let fields = |form| {
        let mut out = Vec::new();
        header.fields().for_each(|one| field(&one, form, &mut out));
        out
    };
    assert_eq!(fields(Relaxed), b"a:X\r\nb:Y Z\r\n");
    assert_eq!(fields(Simple), b"A: X \r\nB : Y\t\r\n\tZ  \r\n");
    let body = &message[header.octets().len()..];
    assert_eq!(canonical(body, Relaxed, 99), b" C\r\nD E\r\n");
    assert_eq!(canonical(body, Simple, 99), b" C \r\nD \t E\r\n");
}

/// D58: what a body is at its end.
#[test]
fn d58_ends_of_bodies() {
    for (body, simple, relaxed) in [
        ("", "\r\n", ""),
        ("\r\n", "\r\n", ""),
        ("\r\n\r\n", "\r\n", ""),
        ("a", "a\r\n", "a\r\n"),
        ("a\r\n", "a\r\n", "a\r\n"),
        ("a\r\n\r\n\r\n", "a\r\n", "a\r\n"),
        ("a\r\n \t\r\n", "a\r\n \t\r\n", "a\r\n"),
        ("a \t", "a \t\r\n", "a\r\n"),
        ("a\r\n \t", "a\r\n \t\r\n", "a\r\n"),
        (" \t\r\n", " \t\r\n", ""),
        (" ", " \r\n", ""),
        ("\r\n\r\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n"),
        ("a\r\n \r\nb", "a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n"),
        // A lone CR or LF is an octet like others.
        ("a\r", "a\r\r\n", "a\r\r\n"),
        ("a \r", "a \r\r\n", "a \r\r\n"),
        ("a\n", "a\n\r\n", "a\n\r\n"),
        ("\r", "\r\r\n", "\r\r\n"),
        ("\n", "\n\r\n", "\n\r\n"),
        ("a \n b", "a \n b\r\n", "a \n b\r\n"),
        ("a\r\r\n\r\n", "a\r\r\n", "a\r\r\n"),
        ("\r\n \r\r\n", "\r\n \r\r\n", "\r\n \r\r\n"),
        ("a\x0b \x0cb", "a\x0b \x0cb\r\n", "a\x0b \x0cb\r\n"),
    ] {
        for step in 1..=body.len().max(1) {
            for (form, expected) in [(Simple, simple), (Relaxed, relaxed)] {
                let found = canonical(body.as_bytes(), form, step);
                assert_eq!(
                    found.escape_ascii().to_string(),
                    expected.as_bytes().escape_ascii().to_string(),
                    "{body:?}"
                );
                assert_eq!(slow::body(body.as_bytes(), form), expected.as_bytes(), "{body:?}");
            }
        }
    }
}

#[test]
fn many_line_ends_are_a_number() {
    let body = [&b"\r\n".repeat(1000)[..], b"x", &b"\r\n".repeat(1000)].concat();
    for form in [Simple, Relaxed] {
        assert_eq!(canonical(&body, form, 7), [&b"\r\n".repeat(1000)[..], b"x\r\n"].concat());
    }
}

#[test]
fn fields_are_unfolded_in_the_relaxed_form_only() {
    for (whole, relaxed) in [
        (&b"Subject: a  b\t\r\n"[..], &b"subject:a b\r\n"[..]),
        (b"SubJect \t:a\r\n\r\n", b"subject:a\r\n"),
        (b"A:\r\n b\r\n \r\n\tc \r\n", b"a:b c\r\n"),
        (b"A: \r\n", b"a:\r\n"),
        (b"A:\r\n", b"a:\r\n"),
        (b"A:\r\n \r\n", b"a:\r\n"),
        (b"A: b\rc\nd \r e\r\n", b"a:b\rc\nd \r e\r\n"),
        (b"A: \xff\x00 B\r\n", b"a:\xff\x00 B\r\n"),
    ] {
        let header = Header::parse(whole, HeaderLimits::default()).unwrap();
        let one = header.fields().next().unwrap();
        let mut out = Vec::new();
        field(&one, Relaxed, &mut out);
        assert_eq!(out.escape_ascii().to_string(), relaxed.escape_ascii().to_string());
        out.clear();
        field(&one, Simple, &mut out);
        assert_eq!(out, one.octets());
    }
    // A field that the end of the message cuts has a line end all the same.
    let header = Header::parse(b"A: b", HeaderLimits::default()).unwrap();
    let mut out = Vec::new();
    header.fields().for_each(|one| field(&one, Simple, &mut out));
    header.fields().for_each(|one| field(&one, Relaxed, &mut out));
    assert_eq!(out, b"A: b\r\na:b\r\n");
}

proptest! {
    #[test]
    fn bodies_are_what_the_standard_says(
        parts in proptest::collection::vec(
            prop_oneof![
                4 => Just("\r\n"), 3 => Just(" "), 1 => Just("\t"), 1 => Just("\r"), 1 => Just("\n"), 2 => Just("x"),
                1 => Just("ab c"),
                1 => Just("a line of text that is longer than the words that are looked at together, but clean of all"),
            ],
            0..60,
        ),
        step in 1_usize..200,
    ) {
        let body = parts.concat();
        for form in [Simple, Relaxed] {
            let expected = slow::body(body.as_bytes(), form);
            for step in [1, step, body.len()] {
                let found = canonical(body.as_bytes(), form, step);
                prop_assert_eq!(found.escape_ascii().to_string(), expected.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn fields_are_what_the_standard_says(value in "([ \t!x]|\r|\n|\r\n |\r\n\t|a b|\u{e9}){0,60}") {
        let whole = format!("X-Name \t:{value}\r\n");
        let header = Header::parse(whole.as_bytes(), HeaderLimits::default()).unwrap();
        let fields: Vec<Field<'_>> = header.fields().collect();
        for one in fields {
            for form in [Simple, Relaxed] {
                let mut out = Vec::new();
                field(&one, form, &mut out);
                prop_assert_eq!(&out, &slow::field(one.octets(), form));
            }
        }
    }
}
