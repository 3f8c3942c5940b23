//! The chunks of a message that is sent with BDAT (RFC 3030 §2).
//!
//! `bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF`: right behind this line follow as many
//! octets as it says. Nothing in them is a command, a line or a dot with a meaning.
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_wire::{BareLineEnds, ChunkDecoder, ChunkEncoder, Chunked};
//!
//! let mut wire = BytesMut::new();
//! let mut encoder = ChunkEncoder::new(BareLineEnds::Refuse);
//! encoder.encode(b"hello\r\n", &mut wire)?;
//! encoder.finish(b".\r\n", &mut wire)?;
//! assert_eq!(wire, "BDAT 7\r\nhello\r\nBDAT 3 LAST\r\n.\r\n");
//!
//! let mut decoder = ChunkDecoder::new(1000, BareLineEnds::Refuse);
//! let mut input = &wire[b"BDAT 7\r\n".len()..];
//! decoder.start(7, false)?;
//! assert_eq!(decoder.decode_slice(&mut input), Chunked::Data(&b"hello\r\n"[..]));
//! assert_eq!(decoder.decode_slice(&mut input), Chunked::End(Ok(())));
//! input = &input[b"BDAT 3 LAST\r\n".len()..];
//! decoder.start(3, true)?;
//! assert_eq!(decoder.decode_slice(&mut input), Chunked::Data(&b".\r\n"[..]));
//! assert_eq!(decoder.decode_slice(&mut input), Chunked::Last(Ok(())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt::Write as _;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    Reply,
    line_ends::{BareLineEnd, BareLineEnds, Watch},
};

/// Why a message in chunks must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The chunks announce more octets than the message may have.
    #[error("message exceeds the limit of {limit} octets")]
    TooBig {
        /// Octets of the message at the most.
        limit: u64,
    },
    /// A chunk was announced inside of another one; it was not counted.
    #[error("chunk begins while {left} octets of the last one are to come; read them first")]
    Unfinished {
        /// Octets of the chunk that are still to come.
        left: u64,
    },
    /// A CR or LF stands alone.
    #[error(transparent)]
    BareLineEnd(#[from] BareLineEnd),
}

impl ChunkError {
    /// The reply that belongs to this error: 552 5.3.4, 503 5.5.1 or 550 5.5.2.
    pub fn reply(self) -> Reply {
        match self {
            Self::TooBig { .. } => Reply::TOO_BIG_552,
            Self::Unfinished { .. } => Reply::BAD_SEQUENCE_503,
            Self::BareLineEnd(bare) => bare.reply(),
        }
    }
}

/// What a [`ChunkDecoder`] found; `T` is [`Bytes`] or a slice of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunked<T = Bytes> {
    /// A piece of the message, never empty.
    Data(T),
    /// Nothing: more octets are needed, or no chunk has been announced.
    More,
    /// The end of a chunk; what is left in the input is the next command. With an error, the
    /// message must be refused.
    End(Result<(), ChunkError>),
    /// The end of the last chunk, and the verdict on the whole message.
    Last(Result<(), ChunkError>),
}

/// Counts the octets of the chunks of one message.
///
/// Its size is fixed, whatever the number of chunks; it is exact for every split of the octets.
/// What is more than the limit is read, so that it cannot run as commands, but not given out.
/// After [`Chunked::Last`] it stands at the start of the next message.
#[derive(Clone, Debug)]
pub struct ChunkDecoder {
    watch: Watch,
    limit: u64,
    /// Octets that have been announced, never more than the limit.
    announced: u64,
    chunk: Option<Chunk>,
    too_big: bool,
}

/// The chunk that is being read.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    left: u64,
    last: bool,
}

impl ChunkDecoder {
    /// At the start of a message of at most `limit` octets.
    pub const fn new(limit: u64, bare_line_ends: BareLineEnds) -> Self {
        Self { watch: Watch::new(bare_line_ends), limit, announced: 0, chunk: None, too_big: false }
    }

    /// Announces a chunk: `BDAT size`, or `BDAT size LAST`.
    ///
    /// # Errors
    /// [`ChunkError::TooBig`] from the chunk on with which the message would exceed the limit. The
    /// octets follow nevertheless; read them until [`Chunked::End`] or [`Chunked::Last`], or close
    /// the connection. [`ChunkError::Unfinished`] while another chunk is being read: nothing has
    /// changed.
    pub fn start(&mut self, size: u64, last: bool) -> Result<(), ChunkError> {
        if let Some(Chunk { left, .. }) = self.chunk {
            return Err(ChunkError::Unfinished { left });
        }
        self.chunk = Some(Chunk { left: size, last });
        match self.announced.checked_add(size).filter(|announced| *announced <= self.limit) {
            Some(announced) => self.announced = announced,
            None => self.too_big = true,
        }
        if self.too_big { Err(ChunkError::TooBig { limit: self.limit }) } else { Ok(()) }
    }

    /// Octets of the chunk that are still to come.
    pub const fn left(&self) -> u64 {
        match self.chunk {
            Some(chunk) => chunk.left,
            None => 0,
        }
    }

    /// Whether a chunk is being read: its end has not been given out yet.
    pub const fn in_chunk(&self) -> bool {
        self.chunk.is_some()
    }

    /// The first CR or LF that stands alone, as soon as it is known; the message can only end
    /// with an error. Always `None` with [`BareLineEnds::Keep`].
    pub const fn bare_line_end(&self) -> Option<BareLineEnd> {
        self.watch.found()
    }

    /// Takes what has come of the chunk from `input`. The piece is a part of it.
    pub fn decode(&mut self, input: &mut BytesMut) -> Chunked {
        match self.next(input.len()) {
            Next::Octets(count) if self.too_big => {
                input.advance(count);
                self.decode(input)
            }
            Next::Octets(count) => {
                let piece = input.split_to(count).freeze();
                self.watch.see(&piece, 0);
                Chunked::Data(piece)
            }
            Next::More => Chunked::More,
            Next::End => Chunked::End(self.verdict(self.watch.found())),
            Next::Last => Chunked::Last(self.end()),
        }
    }

    /// The same for octets that stay where they are; nothing is copied or allocated.
    pub fn decode_slice<'a>(&mut self, input: &mut &'a [u8]) -> Chunked<&'a [u8]> {
        match self.next(input.len()) {
            Next::Octets(count) => {
                let (piece, rest) = input.split_at(count);
                *input = rest;
                if self.too_big {
                    return self.decode_slice(input);
                }
                self.watch.see(piece, 0);
                Chunked::Data(piece)
            }
            Next::More => Chunked::More,
            Next::End => Chunked::End(self.verdict(self.watch.found())),
            Next::Last => Chunked::Last(self.end()),
        }
    }

    fn next(&mut self, available: usize) -> Next {
        match &mut self.chunk {
            None => Next::More,
            Some(Chunk { left: 0, last }) => {
                let next = if *last { Next::Last } else { Next::End };
                self.chunk = None;
                next
            }
            Some(_) if available == 0 => Next::More,
            Some(chunk) => {
                let count = usize::try_from(chunk.left).map_or(available, |left| left.min(available));
                chunk.left -= count as u64;
                Next::Octets(count)
            }
        }
    }

    fn verdict(&self, bare: Option<BareLineEnd>) -> Result<(), ChunkError> {
        match bare {
            Some(bare) => Err(bare.into()),
            None if self.too_big => Err(ChunkError::TooBig { limit: self.limit }),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), ChunkError> {
        let verdict = self.verdict(self.watch.verdict().err());
        *self = Self::new(self.limit, self.watch.policy());
        verdict
    }
}

/// What is next in a chunk.
enum Next {
    Octets(usize),
    More,
    End,
    Last,
}

/// Writes a message as chunks.
#[derive(Clone, Debug, Default)]
pub struct ChunkEncoder {
    watch: Watch,
}

impl ChunkEncoder {
    /// At the start of a message.
    ///
    /// A message with bare line ends is one that no server may take without BINARYMIME
    /// (RFC 3030 §3); [`BareLineEnds::Keep`] is for those that do.
    pub const fn new(bare_line_ends: BareLineEnds) -> Self {
        Self { watch: Watch::new(bare_line_ends) }
    }

    /// Appends the next piece of the message to `out` as one chunk, nothing if it is empty.
    ///
    /// # Errors
    /// [`BareLineEnd`]: nothing was appended, and the message cannot be sent. This encoder gives
    /// the same error from now on, also at the end.
    pub fn encode(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), BareLineEnd> {
        self.watch.see(piece, 0);
        if let Some(bare) = self.watch.found() {
            return Err(bare);
        }
        if !piece.is_empty() {
            write(piece, "", out);
        }
        Ok(())
    }

    /// Appends the last piece, which may be empty, as the last chunk.
    ///
    /// # Errors
    /// [`BareLineEnd`]: nothing was appended.
    pub fn finish(mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), BareLineEnd> {
        self.watch.see(piece, 0);
        self.watch.verdict()?;
        write(piece, " LAST", out);
        Ok(())
    }
}

fn write(piece: &[u8], marker: &str, out: &mut BytesMut) {
    const LINE: usize = "BDAT 18446744073709551615 LAST\r\n".len();
    out.reserve(LINE + piece.len());
    write!(out, "BDAT {}{marker}\r\n", piece.len()).expect("a buffer grows");
    out.put_slice(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE_LF: BareLineEnd = BareLineEnd { kind: crate::BareLineEndKind::Lf, at: 1 };

    /// What comes of one chunk fed in pieces, and what is left behind it; both forms.
    fn read(decoder: &mut ChunkDecoder, pieces: &[&[u8]]) -> (Vec<u8>, Chunked, Vec<u8>) {
        let mut borrowed = decoder.clone();
        let (mut input, mut message) = (BytesMut::new(), Vec::new());
        let mut end = Chunked::More;
        for piece in pieces {
            input.extend_from_slice(piece);
            while end == Chunked::More {
                match decoder.decode(&mut input) {
                    Chunked::Data(piece) => {
                        assert!(!piece.is_empty());
                        message.extend_from_slice(&piece);
                    }
                    Chunked::More => break,
                    other => end = other,
                }
            }
        }
        let (mut slices, mut ended) = (Vec::new(), Chunked::More);
        for mut piece in pieces.iter().copied() {
            while ended == Chunked::More {
                match borrowed.decode_slice(&mut piece) {
                    Chunked::Data(piece) => slices.extend_from_slice(piece),
                    Chunked::More => break,
                    Chunked::End(verdict) => ended = Chunked::End(verdict),
                    Chunked::Last(verdict) => ended = Chunked::Last(verdict),
                }
            }
        }
        assert_eq!((&slices, &ended), (&message, &end), "borrowed form");
        (message, end, input.to_vec())
    }

    #[test]
    fn every_split_of_a_chunk() {
        let bytes = b".\r\n.\r\nMAIL\r\nRSET\r\n";
        for cut in 0..=bytes.len() {
            let mut decoder = ChunkDecoder::new(12, BareLineEnds::Refuse);
            decoder.start(12, true).unwrap();
            let (message, end, rest) = read(&mut decoder, &[&bytes[..cut], &bytes[cut..]]);
            assert_eq!((&message[..], end, &rest[..]), (&bytes[..12], Chunked::Last(Ok(())), &bytes[12..]), "{cut}");
        }
    }

    #[test]
    fn chunks_of_one_message_are_looked_at_as_one() {
        for (chunks, verdict) in [
            (&[&b"a\r"[..], b"\nb"][..], Ok(())),
            (&[b"a\n", b"b"], Err(BARE_LF.into())),
            (&[b"\r", b"x"], Err(BareLineEnd { kind: crate::BareLineEndKind::Cr, at: 0 }.into())),
            (&[b"ab", b"\r"], Err(BareLineEnd { kind: crate::BareLineEndKind::Cr, at: 2 }.into())),
            (&[b"", b""], Ok(())),
        ] {
            for policy in [BareLineEnds::Refuse, BareLineEnds::Keep] {
                let mut decoder = ChunkDecoder::new(9, policy);
                let verdict = if policy == BareLineEnds::Refuse { verdict } else { Ok(()) };
                let mut end = Chunked::More;
                for (number, chunk) in chunks.iter().enumerate() {
                    decoder.start(chunk.len() as u64, number + 1 == chunks.len()).unwrap();
                    let message;
                    (message, end, _) = read(&mut decoder, &[chunk]);
                    assert_eq!(message, *chunk, "octets pass as they are");
                }
                assert_eq!(end, Chunked::Last(verdict), "{chunks:?}");
                assert_eq!(decoder.bare_line_end(), None, "the next message begins");
            }
        }
        let mut decoder = ChunkDecoder::new(9, BareLineEnds::Refuse);
        decoder.start(2, false).unwrap();
        assert_eq!(read(&mut decoder, &[b"a\n"]).1, Chunked::End(Err(BARE_LF.into())));
        assert_eq!(decoder.bare_line_end(), Some(BARE_LF));
    }

    #[test]
    fn c1_2_what_is_too_big_is_read_and_dropped() {
        let too_big = ChunkError::TooBig { limit: 10 };
        let mut decoder = ChunkDecoder::new(10, BareLineEnds::Refuse);
        assert_eq!(decoder.start(10, false), Ok(()));
        assert_eq!(read(&mut decoder, &[b"0123456789"]).1, Chunked::End(Ok(())));
        assert_eq!(decoder.start(1, false), Err(too_big));
        assert_eq!((decoder.left(), decoder.in_chunk()), (1, true));
        let refused = (Vec::new(), Chunked::End(Err(too_big)), b"DATA\r\n".to_vec());
        assert_eq!(read(&mut decoder, &[b"x", b"DATA\r\n"]), refused);
        // Also a chunk that would fit again, and an empty one.
        assert_eq!(decoder.start(0, false), Err(too_big));
        assert_eq!(read(&mut decoder, &[b""]).1, Chunked::End(Err(too_big)));
        assert_eq!(decoder.start(2, true), Err(too_big));
        assert_eq!(read(&mut decoder, &[b"x", b"y"]), (Vec::new(), Chunked::Last(Err(too_big)), Vec::new()));
        assert_eq!(decoder.start(10, true), Ok(()), "the next message begins");
    }

    #[test]
    fn no_sum_of_sizes_wraps() {
        let mut decoder = ChunkDecoder::new(u64::MAX, BareLineEnds::Keep);
        assert_eq!(decoder.start(3, false), Ok(()));
        assert_eq!(read(&mut decoder, &[b"abc"]).1, Chunked::End(Ok(())));
        assert_eq!(decoder.start(u64::MAX - 2, true), Err(ChunkError::TooBig { limit: u64::MAX }));
        assert_eq!(read(&mut decoder, &[b"MAIL FROM:<a@b.test>\r\n"]), (Vec::new(), Chunked::More, Vec::new()));
        assert_eq!(decoder.left(), u64::MAX - 2 - 22);
        let mut decoder = ChunkDecoder::new(u64::MAX, BareLineEnds::Keep);
        assert_eq!(decoder.start(u64::MAX, true), Ok(()));
        assert_eq!(read(&mut decoder, &[b"abc"]), (b"abc".to_vec(), Chunked::More, Vec::new()));
    }

    #[test]
    fn c1_4_tiny_chunks_cost_nothing() {
        let mut decoder = ChunkDecoder::new(1_000_000, BareLineEnds::Refuse);
        let mut input = BytesMut::new();
        for _ in 0..1_000_000 {
            decoder.start(1, false).unwrap();
            input.extend_from_slice(b"x");
            assert!(matches!(decoder.decode(&mut input), Chunked::Data(_)));
            assert_eq!(decoder.decode(&mut input), Chunked::End(Ok(())));
        }
        assert_eq!(decoder.start(1, false), Err(ChunkError::TooBig { limit: 1_000_000 }));
        assert!(input.capacity() < 1000, "{}", input.capacity());
    }

    #[test]
    fn without_a_chunk_nothing_is_taken() {
        let mut decoder = ChunkDecoder::new(10, BareLineEnds::Refuse);
        assert_eq!(read(&mut decoder, &[b"QUIT\r\n"]), (Vec::new(), Chunked::More, b"QUIT\r\n".to_vec()));
        decoder.start(5, false).unwrap();
        assert_eq!(decoder.start(1, true), Err(ChunkError::Unfinished { left: 5 }));
        assert_eq!(read(&mut decoder, &[b"abcdeQUIT"]), (b"abcde".to_vec(), Chunked::End(Ok(())), b"QUIT".to_vec()));
        assert!(!decoder.in_chunk());
    }

    #[test]
    fn messages_are_written_as_chunks() {
        let mut out = BytesMut::new();
        let mut encoder = ChunkEncoder::default();
        encoder.encode(b"a\r", &mut out).unwrap();
        encoder.encode(b"", &mut out).unwrap();
        encoder.encode(b"\n.\r\n", &mut out).unwrap();
        encoder.finish(b"", &mut out).unwrap();
        assert_eq!(out, "BDAT 2\r\na\rBDAT 4\r\n\n.\r\nBDAT 0 LAST\r\n");
        for message in [&b"a\nb"[..], b"a\rb", b"a\r"] {
            let mut out = BytesMut::new();
            assert!(ChunkEncoder::default().finish(message, &mut out).is_err(), "{message:?}");
            assert!(out.is_empty());
            ChunkEncoder::new(BareLineEnds::Keep).finish(message, &mut out).unwrap();
            assert_eq!(out, [format!("BDAT {} LAST\r\n", message.len()).as_bytes(), message].concat());
        }
        let (mut encoder, mut out) = (ChunkEncoder::default(), BytesMut::new());
        assert_eq!(encoder.encode(b"a\n", &mut out), Err(BARE_LF));
        assert_eq!(encoder.encode(b"b", &mut out), Err(BARE_LF));
        assert_eq!(encoder.finish(b"", &mut out), Err(BARE_LF));
        assert!(out.is_empty());
    }

    #[test]
    fn replies() {
        let reply = |error: ChunkError| error.reply().to_string()[..9].to_owned();
        assert_eq!(reply(ChunkError::TooBig { limit: 1 }), "552 5.3.4");
        assert_eq!(reply(ChunkError::Unfinished { left: 1 }), "503 5.5.1");
        assert_eq!(reply(ChunkError::BareLineEnd(BARE_LF)), "550 5.5.2");
    }
}
