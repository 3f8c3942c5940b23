//! What might be taken for the end of a message, from the folder `smtp` that `HIKYAKU_CONFORMANCE`
//! names: each inside of a message, with a second envelope behind it and a true end.

use std::{fs, path::PathBuf};

use bytes::BytesMut;
use hikyaku_wire::{BareLineEnds, Command, Decoded, DotDecoder, Lines};
use serde_json::Value;

/// One row: its name, what stands in the message, and whether a true end is in it.
fn rows() -> Option<Vec<(String, Vec<u8>, bool)>> {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE").map(PathBuf::from) else {
        println!("smuggling: not run, because HIKYAKU_CONFORMANCE is not set");
        return None;
    };
    let file = folder.join("smtp/smuggling.jsonl");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let octets = base64(row["end_of_data_b64"].as_str().unwrap());
        (row["case"].as_str().unwrap().to_owned(), octets, row["contains_true_eod"].as_bool().unwrap())
    };
    Some(text.lines().map(row).collect())
}

/// `base64` of RFC 4648 §4, for data that is known to be right.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=').bytes();
    let (mut octets, mut bits, mut width) = (Vec::new(), 0u32, 0);
    for digit in digits {
        bits = bits << 6 | DIGITS.iter().position(|known| *known == digit).expect("base64") as u32;
        width += 6;
        if width >= 8 {
            width -= 8;
            octets.push((bits >> width) as u8);
        }
    }
    octets
}

/// The messages that are good, and whether one was refused, when the octets come in `pieces`: a
/// server that takes DATA only behind MAIL, and closes the connection when it refuses a message.
fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut decoder, mut lines) = (DotDecoder::new(BareLineEnds::Refuse), Lines::new(2048));
    let (mut input, mut message, mut good) = (BytesMut::new(), Vec::new(), Vec::new());
    let (mut in_data, mut has_sender) = (true, false);
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            if !in_data {
                let Some(line) = lines.next(&mut input) else { break };
                match line.as_deref().map(Command::parse) {
                    Ok(Ok(Command::Mail(_))) => has_sender = true,
                    Ok(Ok(Command::Data)) => in_data = has_sender,
                    _ => {}
                }
                continue;
            }
            match decoder.decode(&mut input) {
                Decoded::Data(piece) => message.extend_from_slice(&piece),
                Decoded::More => break,
                Decoded::End(Ok(())) => {
                    good.push(std::mem::take(&mut message));
                    (in_data, has_sender) = (false, false);
                }
                Decoded::End(Err(_)) => return (good, true),
            }
        }
    }
    (good, false)
}

#[test]
fn c1_19_at_most_one_message_comes_out() {
    let Some(rows) = rows() else { return };
    let mut failures = Vec::new();
    let (mut honest, mut taken, mut refusals) = (0, 0, 0);
    for (case, octets, true_end) in &rows {
        let second = b"MAIL FROM:<x@y.test>\r\nRCPT TO:<v@w.test>\r\nDATA\r\nsmuggled\r\n.\r\nQUIT\r\n";
        let wire = [b"Subject: one\r\n\r\ntext", &octets[..], second].concat();
        let whole = messages(std::iter::once(&wire[..]));
        let (good, refused) = &whole;
        honest += usize::from(*true_end);
        taken += good.len();
        refusals += usize::from(*refused);
        if good.len() + usize::from(*refused) != 1 {
            failures.push(format!("{case}: {} messages, refused: {refused}", good.len()));
        }
        // What ends nothing is a part of the message, and so is all that stands behind it.
        if good.iter().any(|message| message.ends_with(b"smuggled\r\n") == *true_end) {
            failures.push(format!("{case}: the wrong end"));
        }
        for cut in 0..=wire.len() {
            if messages([&wire[..cut], &wire[cut..]].into_iter()) != whole {
                failures.push(format!("{case}: another result when cut at {cut}"));
            }
        }
        for size in 1..=8 {
            if messages(wire.chunks(size)) != whole {
                failures.push(format!("{case}: another result in pieces of {size}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!((rows.len(), honest, taken, refusals), (129, 7, 34, 95));
}
