//! CR and LF that stand alone in a message (RFC 5321 §2.3.8).
//!
//! "CR" and "LF" occur only together, as `CRLF`. Software that takes one of them alone for the end
//! of a line reads another message than software that does not, and the difference is room for a
//! second message that nobody checked. What to do with them is a value, and refusing is the default:
//!
//! ```
//! use hikyaku_wire::{BareLineEnd, BareLineEndKind, BareLineEnds, Decoded, DotDecoder};
//!
//! let mut decoder = DotDecoder::new(BareLineEnds::Refuse);
//! let mut input = &b"one\r\ntwo\n.\r\n\r\n.\r\nQUIT\r\n"[..];
//! assert_eq!(decoder.decode_slice(&mut input), Decoded::Data(&b"one\r\ntwo\n.\r\n\r\n"[..]));
//! let bare = BareLineEnd { kind: BareLineEndKind::Lf, at: 8 };
//! assert_eq!(decoder.decode_slice(&mut input), Decoded::End(Err(bare)));
//! assert_eq!(input, b"QUIT\r\n");
//! ```

use crate::Reply;

/// What to do with a CR or LF that stands alone in a message.
///
/// They are never converted: a message is what was sent, or it is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BareLineEnds {
    /// Look for them; the end of a message that holds one says that it must be refused
    /// (RFC 5321 §2.3.8, §4.1.1.4).
    #[default]
    Refuse,
    /// Do not look; all octets pass as they are. For what is binary by agreement
    /// (`BODY=BINARYMIME`, RFC 3030 §3), and where another part looks.
    Keep,
}

/// A CR or LF stands alone in a message: not all readers would read it alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("bare {kind} in the message at octet {at}; lines end with <CRLF> only")]
pub struct BareLineEnd {
    /// Which of the two.
    pub kind: BareLineEndKind,
    /// The octet of the message, counted from 0, without the dots that are put in for the way.
    pub at: u64,
}

/// Which octet stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BareLineEndKind {
    /// A CR without LF behind it.
    #[error("<CR>")]
    Cr,
    /// A LF without CR in front of it.
    #[error("<LF>")]
    Lf,
}

impl BareLineEnd {
    /// The reply that belongs to such a message, after its true end: 550 5.5.2.
    pub fn reply(self) -> Reply {
        Reply::BARE_LINE_END_550
    }
}

/// Looks for bare line ends in a message that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    policy: BareLineEnds,
    /// Octets of the message so far.
    octets: u64,
    /// The last octet was a CR, which its LF may still follow.
    after_cr: bool,
    /// The first that was found.
    found: Option<BareLineEnd>,
}

impl Watch {
    pub(crate) const fn new(policy: BareLineEnds) -> Self {
        Self { policy, octets: 0, after_cr: false, found: None }
    }

    pub(crate) const fn policy(&self) -> BareLineEnds {
        self.policy
    }

    pub(crate) const fn after_cr(&self) -> bool {
        self.after_cr
    }

    pub(crate) const fn found(&self) -> Option<BareLineEnd> {
        self.found
    }

    /// Whether octets are still looked at.
    pub(crate) fn is_looking(&self) -> bool {
        self.policy == BareLineEnds::Refuse && self.found.is_none()
    }

    /// Takes the next piece of the message; `quiet` octets at its start are known to be clean.
    pub(crate) fn see(&mut self, piece: &[u8], quiet: usize) {
        let Some(&last) = piece.last() else { return };
        if self.is_looking() {
            let after_cr = if quiet == 0 { self.after_cr } else { piece[quiet - 1] == b'\r' };
            if !is_clean(after_cr, &piece[quiet..]) {
                self.found = first_bare(after_cr, &piece[quiet..], self.octets + quiet as u64);
            }
        }
        self.octets += piece.len() as u64;
        self.after_cr = last == b'\r';
    }

    /// The verdict when no more octets come: then a CR at the end stands alone too.
    pub(crate) fn verdict(&self) -> Result<(), BareLineEnd> {
        match self.found {
            Some(found) => Err(found),
            None if self.after_cr && self.policy == BareLineEnds::Refuse => {
                Err(BareLineEnd { kind: BareLineEndKind::Cr, at: self.octets - 1 })
            }
            None => Ok(()),
        }
    }
}

/// Whether every CR has its LF and every LF its CR; a CR at the end is not decided yet.
///
/// Blocks of a fixed size without a branch inside let the compiler use vector instructions.
fn is_clean(after_cr: bool, piece: &[u8]) -> bool {
    const BLOCK: usize = 512;
    let odd = |this: u8, next: u8| u8::from((this == b'\r') != (next == b'\n'));
    let Some(&first) = piece.first() else { return true };
    if after_cr != (first == b'\n') {
        return false;
    }
    let mut rest = piece;
    while let Some(block) = rest.first_chunk::<{ BLOCK + 1 }>() {
        if (0..BLOCK).fold(0, |all, at| all | odd(block[at], block[at + 1])) != 0 {
            return false;
        }
        rest = &rest[BLOCK..];
    }
    rest.iter().zip(&rest[1..]).fold(0, |all, (&this, &next)| all | odd(this, next)) == 0
}

/// The first CR or LF of `piece` that stands alone; `octets` of the message are before it.
fn first_bare(after_cr: bool, piece: &[u8], octets: u64) -> Option<BareLineEnd> {
    let mut after_cr = after_cr;
    for (at, &octet) in (octets..).zip(piece) {
        match (after_cr, octet) {
            (true, b'\n') => {}
            (true, _) => return Some(BareLineEnd { kind: BareLineEndKind::Cr, at: at - 1 }),
            (false, b'\n') => return Some(BareLineEnd { kind: BareLineEndKind::Lf, at }),
            (false, _) => {}
        }
        after_cr = octet == b'\r';
    }
    None
}

/// How many octets at the start of `bytes` hold no bare line end, and no LF with a dot behind it.
///
/// Both questions in one pass, in whole blocks: 0 says nothing.
pub(crate) fn quiet(after_cr: bool, bytes: &[u8]) -> usize {
    const BLOCK: usize = 256;
    if after_cr || bytes.first() == Some(&b'\n') {
        return 0;
    }
    let mut rest = bytes;
    while let Some(block) = rest.first_chunk::<{ BLOCK + 2 }>() {
        let stir = |at: usize| {
            let lf = block[at + 1] == b'\n';
            u8::from(((block[at] == b'\r') != lf) | (lf & (block[at + 2] == b'.')))
        };
        if (0..BLOCK).fold(0, |all, at| all | stir(at)) != 0 {
            break;
        }
        rest = &rest[BLOCK..];
    }
    bytes.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bare line end by the letter, over the whole message.
    fn reference(message: &[u8]) -> Option<BareLineEnd> {
        (0..message.len()).find_map(|i| {
            let at = i as u64;
            match message[i] {
                b'\r' if message.get(i + 1) != Some(&b'\n') => Some(BareLineEnd { kind: BareLineEndKind::Cr, at }),
                b'\n' if i == 0 || message[i - 1] != b'\r' => Some(BareLineEnd { kind: BareLineEndKind::Lf, at }),
                _ => None,
            }
        })
    }

    fn watched(pieces: &[&[u8]], policy: BareLineEnds) -> Result<(), BareLineEnd> {
        let mut watch = Watch::new(policy);
        for piece in pieces {
            let quiet = if watch.is_looking() { quiet(watch.after_cr(), piece) } else { 0 };
            watch.see(piece, quiet);
        }
        watch.verdict()
    }

    #[test]
    fn short_messages_at_every_cut() {
        for length in 0..=6u32 {
            for n in 0..3usize.pow(length) {
                let message: Vec<u8> = (0..length).map(|i| b"\r\na"[n / 3usize.pow(i) % 3]).collect();
                for cut in 0..=message.len() {
                    let (head, tail) = message.split_at(cut);
                    let expected = reference(&message).map_or(Ok(()), Err);
                    assert_eq!(watched(&[head, tail], BareLineEnds::Refuse), expected, "{message:?} at {cut}");
                    assert_eq!(watched(&[head, tail], BareLineEnds::Keep), Ok(()));
                }
            }
        }
    }

    #[test]
    fn one_bare_octet_anywhere_in_a_long_message_is_found() {
        let message = b"x23456\r\n".repeat(200);
        assert_eq!(watched(&[&message], BareLineEnds::Refuse), Ok(()));
        for at in 0..message.len() {
            for octet in [b'\r', b'\n', b'x'] {
                let mut message = message.clone();
                message[at] = octet;
                let expected = reference(&message).map_or(Ok(()), Err);
                assert_eq!(watched(&[&message], BareLineEnds::Refuse), expected, "{octet} at {at}");
                let (head, tail) = message.split_at(at);
                assert_eq!(watched(&[head, tail], BareLineEnds::Refuse), expected, "{octet} at {at}, cut");
            }
        }
    }

    #[test]
    fn what_is_quiet_holds_no_dot_at_the_start_of_a_line() {
        let message = b"x23456\r\n".repeat(200);
        assert_eq!(quiet(false, &message), 1536);
        assert_eq!(quiet(true, &message), 0);
        assert_eq!(quiet(false, &message[7..]), 0);
        for line in 1..200 {
            let mut message = message.clone();
            message[line * 8] = b'.';
            let quiet = quiet(false, &message);
            assert!(quiet < line * 8, "the LF in front of the dot is not quiet");
            assert!(quiet + 256 + 2 > line * 8 || quiet == 1536);
        }
    }

    #[test]
    fn the_reply() {
        let bare = watched(&[b"a\rb"], BareLineEnds::Refuse).unwrap_err();
        assert_eq!(bare.to_string(), "bare <CR> in the message at octet 1; lines end with <CRLF> only");
        assert_eq!(bare.reply().to_string().get(..9), Some("550 5.5.2"));
    }
}
