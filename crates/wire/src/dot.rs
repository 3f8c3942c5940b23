//! The lines of a message between DATA and the lone dot (RFC 5321 §4.5.2).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::memmem;

/// Removes the dots that a client put in front of lines that begin with one, and finds the end.
///
/// It is exact for every split of the bytes, and the end is `CRLF "." CRLF` only, never what some
/// server somewhere would also take for one. A CR or LF that stands alone is noticed: such a
/// message has two meanings and must be refused (see [`bare_line_end`](Self::bare_line_end)).
#[derive(Debug)]
pub struct DotDecoder {
    state: State,
    bare: bool,
}

/// What has just been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// CRLF, or nothing at all yet.
    LineStart,
    /// A dot at the start of a line, which has been taken away.
    Dot,
    /// The same, and a CR, which is held back.
    DotCr,
    /// A CR in a line, which has been given out.
    Cr,
    /// Anything else in a line.
    Text,
}

/// What [`DotDecoder::decode`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A piece of the message, never empty.
    Data(Bytes),
    /// Nothing: more bytes are needed.
    More,
    /// The lone dot has been read. What is left in the input is the next command.
    End,
}

impl Default for DotDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl DotDecoder {
    /// At the start of a message, right behind the CRLF of DATA.
    pub fn new() -> Self {
        Self { state: State::LineStart, bare: false }
    }

    /// Whether a CR without LF, or a LF without CR, has been seen.
    pub fn bare_line_end(&self) -> bool {
        self.bare
    }

    /// Takes the next piece of the message from `input`.
    ///
    /// Without stuffed dots the piece is a part of `input` itself; nothing is copied.
    pub fn decode(&mut self, input: &mut BytesMut) -> Decoded {
        if let Some(piece) = self.run(input) {
            return Decoded::Data(piece);
        }
        // A dot at the start of a line, or the state behind one: octet by octet.
        let mut out = BytesMut::new();
        while let Some(&byte) = input.first() {
            if matches!(self.state, State::Text | State::Cr) || (self.state == State::LineStart && byte != b'.') {
                break;
            }
            input.advance(1);
            match (self.state, byte) {
                (State::LineStart, _) => self.state = State::Dot,
                (State::Dot, b'\r') => self.state = State::DotCr,
                (State::DotCr, b'\n') => {
                    // Whatever stood before the end in this piece has been given out already.
                    self.state = State::LineStart;
                    return Decoded::End;
                }
                (State::Dot, b'\n') => {
                    self.bare = true;
                    self.state = State::Text;
                    out.put_u8(b'\n');
                }
                (State::Dot, other) => {
                    self.state = State::Text;
                    out.put_u8(other);
                }
                (State::DotCr, other) => {
                    // The CR was not the end, so it belongs to the message; it stands alone.
                    self.bare = true;
                    out.put_u8(b'\r');
                    out.put_u8(other);
                    self.state = if other == b'\r' { State::Cr } else { State::Text };
                }
                (State::Text | State::Cr, _) => {}
            }
        }
        match (out.is_empty(), self.run(input)) {
            (true, Some(piece)) => Decoded::Data(piece),
            (true, None) => Decoded::More,
            (false, None) => Decoded::Data(out.freeze()),
            (false, Some(piece)) => {
                out.put_slice(&piece);
                Decoded::Data(out.freeze())
            }
        }
    }

    /// Everything up to the next dot at the start of a line, or to the end of the input.
    fn run(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        let inside = match self.state {
            State::Text | State::Cr => true,
            State::LineStart => input.first() != Some(&b'.'),
            State::Dot | State::DotCr => false,
        };
        if !inside || input.is_empty() {
            return None;
        }
        let after_cr = self.state == State::Cr;
        let end = if after_cr && input.starts_with(b"\n.") {
            1
        } else {
            memmem::find(input, b"\r\n.").map_or(input.len(), |at| at + 2)
        };
        let piece = input.split_to(end).freeze();
        self.bare |= !is_clean(after_cr, &piece);
        self.state = match piece[..] {
            [.., b'\r', b'\n'] => State::LineStart,
            [b'\n'] if after_cr => State::LineStart,
            [.., b'\r'] => State::Cr,
            _ => State::Text,
        };
        Some(piece)
    }
}

/// Whether every CR has its LF and every LF its CR; a CR at the end is not decided yet.
///
/// The inner loop has no branch, which lets the compiler use vector instructions.
pub(crate) fn is_clean(after_cr: bool, piece: &[u8]) -> bool {
    const BLOCK: usize = 1024;
    let Some((&first, rest)) = piece.split_first() else { return true };
    if after_cr != (first == b'\n') {
        return false;
    }
    let pairs = piece.chunks(BLOCK).zip(rest.chunks(BLOCK));
    pairs.into_iter().all(|(a, b)| {
        let odd = |odd: u8, (&x, &y): (&u8, &u8)| odd | (u8::from(x == b'\r') ^ u8::from(y == b'\n'));
        a.iter().zip(b).fold(0, odd) == 0
    })
}

/// A CR or a LF stands alone in what should be sent: no server would read it as it was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bare <CR> or <LF> in the message")]
pub struct BareLineEnd;

/// Puts a dot in front of every line that begins with one, and ends the message.
#[derive(Debug)]
pub struct DotEncoder {
    state: State,
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl DotEncoder {
    /// At the start of a message.
    pub fn new() -> Self {
        Self { state: State::LineStart }
    }

    /// Appends the next piece of the message to `out`.
    ///
    /// # Errors
    /// [`BareLineEnd`]: nothing of the piece was appended, and the message cannot be sent.
    pub fn encode(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), BareLineEnd> {
        if !is_clean(self.state == State::Cr, piece) {
            return Err(BareLineEnd);
        }
        let Some(&last) = piece.last() else { return Ok(()) };
        if self.state == State::LineStart && piece.first() == Some(&b'.') {
            out.put_u8(b'.');
        }
        // In clean text a LF ends a line, whatever piece its CR was in.
        let mut from = 0;
        for at in memmem::find_iter(piece, b"\n.") {
            out.put_slice(&piece[from..=at]);
            out.put_u8(b'.');
            from = at + 1;
        }
        out.put_slice(&piece[from..]);
        self.state = match last {
            b'\n' => State::LineStart,
            b'\r' => State::Cr,
            _ => State::Text,
        };
        Ok(())
    }

    /// Appends the end: CRLF if the message does not end with it, and the lone dot.
    ///
    /// # Errors
    /// [`BareLineEnd`] if the message ends with a CR.
    pub fn finish(self, out: &mut BytesMut) -> Result<(), BareLineEnd> {
        match self.state {
            State::Cr => return Err(BareLineEnd),
            State::LineStart => {}
            _ => out.put_slice(b"\r\n"),
        }
        out.put_slice(b".\r\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message, whether the end came, what is left behind it, and whether it was clean.
    type Outcome = (Vec<u8>, bool, Vec<u8>, bool);

    fn decode(pieces: &[&[u8]]) -> Outcome {
        let mut decoder = DotDecoder::new();
        let (mut input, mut message) = (BytesMut::new(), Vec::new());
        let mut ended = false;
        for piece in pieces {
            input.extend_from_slice(piece);
            while !ended {
                match decoder.decode(&mut input) {
                    Decoded::Data(data) => {
                        assert!(!data.is_empty());
                        message.extend_from_slice(&data);
                    }
                    Decoded::More => break,
                    Decoded::End => ended = true,
                }
            }
        }
        (message, ended, input.to_vec(), !decoder.bare_line_end())
    }

    /// The same by the letter of RFC 5321 §4.5.2, on the whole input at once.
    fn model(bytes: &[u8]) -> Outcome {
        let (mut message, mut clean, mut line_start, mut at) = (Vec::new(), true, true, 0);
        while at < bytes.len() {
            if line_start && bytes[at] == b'.' {
                if bytes[at + 1..].starts_with(b"\r\n") {
                    return (message, true, bytes[at + 3..].to_vec(), clean);
                }
                if matches!(bytes[at + 1..], [] | [b'\r']) {
                    break;
                }
                at += 1;
                let after_dot = bytes[at];
                clean &= after_dot != b'\n' && !(after_dot == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
                message.push(after_dot);
                line_start = false;
                at += 1;
                continue;
            }
            let byte = bytes[at];
            let before = at.checked_sub(1).map(|i| bytes[i]);
            clean &= byte != b'\n' || before == Some(b'\r');
            clean &= before != Some(b'\r') || byte == b'\n';
            message.push(byte);
            line_start = byte == b'\n' && before == Some(b'\r');
            at += 1;
        }
        (message, false, Vec::new(), clean)
    }

    fn every_split(bytes: &[u8]) -> Outcome {
        let whole = decode(&[bytes]);
        for cut in 0..=bytes.len() {
            assert_eq!(decode(&[&bytes[..cut], &bytes[cut..]]), whole, "{bytes:?} at {cut}");
        }
        let octets: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decode(&octets), whole, "{bytes:?} octet by octet");
        whole
    }

    #[test]
    fn d26_every_string_of_the_alphabet_at_every_split() {
        let alphabet = *b"\r\n.x";
        for length in 0..=7u32 {
            for n in 0..4usize.pow(length) {
                let bytes: Vec<u8> = (0..length).map(|i| alphabet[n / 4usize.pow(i) % 4]).collect();
                let (message, ended, rest, clean) = every_split(&bytes);
                let expected = model(&bytes);
                assert_eq!((&message, ended, clean), (&expected.0, expected.1, expected.3), "{bytes:?}");
                if ended {
                    assert_eq!(rest, expected.2, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn d26_known_messages() {
        for (bytes, message) in [
            (&b".\r\n"[..], &b""[..]),
            (b"..a\r\n.\r\n", b".a\r\n"),
            (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b"..first\r\n..\r\n...\r\n.\r\nQUIT\r\n", b".first\r\n.\r\n..\r\n"),
        ] {
            let outcome = every_split(bytes);
            assert_eq!((&outcome.0[..], outcome.1, outcome.3), (message, true, true));
        }
    }

    #[test]
    fn d31_no_other_end_is_an_end() {
        for end in [
            &b"\n.\n"[..],
            b"\n.\r",
            b"\r.\n",
            b"\r.\r",
            b"\n.\r\n",
            b"\r.\r\n",
            b"\r\n.\r\r\n",
            b"\r\r\n.\r\r\n",
            b"\r\n.\n",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
        ] {
            let bytes = [b"text", end, b"MAIL FROM:<x@y.test>"].concat();
            let (_, ended, _, clean) = every_split(&bytes);
            assert!(!ended, "{end:?}");
            assert!(!clean || end.contains(&0), "{end:?}");
        }
        // An honest end behind a dishonest line end is an end: the message is refused as a whole.
        assert!(every_split(b"text\r\r\n.\r\n").1);
    }

    #[test]
    fn a_dot_and_a_lone_cr_are_kept() {
        assert_eq!(every_split(b"..\rx\r\n.\r\n"), (b".\rx\r\n".to_vec(), true, Vec::new(), false));
    }

    #[test]
    fn d27_messages_are_stuffed() {
        for (message, sent) in [
            (&b"."[..], &b"..\r\n.\r\n"[..]),
            (b"a\r\n.b", b"a\r\n..b\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"", b".\r\n"),
            (b"\r\n", b"\r\n.\r\n"),
            (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        ] {
            for cut in 0..=message.len() {
                let mut out = BytesMut::new();
                let mut encoder = DotEncoder::new();
                encoder.encode(&message[..cut], &mut out).unwrap();
                encoder.encode(&message[cut..], &mut out).unwrap();
                encoder.finish(&mut out).unwrap();
                assert_eq!(out, sent, "{message:?} at {cut}");
            }
        }
        for message in [&b"a\n.\nb"[..], b"\n", b"a\rb", b"a\r\r\n"] {
            assert_eq!(DotEncoder::new().encode(message, &mut BytesMut::new()), Err(BareLineEnd));
        }
        let mut encoder = DotEncoder::new();
        encoder.encode(b"a\r", &mut BytesMut::new()).unwrap();
        assert_eq!(encoder.finish(&mut BytesMut::new()), Err(BareLineEnd));
    }

    proptest::proptest! {
        #[test]
        fn what_is_sent_is_what_arrives(lines in proptest::collection::vec("[.ax]{0,5}", 0..20), cuts in proptest::collection::vec(0usize..100, 0..6)) {
            let message = lines.iter().map(|l| format!("{l}\r\n")).collect::<String>();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|c| *c < message.len()).collect();
            cuts.sort_unstable();
            cuts.push(message.len());
            let (mut encoder, mut out, mut from) = (DotEncoder::new(), BytesMut::new(), 0);
            for cut in cuts {
                encoder.encode(&message.as_bytes()[from..cut], &mut out).unwrap();
                from = cut;
            }
            encoder.finish(&mut out).unwrap();
            let (decoded, ended, rest, clean) = every_split(&out);
            proptest::prop_assert_eq!((decoded, ended, rest, clean), (message.into_bytes(), true, Vec::new(), true));
        }
    }
}
