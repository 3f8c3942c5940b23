//! What a message needs of the remote, and what its content looks like on the wire.

use super::*;

#[test]
fn d76_what_the_remote_lacks_is_said_before_mail() {
    let script = |offers: &str, what: &str| {
        format!(
            "
            S: 220 mx
            C: EHLO relay.test
            S: 250-mx
            S: 250 {offers}
            D: {what}
            C: QUIT
            S: 221 bye
            X: remote 221 bye
            "
        )
    };
    let case = Case::to(&["one@b.test"]);
    case.run_every_way(&script("SIZE 99", "unsupported 552 5.3.4 message is larger than the next host takes"));
    for body in [hikyaku_wire::Body::EightBitMime, hikyaku_wire::Body::BinaryMime] {
        case.clone()
            .with(|envelope| envelope.body = body)
            .run_every_way(&script("SIZE 100", "unsupported 554 5.6.3 the next host does not take 8-bit content"));
    }
    let utf8 = "unsupported 550 5.6.7 the next host does not take internationalised mail";
    case.clone().with(|envelope| envelope.smtputf8 = true).run(&script("8BITMIME", utf8));
    case.clone().with(|envelope| envelope.from = "<ü@a.test>".parse().expect("a path")).run(&script("8BITMIME", utf8));
    Case::to(&["ü@b.test"])
        .run(&script("8BITMIME", "not tried, us 553 5.6.7 the next host does not take internationalised addresses"));
}

#[test]
fn d76_one_address_that_cannot_travel_holds_back_no_other() {
    Case::to(&["ü@b.test", "one@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250-mx
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<one@b.test>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        W: x
        C: x
        F:
        C: .
        S: 250 ok
        D: not tried, us 553 5.6.7 the next host does not take internationalised addresses
        D: said 250 ok
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
}

#[test]
fn one_internationalised_address_makes_the_message_so() {
    Case::to(&["one@b.test", "ü@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250-mx
        S: 250 SMTPUTF8
        C: MAIL FROM:<from@a.test> SMTPUTF8
        S: 550 no
        D: said 550 no
        D: said 550 no
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
}

#[test]
fn parameters_travel_where_they_are_offered() {
    let case = Case::to(&["ü@b.test"]).with(|envelope| {
        envelope.body = hikyaku_wire::Body::EightBitMime;
        envelope.smtputf8 = true;
    });
    // `SIZE 0` and a bare `SIZE` state no limit (RFC 1870 §4).
    for size in ["SIZE 0", "SIZE"] {
        case.run(&format!(
            "
            S: 220 mx
            C: EHLO relay.test
            S: 250-mx
            S: 250-{size}
            S: 250-8BITMIME
            S: 250 SMTPUTF8
            C: MAIL FROM:<from@a.test> SIZE=100 BODY=8BITMIME SMTPUTF8
            S: 550 no
            D: said 550 no
            C: QUIT
            S: 221 bye
            X: remote 221 bye
            "
        ));
    }
}

#[test]
fn many_recipients_go_in_flights_that_fit_a_socket_buffer() {
    let names: Vec<_> = (0..1000).map(|index| format!("{}{index:04}@b.test", "x".repeat(60))).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let case = Case::to(&names);
    let mut talk = Talk::new(case.config, case.messages);
    talk.hear(b"220 mx\r\n");
    talk.hear(b"250-mx\r\n250 PIPELINING\r\n");
    let mut answered = 1;
    let mut flights = 0;
    while !matches!(talk.step, Some(Step::Body(_))) {
        let flight = talk.log[answered..].to_vec();
        let octets: usize = flight.iter().map(String::len).sum();
        assert!((1..=17 * 1024).contains(&octets), "{octets}");
        answered = talk.log.len();
        flights += 1;
        let replies: String =
            flight.iter().map(|line| if line == "C: DATA" { "354 go\r\n" } else { "250 ok\r\n" }).collect();
        talk.hear(replies.as_bytes());
    }
    assert_eq!(answered, 1 + 1 + 1000 + 1);
    assert!(flights > 4, "{flights}");
}

#[test]
fn d27_content_is_stuffed_whatever_the_pieces() {
    for (content, sent) in [
        (&b"."[..], &b"..\r\n.\r\n"[..]),
        (b"", b".\r\n"),
        (b"a\r\n.b", b"a\r\n..b\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"..\r\n\r\n.\r\n", b"...\r\n\r\n..\r\n.\r\n"),
    ] {
        for at in 0..=content.len() {
            let (mut body, now) = body();
            let mut out = BytesMut::new();
            let (left, right) = content.split_at(at);
            body.write(now, left, &mut out).expect("clean content");
            body.write(now, right, &mut out).expect("clean content");
            assert!(matches!(body.finish(now, &mut out), Step::Receive(_)));
            assert_eq!(&out[..], sent, "{content:?} split at {at}");
        }
    }
}

#[test]
fn d27_content_with_bare_line_ends_never_gets_its_final_dot() {
    for content in [&b"a\n.\nb"[..], b"a\rb", b"\n.\r\n", b"a\r\r\n", b"a\r"] {
        let (mut body, now) = body();
        let mut out = BytesMut::new();
        let in_time = body.write(now, content, &mut out);
        // A CR at the very end may still become a CRLF.
        assert_eq!(in_time.is_err(), content != b"a\r", "{content:?}");
        // What a caller writes on does not make it whole again.
        if in_time.is_err() {
            let _ = body.write(now, b"more\r\n", &mut out);
        }
        let Step::Done(done) = body.finish(now, &mut out) else {
            panic!("finished {content:?}");
        };
        assert!(!out.ends_with(b".\r\n"), "{out:?}");
        let (settled, next) = done.settle();
        let said = "not tried, us 554 5.6.0 message holds a bare CR or LF";
        assert_eq!(settled.iter().map(show).collect::<Vec<_>>(), [format!("D: {said}")]);
        assert!(matches!(next, Step::Close(_)));
    }
}

#[test]
fn an_abandoned_message_never_gets_its_final_dot() {
    let (mut body, now) = body();
    let mut out = BytesMut::new();
    body.write(now, b"half", &mut out).expect("clean content");
    let Step::Done(done) = body.abandon(hikyaku_wire::Reply::LOCAL_ERROR_451) else {
        panic!("not done");
    };
    assert_eq!(&out[..], b"half");
    let (settled, next) = done.settle();
    let why = Outcome::ours(hikyaku_wire::Reply::LOCAL_ERROR_451);
    assert_eq!(settled, [Settled::NotTried(why.clone())]);
    assert!(matches!(next, Step::Close(close) if *close.outcome() == why));
}

/// A conversation that has reached the content of a message to one recipient.
fn body() -> (Body, Instant) {
    let case = Case::to(&["one@b.test"]);
    let mut talk = Talk::new(case.config, case.messages);
    for said in ["220 mx", "250 mx", "250 ok", "250 ok", "354 go"] {
        talk.hear(format!("{said}\r\n").as_bytes());
    }
    match talk.step {
        Some(Step::Body(body)) => (body, talk.now),
        other => panic!("{other:?}"),
    }
}
