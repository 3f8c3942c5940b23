//! What signatures are made of: the header section of a message that streams by, and the hashes
//! of its body.

use hikyaku_message::{FieldSpan, Header, HeaderLimit, HeaderLimits, HeaderScan, Malformed};

use crate::{BodyHashes, Digests};

/// No limits, for a section that was held to some already.
const ANY: HeaderLimits = HeaderLimits { octets: u64::MAX, fields: u64::MAX, hops: u64::MAX };

/// A message that streams by; memory is the header section, whatever the body.
#[derive(Debug)]
pub(crate) struct Gathered {
    scan: HeaderScan,
    section: Vec<u8>,
    /// Where its fields lie.
    spans: Vec<FieldSpan>,
    bodies: BodyHashes,
}

/// Why what was gathered cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsound {
    /// The section is too large.
    Limit(HeaderLimit),
    /// Where it begins or ends is not certain.
    Malformed,
}

impl Gathered {
    pub(crate) fn new(limits: HeaderLimits, bodies: BodyHashes) -> Self {
        Self { scan: HeaderScan::new(limits), section: Vec::new(), spans: Vec::with_capacity(32), bodies }
    }

    /// Takes the next piece of the message.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let header = self.scan.push_each(piece, |span| self.spans.push(span));
        if self.scan.over().is_some() {
            (self.section, self.spans) = (Vec::new(), Vec::new());
        } else {
            self.section.extend_from_slice(&piece[..header]);
        }
        self.bodies.push(&piece[header..]);
    }

    /// The message is over: the header section without the empty line at its end, where its fields
    /// lie, and the hashes.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, Vec<FieldSpan>, Digests), Unsound> {
        if let Some(limit) = self.scan.over() {
            return Err(Unsound::Limit(limit));
        }
        self.spans.extend(self.scan.finish());
        let end = match self.section.as_slice() {
            // An empty line is the whole section, or follows the end of a line.
            [before @ .., b'\r', b'\n'] if before.is_empty() || before.ends_with(b"\r\n") => before.len(),
            all => all.len(),
        };
        if !self.scan.header(&self.section).is_some_and(|header| is_sound(&header, end)) {
            return Err(Unsound::Malformed);
        }
        self.section.truncate(end);
        Ok((self.section, self.spans, self.bodies.finish()))
    }
}

/// A header section that is fields from the first octet to the last, without an empty line;
/// `None` if there is anything else, a field without a sound name, or a CR or LF alone: what a
/// signature covers must be what every reader sees.
pub(crate) fn fields(section: &[u8]) -> Option<Header<'_>> {
    Header::parse(section, ANY).ok().filter(|header| is_sound(header, section.len()))
}

/// Whether its first octets, so many, are sound fields and nothing else.
fn is_sound(header: &Header<'_>, end: usize) -> bool {
    // White space before a colon is read by all in the same way.
    let is_sound = matches!(header.malformed(), None | Some(Malformed::SpaceBeforeColon));
    is_sound && header.span() == (0..end) && has_whole_line_ends(&header.octets()[..end])
}

/// Whether each CR stands before an LF and each LF behind a CR.
fn has_whole_line_ends(section: &[u8]) -> bool {
    let (Some((first, rest)), Some(last)) = (section.split_first(), section.last()) else { return true };
    // Each octet beside the one behind it, without a branch, so that many are looked at together.
    let broken =
        section.iter().zip(rest).fold(false, |broken, (&octet, &next)| broken | ((octet == b'\r') != (next == b'\n')));
    !broken && *first != b'\n' && *last != b'\r'
}

#[cfg(test)]
impl Gathered {
    /// How many octets are kept.
    pub(crate) fn kept(&self) -> usize {
        self.section.len()
    }

    /// How many hashes of the body are computed.
    pub(crate) fn hashes(&self) -> usize {
        self.bodies.count()
    }
}
