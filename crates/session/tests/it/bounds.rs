//! How a conversation ends early, and what it may cost, in time that only the test makes pass.

use std::time::Duration;

use hikyaku_session::server::{Cause, Config};

use hikyaku_wire::Reply;

use crate::runner::{Answer, Runner, config};

const MAIL: &str = "EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n";
const TIMEOUT: &str = "421 4.4.2 nothing came for too long (c1)\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn d44_an_idle_peer_is_told_and_cut() {
    let mut runner = Runner::new(config(), []);
    runner.wait(seconds(299));
    assert!(!runner.closed);
    runner.take_said();
    runner.wait(seconds(1));
    assert_eq!((runner.said.as_str(), runner.closed), (TIMEOUT, true));
    assert_eq!(runner.ended, []);
}

#[test]
fn d44_half_a_command_buys_no_time_and_a_whole_one_does() {
    let mut runner = Runner::new(config(), []);
    for byte in "NOOP NOOP NOO".bytes() {
        runner.feed(&[byte]);
        runner.wait(seconds(20));
    }
    assert!(!runner.closed);
    runner.feed(b"P\r\n");
    runner.wait(seconds(280));
    assert!(!runner.closed);
    runner.feed(b"NO");
    runner.wait(seconds(20));
    assert!(runner.closed && runner.said.ends_with(TIMEOUT));
}

#[test]
fn d44_a_message_has_a_least_rate() {
    let mut runner = Runner::new(config(), []);
    runner.feed(MAIL.as_bytes());
    let mut time = 0;
    while !runner.closed {
        runner.feed(b"x");
        runner.wait(seconds(20));
        time += 20;
    }
    assert_eq!(time, 80, "60 s of grace, and the next octet is too late");
    assert!(runner.said.ends_with(TIMEOUT));
    assert_eq!(runner.ended, [Cause::Cut]);

    // 100 octets a second are enough for as long as a conversation may last.
    let mut runner = Runner::new(config(), []);
    runner.feed(MAIL.as_bytes());
    for _ in 0..100 {
        runner.feed(&[b'x'; 2000]);
        runner.wait(seconds(20));
    }
    assert!(!runner.closed);
    runner.wait(seconds(180));
    assert!(runner.closed, "but not 200 s of silence");
}

/// The limit that a peer reaches who says this, and then nothing for as long as may be.
fn limit_in_time(settings: Config, said: &[u8]) -> String {
    let mut runner = Runner::new(settings, []);
    runner.feed(said);
    let least = runner.receive().deadline() - runner.now;
    runner.wait(least - Duration::from_millis(1));
    assert!(!runner.closed);
    runner.wait(Duration::from_millis(1));
    assert!(runner.closed && runner.said.ends_with(TIMEOUT));
    runner.limits.join(" ")
}

#[test]
fn each_limit_in_time_has_its_name() {
    let long = vec![b'x'; 3000];
    assert_eq!(limit_in_time(config(), b"EHLO a.test\r\n"), "command_time");
    assert_eq!(limit_in_time(config(), b"EHLO a.te"), "command_time");
    assert_eq!(limit_in_time(config(), &long), "command_line command_line");
    assert_eq!(limit_in_time(config(), MAIL.as_bytes()), "min_bytes_per_second");
    assert_eq!(limit_in_time(config(), &[MAIL.as_bytes(), &[b'x'; 11_999]].concat()), "min_bytes_per_second");
    assert_eq!(limit_in_time(config(), &[MAIL.as_bytes(), &[b'x'; 12_000]].concat()), "body_time");
    let mut settings = config();
    settings.limits.body_rate = 0;
    assert_eq!(limit_in_time(settings.clone(), MAIL.as_bytes()), "body_time");
    settings.limits.session = seconds(100);
    assert_eq!(limit_in_time(settings.clone(), MAIL.as_bytes()), "session_seconds");
    assert_eq!(limit_in_time(settings.clone(), b"EHLO a.test\r\n"), "session_seconds");
    (settings.limits.session, settings.limits.command_timeout) = (seconds(100), seconds(99));
    assert_eq!(limit_in_time(settings, b"EHLO a.test\r\n"), "command_time");
}

#[test]
fn a_server_that_is_nearly_full_waits_less() {
    let mut runner = Runner::new(config(), []);
    let start = runner.now;
    runner.feed(b"EHLO a.test\r\n");
    assert_eq!(runner.receive().deadline_within(seconds(10)), start + seconds(10));
    assert_eq!(runner.receive().deadline_within(seconds(1000)), start + seconds(300));
    // Half a command begins no new wait, a whole one does.
    runner.now += seconds(4);
    runner.feed(b"NO");
    assert_eq!(runner.receive().deadline_within(seconds(10)), start + seconds(10));
    runner.feed(b"OP\r\n");
    assert_eq!(runner.receive().deadline_within(seconds(10)), start + seconds(14));
    runner.feed(&MAIL.as_bytes()["EHLO a.test\r\n".len()..]);
    runner.now += seconds(2);
    runner.feed(b"text");
    assert_eq!(runner.receive().deadline_within(seconds(10)), start + seconds(16));
}

#[test]
fn time_that_the_application_takes_is_not_the_peers() {
    let mut runner = Runner::new(config(), []);
    runner.storing = seconds(100);
    runner.feed(MAIL.as_bytes());
    for _ in 0..5 {
        // Each stuffed dot begins another piece.
        runner.feed(b"line\r\n..\r\n..\r\n");
        runner.wait(seconds(10));
        assert!(!runner.closed);
    }
    runner.feed(b".\r\n");
    assert_eq!(runner.ended, [Cause::Accepted]);
}

#[test]
fn a_late_peer_is_cut_even_if_nobody_looks_at_the_deadline() {
    let mut runner = Runner::new(config(), []);
    runner.feed(MAIL.as_bytes());
    runner.now += seconds(61);
    assert!(runner.receive().deadline() < runner.now);
    runner.feed(b"x\r\n.\r\n");
    assert!(runner.closed && runner.said.ends_with(TIMEOUT));
}

#[test]
fn a_conversation_ends_even_if_it_is_busy() {
    let mut runner = Runner::new(config(), []);
    let mut minutes = 0;
    while !runner.closed && minutes < 100 {
        runner.feed(b"NOOP\r\n");
        runner.now += seconds(60);
        minutes += 1;
    }
    assert_eq!(minutes, 61, "the command after the hour is not run");
    assert_eq!(runner.said.matches("250 ").count(), 60);
    assert!(runner.said.ends_with(TIMEOUT));
}

#[test]
fn errors_past_the_soft_limit_are_slow() {
    let mut runner = Runner::new(config(), []);
    runner.feed("XYZZY\r\n".repeat(10).as_bytes());
    assert!(runner.pauses.is_empty());
    runner.feed("XYZZY\r\n".repeat(10).as_bytes());
    assert_eq!(runner.pauses, [seconds(1); 10]);
    runner.feed(b"XYZZY\r\n");
    assert!(runner.closed && runner.said.ends_with("421 4.7.0 too many errors (c1)\r\n"));
}

#[test]
fn a_flood_of_commands_fills_no_memory() {
    let mut settings = config();
    (settings.limits.junk, settings.limits.commands) = (1_000_000, 1_000_000);
    let mut runner = Runner::new(settings, []);
    runner.feed("VRFY a\r\n".repeat(100_000).as_bytes());
    assert_eq!(runner.said.matches("252 ").count(), 100_000);
    assert!(runner.most_out < (64 << 10) + 512, "{}", runner.most_out);
    // It is as much as the configuration says, and a limit of nothing is no reason to wait forever.
    for (output, most) in [(1000, 1000 + 100), (0, 100)] {
        let mut settings = config();
        settings.limits.output = output;
        let mut runner = Runner::new(settings, []);
        runner.feed("VRFY a\r\n".repeat(100).as_bytes());
        assert_eq!(runner.said.matches("252 ").count(), 100);
        assert!(runner.most_out < most, "{}", runner.most_out);
    }
}

#[test]
fn a_message_without_limit_that_is_refused_is_not_read_forever() {
    let mut settings = config();
    settings.size = 0;
    let refusal = Answer { stage: "body", replies: vec![Reply::BAD_CONTENT_554] };
    let mut runner = Runner::new(settings, [refusal]);
    runner.feed(MAIL.as_bytes());
    let piece = b"0123456789abcd\r\n".repeat(1 << 16);
    let mut mebibytes = 0;
    while !runner.closed && mebibytes < 100 {
        runner.feed(&piece);
        mebibytes += 1;
    }
    assert_eq!(mebibytes, 66, "the piece that was refused, 64 MiB, and what is too much");
    assert!(runner.said.ends_with("421 4.7.0 far more than the message that was refused (c1)\r\n"));
    assert_eq!(runner.limits, ["message_size"]);
    assert_eq!(runner.ended, [Cause::Cut]);
}

#[test]
fn a_server_that_stops_says_so() {
    let mut runner = Runner::new(config(), []);
    runner.feed(b"EHLO a.test\r\n");
    assert!(!runner.receive().in_transaction());
    runner.take_said();
    runner.shut_down();
    assert_eq!(runner.said, "421 4.3.2 shutting down, try again later (c1)\r\n");
    assert!(runner.closed && runner.ended.is_empty());
}

#[test]
fn a_peer_that_hangs_up_leaves_no_transaction() {
    for (before, ended) in [("EHLO a.test\r\n", &[][..]), (MAIL, &[Cause::Cut][..])] {
        let mut runner = Runner::new(config(), []);
        runner.feed(before.as_bytes());
        assert_eq!((runner.receive().in_body(), runner.receive().in_transaction()), (before == MAIL, before == MAIL));
        runner.take_said();
        runner.hang_up();
        assert_eq!((runner.said.as_str(), runner.closed, &runner.ended[..]), ("", true, ended));
    }
}

#[test]
fn data_refused_with_a_message_behind_it_is_the_end() {
    // C1.1, D30, B1 "bytes after DATA": the second conversation is not run.
    let hidden = "text\r\n.\r\nMAIL FROM:<x@y.test>\r\n";
    for (lines, answers, said) in [
        ("DATA\r\n", vec![], "503 5.5.1 bad sequence of commands (c1)\r\n"),
        ("data x\r\n", vec![], "501 5.5.4 syntax error in argument at octet 5 (c1)\r\n"),
        (
            "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n",
            vec![Answer { stage: "data", replies: vec![Reply::STORAGE_FULL_452] }],
            "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n\
             452 4.3.1 no room for the message now, try again later (c1)\r\n",
        ),
    ] {
        let mut runner = Runner::new(config(), answers);
        runner.feed(b"EHLO a.test\r\n");
        runner.take_said();
        runner.feed(format!("{lines}{hidden}").as_bytes());
        let last = "421 4.7.0 the message came although DATA was refused (c1)\r\n";
        assert_eq!((runner.said.as_str(), runner.closed), (format!("{said}{last}").as_str(), true));
    }
}

#[test]
fn the_application_is_told_what_it_did_not_say_itself() {
    let no = |stage, reply| Answer { stage, replies: vec![reply] };
    let answers = [
        no("rcpt", Reply::RELAY_DENIED_550),
        no("data", Reply::STORAGE_FULL_452),
        no("body", Reply::BAD_CONTENT_554),
        no("message", Reply::LOCAL_ERROR_451),
    ];
    let mut runner = Runner::new(config(), answers);
    runner.feed(b"EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
    let mail = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n";
    for _ in 0..2 {
        runner.feed(mail);
        runner.feed(b"x\r\n.\r\n");
    }
    assert_eq!(runner.refused, [""; 0], "all of it were its own words: {}", runner.said);
    runner.feed(b"BOGUS\r\nNOOP\nDATA\r\n");
    runner.feed(mail);
    runner.feed(b"a\nb\r\n.\r\n");
    assert_eq!(runner.refused, ["500", "500", "503", "550"]);
    assert!(runner.closed);
}

#[test]
fn the_application_is_told_when_the_last_word_was_not_its_own() {
    let answers = (0..30).map(|_| Answer { stage: "mail", replies: vec![Reply::RELAY_DENIED_550] });
    let mut runner = Runner::new(config(), answers);
    runner.feed(b"EHLO a.test\r\n");
    for _ in 0..30 {
        runner.feed(b"MAIL FROM:<a@b.test>\r\n");
    }
    assert_eq!(runner.refused, ["421"], "too many errors: {}", runner.said);
    // Two refusals at once: what stands behind a refused DATA ends the conversation.
    let mut runner = Runner::new(config(), []);
    runner.feed(b"EHLO a.test\r\nDATA\r\nx\r\n");
    assert_eq!(runner.refused, ["503", "421"], "{}", runner.said);
}
