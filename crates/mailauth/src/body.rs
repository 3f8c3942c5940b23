//! The hashes of a body: one pass, each canonical form and length once.

use crate::canonical::Body;
use crate::crypto::{Digest, Hasher};
use crate::{Canonicalization, Hash};

/// Octets that are gathered from short runs before they are hashed.
const GATHERED: usize = 4096;
/// Octets from which on a run is hashed where it lies.
const LONG: usize = 1024;
/// Octets that are canonicalized before they are hashed, at most: what was looked at is then near
/// when it is hashed, and what comes next is on its way.
const PART: usize = 4096;

/// The hashes of a body that streams by: each distinct canonical form, length and algorithm is
/// hashed once, whoever asks for it, and those of one form share the pass that makes it. Memory
/// is constant.
#[derive(Debug, Default)]
pub struct BodyHashes {
    /// The simple form and the relaxed one, as they are asked for.
    forms: [Option<Form>; 2],
    wanted: Vec<Wanted>,
}

/// Which of the hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashId(usize);

/// The hashes of a body that has streamed by.
#[derive(Debug)]
pub struct Digests {
    digests: Vec<(Digest, u64)>,
}

/// A canonical form.
#[derive(Debug)]
struct Form {
    form: Canonicalization,
    body: Body,
    gathered: Vec<u8>,
    length: u64,
}

struct Wanted {
    form: Canonicalization,
    hash: Hash,
    length: Option<u64>,
    /// Octets that are still to be hashed.
    left: u64,
    hasher: Hasher,
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {:?} of the {} form", self.hash, self.length, self.form.as_str())
    }
}

impl BodyHashes {
    /// Asks for a hash, of so many octets of the canonical form (`l=`, RFC 6376 §3.5) or of all
    /// of it. To be asked before the first octet of the body.
    pub fn want(&mut self, form: Canonicalization, length: Option<u64>, hash: Hash) -> HashId {
        self.forms[form as usize].get_or_insert_with(|| Form {
            form,
            body: Body::new(form),
            gathered: Vec::new(),
            length: 0,
        });
        let is = |known: &Wanted| (known.form, known.hash, known.length) == (form, hash, length);
        HashId(self.wanted.iter().position(is).unwrap_or_else(|| {
            let (left, hasher) = (length.unwrap_or(u64::MAX), Hasher::new(hash));
            // They are large, few, and most often one.
            self.wanted.reserve_exact(1);
            self.wanted.push(Wanted { form, hash, length, left, hasher });
            self.wanted.len() - 1
        }))
    }

    /// How many distinct hashes are computed.
    pub fn count(&self) -> usize {
        self.wanted.len()
    }

    /// Takes the next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        piece.chunks(PART).for_each(|part| self.push_part(part));
    }

    fn push_part(&mut self, part: &[u8]) {
        let Self { forms, wanted } = self;
        for Form { form, body, gathered, length } in forms.iter_mut().flatten() {
            body.push(part, |octets| {
                *length = length.saturating_add(octets.len() as u64);
                if octets.len() < LONG {
                    gathered.extend_from_slice(octets);
                    if gathered.len() >= GATHERED {
                        take(wanted, *form, gathered);
                        gathered.clear();
                    }
                } else {
                    take(wanted, *form, gathered);
                    gathered.clear();
                    take(wanted, *form, octets);
                }
            });
        }
    }

    /// The body is over.
    pub fn finish(mut self) -> Digests {
        let lengths = self.forms.map(|form| {
            let Form { form, mut body, gathered, mut length } = form?;
            take(&mut self.wanted, form, &gathered);
            body.finish(|octets| {
                length = length.saturating_add(octets.len() as u64);
                take(&mut self.wanted, form, octets);
            });
            Some(length)
        });
        let length = |form| lengths[form as usize].unwrap_or(0);
        let mut digests = Vec::with_capacity(self.wanted.len());
        digests.extend(self.wanted.into_iter().map(|wanted| (wanted.hasher.finish(), length(wanted.form))));
        Digests { digests }
    }
}

/// Hashes what is next of a form.
fn take(wanted: &mut [Wanted], form: Canonicalization, octets: &[u8]) {
    for wanted in wanted.iter_mut().filter(|wanted| wanted.form == form) {
        let count = usize::try_from(wanted.left).map_or(octets.len(), |left| left.min(octets.len()));
        wanted.hasher.push(&octets[..count]);
        wanted.left -= count as u64;
    }
}

impl Digests {
    /// The hash. Of a body that is shorter than was asked for, it is the hash of all of it.
    pub fn digest(&self, id: HashId) -> &[u8] {
        self.digests[id.0].0.as_ref()
    }

    /// How many octets the canonical form of the whole body has.
    pub fn length(&self, id: HashId) -> u64 {
        self.digests[id.0].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Canonicalization::{Relaxed, Simple};

    fn base64(octets: &[u8]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(octets)
    }

    fn digests(body: &[u8], step: usize, wanted: &[(Canonicalization, Option<u64>)]) -> Vec<(String, u64)> {
        let mut hashes = BodyHashes::default();
        let ids: Vec<HashId> = wanted.iter().map(|&(form, length)| hashes.want(form, length, Hash::Sha256)).collect();
        body.chunks(step).for_each(|piece| hashes.push(piece));
        let digests = hashes.finish();
        ids.into_iter().map(|id| (base64(digests.digest(id)), digests.length(id))).collect()
    }

    /// RFC 6376 §3.4.3 and §3.4.4: the hashes of an empty body.
    #[test]
    fn d58_empty_bodies() {
        for body in [&b""[..], b"\r\n", b"\r\n\r\n\r\n"] {
            assert_eq!(
                digests(body, 1, &[(Simple, None), (Relaxed, None)]),
                [
                    ("frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=".to_owned(), 2),
                    ("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(), 0),
                ]
            );
        }
    }

    #[test]
    fn what_is_wanted_twice_is_hashed_once() {
        let mut hashes = BodyHashes::default();
        let first = hashes.want(Relaxed, None, Hash::Sha256);
        let others = [
            hashes.want(Relaxed, Some(3), Hash::Sha256),
            hashes.want(Simple, None, Hash::Sha256),
            hashes.want(Relaxed, None, Hash::Sha1),
        ];
        assert_eq!((hashes.want(Relaxed, None, Hash::Sha256), hashes.count()), (first, 4));
        assert!(others.iter().all(|other| *other != first));
        hashes.push(b"x  y\r\n");
        let digests = hashes.finish();
        assert_eq!(digests.digest(others[2]).len(), 20);
        assert_eq!((digests.length(first), digests.length(others[1])), (5, 6));
    }

    /// RFC 6376 §3.5: `l=` counts octets of the canonical form.
    #[test]
    fn lengths_are_of_the_canonical_form() {
        let body = b"a  b \r\n c\r\n\r\n";
        for step in 1..body.len() {
            let whole =
                digests(body, step, &[(Relaxed, None), (Relaxed, Some(9)), (Relaxed, Some(5)), (Relaxed, Some(0))]);
            let five = digests(b"a b\r\n", step, &[(Relaxed, None)]);
            assert_eq!(whole[0], whole[1], "`a b`, ` c`, and two line ends");
            assert_eq!((&whole[2].0, whole[2].1), (&five[0].0, 9));
            assert_eq!(whole[3].0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        }
        // Longer than the body: the hash of the body, and its length tells.
        assert_eq!(digests(body, 3, &[(Relaxed, Some(10))])[0].1, 9);
        assert_eq!(digests(body, 3, &[(Relaxed, Some(u64::MAX))])[0], digests(body, 3, &[(Relaxed, None)])[0]);
    }

    /// Whether runs are gathered or not, and how long the pieces are, the hash is the same.
    #[test]
    fn pieces_of_any_size() {
        let mut body = Vec::new();
        for at in 0..3000_usize {
            body.extend(vec![b'a' + (at % 26) as u8; at * 7 % 1900 * usize::from(at % 31 == 0) + at % 5]);
            body.extend_from_slice([&b"  "[..], b" \r\n", b"\t", b"\r\n", b" "][at % 5]);
        }
        let wanted = [(Relaxed, None), (Simple, None), (Relaxed, Some(5000)), (Simple, Some(70_001))];
        let whole = digests(&body, body.len(), &wanted);
        let canonical = crate::canonical::slow::body(&body, Relaxed);
        assert_eq!(whole[0], digests(&canonical, canonical.len(), &[(Simple, None)])[0]);
        assert_eq!(whole[2].0, digests(&canonical, 7, &[(Simple, Some(5000))])[0].0);
        for step in [1, 7, 1023, 4096, 5000] {
            assert_eq!(digests(&body, step, &wanted), whole, "{step}");
        }
    }
}
