//! What might be taken for the end of a message, from the folder `smtp` that `HIKYAKU_CONFORMANCE`
//! names, said to the server's machine.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::runner::{Runner, config};

const ENVELOPE: &str = "MAIL FROM:<a@client.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n";

/// `base64` of RFC 4648 §4, for data that is known to be right.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut octets, mut bits, mut width) = (Vec::new(), 0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | DIGITS.iter().position(|known| *known == digit).expect("base64") as u32;
        width += 6;
        if width >= 8 {
            width -= 8;
            octets.push((bits >> width) as u8);
        }
    }
    octets
}

/// The messages that the application has, and all that was said, when the octets come in pieces.
fn talk(wire: &[u8], pieces: impl Iterator<Item = usize>) -> (Vec<Vec<u8>>, String, bool) {
    let mut runner = Runner::new(config(), []);
    // The envelope in one write: its client waits for 354, what follows does not.
    runner.feed(format!("EHLO client.test\r\n{ENVELOPE}").as_bytes());
    let mut from = 0;
    for to in pieces.chain([wire.len()]) {
        runner.feed(&wire[from..to]);
        from = to;
    }
    (runner.bodies.clone(), runner.take_said(), runner.closed)
}

#[test]
fn d31_c1_19_the_suite_of_smuggled_messages() {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE").map(PathBuf::from) else {
        println!("smuggling: not run, because HIKYAKU_CONFORMANCE is not set");
        return;
    };
    let file = folder.join("smtp/smuggling.jsonl");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut failures = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let case = row["case"].as_str().unwrap();
        let octets = base64(row["end_of_data_b64"].as_str().unwrap());
        let true_end = row["contains_true_eod"].as_bool().unwrap();
        let second = format!("{ENVELOPE}smuggled\r\n.\r\n");
        let wire = [b"Subject: one\r\n\r\ntext", &octets[..], second.as_bytes()].concat();
        let whole = talk(&wire, std::iter::empty());
        let (bodies, said, closed) = &whole;
        let refusal = said.contains("\r\n550 5.5.2 bare");
        taken += bodies.len();
        // Also where a NUL stands in the message.
        refused += usize::from(refusal);
        // A message that is refused ends the conversation.
        if bodies.len() + usize::from(refusal) != 1 || (refusal && !closed) {
            failures.push(format!("{case}: {} messages, closed: {closed}, said {said:?}", bodies.len()));
        }
        if bodies.iter().any(|body| body.ends_with(b"smuggled\r\n") == true_end) {
            failures.push(format!("{case}: the wrong end"));
        }
        for cut in 0..=wire.len() {
            if talk(&wire, std::iter::once(cut)).0 != *bodies {
                failures.push(format!("{case}: other messages when cut at {cut}"));
            }
        }
        for size in 1..=5 {
            if talk(&wire, (1..wire.len()).filter(|at| at % size == 0)).0 != *bodies {
                failures.push(format!("{case}: other messages in pieces of {size}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!((text.lines().count(), taken, refused), (129, 22, 107));
}
