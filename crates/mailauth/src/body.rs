//! The hashes of a body: one pass, each canonical form and length once.

use crate::{Canonicalization, Hash};

/// The hashes of a body that streams by: each distinct canonical form, length and algorithm is
/// hashed once, whoever asks for it.
#[derive(Debug, Default)]
pub struct BodyHashes {
    wanted: Vec<(Canonicalization, Option<u64>, Hash)>,
}

/// Which of the hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashId(usize);

/// The hashes of a body that has streamed by.
#[derive(Debug)]
pub struct Digests {
    digests: Vec<(Vec<u8>, u64)>,
}

impl BodyHashes {
    /// Asks for a hash, of so many octets of the canonical form (`l=`) or of all of it. To be
    /// asked before the first octet of the body.
    pub fn want(&mut self, form: Canonicalization, length: Option<u64>, hash: Hash) -> HashId {
        self.wanted.push((form, length, hash));
        HashId(self.wanted.len() - 1)
    }

    /// Takes the next piece of the body.
    pub fn push(&mut self, _piece: &[u8]) {
        unimplemented!("c: body.rs")
    }

    /// The body is over.
    pub fn finish(self) -> Digests {
        unimplemented!("c: body.rs")
    }
}

impl Digests {
    /// The hash.
    pub fn digest(&self, id: HashId) -> &[u8] {
        &self.digests[id.0].0
    }

    /// How many octets the canonical form of the whole body has.
    pub fn length(&self, id: HashId) -> u64 {
        self.digests[id.0].1
    }
}
