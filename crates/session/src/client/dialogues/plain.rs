//! Conversations in which the remote keeps to the rules.

use super::*;

#[test]
fn pipelined_commands_leave_in_one_flight() {
    Case::to(&["one@b.test", "two@b.test"]).run_every_way(
        "
        S: 220-mx.b.test
        S: 220 ESMTP
        C: EHLO relay.test
        S: 250-mx.b.test
        S: 250-SIZE 1000
        S: 250-ENHANCEDSTATUSCODES
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test> SIZE=100
        C: RCPT TO:<one@b.test>
        C: RCPT TO:<two@b.test>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 550 5.1.1 no such user
        S: 354 go ahead
        W: Subject: x
        C: Subject: x
        W:
        C:
        W: .
        C: ..
        F:
        C: .
        S: 250 2.0.0 queued
        D: said 250 2.0.0 queued
        D: said 550 5.1.1 no such user
        C: QUIT
        S: 221 2.0.0 bye
        X: remote 221 2.0.0 bye
        ",
    );
}

#[test]
fn without_pipelining_each_command_waits() {
    Case::to(&["one@b.test", "two@b.test"]).run_every_way(
        "
        S: 220 mx.b.test
        C: EHLO relay.test
        S: 250 mx.b.test
        C: MAIL FROM:<from@a.test>
        S: 250 ok
        C: RCPT TO:<one@b.test>
        S: 450 4.2.0 later
        C: RCPT TO:<two@b.test>
        S: 251 2.1.5 will forward
        C: DATA
        S: 354 go ahead
        W: x
        C: x
        F:
        C: .
        S: 452 4.3.1 full
        D: said 450 4.2.0 later
        D: said 452 4.3.1 full
        C: QUIT
        S: 221 2.0.0 bye
        X: remote 221 2.0.0 bye
        ",
    );
}

#[test]
fn helo_follows_a_refused_ehlo() {
    Case::to(&["one@b.test"]).run_every_way(
        "
        S: 220 old.b.test
        C: EHLO relay.test
        S: 502 what?
        C: HELO relay.test
        S: 250-old.b.test
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        S: 250 ok
        C: RCPT TO:<one@b.test>
        S: 250 ok
        C: DATA
        S: 354 go
        F:
        C: .
        S: 250 ok
        D: said 250 ok
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
}

#[test]
fn a_refused_helo_ends_the_conversation() {
    for (ehlo, helo) in [("500 no", "550 5.7.1 go away"), ("504 no", "450 4.7.1 later")] {
        Case::to(&["one@b.test"]).run_every_way(&format!(
            "
            S: 220 mx.b.test
            C: EHLO relay.test
            S: {ehlo}
            C: HELO relay.test
            S: {helo}
            C: QUIT
            S: 221 bye
            X: remote {helo}
            "
        ));
    }
    // A temporary refusal says nothing about EHLO.
    Case::to(&["one@b.test"]).run_every_way(
        "
        S: 220 mx.b.test
        C: EHLO relay.test
        S: 450 4.7.1 later
        C: QUIT
        S: 221 bye
        X: remote 450 4.7.1 later
        ",
    );
}

#[test]
fn greetings_that_turn_away() {
    for greeting in ["554 5.7.1 blocked", "521 no mail here", "450 4.3.2 later"] {
        let case = Case::to(&["one@b.test"]);
        case.run_every_way(&format!(
            "
            S: {greeting}
            C: QUIT
            S: 221 bye
            X: remote {greeting}
            "
        ));
        for silence in ["T:", "E:"] {
            case.run(&format!("S: {greeting}\nC: QUIT\n{silence}\nX: remote {greeting}"));
        }
    }
    Case::to(&["one@b.test"]).run_every_way("S: 421 4.3.2 down\nX: remote 421 4.3.2 down");
}

#[test]
fn several_messages_share_a_connection() {
    Case::to(&["one@b.test"]).then(&["two@b.test"]).run_every_way(
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
        S: 250 first
        D: said 250 first
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<two@b.test>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        W: y
        C: y
        F:
        C: .
        S: 554 5.6.0 second
        D: said 554 5.6.0 second
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
}

#[test]
fn a_refused_mail_answers_for_all_recipients() {
    Case::to(&["one@b.test", "two@b.test"]).then(&["three@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250-mx
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<one@b.test>
        C: RCPT TO:<two@b.test>
        C: DATA
        S: 553 5.1.8 bad sender
        S: 503 5.5.1 MAIL first
        S: 503 5.5.1 MAIL first
        S: 503 5.5.1 MAIL first
        D: said 553 5.1.8 bad sender
        D: said 553 5.1.8 bad sender
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<three@b.test>
        C: DATA
        S: 452 4.3.1 full
        S: 503 5.5.1 MAIL first
        S: 503 5.5.1 MAIL first
        D: said 452 4.3.1 full
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
    Case::to(&["one@b.test", "two@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250 mx
        C: MAIL FROM:<from@a.test>
        S: 553 5.1.8 bad sender
        D: said 553 5.1.8 bad sender
        D: said 553 5.1.8 bad sender
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
}

#[test]
fn a_transaction_that_never_had_content_is_reset_before_the_next() {
    Case::to(&["one@b.test"]).then(&["two@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250 mx
        C: MAIL FROM:<from@a.test>
        S: 250 ok
        C: RCPT TO:<one@b.test>
        S: 550 5.1.1 no such user
        D: said 550 5.1.1 no such user
        C: RSET
        S: 250 ok
        C: MAIL FROM:<from@a.test>
        S: 250 ok
        C: RCPT TO:<two@b.test>
        S: 250 ok
        C: DATA
        S: 451 4.3.0 not now
        D: said 451 4.3.0 not now
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
    Case::to(&["one@b.test"]).then(&["two@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250-mx
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<one@b.test>
        C: DATA
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 554 5.5.1 no valid recipients
        D: said 550 5.1.1 no such user
        C: RSET
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<two@b.test>
        C: DATA
        S: 502 no RSET here
        D: not tried, us 451 4.5.0 RSET was refused
        X: us 451 4.5.0 RSET was refused
        ",
    );
}

#[test]
fn a_354_for_nobody_gets_a_lone_dot() {
    let tail = "
        S: 250 empty message queued
        D: said 550 5.1.1 no such user
        C: QUIT
        S: 221 bye
        X: remote 221 bye";
    let script = "
        S: 220 mx
        C: EHLO relay.test
        S: 250-mx
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<one@b.test>
        C: DATA
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 354 go ahead
        C: .";
    let case = Case::to(&["one@b.test"]);
    case.run_every_way(&format!("{script}{tail}"));
    case.run_every_way(&format!("{script}{}", tail.replace("250 empty message queued", "554 none")));
    // Whatever comes of the dot, the recipient has had its answer.
    for (event, why) in [
        ("E:", "us 451 4.4.2 connection lost while waiting for the reply after the final dot"),
        ("T:", "us 451 4.4.2 time-out while waiting for the reply after the final dot"),
        ("S: 354 more", "us 451 4.5.0 replies do not match commands"),
        ("S: 421 4.3.2 down", "remote 421 4.3.2 down"),
    ] {
        let script = format!("{script}\n{event}\nD: said 550 5.1.1 no such user\nX: {why}");
        case.run_every_way(&script);
    }
}

#[test]
fn a_354_after_a_refused_mail_gets_a_lone_dot_and_no_reset_follows() {
    Case::to(&["one@b.test"]).then(&["two@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250-mx
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<one@b.test>
        C: DATA
        S: 550 5.7.1 no
        S: 250 ok
        S: 354 go ahead
        C: .
        S: 250 empty message queued
        D: said 550 5.7.1 no
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<two@b.test>
        C: DATA
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 354 go ahead
        C: .
        S: 554 none
        D: said 550 5.1.1 no such user
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
    Case::to(&["one@b.test"]).then(&["two@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250-mx
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<one@b.test>
        C: DATA
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 354 go ahead
        C: .
        S: 554 none
        D: said 550 5.1.1 no such user
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<two@b.test>
        C: DATA
        S: 421 down
        D: said 421 down
        X: remote 421 down
        ",
    );
}

#[test]
fn one_reset_is_enough() {
    Case::to(&["one@b.test"]).then(&["two@b.test"]).then(&["three@b.test"]).run_every_way(
        "
        S: 220 mx
        C: EHLO relay.test
        S: 250 mx
        C: MAIL FROM:<from@a.test>
        S: 250 ok
        C: RCPT TO:<one@b.test>
        S: 550 5.1.1 no such user
        D: said 550 5.1.1 no such user
        C: RSET
        S: 250 ok
        C: MAIL FROM:<from@a.test>
        S: 550 5.7.1 no
        D: said 550 5.7.1 no
        C: MAIL FROM:<from@a.test>
        S: 550 5.7.1 no
        D: said 550 5.7.1 no
        C: QUIT
        S: 221 bye
        X: remote 221 bye
        ",
    );
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let script = "
        S: 220 store
        C: LHLO relay.test
        S: 250-store
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<one@b.test>
        C: RCPT TO:<two@b.test>
        C: RCPT TO:<three@b.test>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 250 ok
        S: 354 go ahead
        W: x
        C: x
        F:
        C: .";
    let case = Case::to(&["one@b.test", "two@b.test", "three@b.test"]).lmtp();
    case.run_every_way(&format!(
        "{script}
        S: 250 2.1.5 stored
        S: 452 4.2.2 full
        D: said 250 2.1.5 stored
        D: said 550 5.1.1 no such user
        D: said 452 4.2.2 full
        C: QUIT
        S: 221 bye
        X: remote 221 bye"
    ));
    // Cut between the two: the first is safe, nobody knows about the other.
    for (event, why) in [
        ("E:", "us 451 4.4.2 connection lost while waiting for the reply after the final dot"),
        ("T:", "us 451 4.4.2 time-out while waiting for the reply after the final dot"),
        ("S: 354 what", "us 451 4.5.0 replies do not match commands"),
    ] {
        case.run_every_way(&format!(
            "{script}
            S: 250 2.1.5 stored
            {event}
            D: said 250 2.1.5 stored
            D: said 550 5.1.1 no such user
            D: unknown, {why}
            X: {why}"
        ));
    }
    // 421 in place of the first: that is its answer, and no word about the other.
    case.run_every_way(&format!(
        "{script}
        S: 421 4.3.0 down
        D: said 421 4.3.0 down
        D: said 550 5.1.1 no such user
        D: unknown, remote 421 4.3.0 down
        X: remote 421 4.3.0 down"
    ));
}

#[test]
fn lmtp_knows_no_helo_and_no_lone_dot() {
    Case::to(&["one@b.test"]).lmtp().run_every_way(
        "
        S: 220 store
        C: LHLO relay.test
        S: 500 SMTP here
        C: QUIT
        S: 221 bye
        X: remote 500 SMTP here
        ",
    );
    Case::to(&["one@b.test"]).lmtp().run_every_way(
        "
        S: 220 store
        C: LHLO relay.test
        S: 250-store
        S: 250 PIPELINING
        C: MAIL FROM:<from@a.test>
        C: RCPT TO:<one@b.test>
        C: DATA
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 354 go ahead
        D: said 550 5.1.1 no such user
        X: us 451 4.5.0 replies do not match commands
        ",
    );
}
