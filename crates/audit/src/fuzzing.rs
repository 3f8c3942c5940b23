//! What the fuzz target of this crate asserts; the corpus is replayed by a test.

use hikyaku_wire::{Code, EnhancedCode, Reply, Timestamp};

use crate::{Decision, Entry};

/// A line that is read is written so that it reads the same, and whatever a
/// peer says is one line.
pub fn line(data: &[u8]) {
    if let Ok(entry) = Entry::parse(data) {
        let written = write(&entry);
        let again = Entry::parse(&written).expect("what was written can be read");
        assert_eq!(write(&again), written);
    }
    let text = String::from_utf8_lossy(data);
    let decision = Decision {
        stage: text.clone().into(),
        peer: None,
        hello: Some(text.clone().into()),
        user: Some(text.clone().into()),
        sender: None,
        recipient: None,
        rule: text.clone().into(),
        line: None,
        until: None,
        facts: vec![text.clone().into()],
        shadows: vec![text.clone().into()],
        reply: Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), text.clone().into_owned()),
    };
    let entry = Entry::new(Timestamp::from_millis(0), decision).in_session(text.clone()).of_message(text);
    let written = write(&entry);
    assert!(written.len() < 64 * 1024);
    Entry::parse(&written).expect("what was written can be read");
}

fn write(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    entry.write_line(&mut out);
    let (last, line) = out.split_last().expect("a line is never empty");
    assert_eq!(*last, b'\n');
    let line = std::str::from_utf8(line).expect("a line is UTF-8");
    assert!(!line.chars().any(char::is_control), "{line:?}");
    out
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn corpus_of_audit_line() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/audit_line");
        let files: Vec<_> = fs::read_dir(&corpus)
            .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!files.is_empty(), "{} is empty", corpus.display());
        for file in files {
            super::line(&fs::read(file).unwrap());
        }
    }
}
