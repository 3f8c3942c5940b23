//! Reading a delivery status, as the standard has it and as real hosts print it.

use super::*;
use DeliveryStatusErrorKind as Kind;

fn read(content: &str) -> DeliveryStatus {
    DeliveryStatus::parse(content.as_bytes()).unwrap()
}

fn text(text: &str) -> Option<FieldText> {
    Some(FieldText::new(text).unwrap())
}

fn typed(kind: &str, text: &str) -> Option<TypedText> {
    Some(TypedText::new(kind, text).unwrap())
}

fn other(name: &str, text: &str) -> StatusField {
    StatusField::new(name, FieldText::new(text).unwrap()).unwrap()
}

/// A message with one part of this type and header section.
fn message(head: &str, content: &str) -> String {
    format!(
        "From: a@b.test\r\nContent-Type: multipart/report; boundary=b\r\n\r\nfor people\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nno\r\n--b\r\n{head}\r\n\r\n{content}\r\n--b--\r\n"
    )
}

#[test]
fn every_field_of_rfc_3464() {
    let status = read(
        "Original-Envelope-Id: QQ314159\r\nReporting-MTA: dns; mx.a.test\r\nDSN-Gateway: dns; gw.a.test\r\n\
         Received-From-MTA: dns; b.test\r\nArrival-Date: Thu, 4 Oct 2001 10:20:46 +0200 (CEST)\r\nX-Queue: 1\r\n\
         \r\n\
         Original-Recipient: rfc822;Alias@a.test\r\nFinal-Recipient: RFC822 ; <bob@a.test>\r\nAction: Failed\r\n\
         Status: 5.1.1 (no such user)\r\nRemote-MTA: dns; mx.b.test\r\nDiagnostic-Code: smtp; 550\r\n\t5.1.1  no\r\n\
         Last-Attempt-Date: today\r\nFinal-Log-Id: 12\r\nWill-Retry-Until: never\r\nX-Own: y\r\n\
         \r\n\
         Final-Recipient: rfc822; carol@a.test\r\nAction: delayed\r\nStatus: 4.4.1\r\n",
    );
    let bob = RecipientStatus {
        original_recipient: typed("rfc822", "Alias@a.test"),
        final_recipient: typed("RFC822", "<bob@a.test>"),
        action: Some(Action::Failed),
        status: Some(EnhancedCode::new(5, 1, 1)),
        remote_mta: typed("dns", "mx.b.test"),
        diagnostic_code: typed("smtp", "550 5.1.1  no"),
        last_attempt_date: text("today"),
        final_log_id: text("12"),
        will_retry_until: text("never"),
        other: vec![other("X-Own", "y")],
    };
    let carol = RecipientStatus {
        final_recipient: typed("rfc822", "carol@a.test"),
        action: Some(Action::Delayed),
        status: Some(EnhancedCode::new(4, 4, 1)),
        ..RecipientStatus::default()
    };
    let expected = DeliveryStatus {
        original_envelope_id: text("QQ314159"),
        reporting_mta: typed("dns", "mx.a.test"),
        dsn_gateway: typed("dns", "gw.a.test"),
        received_from_mta: typed("dns", "b.test"),
        arrival_date: text("Thu, 4 Oct 2001 10:20:46 +0200 (CEST)"),
        other: vec![other("X-Queue", "1")],
        recipients: vec![bob, carol],
    };
    assert_eq!(status, expected);
    assert_eq!(read(&status.to_string()), status);
    let date: Date = status.arrival_date.unwrap().as_str().parse().unwrap();
    assert_eq!(date.to_string(), "Thu, 04 Oct 2001 08:20:46 +0000");
}

#[test]
fn the_recipient_as_the_sender_knows_it() {
    let of = |fields: &str| read(fields).recipients.remove(0);
    let both = of("Original-Recipient: rfc822; <a@b.test>\nFinal-Recipient: rfc822; c@d.test\n");
    assert_eq!((both.address(), both.mailbox()), (Some("a@b.test"), "a@b.test".parse().ok()));
    let one = of("Final-Recipient: UTF-8; \\x{FC}@b.test\n");
    assert_eq!((one.address(), one.mailbox()), (Some("ü@b.test"), "ü@b.test".parse().ok()));
    let foreign = of("Final-Recipient: x400; a@b.test\n");
    assert_eq!((foreign.address(), foreign.mailbox()), (Some("a@b.test"), None));
    let nobody = of("Final-Recipient: a@b.test\n");
    assert_eq!((nobody.address(), nobody.mailbox()), (None, None));
}

/// The action counts; a word that is not known leaves the class of the status.
#[test]
fn what_became_of_the_message() {
    let cases = [
        ("Action: failed\nStatus: 4.4.7", Some(Action::Failed)),
        ("Action: delayed\nStatus: 5.0.0", Some(Action::Delayed)),
        ("Action: error\nStatus: 5.0.0", Some(Action::Failed)),
        ("Status: 4.0.0", Some(Action::Delayed)),
        ("Status: 2.0.0", None),
        ("Action: relayed (no more)", Some(Action::Relayed)),
        ("Action: relayed again", None),
        ("Action: failed (x) y\nStatus: 9.0.0", None),
        ("Action:\nStatus: 5", None),
        ("", None),
    ];
    for (fields, outcome) in cases {
        let status = read(&format!("Final-Recipient: rfc822; a@b.test\n{fields}\n"));
        assert_eq!(status.recipients[0].outcome(), outcome, "{fields:?}");
    }
}

/// What is malformed, occurs again or is in the wrong place stays, and changes nothing else.
#[test]
fn nothing_is_lost_and_nothing_made_up() {
    let status = read(
        "Reporting-MTA: mx.a.test\nReporting-MTA: dns; one\nReporting-MTA: dns; two\nArrival-Date:\nno field\n: x\n\
         A b: c\n\nFinal-Recipient: rfc822;\nFinal-Recipient: rfc822; a@b.test\nFinal-Recipient: rfc822; c@d.test\n\
         Diagnostic-Code: Reason 1 (x); y\nAction: error\nArrival-Date: now\n",
    );
    let expected = DeliveryStatus {
        reporting_mta: typed("dns", "one"),
        arrival_date: text("now"),
        other: vec![other("Reporting-MTA", "mx.a.test"), other("Reporting-MTA", "dns; two"), other("Arrival-Date", "")],
        recipients: vec![RecipientStatus {
            final_recipient: typed("rfc822", "a@b.test"),
            other: vec![
                other("Final-Recipient", "rfc822;"),
                other("Final-Recipient", "rfc822; c@d.test"),
                other("Diagnostic-Code", "Reason 1 (x); y"),
                other("Action", "error"),
            ],
            ..RecipientStatus::default()
        }],
        ..DeliveryStatus::default()
    };
    assert_eq!(status, expected);
    assert_eq!(read(&status.to_string()), status);
}

#[test]
fn groups_with_too_many_and_too_few_empty_lines() {
    let expected = read("Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; b@c\nAction: failed\nStatus: 5.0.0\n");
    assert_eq!(expected.recipients.len(), 1);
    for same in [
        "\r\n \r\n\nReporting-MTA: dns; a\n\n\t\n\nFinal-Recipient: rfc822; b@c\nAction: failed\n\nStatus: 5.0.0",
        "Reporting-MTA: dns; a\nFinal-Recipient: rfc822; b@c\nAction: failed\nStatus: 5.0.0\n",
        "Final-Recipient: rfc822; b@c\nAction: failed\nReporting-MTA: dns; a\nStatus: 5.0.0\n",
        "FINAL-RECIPIENT :rfc822;b@c\nACTION:FAILED\n\nstatus :5.0.0\nreporting-mta\t:dns\t;a",
    ] {
        assert_eq!(read(same), expected, "{same:?}");
    }
    // A recipient is named by a field, and by nothing else.
    let unnamed = read("Reporting-MTA: dns; a\n\nAction: failed\nStatus: 5.0.0\n");
    assert_eq!((unnamed.recipients.len(), unnamed.other.len()), (0, 2));
    // Fields of no standard belong where they stand.
    let first = read("X-A: 1\nFinal-Recipient: rfc822; b@c\nX-B: 2\n");
    assert_eq!((first.other.len(), first.recipients[0].other.len()), (0, 2));
    let both = read("X-A: 1\nReporting-MTA: dns; a\nX-B: 2\nFinal-Recipient: rfc822; b@c\nX-C: 3\n");
    assert_eq!((both.other.len(), both.recipients[0].other.len()), (2, 1));
    let second = read("X-A: 1\n\nX-B: 2\nReporting-MTA: dns; a\nFinal-Recipient: rfc822; b@c\n");
    assert_eq!((second.other.len(), second.recipients[0].other.len()), (1, 1));
    for status in [unnamed, first, both, second] {
        assert_eq!(read(&status.to_string()), status);
    }
}

#[test]
fn parts_in_all_encodings() {
    let plain = "Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822; b@c\r\n";
    let base64 = "UmVwb3J0aW5nLU1UQTogZG5zOyBhDQoNCkZpbmFsLVJl\r\nY2lwaWVudDogcmZjODIyOyBiQGMNCg==\r\ntrailer";
    let quoted = "Reporting=2DMTA: dns; =\r\na\r\n\r\nFinal-Recipient: rfc822; b= \t\r\n@c";
    let cases = [
        ("Content-Type: message/delivery-status", plain),
        ("Content-Type: message/global-delivery-status; charset=utf-8", plain),
        (
            "content-type:\r\n\tMessage / Delivery-Status (x;y) ; name=\"a;b\"\r\nContent-Transfer-Encoding: 8BIT (z)",
            plain,
        ),
        ("Content-Transfer-Encoding: Binary\r\nContent-Type: message/delivery-status", plain),
        ("Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64", base64),
        ("Content-Type: message/delivery-status\r\nContent-Transfer-Encoding:\r\n Quoted-Printable\r\n", quoted),
        ("Content-Type: message/delivery-status\r\nContent-Type: text/plain", plain),
    ];
    for (head, content) in cases {
        for message in [message(head, content), message(head, content).replace("\r\n", "\n")] {
            assert_eq!(DeliveryStatus::of_message(message.as_bytes()), Ok(read(plain)), "{message}");
        }
    }
    let unknown = message("Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: x-uuencode", plain);
    let at = unknown.find("Reporting").unwrap();
    assert_eq!(DeliveryStatus::of_message(unknown.as_bytes()), Err(DeliveryStatusError { kind: Kind::Encoding, at }));
    // Octets that are no UTF-8 are seen, not dropped.
    let latin = DeliveryStatus::parse(b"Final-Recipient: rfc822; \xfc@b\0\n").unwrap();
    assert_eq!(latin.recipients[0].address(), Some("\u{fffd}@b?"));
}

#[test]
fn where_the_part_is_looked_for() {
    let status = "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n";
    let multipart =
        |boundary: &str, parts: &str| format!("Content-Type: multipart/x; boundary={boundary}\r\n\r\n{parts}");
    let nested = |depth: usize| {
        (0..depth).fold(status.to_owned(), |inner, level| {
            multipart(&format!("b{level}"), &format!("--b{level}\r\n{inner}\r\n--b{level}--\r\n"))
        })
    };
    let found = [
        status.to_owned(),
        nested(1),
        nested(8),
        multipart("\"a b\\\"c\"", &format!("preamble\r\n--a b\"c \t\r\n{status}")),
        multipart("b", &format!("--b\n\nx\n--bb\n--b\n{status}--b")),
        multipart("b", &format!("--b\r\n{}\r\n--b\r\n{status}", multipart("b-1", "--b-1\r\n\r\nx"))),
        format!("From x Mon Jan  1 00:00:00 2001\r\nX: y\r\n{}", nested(2)),
        multipart("b; boundary=c", &format!("--b\r\n{status}")),
        multipart(&"b".repeat(200), &format!("--{}\r\n{status}", "b".repeat(200))),
    ];
    for message in found {
        let read = DeliveryStatus::of_message(message.as_bytes());
        assert_eq!(read.map(|status| status.reporting_mta), Ok(typed("dns", "a")), "{message}");
    }
    let attached = multipart("b", &format!("--b\r\nContent-Type: message/rfc822\r\n\r\n{}\r\n--b--", nested(1)));
    // A filter wrapped the report; but what a report returns is not the report.
    let wrapped = attached.replace("boundary=b\r\n", "report-type=Delivery-Status; boundary=b\r\n");
    assert_eq!(DeliveryStatus::of_message(wrapped.as_bytes()).unwrap().reporting_mta, typed("dns", "a"));
    let missing = [
        wrapped.replacen("multipart/x", "multipart/report", 1),
        wrapped.replace("message/rfc822", "text/rfc822"),
        wrapped.replace("Delivery-Status;", "disposition-notification;"),
        String::new(),
        "\r\n".to_owned(),
        nested(9),
        attached.clone(),
        status.replace("message/", "text/"),
        format!("X: y\r\n\r\n{status}"),
        multipart("b", &format!("--b--\r\n--b\r\n{status}")),
        multipart("b", &format!("-- b\r\n{status}--bc\r\n{status}")),
        multipart("\"\"", &format!("--\r\n{status}")),
        multipart("b", &format!("--b\r\n{status}")).replace("multipart/x", "text/x"),
        format!("Content-Type: multipart/report\r\n\r\n--b\r\n{status}"),
        multipart(&"b".repeat(201), &format!("--{}\r\n{status}", "b".repeat(201))),
        multipart("b", &format!("--b\r\nX: y\r\n {status}")),
        format!("Content-Type: text/plain; x=\"{}\"\r\n boundary=b\r\nContent-Type: a\r\n\r\n", "x".repeat(9000)),
    ];
    for message in missing {
        let at = message.len();
        let read = DeliveryStatus::of_message(message.as_bytes());
        assert_eq!(read, Err(DeliveryStatusError { kind: Kind::NoStatus, at }), "{message}");
    }
    let two = multipart("b", &format!("--b\r\n{status}\r\n--b\r\n{}", status.replace("; a", "; z")));
    assert_eq!(DeliveryStatus::of_message(two.as_bytes()).unwrap().reporting_mta, typed("dns", "a"));
    let empty = multipart("b", "--b\r\nContent-Type: message/delivery-status\r\n\r\nnothing\r\n--b--");
    let at = empty.find("nothing").unwrap();
    assert_eq!(DeliveryStatus::of_message(empty.as_bytes()), Err(DeliveryStatusError { kind: Kind::Empty, at }));
    assert_eq!(DeliveryStatus::parse(b" \r\n"), Err(DeliveryStatusError { kind: Kind::Empty, at: 0 }));
}

#[test]
fn limits_of_size() {
    let mut content = b"Reporting-MTA: dns; a\n".to_vec();
    content.resize(1024 * 1024, b'\n');
    assert!(DeliveryStatus::parse(&content).is_ok());
    let of_message =
        |content: &[u8]| DeliveryStatus::of_message(&[b"Content-Type: message/delivery-status\n\n", content].concat());
    assert!(of_message(&content).is_ok());
    content.push(b'\n');
    let error = |at| Err(DeliveryStatusError { kind: Kind::TooLong, at });
    assert_eq!(DeliveryStatus::parse(&content), error(1024 * 1024));
    assert_eq!(of_message(&content), error(39 + 1024 * 1024));
}

/// C1.25: no text can end a field, and what may not stand in one is refused.
#[test]
fn texts_and_names() {
    for (text, kind, at) in [
        ("a\r\nb", Kind::Control, 1),
        ("a\0", Kind::Control, 1),
        ("\t", Kind::Control, 0),
        ("ü\u{85}", Kind::Control, 2),
        (" a", Kind::Space, 0),
        ("a  ", Kind::Space, 2),
        (&"x ".repeat(4097), Kind::Space, 8193),
        (&format!("{}x", "x ".repeat(4096)), Kind::TooLong, 8192),
        (&format!("a {}", "x".repeat(900)), Kind::TooLong, 1),
        (&format!("{}a", " x".repeat(3) + &" ".repeat(900)), Kind::Space, 0),
    ] {
        assert_eq!(FieldText::new(text), Err(DeliveryStatusError { kind, at }), "{:?}", &text[..text.len().min(20)]);
        // The lossy form of anything is a text.
        let lossy = FieldText::lossy(text);
        assert_eq!(FieldText::new(lossy.as_str()), Ok(lossy.clone()), "{lossy:?}");
    }
    for text in ["", "a", "a  b", "ü", &"x".repeat(900), &format!("a {}", "x".repeat(899)), &"x ".repeat(4096)[..8191]]
    {
        assert_eq!(FieldText::lossy(text), FieldText::new(text).unwrap());
    }
    assert_eq!(FieldText::lossy(" a\r\n\tb\0\u{1b}[2J\t ").as_str(), "a   b??[2J");
    assert_eq!(FieldText::lossy(&format!("{} b", "x".repeat(901))).as_str(), format!("{} b", "x".repeat(900)));
    assert_eq!(FieldText::lossy(&"x ".repeat(5000)).as_str().len(), 8191);

    for (kind, text) in
        [("", "a"), ("a b", "c"), ("a;", "b"), ("ü", "b"), ("a", ""), (&"k".repeat(65), "a"), ("a\r", "b")]
    {
        assert_eq!(TypedText::new(kind, text).unwrap_err().kind, Kind::Name, "{kind:?}");
    }
    assert_eq!(TypedText::new("dns", "a\r\nb").unwrap_err().kind, Kind::Control);
    assert!(TypedText::new(&"k".repeat(64), "a").is_ok() && TypedText::new("utf-8", &"a".repeat(320)).is_ok());
    assert_eq!(TypedText::new("UTF-8", &"a".repeat(321)).unwrap_err().kind, Kind::TooLong);

    for name in ["", "a b", "a:", "ü", "a\r\n", &"n".repeat(65)] {
        assert_eq!(StatusField::new(name, FieldText::default()).unwrap_err().kind, Kind::Name, "{name:?}");
    }
    assert!(StatusField::new(&"n".repeat(64), FieldText::default()).is_ok());
}

/// RFC 6533 §3.
#[test]
fn encoded_characters() {
    let cases = [
        ("\\x{FC}@b", "ü@b"),
        ("\\x{fc}\\x{1F600}\\x{2B}", "ü😀+"),
        ("\\x{5C}x{41}", "\\x{41}"),
        ("a\\b", "a\\b"),
        // What is no character, or could not stand there, stays as it is.
        ("\\x{D800}@b", "\\x{D800}@b"),
        ("\\x{0D}\\x{0A}@b", "\\x{0D}\\x{0A}@b"),
        ("\\x{00}@b", "\\x{00}@b"),
        ("\\x{20}@b", "\\x{20}@b"),
        ("\\x{110000}@b", "\\x{110000}@b"),
        ("\\x{C}@b", "\\x{C}@b"),
        ("\\x{0000041}@b", "\\x{0000041}@b"),
        ("\\x{+41}@b", "\\x{+41}@b"),
        ("\\x{41@b", "\\x{41@b"),
        ("\\x{}", "\\x{}"),
    ];
    for (encoded, characters) in cases {
        let status = read(&format!("Final-Recipient: utf-8; {encoded}\n"));
        assert_eq!(status.recipients[0].address(), Some(characters), "{encoded}");
        for ascii in [false, true] {
            assert_eq!(read(&status.print(ascii)), status, "{encoded}");
            assert!(!ascii || status.print(ascii).is_ascii());
        }
    }
    // Only addresses of that type are encoded.
    assert_eq!(read("Final-Recipient: rfc822; \\x{FC}@b\n").recipients[0].address(), Some("\\x{FC}@b"));
}

#[test]
fn fields_are_folded_without_loss() {
    let long = format!("smtp; {} a  b   {}c {}", "x".repeat(60), " ".repeat(70), "y".repeat(899));
    let status = read(&format!("Final-Recipient: rfc822; a@b\nDiagnostic-Code: {long}\nX: {long}\n"));
    let printed = status.to_string();
    assert!(printed.split("\r\n").all(|line| line.len() <= 900 && !line.ends_with([' ', '\t'])), "{printed}");
    assert!(printed.contains(&format!("\r\nX: smtp; {} a  b\r\n\t  ", "x".repeat(60))), "{printed}");
    assert_eq!(status.recipients[0].other[0].text().as_str(), long);
    assert_eq!(read(&printed), status);
    let name = "N".repeat(64);
    let status = read(&format!("{name}: {}\n", "y".repeat(900)));
    assert_eq!(status.to_string(), format!("{name}:\r\n\t{}\r\n", "y".repeat(900)));
}

/// C1.34: twice the text is twice the work.
#[test]
fn c1_34_the_work_is_linear() {
    let head = "Content-Type: multipart/x; boundary=b\r\n\r\n";
    let bodies = [
        "--b\r\n",
        "--b\r\nContent-Type: multipart/x; boundary=b\r\n\r\n",
        "--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n",
        "--b\r\nContent-Type: (((((",
        "a\r\n",
        " a\r\n",
        "--b",
        "=",
        "Final-Recipient: a\r\n\r\n",
    ];
    for body in bodies {
        let text = format!("{head}{}", body.repeat(200_000 / body.len()));
        crate::work::take();
        let _ = DeliveryStatus::of_message(text.as_bytes());
        // Each level looks at a line twice: in the header section or the body, and for what it ends.
        assert!(crate::work::take() <= 20 * text.len(), "{body:?}");
        let content = format!("Reporting-MTA: dns; a\r\n{}", body.repeat(200_000 / body.len()));
        let _ = DeliveryStatus::parse(content.as_bytes());
        assert!(crate::work::take() <= 2 * content.len(), "{body:?}");
    }
}

proptest! {
    /// print(parse(x)), read again, is the same; for texts that look like fields.
    #[test]
    fn what_is_read_is_printed(
        content in "(\r\n|\n|\r\n[ \t]|Final-Recipient: |Original-Recipient:|Action: failed|Status: 5.0.0|utf-8;|\
                    \\\\x\\{(FC|5C|20|0D)\\}|Reporting-MTA: dns; a|Arrival-Date: |X: |rfc822; a@b|[ -~é\0]){0,60}",
    ) {
        crate::fuzzing::dsn(content.as_bytes());
        crate::fuzzing::dsn(super::reading::message("Content-Type: message/delivery-status", &content).as_bytes());
    }

    #[test]
    fn any_report_is_read(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        crate::fuzzing::dsn(&data);
        crate::fuzzing::report(&data);
    }
}
