use super::*;
use proptest::prelude::*;

fn parse(message: &[u8]) -> Header<'_> {
    Header::parse(message, HeaderLimits::default()).unwrap()
}

#[test]
fn fields_are_the_octets_of_the_section() {
    let message = b"A: 1\r\nb : 2\r\n 3\r\n\t4\r\nC:\r\n\r\nD: body\r\n";
    let header = parse(message);
    let wholes: Vec<&[u8]> = header.fields().map(|field| field.octets()).collect();
    assert_eq!(wholes, [&b"A: 1\r\n"[..], b"b : 2\r\n 3\r\n\t4\r\n", b"C:\r\n"]);
    assert_eq!(header.octets(), &message[..message.len() - 9]);
    assert_eq!(header.span(), 0..header.octets().len() - 2);
    assert!(header.is_complete());
    let field = header.first("B").unwrap();
    assert_eq!((field.name(), field.raw_value()), (&b"b"[..], &b" 2\r\n 3\r\n\t4"[..]));
    assert_eq!(&*field.value(), b"2 3\t4");
    assert_eq!(header.first("c").unwrap().raw_value(), b"");
}

#[test]
fn duplicates_stay_in_order() {
    let header = parse(b"X: 1\r\nY: 2\r\nx: 3\r\nX : 4\r\n\r\n");
    let values = |fields: &mut dyn Iterator<Item = Field<'static>>| -> Vec<u8> {
        fields.map(|field| *field.raw_value().last().unwrap()).collect()
    };
    assert_eq!(values(&mut header.all("x")), b"134");
    assert_eq!(values(&mut header.all("x").rev()), b"431");
    assert_eq!(values(&mut header.fields().rev()), b"4321");
    assert_eq!(header.first("X").unwrap().raw_value(), b" 1");
    assert_eq!(header.last("X").unwrap().raw_value(), b" 4");
    assert!(header.only("X").is_none() && header.only("Z").is_none() && header.last("Z").is_none());
    assert_eq!(header.only("y").unwrap().raw_value(), b" 2");
}

/// D52 and its kin: what stands around the fields is no field, and nothing of it is lost.
#[test]
fn d52_what_is_no_field() {
    for (message, span, complete, malformed) in [
        (&b""[..], 0..0, false, None),
        (b"\r\nA: b\r\n", 0..0, true, None),
        (b" x\r\n y\r\nA: b\r\n\r\n", 8..14, true, Some(Malformed::LeadingSpace)),
        (b" x\r\n\r\n", 0..0, true, Some(Malformed::LeadingSpace)),
        (b"A: b\r\ntext\r\nC: d\r\n", 0..6, true, Some(Malformed::NoColon)),
        (b"A: b\r\ntext", 0..6, false, Some(Malformed::NoColon)),
        (b"A: b\r\n\r", 0..6, false, Some(Malformed::NoColon)),
        (b"A: b\r\n", 0..6, false, None),
        (b"A: b", 0..4, false, None),
        (b"A:", 0..2, false, None),
        (b"A: b\r\n ", 0..7, false, None),
        (b"From\r\n : a@b\r\n\r\n", 0..0, true, Some(Malformed::NoColon)),
    ] {
        let header = parse(message);
        let text = message.escape_ascii();
        assert_eq!((header.span(), header.is_complete(), header.malformed()), (span, complete, malformed), "{text}");
    }
}

/// C1.20: names of any kind are octets.
#[test]
fn c1_20_strange_names() {
    let long = "x".repeat(8192);
    let message =
        [b"__proto__: a\r\nconstructor: b\r\n", long.as_bytes(), b": c\r\n: d\r\n:\r\n\xff: e\r\n::\r\n\r\n"].concat();
    let header = parse(&message);
    let names: Vec<&[u8]> = header.fields().map(|field| field.name()).collect();
    assert_eq!(names, [&b"__proto__"[..], b"constructor", long.as_bytes(), b"", b"", b"\xff", b""]);
    assert_eq!(header.malformed(), Some(Malformed::EmptyName));
    assert_eq!(header.fields().next_back().unwrap().raw_value(), b":");
    assert_eq!(header.first("__PROTO__").unwrap().raw_value(), b" a");
}

#[test]
fn only_cr_lf_ends_a_line() {
    let header = parse(b"A: b\nC: d\r\nE: f\r\n\n g:\r\nH\nI: j\r\n\r\n");
    let wholes: Vec<&[u8]> = header.fields().map(|field| field.octets()).collect();
    assert_eq!(wholes, [&b"A: b\nC: d\r\n"[..], b"E: f\r\n", b"\n g:\r\n", b"H\nI: j\r\n"]);
}

#[test]
fn limits_are_exact() {
    let limits = HeaderLimits { octets: 14, fields: 2, hops: 1 };
    let parse = |message| Header::parse(message, limits).map(|header| header.fields().count());
    assert_eq!(parse(&b"A: b\r\nC: d\r\n\r\nbody"[..]), Ok(2));
    assert_eq!(parse(b"A: b\r\nC: dd\r\n\r\n"), Err(HeaderLimit::Octets));
    assert_eq!(parse(b"A:\r\nB:\r\nC:"), Err(HeaderLimit::Fields));
    let hops = HeaderLimits { octets: 100, ..limits };
    assert_eq!(Header::parse(b"Received:\r\nreceived:\r\n", hops), Err(HeaderLimit::Hops));
}

#[test]
fn spans_are_told_when_the_next_line_begins() {
    let mut scan = HeaderScan::new(HeaderLimits::default());
    let mut spans = Vec::new();
    for piece in [&b"A: b\r\n"[..], b" c\r", b"\n", b"D", b": e\r\n"] {
        scan.push_each(piece, |span| spans.push((span, scan_of(piece))));
    }
    let first = FieldSpan { start: 0, colon: 1, end: 10 };
    assert_eq!(spans, [(first, "D".into())]);
    assert_eq!(scan.finish(), Some(FieldSpan { start: 10, colon: 11, end: 16 }));
    assert_eq!((scan.finish(), scan.malformed(), scan.is_done()), (None, None, true));
    assert_eq!(first.field(b"A: b\r\n c\r\n").unwrap().octets(), b"A: b\r\n c\r\n");
    assert!(first.field(b"A: b\r\n c\r").is_none(), "not all octets are kept");
    assert!(first.field(b"0123456789").is_none(), "other octets are kept");
    assert!(FieldSpan { start: 2, colon: 1, end: 4 }.field(b"0123456789").is_none());
    assert!(FieldSpan { start: 4, colon: 4, end: 2 }.field(b"::::::::::").is_none());
}

fn scan_of(piece: &[u8]) -> String {
    piece.escape_ascii().to_string()
}

#[test]
fn unfolding() {
    for (folded, unfolded) in [
        (&b"a"[..], &b"a"[..]),
        (b"a\r\n b", b"a b"),
        (b"a\r\n\r\n b", b"a\r\n b"),
        (b"a\r\n \r\n\tb\r\n c", b"a \tb c"),
        (b"\r\n a", b" a"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\rb\nc\r", b"a\rb\nc\r"),
        (b"a\r\r\n b", b"a\r b"),
    ] {
        let cow = unfold(folded);
        assert_eq!(&*cow, unfolded);
        assert_eq!(matches!(cow, std::borrow::Cow::Borrowed(_)), folded == unfolded);
    }
    for (field, value) in [
        (&b"A: \r\n b \r\n c \r\n \r\n"[..], &b"b  c"[..]),
        (b"A:\r\n b\r\n\t\r\n", b"b"),
        (b"A: \t\r\n \r\n", b""),
        (b"A:\r\n", b""),
        (b"A: b\r\n\r", b"b"),
    ] {
        assert_eq!(&*parse(field).first("A").unwrap().value(), value, "{}", field.escape_ascii());
    }
    let folded_outside = parse(b"A:\r\n b c\r\n \r\n\r\n").first("A").unwrap().value();
    assert!(matches!(folded_outside, std::borrow::Cow::Borrowed(b"b c")));
}

proptest! {
    #[test]
    fn spans_are_the_same_for_every_split(
        message in "([ \t:x]|\r|\n|\r\n|\r\n\r\n|\r\nReceived:|\r\nFrom: a|\r\n\t|A: b\r\n|\u{e9}){0,40}",
        step in 0_u8..20,
    ) {
        let mut data = vec![step];
        data.extend_from_slice(message.as_bytes());
        crate::fuzzing::header(&data);
    }
}
