//! STARTTLS and AUTH where the dialogues cannot say it: what comes in one piece, and in which time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hikyaku_session::{
    Tls,
    sasl::{self, Mechanism},
    server::{self, Auth, Cause, Config, Peer, Step, TlsMode, Upgrade},
};
use hikyaku_wire::{Base64, Reply};

use crate::runner::{Events, Runner, config, tls};

/// `\0alice\0secret`
const PLAIN: &str = "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";

fn settings(mechanisms: &[Mechanism]) -> Config {
    Config { tls: TlsMode::StartTls, auth: Auth { mechanisms: mechanisms.to_vec(), ..Auth::default() }, ..config() }
}

/// A conversation under TLS, after EHLO.
fn encrypted(config: Config, answers: impl IntoIterator<Item = sasl::Answer>) -> Runner {
    let events =
        Events { handshakes: [Some(tls("exporter"))].into(), sasl: answers.into_iter().collect(), ..Events::default() };
    let mut runner = Runner::new(config, events);
    runner.feed(b"STARTTLS\r\n");
    runner.feed(b"EHLO client.test\r\n");
    runner.take_said();
    runner
}

#[test]
fn d33_c2_what_is_glued_to_starttls_is_never_run() {
    let wire = b"EHLO a.test\r\nSTARTTLS\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n";
    let end = b"EHLO a.test\r\nSTARTTLS\r\n".len();
    for (first, second) in (0..=wire.len()).flat_map(|first| (first..=wire.len()).map(move |second| (first, second))) {
        let events = Events { handshakes: [Some(tls("exporter"))].into(), ..Events::default() };
        let mut runner = Runner::new(settings(&[]), events);
        runner.feed(&wire[..first]);
        runner.feed(&wire[first..second]);
        runner.feed(&wire[second..]);
        let said = runner.take_said();
        assert!(!said.contains("250 2.1.0") && !said.contains("250 2.1.5"), "{first} {second}: {said}");
        if first == end || second == end {
            // Whoever sent it after the line can have sent nothing but TLS.
            assert!(said.contains("220 2.0.0") && runner.left() == 0, "{first} {second}: {said}");
            assert!(said.ends_with("503 5.5.1 bad sequence of commands (c1)\r\n") && !runner.closed);
        } else {
            assert!(said.ends_with("554 5.5.1 nothing may follow STARTTLS before its answer (c1)\r\n"), "{said}");
            assert!(runner.closed && runner.left() == 1, "{first} {second}");
        }
    }
}

/// A conversation up to the handshake.
fn upgrade(config: Config, now: Instant, out: &mut BytesMut) -> Upgrade {
    let Step::Decide(decide) = server::start(Arc::new(config), Peer::default(), "c1", now) else { panic!() };
    let Step::Receive(receive) = decide.reply(now, &Reply::OK_250, out) else { panic!() };
    let Step::Flush(flush) = receive.process(now, &mut BytesMut::from("STARTTLS\r\n"), out) else { panic!() };
    assert!(out.ends_with(b"220 2.0.0 ready to start TLS\r\n"));
    out.clear();
    let Step::Upgrade(upgrade) = flush.flushed(now) else { panic!() };
    upgrade
}

#[test]
fn c2_what_was_read_before_the_handshake_ends_the_conversation() {
    let (now, mut out) = (Instant::now(), BytesMut::new());
    let input = BytesMut::from("MAIL FROM:<a@b.test>\r\n");
    let step = upgrade(settings(&[]), now, &mut out).established(now, Tls::default(), &input);
    assert!(matches!(step, Step::Close));
    let implicit = Config { tls: TlsMode::Implicit, ..config() };
    let Step::Upgrade(upgrade) = server::start(Arc::new(implicit), Peer::default(), "c1", now) else { panic!() };
    assert!(matches!(upgrade.established(now, Tls::default(), &input), Step::Close));
    assert!(out.is_empty());
}

#[test]
fn a_handshake_has_its_time() {
    let (start, mut out) = (Instant::now(), BytesMut::new());
    let mut settings = settings(&[]);
    settings.limits.handshake_timeout = Duration::from_secs(7);
    let upgrade = upgrade(settings.clone(), start, &mut out);
    assert_eq!(upgrade.deadline(), start + Duration::from_secs(7));
    assert!(matches!(upgrade.failed(), Step::Close));
    settings.tls = TlsMode::Implicit;
    let Step::Upgrade(upgrade) = server::start(Arc::new(settings), Peer::default(), "c1", start) else { panic!() };
    assert_eq!(upgrade.deadline(), start + Duration::from_secs(7));
    // What it has taken is not taken from the first command.
    let now = start + Duration::from_secs(5);
    let Step::Decide(decide) = upgrade.established(now, Tls::default(), &BytesMut::new()) else { panic!() };
    let Step::Receive(receive) = decide.reply(now, &Reply::OK_250, &mut out) else { panic!() };
    assert_eq!(receive.deadline(), now + Duration::from_secs(300));
}

#[test]
fn b5_nothing_but_the_cost_survives_the_handshake() {
    let (now, mut out) = (Instant::now(), BytesMut::new());
    let Step::Decide(decide) = server::start(Arc::new(settings(&[])), Peer::default(), "c1", now) else { panic!() };
    let Step::Receive(receive) = decide.reply(now, &Reply::OK_250, &mut out) else { panic!() };
    let Step::Decide(decide) = receive.process(now, &mut BytesMut::from("EHLO a.test\r\n"), &mut out) else { panic!() };
    let Step::Receive(receive) = decide.reply(now, &Reply::OK_250, &mut out) else { panic!() };
    let Step::Flush(flush) = receive.process(now, &mut BytesMut::from("STARTTLS\r\n"), &mut out) else { panic!() };
    let Step::Upgrade(upgrade) = flush.flushed(now) else { panic!() };
    let session = upgrade.session();
    assert!(session.hello().is_some() && session.extended() && session.tls().is_none());
    let Step::Receive(receive) = upgrade.established(now, tls("exporter"), &BytesMut::new()) else { panic!() };
    let session = receive.session();
    assert_eq!((session.hello(), session.extended(), session.user()), (None, false, None));
    assert_eq!((session.tls(), session.with_protocol()), (Some(&tls("exporter")), "SMTP"));
}

#[test]
fn c1_13_tls_that_ends_in_a_message_leaves_none() {
    let mut runner = encrypted(settings(&[]), []);
    runner.feed(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
    runner.feed(b"half a message\r\n");
    assert!(runner.receive().in_body());
    runner.take_said();
    runner.hang_up();
    assert_eq!((runner.said.as_str(), runner.closed, &runner.ended[..]), ("", true, &[Cause::Cut][..]));
    assert!(runner.bodies.is_empty());
}

#[test]
fn d35_how_long_a_line_of_auth_may_be() {
    let too_long = "500 5.5.6 authentication exchange line is too long (c1)\r\n";
    let line = |before: &str, length: usize| format!("{before}{}\r\n", "A".repeat(length - before.len() - 2));
    for size in [1, 1000, 2048, 4096, 20_000] {
        for (length, fits) in [(2048, true), (2049, true), (12_284, true), (12_288, true), (12_289, false)] {
            for (first, before) in [("", "AUTH PLAIN "), ("AUTH PLAIN\r\n", "")] {
                let mut runner = encrypted(settings(&[Mechanism::Plain]), []);
                runner.feed(first.as_bytes());
                runner.take_said();
                for piece in line(before, length).as_bytes().chunks(size) {
                    runner.feed(piece);
                }
                let said = runner.take_said();
                assert_eq!(said == too_long, !fits, "{first:?} {length} in pieces of {size}: {said}");
                assert!(said.starts_with("50"), "it is no message of PLAIN: {said}");
                assert_eq!(runner.limits.as_slice(), if fits { &[][..] } else { &["command_line"] });
                // The exchange is over, and so is the line.
                runner.feed(b"NOOP\r\n");
                assert_eq!(runner.take_said(), "250 2.0.0 ok\r\n");
            }
        }
        // Who is not offered AUTH has no use for such a line.
        let mut runner = Runner::new(settings(&[Mechanism::Plain]), []);
        runner.feed(b"EHLO client.test\r\n");
        runner.take_said();
        line("AUTH PLAIN ", 2049).as_bytes().chunks(size).for_each(|piece| runner.feed(piece));
        assert_eq!(runner.take_said(), "500 5.5.2 line too long (c1)\r\n");
        // Nor who is known already.
        let mut runner = encrypted(settings(&[Mechanism::Plain]), [sasl::Answer::Accept("alice".into())]);
        runner.feed(PLAIN.as_bytes());
        runner.take_said();
        line("AUTH PLAIN ", 2049).as_bytes().chunks(size).for_each(|piece| runner.feed(piece));
        assert_eq!(runner.take_said(), "500 5.5.2 line too long (c1)\r\n");
    }
}

#[test]
fn d35_a_response_that_never_ends_is_dropped_and_then_cut() {
    let mut runner = encrypted(settings(&[Mechanism::Plain]), []);
    runner.feed(b"AUTH PLAIN\r\n");
    runner.take_said();
    let mut octets = 0;
    while !runner.closed && octets < 100_000 {
        runner.feed(&[b'A'; 1000]);
        octets += 1000;
    }
    assert_eq!(octets, 17_000, "16 KiB are dropped");
    assert_eq!(
        runner.said,
        "500 5.5.6 authentication exchange line is too long (c1)\r\n421 4.7.0 too many errors (c1)\r\n"
    );
    assert_eq!(runner.limits, ["command_line", "command_line"]);
}

#[test]
fn d44_an_exchange_waits_no_longer_than_a_command() {
    let mut runner = encrypted(settings(&[Mechanism::Plain]), []);
    runner.feed(b"AUTH PLAIN\r\n");
    runner.wait(Duration::from_secs(299));
    assert!(!runner.closed);
    runner.take_said();
    runner.wait(Duration::from_secs(1));
    assert_eq!(runner.said, "421 4.4.2 nothing came for too long (c1)\r\n");
    assert_eq!((runner.closed, runner.limits.as_slice()), (true, &["command_time".to_owned()][..]));
    let mut runner = encrypted(settings(&[Mechanism::Plain]), []);
    runner.feed(b"AUTH PLAIN\r\n");
    runner.take_said();
    runner.shut_down();
    assert_eq!(runner.said, "421 4.3.2 shutting down, try again later (c1)\r\n");
}

#[test]
fn a_failed_exchange_costs_its_own_time_not_that_of_an_error_too() {
    let mut settings = settings(&[Mechanism::Plain]);
    (settings.limits.auth_attempts, settings.limits.soft_errors) = (100, 1);
    (settings.limits.auth_delay, settings.limits.error_delay) = (Duration::from_secs(2), Duration::from_secs(1));
    let mut runner = encrypted(settings.clone(), []);
    runner.feed(PLAIN.repeat(3).as_bytes());
    assert_eq!(runner.pauses, [Duration::from_secs(2); 3]);
    settings.limits.error_delay = Duration::from_secs(3);
    let mut runner = encrypted(settings.clone(), []);
    runner.feed(PLAIN.repeat(3).as_bytes());
    assert_eq!(runner.pauses, [2, 3, 3].map(Duration::from_secs));
    (settings.limits.auth_delay, settings.limits.error_delay) = (Duration::ZERO, Duration::ZERO);
    let mut runner = encrypted(settings, []);
    runner.feed(PLAIN.repeat(30).as_bytes());
    assert_eq!(
        (runner.pauses.len(), runner.limits.as_slice()),
        (0, &["errors".to_owned()][..]),
        "they are errors, too"
    );
}

#[test]
fn c1_23_bad_base64_has_no_memory() {
    let mut settings = settings(&[Mechanism::Plain]);
    settings.limits.errors = 1001;
    settings.limits.error_delay = Duration::ZERO;
    let mut runner = encrypted(settings, [sasl::Answer::Accept("alice".into())]);
    runner.feed("AUTH PLAIN !!!\r\n".repeat(1000).as_bytes());
    assert_eq!(runner.take_said().matches("501 5.5.2 not base64 at octet 0 (c1)\r\n").count(), 1000);
    runner.feed(PLAIN.as_bytes());
    assert_eq!(runner.take_said(), "235 2.7.0 authenticated\r\n");
    assert_eq!(runner.receive().session().user(), Some("alice"));
}

#[test]
fn a_token_that_is_wrong_counts_although_the_client_gives_up() {
    // The challenge has told the client that it has guessed wrong (RFC 7628 §3.2.3).
    let mut runner = encrypted(settings(&[Mechanism::OAuthBearer]), []);
    let guess = Base64::encode(b"n,a=alice,\x01auth=Bearer guess\x01\x01").expect("short");
    for _ in 0..3 {
        runner.feed(format!("AUTH OAUTHBEARER {}\r\n", guess.as_str()).as_bytes());
        assert!(runner.take_said().starts_with("334 "));
        runner.feed(b"*\r\n");
        assert_eq!(runner.take_said(), "501 5.5.0 authentication cancelled (c1)\r\n");
    }
    runner.feed(format!("AUTH OAUTHBEARER {}\r\n*\r\n", guess.as_str()).as_bytes());
    assert!(
        runner.closed && runner.said.ends_with("421 4.7.0 too many failed authentications, try again later (c1)\r\n")
    );
    assert_eq!(runner.pauses.len(), 4);
}

#[test]
fn the_limit_is_named_although_the_application_has_said_the_same() {
    let no = || sasl::Answer::Refuse(Reply::TOO_MANY_FAILURES_421);
    let away = || sasl::Answer::Refuse(Reply::TEMPORARY_AUTHENTICATION_FAILURE_454);
    let mut runner = encrypted(settings(&[Mechanism::Plain]), [away(), away(), away(), no()]);
    runner.feed(PLAIN.repeat(4).as_bytes());
    assert_eq!((runner.closed, runner.limits.as_slice()), (true, &["auth_attempts".to_owned()][..]));
    assert_eq!(runner.refused, ["421"]);
}

#[test]
fn what_others_take_is_not_the_peers_time() {
    // Its network may be slow to take 220 ...
    let (start, mut out) = (Instant::now(), BytesMut::new());
    let Step::Decide(decide) = server::start(Arc::new(settings(&[Mechanism::Plain])), Peer::default(), "c1", start)
    else {
        panic!()
    };
    let Step::Receive(receive) = decide.reply(start, &Reply::OK_250, &mut out) else { panic!() };
    let mut input = BytesMut::from("STARTTLS\r\n");
    let Step::Flush(flush) = receive.process(start, &mut input, &mut out) else { panic!() };
    let mut now = start + Duration::from_secs(20);
    let Step::Upgrade(upgrade) = flush.flushed(now) else { panic!() };
    assert_eq!(upgrade.deadline(), now + Duration::from_secs(30));
    // ... and a password takes the application long.
    let Step::Receive(receive) = upgrade.established(now, tls("exporter"), &input) else { panic!() };
    input.extend_from_slice(b"EHLO a.test\r\n");
    let Step::Decide(decide) = receive.process(now, &mut input, &mut out) else { panic!() };
    let Step::Receive(receive) = decide.reply(now, &Reply::OK_250, &mut out) else { panic!() };
    input.extend_from_slice(PLAIN.as_bytes());
    let Step::Authenticate(asked) = receive.process(now, &mut input, &mut out) else { panic!() };
    now += Duration::from_secs(100);
    let Step::Receive(receive) = asked.answer(now, sasl::Answer::Accept("alice".into()), [0; 18], &mut out) else {
        panic!()
    };
    assert_eq!(receive.deadline(), now + Duration::from_secs(300));
}
