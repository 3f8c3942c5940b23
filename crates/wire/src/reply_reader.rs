//! Reads the replies of a server from its bytes.

use bytes::BytesMut;

use crate::{
    Code, Reply,
    line::{LineError, Lines},
};

/// Why the bytes of a server are not a reply. There is no way on from here but to close the
/// connection: nobody can tell which reply belongs to which command any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line that is too long, or does not end with CRLF.
    #[error("reply line: {0}")]
    Line(LineError),
    /// Not three digits `[2-5][0-5][0-9]`, or something else than `-` or a space behind them.
    #[error("reply does not begin with a reply code")]
    Code,
    /// The lines of one reply have different codes.
    #[error("reply with two different codes")]
    CodeMismatch,
    /// More than 100 lines, or 64 KiB in all.
    #[error("reply too long")]
    TooLong,
}

/// Reads replies; holds at most one reply that is not complete.
#[derive(Debug)]
pub struct ReplyReader {
    lines: Lines,
    code: Option<Code>,
    text: String,
    count: usize,
}

impl Default for ReplyReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplyReader {
    /// Octets of a line at the most; RFC 5321 §4.5.3.1.5 has 512, servers send more.
    const LINE_LIMIT: usize = 4096;
    const LINES_LIMIT: usize = 100;
    const TEXT_LIMIT: usize = 64 * 1024;

    /// A reader that has seen nothing yet.
    pub fn new() -> Self {
        Self { lines: Lines::new(Self::LINE_LIMIT), code: None, text: String::new(), count: 0 }
    }

    /// Takes the next reply from `input`; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`ReplyError`]: the conversation cannot go on.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        while let Some(line) = self.lines.next(input) {
            let line = line.map_err(ReplyError::Line)?;
            let (code, last, text) = split(&line).ok_or(ReplyError::Code)?;
            if self.code.is_some_and(|first| first != code) {
                return Err(ReplyError::CodeMismatch);
            }
            if self.count == Self::LINES_LIMIT || self.text.len() + text.len() > Self::TEXT_LIMIT {
                return Err(ReplyError::TooLong);
            }
            if self.count > 0 {
                self.text.push('\n');
            }
            self.code = Some(code);
            self.count += 1;
            self.text.push_str(&String::from_utf8_lossy(text));
            if last {
                self.code = None;
                self.count = 0;
                return Ok(Some(Reply::from_lines(code, std::mem::take(&mut self.text))));
            }
        }
        Ok(None)
    }

    /// Whether a reply has begun that is not complete.
    pub fn in_reply(&self) -> bool {
        self.code.is_some()
    }
}

/// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`
fn split(line: &[u8]) -> Option<(Code, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let value = |n: u16, b: &u8| b.is_ascii_digit().then(|| n * 10 + u16::from(b - b'0'));
    let code = Code::new(digits.iter().try_fold(0, value)?)?;
    match rest {
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LineErrorKind;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, ReplyError> {
        ReplyReader::new().next(&mut BytesMut::from(bytes))
    }

    #[test]
    fn d24_replies() {
        let ok = |bytes: &[u8]| read(bytes).unwrap().unwrap();
        assert_eq!(ok(b"250-a\r\n250 b\r\n"), Reply::plain(Code::OK_250, "a\nb"));
        assert_eq!(ok(b"250\r\n"), Reply::plain(Code::OK_250, ""));
        assert_eq!(ok(b"250-\r\n250-\r\n250 \r\n"), Reply::plain(Code::OK_250, "\n\n"));
        assert_eq!(read(b"250-a\r\n251 b\r\n"), Err(ReplyError::CodeMismatch));
        for bytes in [&b"25 x\r\n"[..], b"250xA\r\n", b"999 x\r\n", b"\r\n", b"2500\r\n", b"hello\r\n", b"150 x\r\n"] {
            assert_eq!(read(bytes), Err(ReplyError::Code), "{bytes:?}");
        }
        let line = |kind, at| Err(ReplyError::Line(LineError { kind, at }));
        assert_eq!(read(b"250 a\n"), line(LineErrorKind::BareLf, 5));
        assert_eq!(read(&b"250-\r\n".repeat(10_000)), Err(ReplyError::TooLong));
        assert_eq!(read(&[b"250 ", vec![b'x'; 5000].as_slice()].concat()), line(LineErrorKind::TooLong, 4096));
        assert_eq!(read(b"250 incomplete"), Ok(None));
    }

    #[test]
    fn enhanced_codes_are_taken_from_every_line() {
        let reply = read(b"550-5.7.1 go\r\n550 5.7.1 away\r\n").unwrap().unwrap();
        assert_eq!(reply.to_string(), "550 5.7.1 go away");
        let mut out = BytesMut::new();
        reply.write(&mut out);
        assert_eq!(out, "550-5.7.1 go\r\n550 5.7.1 away\r\n");
        let odd = read(b"550-5.7.1 go\r\n550 away\r\n").unwrap().unwrap();
        assert_eq!(odd.lines().collect::<Vec<_>>(), ["go", "away"]);
    }

    #[test]
    fn what_a_peer_says_becomes_harmless() {
        let reply = read(b"550 \x1b[2J\xff ok\r\n").unwrap().unwrap();
        assert_eq!(reply.lines().collect::<Vec<_>>(), ["?[2J\u{fffd} ok"]);
    }

    #[test]
    fn every_split_reads_the_same() {
        let bytes = b"250-5.1.1 a\r\n250 b\r\n550 5.7.1 c\r\n";
        for cut in 0..bytes.len() {
            let mut reader = ReplyReader::new();
            let mut input = BytesMut::from(&bytes[..cut]);
            let mut replies = Vec::new();
            while let Some(reply) = reader.next(&mut input).unwrap() {
                replies.push(reply.to_string());
            }
            input.extend_from_slice(&bytes[cut..]);
            while let Some(reply) = reader.next(&mut input).unwrap() {
                replies.push(reply.to_string());
            }
            assert_eq!(replies, ["250 5.1.1 a b", "550 5.7.1 c"]);
            assert!(!reader.in_reply());
        }
    }
}
