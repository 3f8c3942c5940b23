use super::*;
use crate::{HeaderLimits, HeaderScan};
use hikyaku_wire::LocalPart;
use proptest::prelude::*;

const RECEIVED: Received<'static> = Received {
    helo: "client.example.org",
    peer: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
    by: "mx.example.test",
    with: "ESMTP",
    id: "3f9a1c",
    recipient: None,
    time: Timestamp::from_millis(1_795_499_520_123),
};

#[test]
fn forms() {
    let to: Mailbox = "\"a b\"@example.test".parse().unwrap();
    let peer = Some("2001:db8::1".parse().unwrap());
    let cases = [
        (
            RECEIVED,
            "Received: from client.example.org ([192.0.2.1])\r\n\
             \tby mx.example.test with ESMTP id 3f9a1c;\r\n\
             \tTue, 24 Nov 2026 05:52:00 +0000\r\n",
        ),
        (
            Received { helo: "[IPv6:2001:db8::1]", peer, recipient: Some(&to), ..RECEIVED },
            "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\
             \tby mx.example.test with ESMTP id 3f9a1c\r\n\
             \tfor <\"a b\"@example.test>; Tue, 24 Nov 2026 05:52:00 +0000\r\n",
        ),
        (
            Received { peer: None, with: "LMTP", ..RECEIVED },
            "Received: from client.example.org\r\n\
             \tby mx.example.test with LMTP id 3f9a1c;\r\n\
             \tTue, 24 Nov 2026 05:52:00 +0000\r\n",
        ),
    ];
    for (received, expected) in cases {
        assert_eq!(received.to_string(), expected);
    }
}

/// Header injection through HELO: one field, and no clause of it forged.
#[test]
fn peers_cannot_end_the_field() {
    let cases = [
        ("x\r\nBcc: y", "from x??Bcc??y"),
        ("x (y", "from x??y"),
        ("x by evil.test; 1 Jan", "from x?by?evil.test??1?Jan"),
        ("[x](", "from ?x??"),
        ("[a]b]", "from [a?b]"),
        ("", "from ?"),
        ("\u{202e}\0", "from ??"),
    ];
    for (helo, expected) in cases {
        let field = Received { helo, ..RECEIVED }.to_string();
        assert!(field.contains(&format!("{expected} ([192")), "{field}");
        assert_one_field(&field);
    }
}

#[test]
fn return_path() {
    assert_eq!(ReturnPath(&ReversePath::Null).to_string(), "Return-Path: <>\r\n");
    let path = "<a@b.test>".parse().unwrap();
    assert_eq!(ReturnPath(&path).to_string(), "Return-Path: <a@b.test>\r\n");
}

fn assert_one_field(field: &str) {
    let mut scan = HeaderScan::new(HeaderLimits::default());
    scan.push(field.as_bytes());
    assert_eq!((scan.fields(), scan.hops(), scan.malformed()), (1, 1, None), "{field:?}");
    let lines: Vec<&str> = field.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    for (index, line) in lines.iter().enumerate() {
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
        assert!(!line.trim().is_empty() && line.len() <= 998, "{line:?}");
        assert_eq!(line.starts_with('\t'), index > 0, "{line:?}");
    }
}

#[test]
fn clauses() {
    let date = |seconds: i64| Some(Date::from(Timestamp::from_millis(seconds * 1000)));
    let none = ReceivedClauses::default();
    for (value, expected) in [
        ("", none.clone()),
        (" ", none.clone()),
        // RFC 5322 appendix A.4.
        (
            "from x.y.test\r\n   by example.net\r\n   via TCP\r\n   with ESMTP\r\n   id ABC12345\r\n   \
             for <mary@example.net>;  21 Nov 1997 10:05:43 -0600",
            ReceivedClauses {
                from: Some("x.y.test"),
                by: Some("example.net"),
                via: Some("TCP"),
                with: Some("ESMTP"),
                id: Some("ABC12345"),
                recipient: Some("mary@example.net"),
                date: date(880_128_343),
                ..none.clone()
            },
        ),
        // Comments, any order and case, words that are no clause.
        (
            "FROM a (HELO b) (c) (envelope-from <d@e>) FOR f@g(h)By\ti; 1 Jan 1970 00:00:01 +0000 (x)",
            ReceivedClauses {
                from: Some("a"),
                from_info: Some("HELO b".into()),
                by: Some("i"),
                recipient: Some("f@g"),
                date: date(1),
                ..none.clone()
            },
        ),
        ("(qmail 1 invoked by uid 0); 1 Jan 1970 00:00 UT", ReceivedClauses { date: date(0), ..none.clone() }),
        (
            "from a\r\n\t(b\r\n\t[192.0.2.1] (c))",
            ReceivedClauses { from: Some("a"), from_info: Some("b\t[192.0.2.1] (c)".into()), ..none.clone() },
        ),
        ("from a by b (c)", ReceivedClauses { from: Some("a"), by: Some("b"), ..none.clone() }),
        // The first of two; a keyword is no value; a clause without value.
        ("by a from b by c", ReceivedClauses { from: Some("b"), by: Some("a"), ..none.clone() }),
        ("from a from b (c)", ReceivedClauses { from: Some("a"), ..none.clone() }),
        ("from by a", ReceivedClauses { by: Some("a"), ..none.clone() }),
        ("id", none.clone()),
        ("with Microsoft SMTP Server id 1", ReceivedClauses { with: Some("Microsoft"), id: Some("1"), ..none.clone() }),
        // A quoted string is one word, whatever is in it.
        ("for <\"a b;\"@c>", ReceivedClauses { recipient: Some("\"a b;\"@c"), ..none.clone() }),
        ("id \"by x\"", ReceivedClauses { id: Some("\"by x\""), ..none.clone() }),
        ("(;) by a", ReceivedClauses { by: Some("a"), ..none.clone() }),
    ] {
        assert_eq!(ReceivedClauses::parse(value.as_bytes()), Ok(expected), "{value}");
    }
    let latin = ReceivedClauses::parse(b"by a x\xff (\xff)").unwrap();
    assert_eq!(latin, ReceivedClauses { by: Some("a"), ..none });
}

#[test]
fn what_is_no_received_field() {
    use FieldErrorKind::*;
    for (value, kind, at) in [
        (&b"from a; yesterday"[..], Date, 8),
        (b"from a;", Date, 7),
        (b"; 1 Jan 2026 00:00 UT; x", Date, 21),
        (b"from a)", Unexpected, 6),
        (b"from a (b", OpenComment, 7),
        (b"for \"a", OpenQuote, 4),
        (b"for \"a\r\n b\"@c", Unexpected, 6),
        (b"from a\0", Control, 6),
        (b"from a\r\nby b", Control, 6),
        (b"from a\nby b", Control, 6),
        (b"by \xff", NotUtf8, 3),
        (b"from a (b\xff)", NotUtf8, 9),
    ] {
        let error = ReceivedClauses::parse(value).unwrap_err();
        assert_eq!((error.kind, error.at), (kind, at), "{}", value.escape_ascii());
    }
    let nested = |depth: usize| format!("by a {}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(ReceivedClauses::parse(nested(32).as_bytes()).is_ok());
    assert_eq!(ReceivedClauses::parse(nested(33).as_bytes()).unwrap_err(), Nesting.at(5 + 32));
}

#[test]
fn what_is_printed_is_read() {
    let to: Mailbox = "\"a b;\"@example.test".parse().unwrap();
    let field = Received { recipient: Some(&to), ..RECEIVED }.to_string();
    let value = field.strip_prefix("Received:").unwrap();
    let clauses = ReceivedClauses::parse(value.as_bytes()).unwrap();
    let expected = ReceivedClauses {
        from: Some("client.example.org"),
        from_info: Some("[192.0.2.1]".into()),
        by: Some("mx.example.test"),
        via: None,
        with: Some("ESMTP"),
        id: Some("3f9a1c"),
        recipient: Some("\"a b;\"@example.test"),
        date: Some(Date::from(RECEIVED.time)),
    };
    assert_eq!(clauses, expected);
}

#[test]
fn return_paths_are_read() {
    for (value, path) in [
        ("<>", "<>"),
        (" < (nobody) > ", "<>"),
        (" <a@b.test>\r\n (x)", "<a@b.test>"),
        ("<\"a>b\"@c.test>", "<\"a>b\"@c.test>"),
        ("<@x.test:a@b.test>", "<a@b.test>"),
    ] {
        assert_eq!(ReturnPath::parse(value.as_bytes()).map(|path| path.to_string()), Ok(path.into()), "{value}");
    }
    use FieldErrorKind::*;
    for (value, kind, at) in [
        ("", Missing, 0),
        ("a@b.test", Unexpected, 0),
        ("<a@b.test", Missing, 9),
        ("<a@b.test> x", Unexpected, 11),
        ("<a@b.test>>", Unexpected, 10),
        (" <a@b.test\r\nX: y>", Unexpected, 10),
        ("<a b@c.test>", Unexpected, 2),
        ("<\"a>", OpenQuote, 1),
        ("<(x)\0>", Unexpected, 4),
    ] {
        let error = ReturnPath::parse(value.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.at), (kind, at), "{value}");
    }
    assert_eq!(ReturnPath::parse(b"<a\xff@b>").unwrap_err(), NotUtf8.at(2));
}

proptest! {
    #[test]
    fn any_value_gives_one_field(
        helo in "\\PC*|[\r\n\t ;:()<>a\\[\\]\u{0}-\u{20}]{0,400}",
        by in "\\PC*",
        with in "\\PC*",
        id in "[\r\n a-z;]{0,300}",
        local in "[ -~]{1,64}",
    ) {
        let to = LocalPart::from_content(&local)
            .and_then(|local| Mailbox::new(local, Host::Domain("example.test".parse().unwrap())));
        let to = to.ok();
        let received = Received {
            helo: &helo, by: &by, with: &with, id: &id, recipient: to.as_ref(), ..RECEIVED
        };
        assert_one_field(&received.to_string());
    }

    #[test]
    fn lines_are_short_where_values_are(
        helo in "[a-z.]{1,50}", by in "[a-z.]{1,30}", id in "[a-z0-9]{1,36}", local in "[a-z]{1,20}",
    ) {
        let to = Mailbox::new(
            LocalPart::from_content(&local).unwrap(),
            Host::Domain("example.test".parse().unwrap()),
        ).unwrap();
        let received = Received { helo: &helo, by: &by, id: &id, recipient: Some(&to), ..RECEIVED };
        let field = received.to_string();
        prop_assert!(field.split("\r\n").all(|line| line.len() <= 78), "{field}");
    }

    #[test]
    fn received_values_are_read(
        value in "(from|by|for|id|;| |\r\n |\\(x\\)|[a<>\"\\\\()@;\0]|1 Jan 2026 00:00 UT){0,14}",
    ) {
        crate::fuzzing::received(value.as_bytes());
    }
}
