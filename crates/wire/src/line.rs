//! Splits bytes into lines that end with CRLF and nothing else.

use bytes::{Buf, Bytes, BytesMut};

use crate::Reply;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
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

impl LineError {
    /// The reply that belongs to this error: 500 5.5.2.
    pub fn reply(self) -> Reply {
        match self {
            Self::TooLong => Reply::LINE_TOO_LONG_500,
            Self::BareCr | Self::BareLf | Self::Nul => Reply::SYNTAX_500.append(": ").append(&self.to_string()),
        }
    }
}

/// Splits what comes into lines. No octet is looked at twice, and never more is held than the
/// limit.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// How much of the input is known to hold no LF.
    scanned: usize,
    discarding: bool,
    discarded: usize,
}

impl Lines {
    /// Lines of at most `limit` octets, CRLF included.
    pub fn new(limit: usize) -> Self {
        Self { limit, scanned: 0, discarding: false, discarded: 0 }
    }

    /// Takes the next line from `input`, without its CRLF; `None` if more bytes are needed.
    ///
    /// A line with a bare LF ends there and is an error as a whole. After
    /// [`LineError::TooLong`] everything up to the next LF is dropped.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Result<Bytes, LineError>> {
        if self.discarding {
            self.discard(input)?;
        }
        let end = memchr::memchr(b'\n', &input[self.scanned..]).map(|at| self.scanned + at);
        if end.unwrap_or(input.len()) >= self.limit {
            self.discarding = true;
            self.discarded = 0;
            self.scanned = 0;
            self.discard(input);
            return Some(Err(LineError::TooLong));
        }
        let Some(end) = end else {
            self.scanned = input.len();
            return None;
        };
        self.scanned = 0;
        let mut line = input.split_to(end + 1);
        line.truncate(end);
        if line.last() != Some(&b'\r') {
            return Some(Err(LineError::BareLf));
        }
        line.truncate(end - 1);
        Some(match memchr::memchr2(b'\r', 0, &line) {
            None => Ok(line.freeze()),
            Some(at) if line[at] == 0 => Err(LineError::Nul),
            Some(_) => Err(LineError::BareCr),
        })
    }

    /// Octets of the last line that was too long which have been dropped so far.
    pub fn discarded(&self) -> usize {
        self.discarded
    }

    /// Whether the rest of a line that was too long is still to come.
    pub fn discarding(&self) -> bool {
        self.discarding
    }

    /// Drops up to and with the next LF; `None` if it has not come yet.
    fn discard(&mut self, input: &mut BytesMut) -> Option<()> {
        let end = memchr::memchr(b'\n', input);
        let drop = end.map_or(input.len(), |at| at + 1);
        self.discarded += drop;
        input.advance(drop);
        self.discarding = end.is_none();
        (!self.discarding).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `size` and gives what came out.
    fn run(bytes: &[u8], size: usize, limit: usize) -> Vec<Result<String, LineError>> {
        let mut lines = Lines::new(limit);
        let mut input = BytesMut::new();
        let mut out = Vec::new();
        for piece in bytes.chunks(size) {
            input.extend_from_slice(piece);
            while let Some(line) = lines.next(&mut input) {
                out.push(line.map(|l| String::from_utf8_lossy(&l).into_owned()));
            }
            assert!(input.len() <= limit.max(size));
        }
        out
    }

    #[test]
    fn d1_d2_only_crlf_ends_a_line() {
        let bytes = b"NOOP\r\n\r\nMAIL FROM:<a@b.test>\nNOOP\rX\r\nNO\0OP\r\nQUIT\r\n\r\r\n";
        let expected = [
            Ok("NOOP".to_owned()),
            Ok(String::new()),
            Err(LineError::BareLf),
            Err(LineError::BareCr),
            Err(LineError::Nul),
            Ok("QUIT".to_owned()),
            Err(LineError::BareCr),
        ];
        for size in 1..=bytes.len() {
            assert_eq!(run(bytes, size, 100), expected, "pieces of {size}");
        }
    }

    #[test]
    fn d22_limits() {
        let line = |n: usize| [vec![b'x'; n - 2].as_slice(), b"\r\nNOOP\r\n"].concat();
        for size in [1, 7, 100, 4096] {
            assert_eq!(run(&line(2048), size, 2048).len(), 2);
            assert!(run(&line(2048), size, 2048)[0].is_ok());
            assert_eq!(run(&line(2049), size, 2048), [Err(LineError::TooLong), Ok("NOOP".to_owned())]);
            assert_eq!(run(&line(9000), size, 2048), [Err(LineError::TooLong), Ok("NOOP".to_owned())]);
        }
    }

    #[test]
    fn what_never_ends_is_dropped_and_counted() {
        let mut lines = Lines::new(2048);
        let mut input = BytesMut::new();
        let mut errors = 0;
        for _ in 0..1000 {
            input.extend_from_slice(&[b'x'; 10_240]);
            errors += usize::from(lines.next(&mut input).is_some());
            assert!(input.len() < 2048);
        }
        assert_eq!(errors, 1);
        assert!(lines.discarding() && lines.discarded() > 10_000_000);
    }
}
