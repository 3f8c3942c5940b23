use super::*;

mod reading;

use crate::{HeaderLimits, HeaderScan};
use hikyaku_wire::Code;
use proptest::prelude::*;

fn recipient(address: &str) -> ReportRecipient {
    ReportRecipient {
        original_recipient: None,
        final_recipient: address.parse().unwrap(),
        action: Action::Failed,
        status: EnhancedCode::new(5, 1, 1),
        diagnostic: Some("550 5.1.1 no such user".parse().unwrap()),
        remote_mta: Some("mx.b.test".into()),
        last_attempt: Some(Timestamp::from_millis(1_795_499_580_000)),
        log_id: None,
        retry_until: None,
    }
}

fn report() -> Report {
    Report {
        reporting_mta: "mx.example.test".into(),
        received_from: None,
        arrival: Timestamp::from_millis(1_795_499_520_000),
        now: Timestamp::from_millis(1_795_499_581_000),
        envelope_id: None,
        from: "postmaster@example.test".parse().unwrap(),
        to: "sender@a.test".parse().unwrap(),
        id: "3f9a1c".into(),
        boundary: "8c51".into(),
        recipients: vec![recipient("<user@b.test>")],
        smtputf8: false,
        returned: Returned::Headers,
        original: b"From: sender@a.test\r\nSubject: lunch\r\n\r\nbody\r\n".to_vec(),
    }
}

fn written(report: &Report) -> Vec<u8> {
    let mut out = Vec::new();
    report.write(&mut out);
    out
}

fn text(report: &Report) -> String {
    String::from_utf8(written(report)).unwrap()
}

#[test]
fn a_bounce() {
    let expected = "\
            From: Mail Delivery System <postmaster@example.test>\r\n\
            To: <sender@a.test>\r\n\
            Subject: Your message could not be delivered\r\n\
            Date: Tue, 24 Nov 2026 05:53:01 +0000\r\n\
            Message-ID: <3f9a1c@mx.example.test>\r\n\
            Auto-Submitted: auto-replied\r\n\
            MIME-Version: 1.0\r\n\
            Content-Type: multipart/report; report-type=delivery-status; boundary=\"=_8c51\"\r\n\
            Content-Transfer-Encoding: 7bit\r\n\
            \r\n\
            --=_8c51\r\n\
            Content-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: 7bit\r\n\
            \r\n\
            This is the mail system of mx.example.test.\r\n\
            \r\n\
            It is about the message that you sent and that arrived here on\r\n\
            Tue, 24 Nov 2026 05:52:00 +0000.\r\n\
            \r\n\
            <user@b.test>\r\n\
            Your message could not be delivered, and no further attempt will be made.\r\n\
            The mail system mx.b.test said:\r\n\
            \t550 5.1.1 no such user\r\n\
            \r\n\
            The header section of your message follows, after a part for programs.\r\n\
            \r\n\
            --=_8c51\r\n\
            Content-Type: message/delivery-status\r\n\
            Content-Transfer-Encoding: 7bit\r\n\
            \r\n\
            Reporting-MTA: dns; mx.example.test\r\n\
            Arrival-Date: Tue, 24 Nov 2026 05:52:00 +0000\r\n\
            \r\n\
            Final-Recipient: rfc822; user@b.test\r\n\
            Action: failed\r\n\
            Status: 5.1.1\r\n\
            Remote-MTA: dns; mx.b.test\r\n\
            Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\
            Last-Attempt-Date: Tue, 24 Nov 2026 05:53:00 +0000\r\n\
            \r\n\
            --=_8c51\r\n\
            Content-Type: text/rfc822-headers\r\n\
            Content-Transfer-Encoding: 7bit\r\n\
            \r\n\
            From: sender@a.test\r\n\
            Subject: lunch\r\n\
            \r\n\
            --=_8c51--\r\n";
    assert_eq!(text(&report()), expected);
}

/// D69: what ended in time-outs of class 4 is a failure of class 5.
#[test]
fn d69_the_class_of_the_status_is_that_of_the_action() {
    let cases = [
        (Action::Failed, "\r\nAction: failed\r\nStatus: 5.4.7\r\n"),
        (Action::Delayed, "\r\nAction: delayed\r\nStatus: 4.4.7\r\n"),
        (Action::Relayed, "\r\nAction: relayed\r\nStatus: 2.4.7\r\n"),
    ];
    for (action, expected) in cases {
        let one = ReportRecipient { action, status: EnhancedCode::new(4, 4, 7), ..recipient("<a@b.test>") };
        let text = text(&Report { recipients: vec![one], ..report() });
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn several_recipients_in_one_report() {
    let delayed = ReportRecipient {
        action: Action::Delayed,
        retry_until: Some(Timestamp::from_millis(1_795_700_000_000)),
        remote_mta: None,
        diagnostic: Some("451 4.4.1 no answer".parse().unwrap()),
        ..recipient("<\"a b\"@c.test>")
    };
    let postmaster = ReportRecipient { diagnostic: None, last_attempt: None, ..recipient("<postmaster>") };
    let text = text(&Report { recipients: vec![delayed, postmaster], ..report() });
    for expected in [
        "Subject: What became of your message\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; \"a b\"@c.test\r\nAction: delayed\r\n",
        "\r\nWill-Retry-Until: Thu, 26 Nov 2026 13:33:20 +0000\r\n\r\nFinal-Recipient: rfc822; postmaster\r\n",
        "Attempts go on until Thu, 26 Nov 2026 13:33:20 +0000.\r\nThe reason is:\r\n\t451 4.4.1 no answer\r\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

/// D66: whatever the next hop says is one folded ASCII field of at most 1 KiB.
#[test]
fn d66_diagnostic_code_of_a_hostile_host() {
    let lines = format!("x\r\nBcc: y\n\0\u{1b}[2J ü {}", "z ".repeat(5 * 1024));
    let solid = "z".repeat(10 * 1024);
    for said in [lines, solid] {
        let diagnostic = Some(Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 1, 1), said));
        let remote_mta = Some("evil\r\nBcc: y".into());
        let one = ReportRecipient { diagnostic, remote_mta, ..recipient("<a@b.test>") };
        let text = text(&Report { recipients: vec![one], ..report() });
        let start = text.find("Diagnostic-Code:").unwrap();
        let field = &text[start..];
        let field = &field[..field.find("\r\nLast-Attempt-Date:").unwrap() + 2];
        assert!(field.len() <= 1024 && field.is_ascii(), "{} {field:?}", field.len());
        assert!(field.starts_with("Diagnostic-Code: smtp; 550 5.1.1 x?") || field.contains("\tzzz"), "{field}");
        let mut scan = HeaderScan::new(HeaderLimits::default());
        scan.push(field.as_bytes());
        assert_eq!((scan.fields(), scan.malformed()), (1, None), "{field:?}");
        assert!(!text.contains("\nBcc"), "{text}");
        assert_message(text.as_bytes());
    }
}

#[test]
fn internationalized_reports() {
    let header = "From: sender@a.test\r\nSubject: Grüße\r\n\r\n".as_bytes().to_vec();
    // RFC 6533: the original came with SMTPUTF8.
    let utf8 = Report {
        recipients: vec![recipient("<ü@b.test>"), recipient("<a@b.test>")],
        smtputf8: true,
        original: header.clone(),
        ..report()
    };
    assert!(utf8.needs_smtputf8());
    let utf8 = text(&utf8);
    for expected in [
        "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--=_8c51\r\n",
        "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n",
        "Final-Recipient: utf-8; ü@b.test\r\n",
        "Final-Recipient: rfc822; a@b.test\r\n",
        "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n",
        "\r\nSubject: Grüße\r\n\r\n--=_8c51--\r\n",
    ] {
        assert!(utf8.contains(expected), "{expected}\n{utf8}");
    }
    // Octets above 127 without SMTPUTF8 come back in a form that any host takes.
    let broken = Report { original: header, ..report() };
    assert!(!broken.needs_smtputf8());
    let broken = text(&broken);
    assert!(broken.is_ascii());
    assert!(broken.contains("text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n"));
    assert!(broken.contains("\r\nSubject: Gr=C3=BC=C3=9Fe\r\n"), "{broken}");
    // SMTPUTF8 that was not needed asks nothing of the next host.
    assert!(!Report { smtputf8: true, ..report() }.needs_smtputf8());
}

/// RFC 3461 and RFC 3464: what the sender asked for, and what he is told.
#[test]
fn every_field_of_a_report() {
    let one = ReportRecipient {
        original_recipient: Some(TypedText::new("rfc822", "bob+lunch@a.test").unwrap()),
        log_id: Some("3f9a1c-1".into()),
        retry_until: Some(Timestamp::from_millis(1_795_700_000_000)),
        ..recipient("<user@b.test>")
    };
    let full = Report {
        envelope_id: Some("QQ 3+14".into()),
        received_from: Some("client.a.test".into()),
        recipients: vec![one],
        ..report()
    };
    let text = text(&full);
    for expected in [
        "\r\n\r\nOriginal-Envelope-Id: QQ 3+14\r\nReporting-MTA: dns; mx.example.test\r\n\
         Received-From-MTA: dns; client.a.test\r\nArrival-Date: ",
        "\r\n\r\nOriginal-Recipient: rfc822; bob+lunch@a.test\r\nFinal-Recipient: rfc822; user@b.test\r\n",
        "\r\nLast-Attempt-Date: Tue, 24 Nov 2026 05:53:00 +0000\r\nFinal-Log-Id: 3f9a1c-1\r\n\r\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    // Nobody tries again after a failure.
    assert!(!text.contains("Will-Retry-Until") && !text.contains("Attempts go on"), "{text}");
    let status = full.delivery_status();
    assert_eq!(DeliveryStatus::of_message(text.as_bytes()).as_ref(), Ok(&status));
    assert_eq!(status.recipients[0].outcome(), Some(Action::Failed));
}

#[test]
fn each_action_has_its_words() {
    let cases = [
        (Action::Failed, "Your message could not be delivered", "failed", "5.1.1"),
        (Action::Delayed, "Your message has not been delivered yet", "delayed", "4.1.1"),
        (Action::Delivered, "Your message was delivered", "delivered", "2.1.1"),
        (Action::Relayed, "What became of your message", "relayed", "2.1.1"),
        (Action::Expanded, "What became of your message", "expanded", "2.1.1"),
    ];
    for (action, subject, word, status) in cases {
        let one = ReportRecipient { action, ..recipient("<a@b.test>") };
        let report = Report { recipients: vec![one], ..report() };
        let text = text(&report);
        let expected = format!("\r\nAction: {word}\r\nStatus: {status}\r\n");
        assert!(text.contains(&format!("Subject: {subject}\r\n")) && text.contains(&expected), "{text}");
        assert_eq!(DeliveryStatus::of_message(text.as_bytes()), Ok(report.delivery_status()));
        assert_eq!(Action::parse(&word.to_ascii_uppercase()), Some(action));
    }
    assert_eq!(Action::parse("error"), None);
}

/// `RET=FULL` (RFC 3461 §4.3): whole where it can be, else the header section.
#[test]
fn the_whole_message_is_returned() {
    let part = |original: &[u8], limit: usize, smtputf8: bool| {
        let report = Report { returned: Returned::Full { limit }, original: original.to_vec(), smtputf8, ..report() };
        let out = written(&report);
        assert_message(&out);
        assert_eq!(DeliveryStatus::of_message(&out), Ok(report.delivery_status()));
        let out = String::from_utf8_lossy(&out).into_owned();
        let whole = out.contains("\r\nYour message follows, after a part for programs.\r\n");
        assert_ne!(whole, out.contains("\r\nThe header section of your message follows"));
        let transfer = out.contains("\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--=_8c51\r\n");
        assert_eq!(report.needs_8bitmime(), transfer, "{out}");
        let (head, content) = out.rsplit_once("--=_8c51\r\nContent-Type: ").unwrap().1.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), content.to_owned(), whole)
    };
    let seven_bit = "\r\nContent-Transfer-Encoding: 7bit";
    let message = b"A: b\r\n\r\nbody\r\n--=_8c5\r\n";
    let (head, content, whole) = part(message, message.len(), false);
    assert_eq!((head, whole), (format!("message/rfc822{seven_bit}"), true));
    assert_eq!(content, "A: b\r\n\r\nbody\r\n--=_8c5\r\n\r\n--=_8c51--\r\n");
    // Too long, a bare LF, NUL, a long line: it cannot be carried as it is.
    let long = [&b"A: b\r\n\r\n"[..], &[b'x'; 999]].concat();
    let broken: [(&[u8], usize); 4] =
        [(message, message.len() - 1), (b"A: b\r\n\r\na\nb", 99), (b"A: b\r\n\r\n\0", 99), (&long, 2000)];
    for (message, limit) in broken {
        let (head, content, whole) = part(message, limit, false);
        assert_eq!((head, whole), (format!("text/rfc822-headers{seven_bit}"), false));
        assert!(content.starts_with("A: b\r\n\r\n--"), "{content}");
    }
    // Octets above 127 need 8BITMIME and nothing else.
    let (head, content, whole) = part(b"A: b\r\n\r\n\xfc\r\n", 99, true);
    assert_eq!((head.as_str(), whole), ("message/rfc822\r\nContent-Transfer-Encoding: 8bit", true));
    assert!(content.starts_with("A: b\r\n\r\n\u{fffd}\r\n"), "{content}");
    // A message of RFC 6532 may be encoded.
    let (head, content, whole) = part("A: ü\r\n\r\na\nb".as_bytes(), 99, true);
    assert_eq!((head.as_str(), whole), ("message/global\r\nContent-Transfer-Encoding: quoted-printable", true));
    assert!(content.starts_with("A: =C3=BC\r\n\r\na=0Ab\r\n"), "{content}");
}

/// RFC 6533 §3: an original address that is not ASCII needs no SMTPUTF8.
#[test]
fn original_recipients_beyond_ascii() {
    let with = |original: &str, address: &str| {
        let original_recipient = Some(TypedText::new("utf-8", original).unwrap());
        Report { recipients: vec![ReportRecipient { original_recipient, ..recipient(address) }], ..report() }
    };
    let cases = [
        ("ü+1@b.test", "<a@b.test>", "\\x{FC}\\x{2B}1@b.test"),
        ("\"a b\\\\c\"@b.test", "<a@b.test>", "\"a\\x{20}b\\x{5C}\\x{5C}c\"@b.test"),
        ("ü+1@b.test", "<ü@b.test>", "ü+1@b.test"),
        ("a\\x{41}=b", "<ü@b.test>", "a\\x{5C}x{41}=b"),
    ];
    for (original, address, printed) in cases {
        let report = with(original, address);
        let text = text(&report);
        let field = format!("\r\nOriginal-Recipient: utf-8; {printed}\r\n");
        assert!(text.contains(&field), "{field}\n{text}");
        let read = DeliveryStatus::of_message(text.as_bytes()).unwrap();
        assert_eq!(read, report.delivery_status());
        assert_eq!(read.recipients[0].address(), Some(original));
    }
    // What would not fit into a line is left out; the final address says who it is.
    let long = with(&"+".repeat(150), "<a@b.test>");
    assert_eq!(long.delivery_status().recipients[0].original_recipient, None);
    assert!(with(&"+".repeat(149), "<a@b.test>").delivery_status().recipients[0].original_recipient.is_some());
    // So is what is not ASCII and has no such form.
    let original_recipient = Some(TypedText::new("rfc822", "ü@b.test").unwrap());
    let one = ReportRecipient { original_recipient, ..recipient("<a@b.test>") };
    let report = Report { recipients: vec![one], ..report() };
    assert_eq!(report.delivery_status().recipients[0].original_recipient, None);
    assert!(text(&report).is_ascii());
}

#[test]
fn the_header_section_is_cut_at_a_line() {
    let cases: [(&[u8], &[u8]); 5] = [
        (b"A: b\r\n\r\nC: d\r\n", b"A: b\r\n"),
        (b"\r\nbody", b""),
        (b"A: b", b"A: b"),
        (b"", b""),
        (b"A: b\n\nc\r\n\r\n", b"A: b\n\nc\r\n"),
    ];
    for (message, section) in cases {
        assert_eq!(header_section(message), section);
    }
    let long = b"A: 0123456789\r\n".repeat(10_000);
    assert_eq!(header_section(&long), &long[..HEADER_MAX / 15 * 15]);
    assert_eq!(header_section(&[b'x'; HEADER_MAX + 1]), b"");
}

#[test]
fn no_part_holds_the_boundary() {
    let header = b"A: =_8c51\r\n--=_8c51--\r\n --=_8c51.1 =_8c51.3\r\n\r\n".to_vec();
    let out = written(&Report { original: header, ..report() });
    assert_message(&out);
    assert!(String::from_utf8(out).unwrap().contains("boundary=\"=_8c51.2\""));
}

/// What holds for every report: CR LF only, no line too long, the header
/// section well formed, and no boundary but those of the four borders.
fn assert_message(out: &[u8]) {
    assert!(out.ends_with(b"\r\n"));
    for line in out[..out.len() - 2].split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.len() <= 998 && !line.contains(&b'\r') && !line.contains(&0));
    }
    assert_eq!(memchr::memchr_iter(b'\n', out).count(), memmem::find_iter(out, b"\r\n").count());
    let mut scan = HeaderScan::new(HeaderLimits::default());
    let end = scan.push(out);
    assert_eq!((scan.is_done(), scan.fields(), scan.malformed()), (true, 9, None));
    let head = std::str::from_utf8(&out[..end]).unwrap();
    let boundary = head.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(boundary.len() <= 70);
    assert_eq!(memmem::find_iter(&out[end..], boundary.as_bytes()).count(), 4);
}

proptest! {
    #[test]
    fn every_report_is_a_message(
        names in ("\\PC{0,300}", "[\r\n\\PC]{0,300}", "[\r\n\\PC]{0,90}"),
        said in "(\\PC|\r|\n|\u{0}){0,2000}",
        header in proptest::collection::vec(
            prop_oneof![Just(b"\r\n".to_vec()), Just(b"--=_b".to_vec()), any::<[u8; 3]>().prop_map(Vec::from)],
            0..60,
        ),
        smtputf8: bool,
        fixed: bool,
    ) {
        let (reporting_mta, remote, id) = names;
        let remote_name = remote.clone();
        let diagnostic = Some(Reply::new(
            Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 1, 1), said,
        ));
        let one = ReportRecipient { diagnostic, remote_mta: Some(remote), log_id: Some(id.clone()), ..recipient("<a@b.test>") };
        let boundary = if fixed { "b".into() } else { id.clone() };
        let returned = if smtputf8 == fixed { Returned::Headers } else { Returned::Full { limit: 100 } };
        let report = Report {
            reporting_mta, id, boundary, smtputf8, returned,
            envelope_id: Some(remote_name.clone()),
            received_from: Some(remote_name.clone()),
            original: header.concat(),
            recipients: vec![one.clone(), one],
            ..report()
        };
        assert_message(&written(&report));
        prop_assert_eq!(DeliveryStatus::of_message(&written(&report)), Ok(report.delivery_status()));
        prop_assert!(report.needs_8bitmime() || written(&report).is_ascii());
    }
}
