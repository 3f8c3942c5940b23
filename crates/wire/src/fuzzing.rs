//! What the fuzz targets call, and what the ordinary tests replay from the corpus.

mod framing;

use bytes::BytesMut;

use crate::{Command, Mailbox, Reply, ReplyReader};
pub use framing::{bdat, dot, line};

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

/// Any bytes of a server: replies that parse are written and parse to the same.
pub fn reply(data: &[u8]) {
    let mut input = BytesMut::from(data);
    let mut reader = ReplyReader::new();
    while let Ok(Some(reply)) = reader.next(&mut input) {
        let mut written = BytesMut::new();
        reply.write(&mut written);
        let again = ReplyReader::new().next(&mut written);
        assert_eq!(again.map(|r| r.map(|r| r.to_string())), Ok(Some(reply.to_string())));
        assert!(reply.to_string().parse::<Reply>().is_ok());
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
        replay("wire_dot", super::dot);
        replay("wire_line", super::line);
        replay("wire_bdat", super::bdat);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_hold_the_invariants(data: Vec<u8>) {
            super::command(&data);
            super::mailbox(&data);
            super::reply(&data);
            super::dot(&data);
            super::line(&data);
            super::bdat(&data);
        }

        #[test]
        fn likely_framing_holds_the_invariants(data in "[\r\n.a\x00]{0,60}") {
            super::dot(data.as_bytes());
            super::line(data.as_bytes());
            super::bdat(data.as_bytes());
        }

        #[test]
        fn likely_lines_hold_the_invariants(line in "(MAIL FROM:|RCPT TO:|EHLO |AUTH )[ -~\r\n\tü]{0,40}") {
            super::command(line.as_bytes());
        }

        #[test]
        fn likely_replies_hold_the_invariants(lines in "(2[0-5][0-9][- ]([245]\\.[0-9]\\.[0-9])? ?[a-z .5]{0,10}\r\n){0,4}") {
            super::reply(lines.as_bytes());
        }
    }
}
