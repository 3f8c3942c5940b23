//! Master files that are read, and those that are not.

use super::*;
use crate::Record;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn txt(strings: &[&[u8]]) -> Data {
    let strings = strings.iter().map(|string| string.to_vec()).collect();
    Data::Txt(Txt { strings })
}

fn read_one(text: &str) -> (String, u32, Data) {
    let (zone, _) = read(text.as_bytes(), &name("o.test")).expect(text);
    assert_eq!(zone.records.len(), 1, "{text}");
    let (name, records) = zone.records.into_iter().next().unwrap();
    let [Record { ttl, data }] = records.try_into().expect(text);
    (name.to_string(), ttl, data)
}

/// The master file of RFC 1035 §5.3, and what may stand around it.
#[test]
fn the_file_of_the_rfc_is_read() {
    let zone = Zone::read(
        b"@   IN  SOA     VENERA      Action\\.domains (\r\n\
          \x20                                20     ; SERIAL\r\n\
          \x20                                7200   ; REFRESH\r\n\
          \x20                                600    ; RETRY\r\n\
          \x20                                3600000; EXPIRE\r\n\
          \x20                                60)    ; MINIMUM\r\n\
          \r\n\
          \x20       NS      A.ISI.EDU.\r\n\
          \x20       NS      VENERA\r\n\
          \x20       MX      10      VENERA\r\n\
          \t; a comment alone\r\n\
          \x20       MX      20      VAXA\r\n\
          A       A       26.3.0.103\r\n\
          VENERA  A       10.1.0.52\r\n\
          \x20       A       128.9.0.32",
        &name("isi.edu"),
    )
    .unwrap();
    assert_eq!(
        zone.to_string(),
        "isi.edu. 3600 IN SOA venera.isi.edu. action\\.domains.isi.edu. 20 7200 600 3600000 60\n\
         isi.edu. 3600 IN NS a.isi.edu.\n\
         isi.edu. 3600 IN NS venera.isi.edu.\n\
         isi.edu. 3600 IN MX 10 venera.isi.edu.\n\
         isi.edu. 3600 IN MX 20 vaxa.isi.edu.\n\
         a.isi.edu. 3600 IN A 26.3.0.103\n\
         venera.isi.edu. 3600 IN A 10.1.0.52\n\
         venera.isi.edu. 3600 IN A 128.9.0.32\n"
    );
}

#[test]
fn records_are_read() {
    let a = Data::A([192, 0, 2, 1].into());
    for (text, owner, ttl, data) in [
        // TTL and class in either order, with units.
        ("h 60 IN A 192.0.2.1", "h.o.test", 60, &a),
        ("h IN 60 A 192.0.2.1", "h.o.test", 60, &a),
        ("h in a 192.0.2.1", "h.o.test", 3600, &a),
        ("h CLASS1 1h30m TYPE1 192.0.2.1", "h.o.test", 5400, &a),
        ("h 1W A 192.0.2.1", "h.o.test", 604_800, &a),
        ("h 0 A 192.0.2.1", "h.o.test", 0, &a),
        ("$TTL 2d\nh A 192.0.2.1", "h.o.test", 172_800, &a),
        // Names: relative, absolute, the origin, directives.
        ("@ A 192.0.2.1", "o.test", 3600, &a),
        ("h.x. A 192.0.2.1", "h.x", 3600, &a),
        (". A 192.0.2.1", ".", 3600, &a),
        ("$ORIGIN x.\n$ORIGIN y\nh A 192.0.2.1", "h.y.x", 3600, &a),
        (r"a\.b\; A 192.0.2.1", r"a\.b\;.o.test", 3600, &a),
        (r"\@ A 192.0.2.1", r"\@.o.test", 3600, &a),
        (r"\$TTL A 192.0.2.1", r"\$ttl.o.test", 3600, &a),
        ("in A 192.0.2.1", "in.o.test", 3600, &a),
        ("60 A 192.0.2.1", "60.o.test", 3600, &a),
        // Parentheses and comments anywhere.
        ("h ( 60 ; ) \n IN\n\nA ) 192.0.2.1;x", "h.o.test", 60, &a),
        ("(h A)192.0.2.1", "h.o.test", 3600, &a),
        ("h AAAA 2001:DB8::1", "h.o.test", 3600, &Data::Aaaa("2001:db8::1".parse().unwrap())),
        ("h MX 0 .", "h.o.test", 3600, &Data::Mx(Mx { preference: 0, exchange: Name::root() })),
        (
            "h TLSA 3 1 1 ( d2AB ab\n cd )",
            "h.o.test",
            3600,
            &Data::Tlsa(Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0xd2, 0xab, 0xab, 0xcd] }),
        ),
        // The files on which the parser of hickory fails: quotes within
        // parentheses, \DDD, octets above 127, unknown types.
        (
            "k TXT ( \"v=DKIM1; k=rsa; \"\n\t\"p=MII;(x)\" ) ; key",
            "k.o.test",
            3600,
            &txt(&[b"v=DKIM1; k=rsa; ", b"p=MII;(x)"]),
        ),
        (r#"k TXT "\065\200\"\\" \"x\ y\;z \010"#, "k.o.test", 3600, &txt(&[b"A\xc8\"\\", b"\"x y;z", b"\n"])),
        (r#"k TXT """#, "k.o.test", 3600, &txt(&[b""])),
        (r#"k TXT a"b"c"#, "k.o.test", 3600, &txt(&[b"a", b"b", b"c"])),
        (
            "k SPF \"v=spf1 \" -all",
            "k.o.test",
            3600,
            &Data::Spf(Txt { strings: vec![b"v=spf1 ".to_vec(), b"-all".to_vec()] }),
        ),
        (r"k TXT \# 6 02 6162 00 0163", "k.o.test", 3600, &txt(&[b"ab", b"", b"c"])),
        (r#"k TXT "\#" 0"#, "k.o.test", 3600, &txt(&[b"#", b"0"])),
        (r"k TYPE99 \# 2 0178", "k.o.test", 3600, &Data::Spf("x".into())),
        ("k TYPE99 x", "k.o.test", 3600, &Data::Spf("x".into())),
        ("k TXT \u{fc}", "k.o.test", 3600, &txt(&[b"\xc3\xbc"])),
        (
            r"h TYPE65280 \# 3 a b c d 0 1",
            "h.o.test",
            3600,
            &Data::Unknown { record_type: RecordType(65280), octets: vec![0xab, 0xcd, 1] },
        ),
        (r"h TYPE65280 \# 0", "h.o.test", 3600, &Data::Unknown { record_type: RecordType(65280), octets: vec![] }),
    ] {
        assert_eq!(read_one(text), (owner.into(), ttl, data.clone()), "{text}");
    }
    // Octets that are no UTF-8 stay what they are.
    let zone = Zone::read(b"k. TXT \"\xff\"", &Name::root()).unwrap();
    assert_eq!(zone.records[&name("k")][0].data, txt(&[b"\xff"]));
}

#[test]
fn a_ttl_that_is_not_stated_is_that_of_the_file_or_of_the_record_before() {
    let ttls = |text: &str| -> Vec<u32> {
        let zone: Zone = text.parse().unwrap();
        zone.records[&name("a")].iter().map(|record| record.ttl).collect()
    };
    assert_eq!(ttls("a. TXT x\n 7 TXT y\n TXT z"), [3600, 7, 7]);
    assert_eq!(ttls("$TTL 5\na. TXT x\n 7 TXT y\n TXT z"), [5, 7, 5]);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    use ZoneErrorKind as Kind;

    let long_string = format!("a. TXT x\na. TXT \"{}\"", "x".repeat(256));
    let long_data = format!("a. TXT {}", format!("\"{}\" ", "x".repeat(255)).repeat(257));
    for (text, line, column, kind) in [
        ("\n$INCLUDE /etc/passwd", 2, 1, Kind::Include),
        ("$GENERATE 1-9 a A 1", 1, 1, Kind::Directive),
        ("$TTL", 1, 5, Kind::Missing("a TTL")),
        ("$TTL x", 1, 6, Kind::Ttl),
        ("$ORIGIN a. b.", 1, 12, Kind::Excess),
        ("a. TXT \"x\n\"", 1, 8, Kind::Quote),
        ("a. TXT x\n  ( \"", 2, 5, Kind::Quote),
        ("a. TXT ( x\ny\n", 1, 8, Kind::Parenthesis),
        ("a. TXT x )", 1, 10, Kind::Parenthesis),
        ("a. TXT ( ( x ) )", 1, 10, Kind::Parenthesis),
        ("  A 192.0.2.1", 1, 3, Kind::NoOwner),
        ("a..b A 192.0.2.1", 1, 1, Kind::Name(NameError::EmptyLabel(2))),
        ("\"a\" A 192.0.2.1", 1, 1, Kind::Invalid("a name")),
        ("a. CH A 192.0.2.1", 1, 4, Kind::Class),
        ("a. CLASS3 A 192.0.2.1", 1, 4, Kind::Class),
        ("a. 2147483648 A 192.0.2.1", 1, 4, Kind::Ttl),
        ("a. 4294967296s A 192.0.2.1", 1, 4, Kind::Ttl),
        ("a. 1h2 3 A 192.0.2.1", 1, 8, Kind::Type(RecordTypeError)),
        ("a. IN IN A 192.0.2.1", 1, 7, Kind::Type(RecordTypeError)),
        ("a. HINFO x y", 1, 4, Kind::Type(RecordTypeError)),
        ("a. IN 60", 1, 9, Kind::Missing("a record type")),
        ("a. A", 1, 5, Kind::Missing("an IPv4 address")),
        ("a. A 192.0.2", 1, 6, Kind::Invalid("an IPv4 address")),
        ("a. A 192.0.2.1 192.0.2.2", 1, 16, Kind::Excess),
        ("a. MX ten b.", 1, 7, Kind::Invalid("a preference")),
        ("a. MX +1 b.", 1, 7, Kind::Invalid("a preference")),
        ("a. MX 65536 b.", 1, 7, Kind::Invalid("a preference")),
        ("a. MX 1", 1, 8, Kind::Missing("a name")),
        ("a. TXT", 1, 7, Kind::Missing("a string of at most 255 octets")),
        (&long_string, 2, 8, Kind::Invalid("a string of at most 255 octets")),
        (r"a. TXT \25", 1, 8, Kind::Invalid("a string of at most 255 octets")),
        (r"a. TXT \256", 1, 8, Kind::Invalid("a string of at most 255 octets")),
        (&long_data, 1, 1, Kind::TooLong),
        (r"a. TYPE700 x", 1, 12, Kind::Invalid(r"the form \# of RFC 3597")),
        (r"a. TYPE700 \# 2 ab", 1, 15, Kind::Invalid("the length of the data")),
        (r"a. TYPE700 \# 1 a", 1, 18, Kind::Missing("hexadecimal digits in pairs")),
        (r"a. TYPE700 \# 1 ag", 1, 17, Kind::Invalid("hexadecimal digits in pairs")),
        (r"a. TXT \# 0", 1, 8, Kind::Invalid("strings, each behind its length")),
        (r"a. TXT \# 2 0261", 1, 8, Kind::Invalid("strings, each behind its length")),
        (r"a. TXT \# 3 0161", 1, 11, Kind::Invalid("the length of the data")),
        (r"a. A \# 4 c0000201", 1, 6, Kind::Invalid("an IPv4 address")),
        ("a. A 192.0.2.1\na. CNAME b.", 2, 1, Kind::Alias),
        ("a. CNAME b.\n TXT x", 2, 2, Kind::Alias),
    ] {
        let error = ZoneError { line, column, kind };
        assert_eq!(text.parse::<Zone>(), Err(error), "{text}");
    }
    let error = "\n$INCLUDE x".parse::<Zone>().unwrap_err();
    assert_eq!(error.to_string(), "line 2, column 1: $INCLUDE is refused: no other file is read");
}

#[test]
fn a_text_that_is_cut_is_told() {
    for (text, places) in [
        ("k TXT v=DKIM1; k=rsa; p=MII", &[(1, 14)][..]),
        ("\nk 60 IN TXT v=DKIM1;", &[(2, 20)]),
        ("k SPF v=spf1; x", &[(1, 13)]),
        ("k TXT v=DKIM1 ; k=rsa", &[(1, 15)]),
        ("k TXT \"v=DKIM1\"; k=rsa", &[(1, 16)]),
        ("k TXT ( v=DKIM1; k=rsa;\n\t\"p=MII\" )", &[(1, 16)]),
        ("k TXT ( v=DMARC1;\n p=none;\n ;x=y\n ) ; the end", &[(1, 17), (2, 8), (3, 2)]),
        ("k TXT v=DMARC1;\nj TXT v=DMARC1;", &[(1, 15), (2, 15)]),
        // Quoted, escaped, or an honest comment.
        ("k TXT \"v=DKIM1; k=rsa\"", &[]),
        ("k TXT v=DKIM1\\; k=rsa", &[]),
        ("k TXT \"v=spf1 -all\" ; ttl=300", &[]),
        ("k TXT \"v=spf1 -all\"; nobody", &[]),
        ("k TXT token ; of the shop", &[]),
        ("k TXT ( ; a=b\n \"x\" ) ; end", &[]),
        ("k TXT ( x );end", &[]),
        ("k TXT (x ; end\n)", &[]),
        ("k A 192.0.2.1; k=rsa", &[]),
        ("k MX 1 m;a=b\n; a=b\n", &[]),
    ] {
        let (_, warnings) = read(text.as_bytes(), &name("o.test")).expect(text);
        let found: Vec<_> = warnings.iter().map(|warning| (warning.line, warning.column)).collect();
        assert_eq!(found, places, "{text}");
    }
    let (_, warnings) = read(b"k. TXT v=DKIM1; k=rsa", &Name::root()).unwrap();
    assert_eq!(
        warnings[0].to_string(),
        "line 1, column 15: the text ends here, since an unquoted ; begins a comment; put quotation marks around the text"
    );
}
