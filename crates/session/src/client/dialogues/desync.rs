//! D75 and its kin: remotes that talk out of turn, too little, too much or rubbish.

use super::*;

const OUT_OF_STEP: &str = "us 451 4.5.0 replies do not match commands";

/// Up to a flight of MAIL, two RCPT and DATA.
const FLIGHT: &str = "
    S: 220 mx
    C: EHLO relay.test
    S: 250-mx
    S: 250 PIPELINING
    C: MAIL FROM:<from@a.test>
    C: RCPT TO:<one@b.test>
    C: RCPT TO:<two@b.test>
    C: DATA
    ";

/// The same without PIPELINING, up to the first RCPT.
const LOCK_STEP: &str = "
    S: 220 mx
    C: EHLO relay.test
    S: 250 mx
    C: MAIL FROM:<from@a.test>
    S: 250 ok
    C: RCPT TO:<one@b.test>
    ";

fn two() -> Case {
    Case::to(&["one@b.test", "two@b.test"])
}

fn lines(said: &[&str]) -> String {
    said.iter().map(|line| format!("S: {line}\n")).collect()
}

/// The remote says this to the flight; both recipients are deferred and the conversation ends.
fn flight_is_deferred(said: &[&str]) {
    two().run_every_way(&format!(
        "{FLIGHT}{}D: not tried, {OUT_OF_STEP}\nD: not tried, {OUT_OF_STEP}\nX: {OUT_OF_STEP}",
        lines(said)
    ));
}

#[test]
fn d75_greeting_without_220() {
    for greeting in ["250 mx", "354 go", "221 bye", "200 ok"] {
        two().run_every_way(&format!("S: {greeting}\nX: {OUT_OF_STEP}"));
    }
}

#[test]
fn d75_reply_before_ehlo() {
    two().run(&format!("S: 220 mx\nS: 250 mx\nX: {OUT_OF_STEP}"));
    two().run(&format!("S: 220 mx\nS: 500 what\nX: {OUT_OF_STEP}"));
    two().run("S: 220 mx\nS: 421 4.3.2 but not now\nX: remote 421 4.3.2 but not now");
    // Half a reply is as much out of turn as a whole one.
    let case = two();
    let mut talk = Talk::new(case.config, case.messages);
    talk.hear(b"220 mx\r\n25");
    assert_eq!(talk.log, [format!("X: {OUT_OF_STEP}")]);
}

#[test]
fn d75_second_greeting_is_no_answer_to_ehlo() {
    for reply in ["220 mx", "354 go", "235 yes"] {
        two().run_every_way(&format!("S: 220 mx\nC: EHLO relay.test\nS: {reply}\nX: {OUT_OF_STEP}"));
    }
}

#[test]
fn d75_data_answered_with_250_sends_no_content() {
    flight_is_deferred(&["250 ok", "250 ok", "250 ok", "250 ok"]);
    two().run_every_way(&format!(
        "{LOCK_STEP}S: 250 ok
        C: RCPT TO:<two@b.test>
        S: 550 5.1.1 no such user
        C: DATA
        S: 250 ok
        D: not tried, {OUT_OF_STEP}
        D: not tried, {OUT_OF_STEP}
        X: {OUT_OF_STEP}"
    ));
}

#[test]
fn d75_merged_or_missing_replies_defer_all() {
    // Two replies in one, one reply less, one reply more.
    flight_is_deferred(&["250-2.1.0 ok", "250 2.1.5 ok", "250 ok", "354 go"]);
    flight_is_deferred(&["250 ok", "550 5.1.1 no such user", "354 go"]);
    flight_is_deferred(&["550 5.1.1 no such user", "250 ok", "354 go"]);
    flight_is_deferred(&["250 ok", "550 5.1.1 no such user", "250 ok", "250 ok", "354 go"]);
    flight_is_deferred(&["250 ok", "221 what", "250 ok", "354 go"]);
    flight_is_deferred(&["354 go", "250 ok"]);
    // The refusals may belong to others than they seem to, so they do not count.
    let why = "us 451 4.4.2 time-out while waiting for the reply to DATA";
    two().run_every_way(&format!(
        "{FLIGHT}S: 550 5.1.1 one
        S: 450 4.2.0 two
        S: 554 5.5.1 no valid recipients
        T:
        D: not tried, {why}
        D: not tried, {why}
        X: {why}"
    ));
}

#[test]
fn d75_one_reply_too_many_at_the_end_defers_all() {
    two().run(&format!(
        "{FLIGHT}{}D: not tried, {OUT_OF_STEP}\nD: not tried, {OUT_OF_STEP}\nX: {OUT_OF_STEP}",
        lines(&["250 ok", "550 no", "550 no", "554 none", "354 go"])
    ));
    two().run(&format!(
        "{FLIGHT}{}D: not tried, {OUT_OF_STEP}\nD: said 550 no\nX: {OUT_OF_STEP}",
        lines(&["250 ok", "250 ok", "550 no", "354 go", "250 already yours"])
    ));
}

#[test]
fn d75_421_among_recipients_defers_the_rest() {
    for (said, one, two) in [
        (&["250 ok", "550 no", "421 4.7.0 enough"][..], "said 550 no", "said 421 4.7.0 enough"),
        (&["250 ok", "250 ok", "421 4.7.0 enough"], "not tried, remote 421 4.7.0 enough", "said 421 4.7.0 enough"),
        (&["250 ok", "421 4.7.0 enough"], "said 421 4.7.0 enough", "not tried, remote 421 4.7.0 enough"),
        (&["421 4.7.0 enough"], "said 421 4.7.0 enough", "said 421 4.7.0 enough"),
        (&["250 ok", "250 ok", "550 no", "421 4.7.0 enough"], "said 421 4.7.0 enough", "said 550 no"),
    ] {
        self::two().run_every_way(&format!("{FLIGHT}{}D: {one}\nD: {two}\nX: remote 421 4.7.0 enough", lines(said)));
    }
    self::two().run_every_way(&format!(
        "{LOCK_STEP}S: 421 4.7.0 enough
        D: said 421 4.7.0 enough
        D: not tried, remote 421 4.7.0 enough
        X: remote 421 4.7.0 enough"
    ));
}

#[test]
fn a_refusal_with_a_421_behind_it_holds() {
    two().run(&format!(
        "{LOCK_STEP}S: 550 5.1.1 no such user
        S: 421 4.7.0 too many errors
        D: said 550 5.1.1 no such user
        D: not tried, remote 421 4.7.0 too many errors
        X: remote 421 4.7.0 too many errors"
    ));
}

#[test]
fn d75_capabilities_after_ehlo_are_no_capabilities() {
    // Offered where nothing was asked: not believed, the conversation ends.
    two().run(&format!(
        "S: 220 mx
        C: EHLO relay.test
        S: 250 mx
        S: 250-STARTTLS
        S: 250 SIZE 1
        X: {OUT_OF_STEP}"
    ));
    // In the lines of another reply: text like any other.
    two().run_every_way(&format!(
        "{LOCK_STEP}S: 250-STARTTLS
        S: 250 PIPELINING
        C: RCPT TO:<two@b.test>
        E:
        D: not tried, us 451 4.4.2 connection lost while waiting for the reply to RCPT
        D: not tried, us 451 4.4.2 connection lost while waiting for the reply to RCPT
        X: us 451 4.4.2 connection lost while waiting for the reply to RCPT"
    ));
}

#[test]
fn a_reply_nobody_asked_for_ends_the_conversation() {
    two().run(&format!(
        "{LOCK_STEP}S: 250 ok
        S: 250 and the next one too
        D: not tried, {OUT_OF_STEP}
        D: not tried, {OUT_OF_STEP}
        X: {OUT_OF_STEP}"
    ));
    // Between two messages: the first is settled, the second is not begun.
    for (said, why) in [("250 again", OUT_OF_STEP), ("421 4.4.2 idle", "remote 421 4.4.2 idle")] {
        Case::to(&["one@b.test"]).then(&["two@b.test"]).run(&format!(
            "S: 220 mx
            C: EHLO relay.test
            S: 250-mx
            S: 250 PIPELINING
            C: MAIL FROM:<from@a.test>
            C: RCPT TO:<one@b.test>
            C: DATA
            S: 250 ok
            S: 250 ok
            S: 354 go
            F:
            C: .
            S: 250 queued
            S: {said}
            D: said 250 queued
            X: {why}"
        ));
    }
}

#[test]
fn early_refusals_in_the_content() {
    let begun = "
        S: 250 ok
        S: 250 ok
        S: 550 no
        S: 354 go
        ";
    for refusal in ["421 4.3.2 down", "552 5.3.4 too big", "451 4.3.0 disk"] {
        let end = format!("S: {refusal}\nD: said {refusal}\nD: said 550 no\nX: remote {refusal}");
        two().run_every_way(&format!("{FLIGHT}{begun}W: x\nC: x\n{end}"));
        // In the same segment as the 354.
        two().run_every_way(&format!("{FLIGHT}{begun}{end}"));
    }
    for odd in ["250 thanks", "354 go on"] {
        two().run_every_way(&format!(
            "{FLIGHT}{begun}W: x\nC: x\nS: {odd}\nD: not tried, {OUT_OF_STEP}\nD: said 550 no\nX: {OUT_OF_STEP}"
        ));
    }
}

#[test]
fn odd_replies_after_the_final_dot_leave_the_fate_unknown() {
    for odd in ["354 go", "220 mx", "221 bye"] {
        two().run_every_way(&format!(
            "{FLIGHT}S: 250 ok
            S: 250 ok
            S: 550 no
            S: 354 go
            F:
            C: .
            S: {odd}
            D: unknown, {OUT_OF_STEP}
            D: said 550 no
            X: {OUT_OF_STEP}"
        ));
    }
    two().run_every_way(&format!(
        "{FLIGHT}S: 250 ok
        S: 250 ok
        S: 550 no
        S: 354 go
        F:
        C: .
        S: 421 4.3.2 down
        D: said 421 4.3.2 down
        D: said 550 no
        X: remote 421 4.3.2 down"
    ));
}

/// What a remote says where a reply to RCPT is awaited, and what is then said of both recipients.
fn to_recipient(said: &[u8]) -> Vec<String> {
    let case = two();
    let mut talk = Talk::new(case.config, case.messages);
    for known in ["220 mx", "250 mx", "250 ok"] {
        talk.hear(format!("{known}\r\n").as_bytes());
    }
    let before = talk.log.len();
    for piece in said.chunks(1000) {
        if talk.step.is_some() {
            talk.hear(piece);
        }
    }
    talk.log.split_off(before)
}

#[test]
fn replies_that_are_none_defer() {
    let many = b"250-x\r\n".repeat(10_000);
    let long = [&b"250 "[..], &b"x".repeat(1 << 20)].concat();
    for (said, why) in [
        (&b"250-a\r\n550 b\r\n"[..], "reply with two different codes at octet 7"),
        (b"25 x\r\n", "no reply code such as 250 at octet 0"),
        (b"250xA\r\n", "no reply code such as 250 at octet 3"),
        (b"999 x\r\n", "no reply code such as 250 at octet 0"),
        (b"hello\r\n", "no reply code such as 250 at octet 0"),
        (&many, "reply of more than 100 lines at octet 700"),
        (b"250 a\n", "bare <LF> in reply at octet 5"),
        (b"250 a\rb\r\n", "bare <CR> in reply at octet 5"),
        (&long, "reply line of more than 4096 octets at octet 4096"),
    ] {
        let why = format!("us 451 4.5.0 malformed reply: {why}");
        let expected = [format!("D: not tried, {why}"), format!("D: not tried, {why}"), format!("X: {why}")];
        assert_eq!(to_recipient(said), expected);
    }
}

#[test]
fn what_a_remote_says_cannot_reach_into_a_log_or_a_header() {
    let said = b"550-5.1.1 \x1b[2J\x07\0\xff\xc3\r\n550 5.1.1 MAIL FROM:<x@y>\x7f\r\n";
    let case = Case::to(&["one@b.test"]);
    let mut talk = Talk::new(case.config, case.messages);
    for known in [&b"220 mx\r\n"[..], b"250 mx\r\n", b"250 ok\r\n", said] {
        talk.hear(known);
    }
    let [.., settled, quit] = &talk.log[..] else { panic!("{:#?}", talk.log) };
    assert!(settled.starts_with("D: said 550 5.1.1 "), "{settled:?}");
    assert!(settled.chars().all(|c| !c.is_control()), "{settled:?}");
    // And what it said has become no command of ours.
    assert_eq!(quit, "C: QUIT");
}
