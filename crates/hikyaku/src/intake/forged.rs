//! What passes itself off as ours is taken out while the header section streams in:
//! authentication results (RFC 8601 §5), and the tags of a policy.

use bytes::Bytes;
use hikyaku_message::results::must_remove;

use crate::screening::TAG;

/// The names of fields that may be.
const NAMES: [&[u8]; 2] = [b"authentication-results", TAG.as_bytes()];

/// Whether what is there of a field may become one of them.
fn may_be(begun: &[u8]) -> bool {
    NAMES.iter().any(|name| {
        let len = name.len().min(begun.len());
        begun[..len].eq_ignore_ascii_case(&name[..len])
    })
}

/// Takes the fields out that name this host, and those of tags.
///
/// A field is held back only while it can be one of them. The result is the same for every split
/// of the octets. Looked at is every line up to the first empty one, also behind a line without
/// a colon, where some readers see the header section go on.
#[derive(Debug)]
pub(crate) struct Forged {
    authserv_id: String,
    at: At,
    /// The last octet of the line so far, or of the line before, and the one before that.
    last: [u8; 2],
    /// The field that may be one of them, as far as it is there.
    held: Vec<u8>,
    /// The most octets to hold.
    most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first octet of a line.
    Start,
    /// In a line that begins with a CR.
    Empty,
    /// In a field that stays.
    Kept,
    /// In a field that is held.
    Held,
    /// Behind the empty line.
    Body,
}

/// More octets than may be held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Forged {
    pub(crate) fn new(authserv_id: &str, most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { authserv_id: authserv_id.to_owned(), at: At::Start, last: *b"\r\n", held: Vec::new(), most }
    }

    /// Takes the next piece, and gives what stays of it and of what was held before.
    pub(crate) fn push(&mut self, piece: &Bytes, mut out: impl FnMut(Bytes)) -> Result<(), TooLong> {
        // Octets of the piece from here on, and before `at`, stay and have not been given yet.
        let (mut from, mut at) = (0, 0);
        while at < piece.len() && self.at != At::Body {
            match self.at {
                At::Start => {
                    let octet = piece[at];
                    if matches!(octet, b' ' | b'\t') && !self.held.is_empty() {
                        self.at = At::Held;
                        continue;
                    }
                    self.close(&mut out);
                    self.at = if octet == b'\r' && self.last == *b"\r\n" {
                        At::Empty
                    } else if may_be(&piece[at..]) {
                        give(piece, from, at, &mut out);
                        At::Held
                    } else {
                        At::Kept
                    };
                    if self.at == At::Empty {
                        at += 1;
                        self.last = [b'\n', octet];
                    }
                }
                At::Empty => self.at = if piece[at] == b'\n' { At::Body } else { At::Kept },
                At::Kept => at += self.line(&piece[at..]),
                At::Held => {
                    let used = self.line(&piece[at..]);
                    self.held.extend_from_slice(&piece[at..at + used]);
                    at += used;
                    from = at;
                    if !may_be(&self.held) {
                        out(Bytes::from(std::mem::take(&mut self.held)));
                        self.at = if self.at == At::Held { At::Kept } else { self.at };
                    }
                    if self.held.len() > self.most {
                        return Err(TooLong);
                    }
                }
                At::Body => {}
            }
        }
        give(piece, from, piece.len(), &mut out);
        Ok(())
    }

    /// The message is over: gives what is still held, if it stays.
    pub(crate) fn finish(&mut self, mut out: impl FnMut(Bytes)) {
        self.close(&mut out);
        self.at = At::Body;
    }

    /// Whether all that follows stays.
    pub(crate) fn is_done(&self) -> bool {
        self.at == At::Body
    }

    /// Octets to the end of the line, or all.
    fn line(&mut self, rest: &[u8]) -> usize {
        let end = rest.iter().position(|&octet| octet == b'\n');
        let used = end.map_or(rest.len(), |lf| lf + 1);
        for &octet in &rest[used.saturating_sub(2)..used] {
            self.last = [self.last[1], octet];
        }
        if end.is_some() {
            self.at = At::Start;
        }
        used
    }

    /// The field that is held is over.
    fn close(&mut self, out: &mut impl FnMut(Bytes)) {
        let field = std::mem::take(&mut self.held);
        let forged = field.iter().position(|&octet| octet == b':').is_some_and(|colon| {
            let (name, value) = (&field[..colon], &field[colon + 1..]);
            must_remove(name, value, &self.authserv_id) || name.trim_ascii_end().eq_ignore_ascii_case(TAG.as_bytes())
        });
        if !forged && !field.is_empty() {
            out(Bytes::from(field));
        }
    }
}

fn give(piece: &Bytes, from: usize, to: usize, out: &mut impl FnMut(Bytes)) {
    if from < to {
        out(piece.slice(from..to));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What stays of a text that comes in pieces of so many octets.
    fn filtered(text: &[u8], step: usize) -> Vec<u8> {
        let mut forged = Forged::new("mx.hik.test", 1000);
        let mut kept = Vec::new();
        for piece in text.chunks(step) {
            forged.push(&Bytes::copy_from_slice(piece), |part| kept.extend_from_slice(&part)).unwrap();
        }
        forged.finish(|part| kept.extend_from_slice(&part));
        assert!(forged.is_done());
        kept
    }

    fn assert_filtered(text: &str, kept: &str) {
        for step in 1..=text.len() {
            let found = filtered(text.as_bytes(), step);
            assert_eq!(String::from_utf8_lossy(&found), kept, "{text:?} in pieces of {step}");
        }
    }

    #[test]
    fn d53_all_of_them_are_removed() {
        let one = "Authentication-Results: MX.hik.TEST (c) 1; dkim=pass\r\n";
        let folded = "authentication-results:\r\n\tmx.hik.test;\r\n dkim=pass\r\n";
        let spaced = "AUTHENTICATION-RESULTS \t: mx.hik.test; dkim=pass\r\n";
        let text = format!("{one}{one}{folded}A: b\r\n{spaced}Auth: c\r\n{one}{folded}\r\n{one}");
        assert_filtered(&text, &format!("A: b\r\nAuth: c\r\n\r\n{one}"));
    }

    #[test]
    fn what_is_not_ours_stays() {
        for text in [
            "Authentication-Results: mx.elsewhere.test; dkim=pass\r\n\r\n",
            "Authentication-Results-X: mx.hik.test; dkim=pass\r\n\r\n",
            "ARC-Authentication-Results: i=1; mx.hik.test; dkim=pass\r\n\r\n",
            "Authentication: x\r\nA\r\n\r\n",
            "Authentication-Results\r\nX: y\r\n\r\n",
            "X: y\r\n Authentication-Results: mx.hik.test; dkim=pass\r\n\r\nbody",
            "",
            "\r\nAuthentication-Results: mx.hik.test; dkim=pass\r\n",
            "a",
            "\r",
            "Authentication-Resul",
        ] {
            assert_filtered(text, text);
        }
    }

    #[test]
    fn tags_are_ours_alone() {
        let text = "X-Hikyaku-Tag: bulk\r\nX: y\r\nx-hikyaku-TAG :\r\n bulk\r\nX-Hikyaku-Tags: z\r\n\r\n";
        assert_filtered(text, "X: y\r\nX-Hikyaku-Tags: z\r\n\r\n");
    }

    /// Where two readers disagree on the end of the section, neither finds one.
    #[test]
    fn a_strange_section_hides_none() {
        let ours = "Authentication-Results: mx.hik.test; dkim=pass\r\n";
        for (before, after) in [
            ("no colon\r\n", "\r\n"),
            (" first\r\n", "X: y\r\n\r\n"),
            ("X: y\n", "\r\n"),
            ("X: y\n\r\n", "\r\n"),
            ("X: y\n\n", "\r\n"),
            ("X: y\r\n\r\r\n", "\r\n"),
            ("X: y\r\n\rZ: a\r\n", "\r\n"),
            (": y\r\n", "\r\n"),
            ("X: y\r\n", ""),
        ] {
            assert_filtered(&format!("{before}{ours}{after}"), &format!("{before}{after}"));
        }
        assert_filtered("X: y\r\nAuthentication-Results: mx.hik.test", "X: y\r\n");
        assert_filtered("Authentication-Results\r\n : mx.hik.test; dkim=pass\r\n\r\n", "\r\n");
    }

    #[test]
    fn no_more_is_held_than_allowed() {
        let push = |text: &str| Forged::new("mx.hik.test", 100).push(&Bytes::from(text.to_owned()), |_| {});
        assert_eq!(push(&format!("Authentication-Results: {}", "x".repeat(100))), Err(TooLong));
        assert_eq!(push(&format!("Authentication-Results: {}", "x".repeat(76))), Ok(()));
        assert_eq!(push(&format!("Authentication: {}", "x".repeat(1000))), Ok(()));
    }

    proptest! {
        #[test]
        fn every_split_is_the_same(
            text in "([ \t:x]|\r|\n|\r\n|\r\n\r\n|\r\nAuthentication-Results|\r\nX-Hikyaku-Tag|: mx.hik.test; ){0,20}",
            step in 1_usize..30,
        ) {
            prop_assert_eq!(filtered(text.as_bytes(), step), filtered(text.as_bytes(), text.len().max(1)));
        }
    }
}
