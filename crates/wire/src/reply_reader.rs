//! Reads the replies of a server from its bytes, as they come (RFC 5321 §4.2).
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_wire::ReplyReader;
//!
//! let mut reader = ReplyReader::new();
//! let mut input = BytesMut::from("250-mx.test\r\n250 SI");
//! assert_eq!(reader.next(&mut input), Ok(None));
//! input.extend_from_slice(b"ZE 1000\r\n");
//! let reply = reader.next(&mut input).unwrap().unwrap();
//! assert_eq!(reply.lines().collect::<Vec<_>>(), ["mx.test", "SIZE 1000"]);
//! ```

use bytes::{Buf, BytesMut};
use memchr::memchr;

use crate::{
    Code, Reply,
    reply_error::{ReplyError, ReplyErrorKind},
    reply_text::TextBuilder,
};

/// Reads replies; holds the text of at most one reply that is not complete.
///
/// What comes in pieces is not searched again with each piece, and a reply that comes whole
/// allocates its text and nothing else. Limits: 4096 octets a line, 100 lines, 64 KiB a reply.
#[derive(Debug, Default)]
pub struct ReplyReader {
    scan: Scan,
    text: TextBuilder,
}

impl ReplyReader {
    /// A reader that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next reply from `input`; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`ReplyError`]: the conversation cannot go on. The line that is wrong stays in `input`,
    /// and gives the same error again.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        // A reply that has come whole needs no state.
        if self.scan.is_new()
            && let Some((reply, octets)) = Reply::parse_usual(input)
        {
            let reply = reply.into_owned();
            input.advance(octets);
            return Ok(Some(reply));
        }
        loop {
            let before = self.scan.octets();
            let Some(line) = self.scan.line(input)? else { return Ok(None) };
            let (code, last) = (line.code, line.last);
            self.text.line(line.text, code);
            input.advance(self.scan.octets() - before);
            if last {
                self.scan = Scan::default();
                return Ok(Some(Reply::built(code, std::mem::take(&mut self.text))));
            }
        }
    }

    /// Whether a reply has begun that is not complete.
    pub fn in_reply(&self) -> bool {
        self.scan.lines > 0
    }
}

/// The lines of one reply, and what they must have in common.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    code: Option<Code>,
    lines: usize,
    /// Octets of the lines that are complete.
    octets: usize,
    /// Octets of the next line that are known to hold no LF.
    searched: usize,
}

/// A line of a reply.
pub(crate) struct Line<'a> {
    pub(crate) code: Code,
    pub(crate) text: &'a [u8],
    pub(crate) last: bool,
}

impl Scan {
    /// Octets of a line at the most, CRLF included.
    pub(crate) const LINE_LIMIT: usize = 4096;
    /// Lines of a reply at the most.
    pub(crate) const LINES_LIMIT: usize = 100;
    /// Octets of a reply at the most, codes and line ends included.
    pub(crate) const REPLY_LIMIT: usize = 64 * 1024;

    /// Whether no octet has been seen.
    fn is_new(&self) -> bool {
        self.lines == 0 && self.searched == 0
    }

    /// Octets of the lines so far.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// How many lines there were so far.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// The line at the beginning of `input`; `None` if it is not complete.
    pub(crate) fn line<'a>(&mut self, input: &'a [u8]) -> Result<Option<Line<'a>>, ReplyError> {
        let error = |kind: ReplyErrorKind, at: usize| Err(kind.at(self.octets + at));
        let Some(end) = memchr(b'\n', &input[self.searched..]).map(|at| self.searched + at) else {
            if input.len() >= Self::LINE_LIMIT {
                return error(ReplyErrorKind::LineTooLong, Self::LINE_LIMIT);
            }
            self.searched = input.len();
            return Ok(None);
        };
        if end >= Self::LINE_LIMIT {
            return error(ReplyErrorKind::LineTooLong, Self::LINE_LIMIT);
        }
        if self.lines == Self::LINES_LIMIT {
            return error(ReplyErrorKind::TooManyLines, 0);
        }
        if self.octets + end >= Self::REPLY_LIMIT {
            return Err(ReplyErrorKind::TooLong.at(Self::REPLY_LIMIT));
        }
        let Some(line) = input[..end].strip_suffix(b"\r") else { return error(ReplyErrorKind::BareLf, end) };
        if let Some(at) = memchr(b'\r', line) {
            return error(ReplyErrorKind::BareCr, at);
        }
        let Some((digits, rest)) = line.split_first_chunk::<3>() else { return error(ReplyErrorKind::Code, 0) };
        let Some(code) = Code::read(*digits) else { return error(ReplyErrorKind::Code, 0) };
        if self.code.is_some_and(|first| first != code) {
            return error(ReplyErrorKind::CodeMismatch, 0);
        }
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return error(ReplyErrorKind::Code, 3),
        };
        self.code = Some(code);
        self.lines += 1;
        self.octets += end + 1;
        self.searched = 0;
        Ok(Some(Line { code, text, last }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let read = ReplyReader::new().next(&mut BytesMut::from(bytes));
        let parsed = Reply::parse(bytes).map(|parsed| parsed.map(|(reply, _)| reply.into_owned()));
        assert_eq!(read, parsed, "{bytes:?}");
        read
    }

    #[test]
    fn d24_replies() {
        let ok = |bytes: &[u8]| read(bytes).unwrap().unwrap();
        assert_eq!(ok(b"250-a\r\n250 b\r\n"), Reply::plain(Code::OK_250, "a\nb"));
        assert_eq!(ok(b"250\r\n"), Reply::plain(Code::OK_250, ""));
        assert_eq!(ok(b"250-a\r\n250\r\n"), Reply::plain(Code::OK_250, "a\n"));
        assert_eq!(ok(b"250-\r\n250-\r\n250 \r\n"), Reply::plain(Code::OK_250, "\n\n"));
        assert_eq!(read(b"250 incomplete"), Ok(None));
        let cases = [
            (&b"250-a\r\n251 b\r\n"[..], ReplyErrorKind::CodeMismatch, 7),
            (b"250-a\r\n550 b\r\n", ReplyErrorKind::CodeMismatch, 7),
            (b"25 x\r\n", ReplyErrorKind::Code, 0),
            (b"250xA\r\n", ReplyErrorKind::Code, 3),
            (b"250\tA\r\n", ReplyErrorKind::Code, 3),
            (b"999 x\r\n", ReplyErrorKind::Code, 0),
            (b"\r\n", ReplyErrorKind::Code, 0),
            (b"2500\r\n", ReplyErrorKind::Code, 3),
            (b"hello\r\n", ReplyErrorKind::Code, 0),
            (b"150 x\r\n", ReplyErrorKind::Code, 0),
            (b"250-a\r\nb\r\n", ReplyErrorKind::Code, 7),
            (b"250-a\r\n250xb\r\n", ReplyErrorKind::Code, 10),
            (b"250 a\n", ReplyErrorKind::BareLf, 5),
            (b"\n", ReplyErrorKind::BareLf, 0),
            (b"250-a\r\n250 b\n", ReplyErrorKind::BareLf, 12),
            (b"250 a\rb\r\n", ReplyErrorKind::BareCr, 5),
            (b"250 a\r\r\n", ReplyErrorKind::BareCr, 5),
            (b"250\r \r\n", ReplyErrorKind::BareCr, 3),
            // The first fault counts.
            (b"250-a\rb\r\n251 c\r\n", ReplyErrorKind::BareCr, 5),
            (b"250-a\r\n251 b\r\n250 c\n", ReplyErrorKind::CodeMismatch, 7),
        ];
        for (bytes, kind, at) in cases {
            assert_eq!(read(bytes), Err(kind.at(at)), "{bytes:?}");
        }
    }

    #[test]
    fn c1_8_replies_are_bounded() {
        let line = |octets: usize| [b"250 ", "x".repeat(octets - 6).as_bytes(), b"\r\n"].concat();
        assert!(read(&line(4096)).unwrap().is_some());
        assert_eq!(read(&line(4097)), Err(ReplyErrorKind::LineTooLong.at(4096)));
        assert_eq!(read(&line(4098)[..4095]), Ok(None));
        assert_eq!(read(&line(4098)[..4096]), Err(ReplyErrorKind::LineTooLong.at(4096)));

        let lines = |count: usize| [b"250-\r\n".repeat(count - 1).as_slice(), b"250 \r\n"].concat();
        assert_eq!(read(&lines(100)).unwrap().unwrap().lines().count(), 100);
        assert_eq!(read(&lines(101)), Err(ReplyErrorKind::TooManyLines.at(600)));
        assert_eq!(read(&b"250-\r\n".repeat(10_000)), Err(ReplyErrorKind::TooManyLines.at(600)));

        let more = format!("250-{}\r\n", "x".repeat(4090)).repeat(15);
        let whole = |octets: usize| [more.as_bytes(), &line(octets)].concat();
        assert!(read(&whole(4096)).unwrap().is_some());
        let over = format!("{}250-\r\n250 \r\n", &more[..]);
        assert!(read(over.as_bytes()).unwrap().is_some());
        let over = [more.as_bytes(), b"250-\r\n", &line(4090)].concat();
        assert_eq!(over.len(), 65_536);
        assert!(read(&over).unwrap().is_some());
        let over = [more.as_bytes(), b"250-\r\n", &line(4091)].concat();
        assert_eq!(read(&over), Err(ReplyErrorKind::TooLong.at(65_536)));
        let over = format!("{more}250-{}\r\n250\r\n", "x".repeat(4090));
        assert_eq!(read(over.as_bytes()), Err(ReplyErrorKind::TooLong.at(65_536)));
    }

    #[test]
    fn c1_8_what_has_been_searched_is_not_searched_again() {
        let mut reader = ReplyReader::new();
        let mut input = BytesMut::new();
        for octet in b"250-a\r\n250 b\r" {
            input.extend_from_slice(&[*octet]);
            assert_eq!(reader.next(&mut input), Ok(None));
            assert_eq!(reader.scan.searched, input.len());
        }
        assert_eq!(input, "250 b\r");
    }

    #[test]
    fn an_error_stays() {
        let mut reader = ReplyReader::new();
        let mut input = BytesMut::from("250-a\r\n251 b\r\n250 c\r\n");
        for _ in 0..3 {
            assert_eq!(reader.next(&mut input), Err(ReplyErrorKind::CodeMismatch.at(7)));
        }
        assert_eq!(input, "251 b\r\n250 c\r\n");
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
        let other = read(b"550-5.7.1 go\r\n550 5.7.2 away\r\n").unwrap().unwrap();
        assert_eq!(other.lines().collect::<Vec<_>>(), ["go", "5.7.2 away"]);
        let late = read(b"550-go\r\n550 5.7.2 away\r\n").unwrap().unwrap();
        assert_eq!((late.enhanced(), late.lines().last()), (None, Some("5.7.2 away")));
    }

    #[test]
    fn what_a_peer_says_becomes_harmless() {
        let reply = read(b"550 \x1b[2J\xff\0 ok\xc2\x85\r\n").unwrap().unwrap();
        assert_eq!(reply.lines().collect::<Vec<_>>(), ["?[2J\u{fffd}? ok?"]);
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
            assert_eq!(reader.in_reply(), (13..20).contains(&cut));
            input.extend_from_slice(&bytes[cut..]);
            while let Some(reply) = reader.next(&mut input).unwrap() {
                replies.push(reply.to_string());
            }
            assert_eq!(replies, ["250 5.1.1 a b", "550 5.7.1 c"]);
            assert!(!reader.in_reply());
        }
    }
}
