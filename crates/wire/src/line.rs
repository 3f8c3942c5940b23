//! Lines that end with CRLF and nothing else (RFC 5321 §2.3.8).
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_wire::{LineErrorKind, Lines};
//!
//! let mut lines = Lines::new(2048);
//! let mut input = BytesMut::from(&b"NOOP\r\nRSET\nQUI"[..]);
//! assert_eq!(lines.next(&mut input).unwrap().unwrap(), "NOOP");
//! let error = lines.next(&mut input).unwrap().unwrap_err();
//! assert_eq!((error.kind, error.at), (LineErrorKind::BareLf, 4));
//! assert!(lines.next(&mut input).is_none());
//! input.extend_from_slice(b"T\r\n");
//! assert_eq!(lines.next(&mut input).unwrap().unwrap(), "QUIT");
//! ```

use bytes::{Buf, Bytes, BytesMut};

use crate::Reply;

/// What is wrong with a line, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct LineError {
    /// What is wrong.
    pub kind: LineErrorKind,
    /// The first wrong octet, counted from 0 at the start of the line.
    pub at: usize,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineErrorKind {
    /// Longer than the limit. The rest of it is dropped as it comes.
    #[error("line too long")]
    TooLong,
    /// A CR without LF behind it.
    #[error("bare <CR> in line")]
    BareCr,
    /// A LF without CR in front of it.
    #[error("bare <LF> ends line")]
    BareLf,
    /// An octet of value 0.
    #[error("NUL in line")]
    Nul,
}

impl LineErrorKind {
    fn at(self, at: usize) -> LineError {
        LineError { kind: self, at }
    }
}

impl LineError {
    /// The reply that belongs to this error: 500 5.5.2.
    pub fn reply(self) -> Reply {
        match self.kind {
            LineErrorKind::TooLong => Reply::LINE_TOO_LONG_500,
            kind => Reply::SYNTAX_500.append(": ").append(&kind.to_string()),
        }
    }
}

/// Splits what comes into lines.
///
/// A line that is not complete stays in the input; what was looked at is remembered and not
/// looked at again, but for a CR at the end. The input never has to hold more than the limit.
#[derive(Clone, Debug)]
pub struct Lines {
    limit: usize,
    /// How much of the input has been looked at.
    scanned: usize,
    /// What is wrong with this part of a line.
    fault: Option<LineError>,
    discarding: bool,
    discarded: usize,
}

impl Lines {
    /// Lines of at most `limit` octets, CRLF included.
    pub const fn new(limit: usize) -> Self {
        Self { limit, scanned: 0, fault: None, discarding: false, discarded: 0 }
    }

    /// From here on lines have at most `limit` octets; also the one of which a part was looked at.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes the next line from `input`, without its CRLF; `None` if more octets are needed.
    ///
    /// A LF always ends a line; if it is bare, or the line holds a bare CR or a NUL, the line is
    /// an error as a whole. After [`LineErrorKind::TooLong`] everything up to the next LF is
    /// dropped. The line is a part of `input`; nothing is copied.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Result<Bytes, LineError>> {
        let discard = self.discard(input);
        input.advance(discard);
        let (used, line) = self.look(input)?;
        Some(match line {
            Ok(length) => {
                let mut line = input.split_to(used);
                line.truncate(length);
                Ok(line.freeze())
            }
            Err(error) => {
                input.advance(used);
                Err(error)
            }
        })
    }

    /// The same for octets that stay where they are; nothing is copied or allocated.
    ///
    /// Where more octets are needed, what is left in `input` must be given again, with more behind
    /// it.
    pub fn next_slice<'a>(&mut self, input: &mut &'a [u8]) -> Option<Result<&'a [u8], LineError>> {
        *input = &input[self.discard(input)..];
        let (used, line) = self.look(input)?;
        let (line_end, rest) = input.split_at(used);
        *input = rest;
        Some(line.map(|length| &line_end[..length]))
    }

    /// Octets of the last line that was too long which have been dropped so far.
    pub const fn discarded(&self) -> usize {
        self.discarded
    }

    /// Whether the rest of a line that was too long is still to come.
    pub const fn discarding(&self) -> bool {
        self.discarding
    }

    /// How many octets belong to a line that was too long, up to and with its LF.
    fn discard(&mut self, input: &[u8]) -> usize {
        if !self.discarding {
            return 0;
        }
        let end = memchr::memchr(b'\n', input);
        let drop = end.map_or(input.len(), |lf| lf + 1);
        self.discarding = end.is_none();
        self.discarded += drop;
        drop
    }

    /// The octets of the line that `input` begins with, and its length without CRLF.
    fn look(&mut self, input: &[u8]) -> Option<(usize, Result<usize, LineError>)> {
        if self.discarding {
            return None;
        }
        let window = &input[..input.len().min(self.limit)];
        let mut at = self.scanned;
        let end = loop {
            let rest = window.get(at..).unwrap_or_default();
            if self.fault.is_some() {
                break memchr::memchr(b'\n', rest).map(|lf| (at + lf, 0));
            }
            let Some(found) = memchr::memchr3(b'\r', b'\n', 0, rest) else { break None };
            at += found;
            self.fault = match (window[at], window.get(at + 1)) {
                (b'\r', Some(b'\n')) => break Some((at + 1, at)),
                // The octet behind it decides.
                (b'\r', None) => {
                    self.scanned = at;
                    return self.too_long(input);
                }
                (b'\r', Some(_)) => Some(LineErrorKind::BareCr.at(at)),
                (b'\n', _) => {
                    self.fault = Some(LineErrorKind::BareLf.at(at));
                    break Some((at, 0));
                }
                _ => Some(LineErrorKind::Nul.at(at)),
            };
            at += 1;
        };
        let Some((lf, length)) = end else {
            self.scanned = window.len();
            return self.too_long(input);
        };
        self.scanned = 0;
        Some((lf + 1, self.fault.take().map_or(Ok(length), Err)))
    }

    /// There is no end within the limit: all of `input` is dropped if it has come to the limit.
    fn too_long(&mut self, input: &[u8]) -> Option<(usize, Result<usize, LineError>)> {
        if input.len() < self.limit {
            return None;
        }
        (self.scanned, self.fault) = (0, None);
        (self.discarding, self.discarded) = (true, 0);
        Some((self.discard(input), Err(LineErrorKind::TooLong.at(self.limit))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = Vec<Result<String, LineError>>;

    fn error(kind: LineErrorKind, at: usize) -> Result<String, LineError> {
        Err(kind.at(at))
    }

    fn text(line: &[u8]) -> String {
        String::from_utf8_lossy(line).into_owned()
    }

    /// Feeds `bytes` in pieces of `size` and gives what came out.
    fn run(bytes: &[u8], size: usize, limit: usize) -> Read {
        let (mut lines, mut input, mut out) = (Lines::new(limit), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(size) {
            input.extend_from_slice(piece);
            while let Some(line) = lines.next(&mut input) {
                out.push(line.map(|line| text(&line)));
            }
            assert!(input.len() < limit, "never more than the limit is held");
        }
        // The borrowed form reads the same.
        let (mut lines, mut begin, mut slices) = (Lines::new(limit), 0, Vec::new());
        for end in (0..bytes.len()).step_by(size).map(|start| bytes.len().min(start + size)) {
            let mut input = &bytes[begin..end];
            while let Some(line) = lines.next_slice(&mut input) {
                slices.push(line.map(text));
            }
            begin = end - input.len();
        }
        assert_eq!(slices, out, "in pieces of {size}");
        out
    }

    #[test]
    fn d1_d2_only_crlf_ends_a_line() {
        use LineErrorKind::*;
        let bytes = b"NOOP\r\n\r\nMAIL FROM:<a@b.test>\nNOOP\rX\r\nNO\0OP\r\nQUIT\r\n\r\r\n\0\rx\nRSET\r\n";
        let expected = [
            Ok("NOOP".to_owned()),
            Ok(String::new()),
            error(BareLf, 20),
            error(BareCr, 4),
            error(Nul, 2),
            Ok("QUIT".to_owned()),
            error(BareCr, 0),
            error(Nul, 0),
            Ok("RSET".to_owned()),
        ];
        for size in 1..=bytes.len() {
            assert_eq!(run(bytes, size, 100), expected, "pieces of {size}");
        }
    }

    /// The same by the letter, for lines below the limit.
    fn model(bytes: &[u8]) -> Read {
        let mut read = Vec::new();
        for line in bytes.split_inclusive(|octet| *octet == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else { break };
            let (line, crlf) = line.strip_suffix(b"\r").map_or((line, false), |line| (line, true));
            let wrong = line.iter().position(|octet| matches!(octet, b'\r' | 0));
            read.push(match wrong {
                Some(at) if line[at] == 0 => error(LineErrorKind::Nul, at),
                Some(at) => error(LineErrorKind::BareCr, at),
                None if !crlf => error(LineErrorKind::BareLf, line.len()),
                None => Ok(text(line)),
            });
        }
        read
    }

    #[test]
    fn every_string_of_the_alphabet_in_all_pieces() {
        for length in 0..=6u32 {
            for n in 0..4usize.pow(length) {
                let bytes: Vec<u8> = (0..length).map(|i| b"\r\n\0x"[n / 4usize.pow(i) % 4]).collect();
                let expected = model(&bytes);
                for size in 1..=bytes.len() {
                    assert_eq!(run(&bytes, size, 100), expected, "{bytes:?} in pieces of {size}");
                }
            }
        }
    }

    #[test]
    fn d22_limits() {
        let line = |n: usize| [vec![b'x'; n - 2].as_slice(), b"\r\nNOOP\r\n"].concat();
        for size in [1, 7, 100, 2047, 2048, 2049, 4096] {
            assert_eq!(run(&line(2048), size, 2048)[1..], [Ok("NOOP".to_owned())]);
            assert!(run(&line(2048), size, 2048)[0].is_ok());
            let too_long = [error(LineErrorKind::TooLong, 2048), Ok("NOOP".to_owned())];
            for length in [2049, 2050, 9000] {
                assert_eq!(run(&line(length), size, 2048), too_long, "{length} in pieces of {size}");
            }
            let wrong = [b"\0\r", &line(4000)[..]].concat();
            assert_eq!(run(&wrong, size, 2048), too_long, "also where it is wrong before");
        }
    }

    #[test]
    fn d22_c1_8_what_never_ends_is_dropped_and_counted() {
        let mut lines = Lines::new(2048);
        let mut input = BytesMut::new();
        let mut errors = 0;
        for _ in 0..1000 {
            input.extend_from_slice(&[b'x'; 10_240]);
            errors += usize::from(lines.next(&mut input).is_some());
            assert!(input.is_empty());
        }
        assert_eq!(errors, 1);
        assert!(lines.discarding());
        assert_eq!(lines.discarded(), 10_240_000);
        input.extend_from_slice(b"xx\r\nNOOP\r\n");
        assert_eq!(lines.next(&mut input), Some(Ok("NOOP".into())));
        assert_eq!(lines.discarded(), 10_240_004);
        assert!(!lines.discarding());
    }

    #[test]
    fn replies() {
        let reply = |kind: LineErrorKind| kind.at(3).reply().to_string();
        assert!(reply(LineErrorKind::BareLf).starts_with("500 5.5.2"));
        assert!(reply(LineErrorKind::BareLf).ends_with(": bare <LF> ends line"));
        assert!(reply(LineErrorKind::TooLong).starts_with("500 5.5.2"));
        assert_eq!(LineErrorKind::Nul.at(3).to_string(), "NUL in line at octet 3");
    }
}
