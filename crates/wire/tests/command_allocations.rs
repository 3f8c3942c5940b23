//! Reading a command line takes nothing from the heap, whether it succeeds or fails.

use allocation_counter::measure;
use hikyaku_wire::{Command, ForwardPath, Hello, Mailbox, Param, ReversePath, Verb};

/// One MAIL and 50 RCPT, plain and with parameters, and the lines around them.
fn workload() -> Vec<String> {
    let mut lines: Vec<String> = [
        "EHLO mail.client.example.com",
        "EHLO [IPv6:2001:db8::1]",
        "MAIL FROM:<sender@example.com>",
        "MAIL FROM:<sender@example.com> SIZE=1048576 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159",
        "MAIL FROM:<> AUTH=a+2Bb@example.com REQUIRETLS HOLDFOR=60 BY=120;R MT-PRIORITY=3 X-A=1 X-B X-C=ü",
        "MAIL FROM:<\"a b\"@[192.0.2.1]> HOLDUNTIL=2026-11-24T05:52:00Z",
        "RCPT TO:<@a.example,@b.example:jörg@bücher.example>",
        "RCPT TO:<recipient@example.net> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;recipient+2Btag@example.net",
        "RCPT TO:<Postmaster>",
        "DATA",
        "BDAT 86 LAST",
        "RSET",
        "NOOP at all",
        "VRFY jörg SMTPUTF8",
        "EXPN list",
        "HELP",
        "QUIT",
        "STARTTLS",
        "AUTH PLAIN AHVzZXIAcGFzc3dvcmQxMjM=",
        "XCLIENT NAME=a.example ADDR=192.0.2.1",
        "ETRN example.com",
    ]
    .map(str::to_owned)
    .into();
    for i in 0..50 {
        lines.push(format!("RCPT TO:<recipient{i:02}@example.net>"));
        let orcpt = format!("ORCPT=rfc822;recipient{i:02}@example.net");
        lines.push(format!("RCPT TO:<recipient{i:02}@example.net> NOTIFY=SUCCESS,FAILURE,DELAY {orcpt}"));
    }
    lines
}

#[test]
fn the_counter_counts() {
    let counted = measure(|| drop(std::hint::black_box(Command::parse(b"NOOP x").unwrap().into_owned())));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn every_line_of_the_workload() {
    let lines = workload();
    assert_eq!(lines.len(), 121);
    for line in lines {
        let counted = measure(|| assert!(std::hint::black_box(Command::parse(line.as_bytes())).is_ok(), "{line}"));
        assert_eq!(counted.count_total, 0, "{line}");
    }
}

#[test]
fn lines_that_are_wrong() {
    for line in workload() {
        // A line that is cut short, one with octets behind it, and one with a control character.
        for end in 0..line.len() {
            let cut = &line.as_bytes()[..end];
            let counted = measure(|| _ = std::hint::black_box(Command::parse(cut)));
            assert_eq!(counted.count_total, 0, "{:?}", cut.escape_ascii().to_string());
        }
        for tail in ["\r", " =", " SIZE=99999999999999999999999", "\u{85}"] {
            let long = format!("{line}{tail}");
            let counted = measure(|| _ = std::hint::black_box(Command::parse(long.as_bytes())));
            assert_eq!(counted.count_total, 0, "{long:?}");
        }
    }
}

#[test]
fn the_nouns_alone() {
    let counted = measure(|| {
        let mailbox = Mailbox::parse("\"a\\\"b\"@example.org").unwrap();
        assert_eq!(mailbox, Mailbox::parse("\"a\\\"b\"@EXAMPLE.org").unwrap());
        assert!(mailbox > Mailbox::parse("a@example.org").unwrap());
        assert!(ReversePath::parse("<>").unwrap().mailbox().is_none());
        assert!(ForwardPath::parse("<a@example.org").is_err());
        assert!(Hello::parse("[192.0.2.1]").unwrap().address().is_some());
        assert!(Verb::parse("etrn").unwrap() == "ETRN");
        assert_eq!(Param::parse("X=1").unwrap().value(), Some("1"));
        let Ok(Command::Mail(mail)) = Command::parse(b"MAIL FROM:<> SIZE=1 X=1 SMTPUTF8 Y") else { panic!() };
        assert!(mail.params.keywords().eq(["SIZE", "SMTPUTF8", "X", "Y"]));
        assert_eq!(mail.params.other().value("x"), Some("1"));
    });
    assert_eq!(counted.count_total, 0);
}
