//! Time-outs in virtual time, and connections that close at every byte.

use std::time::Duration;

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A different time for each stage, so that no test passes by the wrong one.
fn timeouts() -> Timeouts {
    Timeouts {
        greeting: seconds(1),
        hello: seconds(2),
        mail: seconds(3),
        recipient: seconds(4),
        data: seconds(5),
        block: seconds(6),
        end: seconds(7),
        quit: seconds(8),
        tls: seconds(9),
        auth: seconds(10),
    }
}

/// What is said at each stage of a message to two recipients, how long it may
/// take, and what is said of both if it does not come.
const STAGES: [(&str, u64, &str); 9] = [
    ("220 mx\r\n", 1, "the greeting"),
    ("250 mx\r\n", 2, "the reply to EHLO"),
    ("250 ok\r\n", 3, "the reply to MAIL"),
    ("250 ok\r\n", 4, "the reply to RCPT"),
    ("250 ok\r\n", 4, "the reply to RCPT"),
    ("354 go\r\n", 5, "the reply to DATA"),
    ("", 6, "the message to be taken"),
    ("250 queued\r\n", 7, "the reply after the final dot"),
    ("221 bye\r\n", 8, "the reply to QUIT"),
];
const MAIL: usize = 2;
const CONTENT: usize = 6;
const END: usize = 7;
const QUIT: usize = 8;

fn deadline(talk: &Talk) -> Instant {
    match &talk.step {
        Some(Step::Receive(receive)) => receive.deadline(),
        Some(Step::Upgrade(upgrade)) => upgrade.deadline(),
        Some(Step::Body(body)) => body.deadline(),
        other => panic!("{other:?}"),
    }
}

fn begin() -> Talk {
    let mut case = Case::to(&["one@b.test", "two@b.test"]);
    case.config.timeouts = timeouts();
    Talk::new(case.config, case.messages)
}

/// Lets the remote keep to the rules up to this stage, slowly.
fn reach(stage: usize) -> Talk {
    let mut talk = begin();
    for (said, _, _) in &STAGES[..stage] {
        talk.now = deadline(&talk) - Duration::from_millis(1);
        if said.is_empty() {
            talk.finish();
        } else {
            talk.hear(said.as_bytes());
        }
    }
    talk
}

#[test]
fn each_stage_has_its_time() {
    for (stage, (said, limit, waits_for)) in STAGES.iter().enumerate() {
        let mut talk = reach(stage);
        assert_eq!(deadline(&talk), talk.now + seconds(*limit), "{waits_for}");
        // Half a reply does not prolong it.
        let due = deadline(&talk);
        talk.now += Duration::from_millis(500);
        if let Some(half) = said.get(..said.len() / 2).filter(|half| !half.is_empty()) {
            talk.hear(half.as_bytes());
            assert_eq!(deadline(&talk), due, "{waits_for}");
        }
        let before = talk.log.len();
        talk.act(Receive::timed_out, Body::timed_out);
        let why = format!("us 451 4.4.2 time-out while waiting for {waits_for}");
        let settled = match stage {
            QUIT => None,
            stage if stage < MAIL => None,
            stage if stage < END => Some(format!("D: not tried, {why}")),
            _ => Some(format!("D: unknown, {why}")),
        };
        let end = match stage {
            QUIT => "X: us 221 2.0.0 closed without a reply to QUIT".to_owned(),
            _ => format!("X: {why}"),
        };
        let mut expected: Vec<_> = settled.into_iter().flat_map(|line| [line.clone(), line]).collect();
        expected.push(end);
        assert_eq!(talk.log[before..], expected, "{waits_for}");
    }
}

#[test]
fn the_greeting_and_the_content_are_answered_slowly_but_in_time() {
    let talk = reach(QUIT);
    let delivered = "D: said 250 queued";
    assert_eq!(talk.log.iter().filter(|line| *line == delivered).count(), 2, "{:#?}", talk.log);
}

#[test]
fn starttls_and_the_handshake_have_their_times() {
    let mut case = Case::to(&["one@b.test"]).tls(TlsMode::Required);
    case.config.timeouts = timeouts();
    let mut talk = Talk::new(case.config.clone(), case.messages.clone());
    talk.hear(b"220 mx\r\n");
    talk.hear(b"250-mx\r\n250 STARTTLS\r\n");
    assert_eq!(deadline(&talk), talk.now + seconds(9));
    talk.now += seconds(5);
    talk.hear(b"220 go\r\n");
    assert_eq!(deadline(&talk), talk.now + seconds(9));
    talk.now += seconds(5);
    talk.shake_hands("");
    assert_eq!(deadline(&talk), talk.now + seconds(2));
    case.config.tls = TlsMode::Implicit;
    let mut talk = Talk::new(case.config, case.messages);
    assert_eq!(deadline(&talk), talk.now + seconds(9));
    talk.now += seconds(5);
    talk.shake_hands("");
    assert_eq!(deadline(&talk), talk.now + seconds(1));
}

#[test]
fn each_block_has_its_time() {
    let mut talk = reach(CONTENT);
    for _ in 0..10 {
        talk.now += seconds(5);
        talk.write(b"block\r\n");
        assert_eq!(deadline(&talk), talk.now + seconds(6));
    }
}

#[test]
fn the_default_times_are_those_of_the_standard() {
    let times = Timeouts::default();
    assert!(times.greeting >= seconds(300) && times.mail >= seconds(300) && times.recipient >= seconds(300));
    assert!(times.data >= seconds(120) && times.block >= seconds(180) && times.end >= seconds(600));
}

#[test]
fn pipelined_replies_have_their_times_one_after_the_other() {
    let mut talk = begin();
    talk.hear(b"220 mx\r\n");
    talk.hear(b"250-mx\r\n250 PIPELINING\r\n");
    for (said, limit) in [("", 3), ("250 ok\r\n", 4), ("250 ok\r\n", 4), ("250 ok\r\n", 5)] {
        talk.now += seconds(2);
        let before = talk.now;
        talk.hear(said.as_bytes());
        let since = if said.is_empty() { before - seconds(2) } else { before };
        assert_eq!(deadline(&talk), since + seconds(limit), "{said}");
    }
}

/// The remote closes after each byte it says, without and with PIPELINING, SMTP and LMTP:
/// before the final dot nothing can have been delivered, after it anything can.
#[test]
fn d69_a_close_at_every_byte_is_classified_by_the_final_dot() {
    let flight = "220 mx\r\n|250-mx\r\n250 PIPELINING\r\n|250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n";
    let steps = "220 mx\r\n|250 mx\r\n|250 ok\r\n|250 ok\r\n|550 no\r\n|354 go\r\n";
    for (opening, protocol) in
        [(flight, Protocol::Smtp), (steps, Protocol::Smtp), (flight, Protocol::Lmtp), (steps, Protocol::Lmtp)]
    {
        let opening = opening.replace('|', "");
        let said = format!("{opening}250 queued\r\n221 bye\r\n");
        let refused = opening.find("550 no\r\n").expect("a refusal") + "550 no\r\n".len();
        for heard in 0..=said.len() {
            for finished in [false, true] {
                if !finished && heard > opening.len() {
                    continue;
                }
                let mut case = Case::to(&["one@b.test", "two@b.test"]);
                case.config.protocol = protocol;
                let mut talk = Talk::new(case.config, case.messages);
                for byte in &said.as_bytes()[..heard] {
                    talk.hear(&[*byte]);
                    if finished && matches!(talk.step, Some(Step::Body(_))) {
                        talk.write(b"x\r\n");
                        talk.finish();
                    }
                }
                let whole = said[..heard].matches("\r\n").count();
                if talk.step.is_some() {
                    talk.act(Receive::closed, Body::closed);
                }
                let settled: Vec<_> = talk.log.iter().filter(|line| line.starts_with("D: ")).collect();
                let began = talk.log.iter().any(|line| line.starts_with("C: MAIL"));
                let dotted = talk.log.iter().any(|line| line == "C: .");
                let one = match settled.first() {
                    None => {
                        assert!(!began, "{heard} of {said:?}: {:#?}", talk.log);
                        continue;
                    }
                    Some(one) => one.as_str(),
                };
                let lost = "us 451 4.4.2 connection lost while waiting for ";
                let expected = match (dotted, heard >= opening.len() + "250 queued\r\n".len()) {
                    (false, _) => format!("D: not tried, {lost}"),
                    (true, false) => format!("D: unknown, {lost}"),
                    (true, true) => "D: said 250 queued".to_owned(),
                };
                assert!(one.starts_with(&expected), "{heard} bytes, {whole} lines: {:#?}", talk.log);
                assert_eq!(settled.len(), 2);
                assert_eq!(settled[1] == "D: said 550 no", heard >= refused, "{heard}: {:#?}", talk.log);
                assert_eq!(talk.log.iter().filter(|line| line.starts_with("X: ")).count(), 1);
            }
        }
    }
}
