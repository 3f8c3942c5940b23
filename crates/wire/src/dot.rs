//! The message between DATA and the lone dot (RFC 5321 §4.5.2).
//!
//! A client puts a dot in front of each line that begins with one, and a line that is only a dot
//! ends the message. The end is `CRLF "." CRLF` and nothing else, in every mode; the first CRLF
//! may be that of the DATA command.
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_wire::{BareLineEnds, Decoded, DotDecoder, DotEncoder};
//!
//! let mut wire = BytesMut::new();
//! let mut encoder = DotEncoder::new(BareLineEnds::Refuse);
//! encoder.encode(b"hello\r\n.dot\r\n", &mut wire)?;
//! encoder.finish(&mut wire)?;
//! assert_eq!(wire, "hello\r\n..dot\r\n.\r\n");
//!
//! let mut decoder = DotDecoder::new(BareLineEnds::Refuse);
//! assert_eq!(decoder.decode(&mut wire), Decoded::Data("hello\r\n.dot\r\n".into()));
//! assert_eq!(decoder.decode(&mut wire), Decoded::End(Ok(())));
//! # Ok::<(), hikyaku_wire::BareLineEnd>(())
//! ```

use std::sync::LazyLock;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::memmem::Finder;

use crate::line_ends::{BareLineEnd, BareLineEnds, Watch, quiet};

/// Removes the dots that a client put in, and finds the end.
///
/// It is exact for every split of the octets. After [`Decoded::End`] it stands at the start of
/// the next message.
///
/// ```
/// use hikyaku_wire::{Decoded, DotDecoder};
///
/// // Without a buffer to change, each dot ends a piece.
/// let mut input = &b"a\r\n..b\r\n.\r\nQUIT\r\n"[..];
/// let mut decoder = DotDecoder::default();
/// assert_eq!(decoder.decode_slice(&mut input), Decoded::Data(&b"a\r\n"[..]));
/// assert_eq!(decoder.decode_slice(&mut input), Decoded::Data(&b".b\r\n"[..]));
/// assert_eq!(decoder.decode_slice(&mut input), Decoded::End(Ok(())));
/// assert_eq!(input, b"QUIT\r\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct DotDecoder {
    state: State,
    watch: Watch,
}

/// What has just been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// CRLF, or nothing at all yet.
    #[default]
    LineStart,
    /// A dot at the start of a line, which has been taken away.
    Dot,
    /// The same, and a CR, which is held back.
    DotCr,
    /// Anything else in a line.
    Text,
}

/// What a [`DotDecoder`] found; `T` is [`Bytes`] or a slice of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<T = Bytes> {
    /// A piece of the message, never empty.
    Data(T),
    /// Nothing: more octets are needed.
    More,
    /// The lone dot has been read, and what is left in the input is the next command.
    ///
    /// With [`BareLineEnds::Refuse`] this is the verdict: a message with an error must be refused,
    /// whatever its pieces were (RFC 5321 §4.1.1.4).
    End(Result<(), BareLineEnd>),
}

/// What the input begins with.
enum Start {
    More,
    End,
    /// A CR that was held back belongs to the message.
    LoneCr,
    Text,
}

impl DotDecoder {
    /// At the start of a message, right behind the CRLF of DATA.
    pub const fn new(bare_line_ends: BareLineEnds) -> Self {
        Self { state: State::LineStart, watch: Watch::new(bare_line_ends) }
    }

    /// The first CR or LF that stands alone, as soon as it is known; the message can only end
    /// with this error. Always `None` with [`BareLineEnds::Keep`].
    pub const fn bare_line_end(&self) -> Option<BareLineEnd> {
        self.watch.found()
    }

    /// Takes the next piece of the message from `input`: all that has come, up to the end.
    ///
    /// The piece is a part of `input` itself. Octets are moved only where a dot was taken away,
    /// within that part, and nothing is allocated but what `BytesMut` needs to be split.
    pub fn decode(&mut self, input: &mut BytesMut) -> Decoded {
        let (used, start) = self.start(input);
        if used > 0 {
            input.advance(used);
        }
        match start {
            Start::More => Decoded::More,
            Start::End => Decoded::End(self.end()),
            Start::LoneCr => {
                self.watch.see(b"\r", 0);
                Decoded::Data(Bytes::from_static(b"\r"))
            }
            Start::Text => {
                let quiet = self.quiet(input);
                let (length, used) = unstuff(input, quiet, self.watch.after_cr());
                let piece = input.split_to(length).freeze();
                if used > length {
                    input.advance(used - length);
                }
                self.give(&piece, quiet);
                Decoded::Data(piece)
            }
        }
    }

    /// The same for octets that stay where they are: a piece ends in front of each dot that is
    /// taken away. Nothing is copied or allocated.
    pub fn decode_slice<'a>(&mut self, input: &mut &'a [u8]) -> Decoded<&'a [u8]> {
        let (used, start) = self.start(input);
        *input = &input[used..];
        match start {
            Start::More => Decoded::More,
            Start::End => Decoded::End(self.end()),
            Start::LoneCr => {
                self.watch.see(b"\r", 0);
                Decoded::Data(b"\r")
            }
            Start::Text => {
                let quiet = self.quiet(input);
                let end = line_dot(input, quiet, self.watch.after_cr()).unwrap_or(input.len());
                let (piece, rest) = input.split_at(end);
                *input = rest;
                self.give(piece, quiet);
                Decoded::Data(piece)
            }
        }
    }

    /// Takes what is no octet of the message: how many octets, and what follows.
    fn start(&mut self, input: &[u8]) -> (usize, Start) {
        for (used, octet) in input.iter().enumerate() {
            self.state = match (self.state, octet) {
                (State::LineStart, b'.') => State::Dot,
                (State::Dot, b'\r') => State::DotCr,
                (State::DotCr, b'\n') => return (used + 1, Start::End),
                (State::DotCr, _) => {
                    self.state = State::Text;
                    return (used, Start::LoneCr);
                }
                (State::LineStart | State::Dot | State::Text, _) => {
                    self.state = State::Text;
                    return (used, Start::Text);
                }
            };
        }
        (input.len(), Start::More)
    }

    /// How much of `input` is known to be clean and without dots at line starts.
    fn quiet(&self, input: &[u8]) -> usize {
        if self.watch.is_looking() { quiet(self.watch.after_cr(), input) } else { 0 }
    }

    fn give(&mut self, piece: &[u8], quiet: usize) {
        let line_end = match piece {
            [.., b'\r', b'\n'] => true,
            [b'\n'] => self.watch.after_cr(),
            _ => false,
        };
        self.state = if line_end { State::LineStart } else { State::Text };
        self.watch.see(piece, quiet);
    }

    fn end(&mut self) -> Result<(), BareLineEnd> {
        let verdict = self.watch.verdict();
        *self = Self::new(self.watch.policy());
        verdict
    }
}

static LF_DOT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n."));

/// The first dot at the start of a line behind octet `from`, which is not at a line start itself
/// unless the CR was in front of `bytes`.
fn line_dot(bytes: &[u8], from: usize, after_cr: bool) -> Option<usize> {
    let mut from = from;
    loop {
        let lf = from + LF_DOT.find(&bytes[from..])?;
        if lf.checked_sub(1).map_or(after_cr, |before| bytes[before] == b'\r') {
            return Some(lf + 1);
        }
        from = lf + 2;
    }
}

/// Lines of this length are looked at octet by octet, where a search would cost more.
const NEAR: usize = 24;

/// The same for the line that begins at octet `from`, within the next few octets.
fn near_dot(bytes: &[u8], from: usize) -> Option<usize> {
    let end = bytes.len().min(from + NEAR);
    (from + 2..end).find(|&at| bytes[at] == b'.' && bytes[at - 1] == b'\n' && bytes[at - 2] == b'\r')
}

/// Moves the octets of the message together, over the dots that are taken away.
///
/// Returns how many there are, at the start of `bytes`, and how many octets they were on the wire.
/// It stops at the end of the message and at a dot that the octets behind it do not explain yet.
fn unstuff(bytes: &mut [u8], quiet: usize, after_cr: bool) -> (usize, usize) {
    let all = bytes.len();
    let Some(mut dot) = line_dot(bytes, quiet, after_cr) else { return (all, all) };
    let mut length = dot;
    let mut near = true;
    while !matches!(bytes[dot + 1..], [] | [b'\r'] | [b'\r', b'\n', ..]) {
        let from = dot + 1;
        if near && let Some(next) = near_dot(bytes, from) {
            // A call to copy this little would take longer than the copy.
            for at in from..next {
                bytes[length] = bytes[at];
                length += 1;
            }
            dot = next;
            continue;
        }
        let next = line_dot(bytes, from, false);
        let until = next.unwrap_or(all);
        bytes.copy_within(from..until, length);
        length += until - from;
        near = until - from < NEAR;
        match next {
            Some(next) => dot = next,
            None => return (length, all),
        }
    }
    (length, dot)
}

/// Puts a dot in front of every line that begins with one, and ends the message.
#[derive(Clone, Debug, Default)]
pub struct DotEncoder {
    state: State,
    watch: Watch,
}

impl DotEncoder {
    /// At the start of a message.
    ///
    /// With [`BareLineEnds::Keep`] a server may see lines, and an end, where this encoder sees
    /// none: only for a message that was looked at before, or a server that is known to be strict.
    pub const fn new(bare_line_ends: BareLineEnds) -> Self {
        Self { state: State::LineStart, watch: Watch::new(bare_line_ends) }
    }

    /// Appends the next piece of the message to `out`, which grows at most once.
    ///
    /// # Errors
    /// [`BareLineEnd`]: nothing of the piece was appended, and the message cannot be sent. This
    /// encoder gives the same error from now on, also at the end.
    pub fn encode(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), BareLineEnd> {
        let after_cr = self.watch.after_cr();
        let quiet = if self.watch.is_looking() { quiet(after_cr, piece) } else { 0 };
        self.watch.see(piece, quiet);
        if let Some(bare) = self.watch.found() {
            return Err(bare);
        }
        let first = if self.state == State::LineStart && piece.starts_with(b".") {
            Some(0)
        } else {
            line_dot(piece, quiet, after_cr)
        };
        match first {
            None => out.extend_from_slice(piece),
            Some(first) => {
                out.reserve(piece.len() + 1 + line_dots(&piece[first..]));
                let (mut from, mut dot) = (0, Some(first));
                while let Some(at) = dot {
                    out.put_slice(&piece[from..at]);
                    out.put_u8(b'.');
                    from = at;
                    dot = near_dot(piece, at).or_else(|| line_dot(piece, at, false));
                }
                out.put_slice(&piece[from..]);
            }
        }
        self.state = match piece {
            [] => self.state,
            [.., b'\r', b'\n'] => State::LineStart,
            [b'\n'] if after_cr => State::LineStart,
            _ => State::Text,
        };
        Ok(())
    }

    /// Appends the end: CRLF if the message does not end with it, and the lone dot.
    ///
    /// # Errors
    /// [`BareLineEnd`]: a piece held one, or the message ends with a CR. Nothing was appended.
    pub fn finish(self, out: &mut BytesMut) -> Result<(), BareLineEnd> {
        self.watch.verdict()?;
        out.extend_from_slice(if self.state == State::LineStart { b".\r\n" } else { b"\r\n.\r\n" });
        Ok(())
    }
}

/// How often a dot follows a LF: at least as often as one begins a line.
fn line_dots(piece: &[u8]) -> usize {
    // At most every other octet is such a dot, so that the count of a block fits.
    const BLOCK: usize = 256;
    let count = |these: &[u8], next: &[u8]| {
        these.iter().zip(next).fold(0u8, |count, (&this, &next)| count + u8::from(this == b'\n' && next == b'.'))
    };
    let (mut rest, mut dots) = (piece, 0);
    while let Some(block) = rest.first_chunk::<{ BLOCK }>() {
        dots += usize::from(count(block, &block[1..]));
        rest = &rest[BLOCK - 1..];
    }
    dots + usize::from(count(rest, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
