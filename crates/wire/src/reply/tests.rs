use super::*;

fn written<T: AsRef<str>>(reply: &Reply<T>) -> String {
    let mut out = BytesMut::new();
    reply.write(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn parsed(bytes: &[u8]) -> Reply<Cow<'_, str>> {
    let (reply, octets) = Reply::parse(bytes).unwrap().unwrap();
    assert_eq!(octets, bytes.len());
    reply
}

fn is_borrowed<T: AsRef<str>>(reply: &Reply<T>, bytes: &[u8]) -> bool {
    bytes.as_ptr_range().contains(&reply.text.as_ref().as_ptr())
}

#[test]
fn every_line_has_both_codes() {
    let reply = Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), "no\nreally not");
    assert_eq!(written(&reply), "550-5.7.1 no\r\n550 5.7.1 really not\r\n");
    assert_eq!(reply.to_string(), "550 5.7.1 no really not");
    assert_eq!(written(&Reply::plain(Code::OK_250, "")), "250 \r\n");
    let longest = Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 999, 999), "x");
    assert_eq!(written(&longest), "550 5.999.999 x\r\n");
}

#[test]
fn c1_6_a_reply_is_always_a_reply() {
    for text in ["5.7.2", "5.7.", "", "9.9.9 x", "a\r\nb\0\u{1b}[2J\u{7f}\u{85}"] {
        let out = written(&Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 3, 0), text));
        assert!(out.ends_with("\r\n") && out.starts_with("451"), "{out:?}");
        assert!(out.split("\r\n").all(|l| !l.contains(|c: char| c.is_control())), "{out:?}");
    }
    let harmless = Reply::plain(Code::OK_250, "a\r\nb\0\u{1b}[2J\u{7f}\u{85}\tü");
    assert_eq!(harmless.lines().collect::<Vec<_>>(), ["a?", "b??[2J??\tü"]);
}

#[test]
fn long_lines_are_broken_where_512_octets_end() {
    let lines = |text: &str| -> Vec<usize> { text.split_terminator("\r\n").map(str::len).collect() };
    let plain = |count: usize| lines(&written(&Reply::plain(Code::OK_250, "x".repeat(count))));
    assert_eq!(plain(506), [510]);
    assert_eq!(plain(507), [510, 5]);
    assert_eq!(plain(1013), [510, 510, 5]);
    let enhanced = EnhancedCode::new(2, 0, 0);
    let reply = |count: usize| Reply::new(Code::OK_250, enhanced, "x".repeat(count));
    assert_eq!(lines(&written(&reply(500))), [510]);
    assert_eq!(lines(&written(&reply(501))), [510, 11]);
    // Between characters, never inside of one.
    let wide = written(&Reply::plain(Code::OK_250, format!("x{}", "ü".repeat(600))));
    assert_eq!(lines(&wide), [509, 510, 194]);
    assert!(wide.starts_with("250-xü") && wide.ends_with("ü\r\n") && wide.contains("\r\n250 "));
}

#[test]
fn several_lines_are_written_as_they_are_only_if_that_is_right() {
    let long = |count: usize| format!("250-{}\r\n250 b\r\n", "x".repeat(count));
    for (wire, expected) in [
        (long(506), long(506)),
        (long(507), format!("250-{}\r\n250-x\r\n250 b\r\n", "x".repeat(506))),
        ("250-\u{fc}\r\n250 \r\n".to_owned(), "250-\u{fc}\r\n250 \r\n".to_owned()),
        ("250-a\r\n250\r\n".to_owned(), "250-a\r\n250 \r\n".to_owned()),
        ("250-\u{fc}\r\n250\r\n".to_owned(), "250-\u{fc}\r\n250 \r\n".to_owned()),
        ("250-2.0.0 a\r\n250 b\r\n".to_owned(), "250-2.0.0 a\r\n250 2.0.0 b\r\n".to_owned()),
    ] {
        let reply = parsed(wire.as_bytes());
        assert_eq!((written(&reply), written(&reply.clone().into_owned())), (expected.clone(), expected), "{wire:?}");
    }
    let ours = |count: usize| written(&Reply::plain(Code::OK_250, format!("{}\nb", "x".repeat(count))));
    assert_eq!(ours(506), long(506));
    assert_eq!(ours(507), format!("250-{}\r\n250-x\r\n250 b\r\n", "x".repeat(506)));
    let twice = Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), "5.7.1 a\n5.7.1 b\n");
    assert_eq!(written(&twice), "550-5.7.1 5.7.1 a\r\n550-5.7.1 5.7.1 b\r\n550 5.7.1 \r\n");
    assert_eq!(twice.lines().collect::<Vec<_>>(), ["5.7.1 a", "5.7.1 b", ""]);
    assert_eq!(parsed(written(&twice).as_bytes()), twice);
}

#[test]
fn the_class_follows_the_code() {
    let reply = Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(5, 7, 1), "x");
    assert_eq!(reply.enhanced(), Some(EnhancedCode::new(4, 7, 1)));
    assert_eq!(Reply::new(Code::START_INPUT_354, EnhancedCode::new(2, 0, 0), "x").enhanced(), None);
    let reply = |code| Reply::plain(Code::new(code).unwrap(), "");
    let classes = |r: Reply| [r.is_positive(), r.is_intermediate(), r.is_transient(), r.is_permanent()];
    assert_eq!(classes(reply(250)), [true, false, false, false]);
    assert_eq!(classes(reply(354)), [false, true, false, false]);
    assert_eq!(classes(reply(451)), [false, false, true, false]);
    assert_eq!(classes(reply(550)), [false, false, false, true]);
}

#[test]
fn d25_enhanced_codes() {
    let parse = |text: &str| {
        let reply = text.parse::<Reply>().unwrap();
        let wire = format!("{text}\r\n");
        assert_eq!(parsed(wire.as_bytes()), reply, "{text}");
        reply
    };
    assert_eq!(parse("550 5.7.1 x").enhanced(), Some(EnhancedCode::new(5, 7, 1)));
    assert_eq!(parse("550 5.7.1").enhanced(), Some(EnhancedCode::new(5, 7, 1)));
    assert_eq!(parse("550 5.7.1").lines().collect::<Vec<_>>(), [""]);
    for text in ["550 4.7.1 x", "550 5.1000.1", "550 5.7.", "550 5.7", "550 5.7.1x y", "550 5.7.1.1", "550 5.07.1 x"] {
        let reply = parse(text);
        assert_eq!(reply.enhanced(), None, "{text}");
        assert_eq!(reply.lines().collect::<Vec<_>>(), [&text[4..]]);
    }
    for text in ["", "25", "600 x", "199 x", "260 x", "25x x", "2500 x", "+25 x", "250-x"] {
        assert_eq!(text.parse::<Reply>(), Err(ReplyErrorKind::Code.at(0)), "{text}");
    }
}

#[test]
fn no_text_begins_with_a_code_that_is_not_told() {
    let reply = Reply::plain(Code::MAILBOX_UNAVAILABLE_550, "5.7.1 no\n5.7.1 never\nx");
    assert_eq!(reply, Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), "no\nnever\nx"));
    let reply = Reply::plain(Code::MAILBOX_UNAVAILABLE_550, "5.7").append(".1 no");
    assert_eq!(reply.enhanced(), Some(EnhancedCode::new(5, 7, 1)));
    let reply = Reply::RELAY_DENIED_550.append(": \nx");
    assert_eq!(written(&reply), "550-5.7.1 relaying denied: \r\n550 5.7.1 x\r\n");
}

#[test]
fn a_reply_lies_in_the_input() {
    for bytes in [
        &b"250\r\n"[..],
        b"250 \r\n",
        b"250 2.1.5 ok\r\n",
        b"250-2.1.5 a\r\n250-2.1.5\r\n250 b\r\n",
        b"250-\r\n250-x\r\n250\r\n",
        "250-gr\u{fc}n\r\n250 \ttab\r\n".as_bytes(),
    ] {
        let reply = parsed(bytes);
        assert!(reply.text.is_empty() || is_borrowed(&reply, bytes), "{reply:?}");
        let owned = reply.clone().into_owned();
        assert!(!is_borrowed(&owned, bytes));
        assert_eq!(reply, owned);
        assert_eq!(written(&reply), written(&owned));
        assert_eq!(reply.to_string(), owned.to_string());
        assert_eq!(format!("{reply:?}"), format!("{owned:?}"));
    }
    let bare = parsed(b"250-\r\n250-x\r\n250\r\n").into_owned();
    assert_eq!(
        (bare.lines().collect::<Vec<_>>(), written(&bare).as_str()),
        (vec!["", "x", ""], "250-\r\n250-x\r\n250 \r\n")
    );
    assert_eq!(parsed(b"250-2.1.5 a\r\n250-2.1.5\r\n250 b\r\n").lines().collect::<Vec<_>>(), ["a", "", "b"]);
    for (bytes, text) in [(&b"250 \x1b\xff\0\r\n"[..], "?\u{fffd}?"), (b"250-2.0.0 a\x07\r\n250 2.0.0 b\r\n", "a?\nb")]
    {
        let reply = parsed(bytes);
        assert!(!is_borrowed(&reply, bytes));
        assert_eq!(reply.lines().collect::<Vec<_>>().join("\n"), text);
    }
}

#[test]
fn replies_differ_in_code_enhanced_code_and_lines() {
    let reply = parsed(b"250-2.0.0 a\r\n250 b\r\n");
    assert_eq!(reply, parsed(b"250-2.0.0 a\r\n250 2.0.0 b\r\n"));
    for other in
        [&b"250-2.0.0 a\r\n250 c\r\n"[..], b"250-2.0.1 a\r\n250 b\r\n", b"251-2.0.0 a\r\n251 b\r\n", b"250 2.0.0 a\r\n"]
    {
        assert_ne!(reply, parsed(other));
    }
}

#[test]
fn what_follows_a_reply_is_left() {
    let (reply, octets) = Reply::parse(b"220 a\r\n250 b\r\n").unwrap().unwrap();
    assert_eq!((reply.to_string(), octets), ("220 a".to_owned(), 7));
    for incomplete in [&b""[..], b"2", b"250", b"250 ok\r", b"250-ok\r\n", b"250-ok\r\n2"] {
        assert_eq!(Reply::parse(incomplete), Ok(None));
    }
}

#[test]
fn every_octet_at_every_place() {
    for octet in 0..=255u8 {
        for length in 0..20 {
            for place in 0..length {
                let mut text = vec![b'~'; length];
                text[place] = octet;
                let expected = if matches!(octet, b' '..=b'~') { length } else { place };
                assert_eq!(printable(&text), expected, "{octet} at {place} of {length}");
                // What stands behind the first one does not count.
                text[length - 1] = 0xff;
                assert_eq!(printable(&text), expected.min(length - 1));
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn one_line_survives_display(code in 200u16..560, text in "[ -~ü]{0,40}") {
        if let Some(code) = Code::new(code) {
            let reply = Reply::plain(code, text.trim().to_owned());
            proptest::prop_assert_eq!(reply.to_string().parse(), Ok(reply));
        }
    }

    #[test]
    fn what_is_printed_parses(code in 200u16..560, text in "([245]\\.[0-9]{1,2}\\.[0-9])?[ -~ü\n\t\r\0\u{85}]{0,60}", enhanced: bool) {
        if let Some(code) = Code::new(code) {
            let reply = if enhanced { Reply::new(code, EnhancedCode::new(5, 7, 10), text) } else { Reply::plain(code, text) };
            let wire = written(&reply);
            let (again, octets) = Reply::parse(wire.as_bytes()).unwrap().unwrap();
            proptest::prop_assert_eq!(&again, &reply);
            proptest::prop_assert_eq!((octets, written(&again)), (wire.len(), wire.clone()));
        }
    }
}

#[test]
fn d25_a_late_enhanced_code_reads_the_same_from_one_line() {
    for (text, shown) in [("\n2.0.0 ", "250 2.0.0"), ("\n2.0.0 x", "250 2.0.0 x"), ("\n5.0.0 ", "250 5.0.0 ")] {
        let reply = Reply::plain(Code::OK_250, text);
        assert_eq!(reply.to_string(), shown);
        assert_eq!(shown.parse::<Reply>().unwrap().to_string(), shown);
    }
}
