//! What the fuzz targets call, and what the ordinary tests replay from the corpus.

mod replies;

use bytes::BytesMut;

pub use self::replies::{ehlo, reply, reply_value};
use crate::{Command, Decoded, DotDecoder, DotEncoder, Mailbox};

/// Any line: what parses prints, and what is printed parses to the same command. An error has a
/// permanent reply and points into the line.
pub fn command(data: &[u8]) {
    match Command::parse(data) {
        Ok(command) => {
            let printed = command.to_string();
            assert_eq!(Command::parse(printed.as_bytes()).as_ref(), Ok(&command), "{printed}");
            assert!(!printed.contains(|c: char| c.is_control() && c != '\t'));
        }
        Err(error) => {
            assert!(error.at <= data.len());
            assert!(error.reply().is_permanent());
        }
    }
}

/// Any text: an address that parses prints an address that is the same.
pub fn mailbox(data: &[u8]) {
    if let Ok(mailbox) = String::from_utf8_lossy(data).parse::<Mailbox>() {
        assert_eq!(mailbox.to_string().parse(), Ok(mailbox));
    }
}

/// Any message bytes, split where the first octet says: the pieces are those of the whole, and
/// what is encoded decodes to the same.
pub fn dot(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let run = |pieces: &[&[u8]]| {
        let (mut decoder, mut input, mut message) = (DotDecoder::new(), BytesMut::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut input) {
                    Decoded::Data(data) => message.extend_from_slice(&data),
                    Decoded::More => break,
                    Decoded::End => return (message, true, decoder.bare_line_end()),
                }
            }
        }
        (message, false, decoder.bare_line_end())
    };
    let whole = run(&[bytes]);
    let (head, tail) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let split = run(&[head, tail]);
    assert_eq!(split, whole);

    let mut sent = BytesMut::new();
    let mut encoder = DotEncoder::new();
    let encoded = encoder.encode(head, &mut sent).and_then(|()| encoder.encode(tail, &mut sent));
    if encoded.and_then(|()| encoder.finish(&mut sent)).is_ok() {
        let mut expected = bytes.to_vec();
        if !bytes.is_empty() && !bytes.ends_with(b"\r\n") {
            expected.extend_from_slice(b"\r\n");
        }
        assert_eq!(run(&[&sent]), (expected, true, false));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files: Vec<_> = std::fs::read_dir(&folder).expect("the corpus is part of the project").collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            run(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn the_corpus_replays() {
        replay("wire_command", super::command);
        replay("wire_mailbox", super::mailbox);
        replay("wire_reply", super::reply);
        replay("wire_reply_value", super::reply_value);
        replay("wire_ehlo", super::ehlo);
        replay("wire_dot", super::dot);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_hold_the_invariants(data: Vec<u8>) {
            super::command(&data);
            super::mailbox(&data);
            super::reply(&data);
            super::reply_value(&data);
            super::ehlo(&data);
            super::dot(&data);
        }

        #[test]
        fn likely_lines_hold_the_invariants(line in "(MAIL FROM:|RCPT TO:|EHLO |AUTH )[ -~\r\n\tü]{0,40}") {
            super::command(line.as_bytes());
        }

        #[test]
        fn likely_replies_hold_the_invariants(lines in "(2[0-5][0-9][- ]([245]\\.[0-9]\\.[0-9])? ?[a-z .5]{0,10}\r\n){0,4}") {
            super::reply(lines.as_bytes());
        }

        #[test]
        fn likely_multiline_replies_hold_the_invariants(
            lines in "(250-(2\\.0\\.0)? ?[ -~ü\t\u{1}]{0,12}\r\n){0,4}250( [2-5. a]{0,9})?\r?\n?",
        ) {
            super::reply(lines.as_bytes());
        }

        #[test]
        fn likely_reply_values_hold_the_invariants(code: u8, class in 0..6u8, text in "[2-5. a\n]{0,12}[ -~\n]{0,600}") {
            super::reply_value(&[&[code, class, 1, 3], text.as_bytes()].concat());
        }

        #[test]
        fn likely_offers_hold_the_invariants(
            lines in "250-mx(\r\n250-(SIZE|DSN|auth=|AUTH|LIMITS|DELIVERBY|FUTURERELEASE|X)[ \t]?[A-Z0-9=:. -]{0,20}){0,6}\r\n250 HELP\r\n",
        ) {
            super::ehlo(lines.as_bytes());
        }
    }
}
