//! STARTTLS and implicit TLS, and remotes or others between that are against it.

use super::*;

const OFFER: &str = "
    S: 220 mx.b.test
    C: EHLO relay.test
    S: 250-mx.b.test
    S: 250-SIZE 10
    S: 250 STARTTLS
    C: STARTTLS
    ";

fn with(mode: TlsMode) -> Case {
    Case::to(&["one@b.test"]).tls(mode)
}

const BY_STARTTLS: [TlsMode; 2] = [TlsMode::StartTls, TlsMode::Required];

#[test]
fn what_was_offered_before_the_handshake_is_forgotten() {
    // SIZE 10 would refuse the message; `250-STARTTLS` after TLS is ignored (D75).
    for mode in BY_STARTTLS {
        with(mode).run_every_way(&format!(
            "{OFFER}
            S: 220 go
            H:
            C: EHLO relay.test
            S: 250-mx.b.test
            S: 250 STARTTLS
            {MESSAGE}"
        ));
    }
}

#[test]
fn a_server_with_helo_alone_after_tls_offers_nothing() {
    with(TlsMode::Required).run_every_way(&format!(
        "{OFFER}S: 220 go\nH:\nC: EHLO relay.test\nS: 502 what\nC: HELO relay.test\nS: 250 mx{MESSAGE}"
    ));
}

#[test]
fn starttls_is_not_said_where_tls_is_off() {
    with(TlsMode::Off).run_every_way(&format!("S: 220 mx\nC: EHLO relay.test\nS: 250-mx\nS: 250 STARTTLS\n{MESSAGE}"));
}

#[test]
fn lmtp_has_starttls_too() {
    with(TlsMode::Required).lmtp().run_every_way(
        "
        S: 220 mx
        C: LHLO relay.test
        S: 250-mx
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        H:
        C: LHLO relay.test
        S: 250-mx
        S: 250 SIZE 10
        D: unsupported 552 5.3.4 message is larger than the next host takes
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
}

#[test]
fn implicit_tls_comes_before_the_greeting() {
    with(TlsMode::Implicit)
        .run_every_way(&format!("H:\nS: 220 mx\nC: EHLO relay.test\nS: 250-mx\nS: 250 STARTTLS\n{MESSAGE}"));
}

#[test]
fn c2_a_banner_before_implicit_tls_is_never_read() {
    let case = with(TlsMode::Implicit);
    let talk = Talk::new(case.config, case.messages);
    assert!(matches!(talk.step, Some(Step::Upgrade(_))) && talk.log.is_empty(), "{:#?}", talk.log);
    with(TlsMode::Implicit).run("H: 454 4.7.5 no TLS\nX: us 454 4.7.5 no TLS");
}

#[test]
fn b5_3_plain_text_behind_the_220_ends_the_conversation() {
    let why = "X: us 454 4.7.5 plain text where TLS is due";
    for mode in BY_STARTTLS {
        with(mode).run(&format!("{OFFER}S: 220 go\nS: 250-mx\nS: 250 AUTH PLAIN\n{why}"));
        // One octet is enough.
        for behind in ["\r", "\n", "2", "\x16", "421 4.3.2 down\r\n"] {
            let case = with(mode);
            let mut talk = Talk::new(case.config, case.messages);
            talk.hear(b"220 mx\r\n");
            talk.hear(b"250-mx\r\n250 STARTTLS\r\n");
            talk.hear(format!("220 go\r\n{behind}").as_bytes());
            assert_eq!(talk.log[2..], [why], "{behind:?}");
        }
    }
}

#[test]
fn b5_3_plain_text_that_a_caller_has_read_counts_for_nothing() {
    let case = with(TlsMode::Required);
    let mut talk = Talk::new(case.config, case.messages);
    talk.hear(b"220 mx\r\n");
    talk.hear(b"250-mx\r\n250 STARTTLS\r\n");
    talk.hear(b"220 go\r\n");
    talk.input.extend_from_slice(b"250 AUTH PLAIN\r\n");
    talk.shake_hands("");
    assert_eq!(talk.log[2..], ["X: us 454 4.7.5 plain text where TLS is due"]);
}

#[test]
fn what_comes_before_starttls_is_said_is_out_of_step() {
    for mode in BY_STARTTLS {
        let case = with(mode);
        let mut talk = Talk::new(case.config, case.messages);
        talk.hear(b"220 mx\r\n");
        talk.hear(b"250-mx\r\n250 STARTTLS\r\n220 go\r\n");
        assert_eq!(talk.log, ["C: EHLO relay.test", "X: us 451 4.5.0 replies do not match commands"]);
    }
}

#[test]
fn c2_stripping_sends_nothing_where_tls_is_demanded() {
    with(TlsMode::Required).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250-mx
        S: 250 STARTTLX
        C: QUIT
        S: 221 bye
        X: us 454 4.7.4 TLS is demanded, and the remote does not offer it
        ",
    );
    with(TlsMode::Required).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 502 what
        C: HELO relay.test
        S: 250 mx
        C: QUIT
        E:
        X: us 454 4.7.4 TLS is demanded, and the remote does not offer it
        ",
    );
    with(TlsMode::StartTls).run_every_way(&format!("S: 220 mx\nC: EHLO relay.test\nS: 250-mx\nS: 250 DSN\n{MESSAGE}"));
}

#[test]
fn c2_a_refused_starttls_defers_where_tls_is_demanded() {
    for refusal in ["454 4.7.0 not now", "501 5.5.4 what", "502 no"] {
        with(TlsMode::Required).run_every_way(&format!(
            "{OFFER}
            S: {refusal}
            C: QUIT
            S: 221 bye
            X: us 454 4.7.4 TLS is demanded, and the remote refuses it: {refusal}"
        ));
        let small = OFFER.replace("SIZE 10", "DSN");
        with(TlsMode::StartTls).run_every_way(&format!("{small}S: {refusal}\n{MESSAGE}"));
    }
}

#[test]
fn other_answers_to_starttls_end_the_conversation() {
    for mode in BY_STARTTLS {
        for answer in ["221 bye", "250 ok", "235 yes", "334 x", "354 go"] {
            with(mode).run_every_way(&format!("{OFFER}S: {answer}\nX: us 451 4.5.0 replies do not match commands"));
        }
        with(mode).run_every_way(&format!("{OFFER}S: 421 4.3.2 down\nX: remote 421 4.3.2 down"));
        let awaited = "while waiting for the reply to STARTTLS";
        with(mode).run_every_way(&format!("{OFFER}T:\nX: us 451 4.4.2 time-out {awaited}"));
        with(mode).run_every_way(&format!("{OFFER}E:\nX: us 451 4.4.2 connection lost {awaited}"));
    }
}

#[test]
fn a_failed_handshake_never_goes_on_in_plain_text() {
    for mode in BY_STARTTLS {
        with(mode).run_every_way(&format!("{OFFER}S: 220 go\nH: 454 4.7.5 wrong name\nX: us 454 4.7.5 wrong name"));
    }
}

#[test]
fn the_caller_sees_what_the_handshake_came_to() {
    let now = Instant::now();
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let config = Config { tls: TlsMode::Implicit, ..Config::new("relay.test".parse().expect("a name")) };
    let Step::Upgrade(upgrade) = start(Arc::new(config), now) else { panic!("no upgrade") };
    let Step::Receive(receive) = upgrade.established(now, tls(), &input, &mut out) else { panic!("no greeting") };
    input.extend_from_slice(b"220 mx\r\n");
    let Step::Receive(receive) = receive.process(now, &mut input, &mut out) else { panic!("no hello") };
    input.extend_from_slice(b"250 mx\r\n");
    let Step::Ready(ready) = receive.process(now, &mut input, &mut out) else { panic!("not ready") };
    assert_eq!(ready.tls(), Some(&tls()));
}
