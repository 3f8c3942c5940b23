//! What signatures are made of: the header section of a message that streams by, and the hashes
//! of its body.

use hikyaku_message::{Header, HeaderLimit, HeaderLimits, HeaderScan, Malformed};

use crate::{BodyHashes, Digests};

/// No limits, for a section that was held to some already.
const ANY: HeaderLimits = HeaderLimits { octets: u64::MAX, fields: u64::MAX, hops: u64::MAX };

/// A message that streams by; memory is the header section, whatever the body.
#[derive(Debug)]
pub(crate) struct Gathered {
    scan: HeaderScan,
    section: Vec<u8>,
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
        Self { scan: HeaderScan::new(limits), section: Vec::new(), bodies }
    }

    /// Takes the next piece of the message.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let header = self.scan.push(piece);
        if self.scan.over().is_some() {
            self.section = Vec::new();
        } else {
            self.section.extend_from_slice(&piece[..header]);
        }
        self.bodies.push(&piece[header..]);
    }

    /// The message is over: the header section without the empty line at its end, and the hashes.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, Digests), Unsound> {
        if let Some(limit) = self.scan.over() {
            return Err(Unsound::Limit(limit));
        }
        let end = match self.section.as_slice() {
            // An empty line is the whole section, or follows the end of a line.
            [before @ .., b'\r', b'\n'] if before.is_empty() || before.ends_with(b"\r\n") => before.len(),
            all => all.len(),
        };
        self.section.truncate(end);
        if fields(&self.section).is_none() {
            return Err(Unsound::Malformed);
        }
        Ok((self.section, self.bodies.finish()))
    }
}

/// A header section that is fields from the first octet to the last, without an empty line;
/// `None` if there is anything else, a field without a sound name, or a CR or LF alone: what a
/// signature covers must be what every reader sees.
pub(crate) fn fields(section: &[u8]) -> Option<Header<'_>> {
    let header = Header::parse(section, ANY).ok().filter(|header| header.span() == (0..section.len()))?;
    // White space before a colon is read by all in the same way.
    let is_sound = matches!(header.malformed(), None | Some(Malformed::SpaceBeforeColon));
    (is_sound && has_whole_line_ends(section)).then_some(header)
}

/// Whether each CR stands before an LF and each LF behind a CR.
fn has_whole_line_ends(section: &[u8]) -> bool {
    memchr::memchr2_iter(b'\r', b'\n', section).all(|at| match section[at] {
        b'\r' => section.get(at + 1) == Some(&b'\n'),
        _ => at > 0 && section[at - 1] == b'\r',
    })
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
