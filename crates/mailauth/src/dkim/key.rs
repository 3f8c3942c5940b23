//! The record of a key (RFC 6376 §3.6.1).

use hikyaku_dns::{Answer, Txt};

use super::{Algorithm, Problem};
use crate::Hash;
use crate::crypto::PublicKey;
use crate::lookups::Published;
use crate::tags::{Tags, base64, list};

/// Octets that a record may have in all; a key of 8192 bit has 1,400.
const LONGEST: usize = 4096;

/// What is published under the name of a key: a key, or what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct KeyRecord(Result<Key, Problem>);

/// A key that is published, and what it may be used for.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    key: PublicKey,
    /// The hashes that it is for; all, if it names none.
    sha1: bool,
    sha256: bool,
    /// The flag `y`: its domain only tests.
    pub(crate) testing: bool,
    /// The flag `s`: `i=` must have the domain `d=`.
    strict: bool,
}

impl Published for KeyRecord {
    fn read(answer: &Answer<Txt>) -> Self {
        Self(match &answer.records[..] {
            [] => Err(Problem::NoKey),
            [record] => Key::parse(&record.concat()),
            [_, _, ..] => Err(Problem::SeveralKeys),
        })
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.as_ref().map_or(0, |key| key.key.size())
    }
}

impl KeyRecord {
    /// The key.
    ///
    /// # Errors
    /// There is none, or none that can be used.
    pub(crate) fn key(&self) -> Result<&Key, Problem> {
        self.0.as_ref().map_err(Problem::clone)
    }
}

impl Key {
    /// Reads a record.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            return Err(Problem::KeySyntax);
        }
        let tags = Tags::parse(text).map_err(|_| Problem::KeySyntax)?;
        if let Some(version) = tags.get("v")
            && (version != b"DKIM1" || tags.tags[0].name != b"v")
        {
            return Err(Problem::KeyVersion);
        }
        let key = tags.get("p").ok_or(Problem::KeyMissing)?;
        if key.is_empty() {
            return Err(Problem::Revoked);
        }
        if tags.get("s").is_some_and(|services| !list(services).any(|service| matches!(service, b"*" | b"email"))) {
            return Err(Problem::KeyService);
        }
        let allows = |hash: &[u8]| tags.get("h").is_none_or(|hashes| list(hashes).any(|known| known == hash));
        let flag = |flag: &[u8]| tags.get("t").is_some_and(|flags| list(flags).any(|known| known == flag));
        let octets = base64(key).ok_or(Problem::KeyTag("p"))?;
        let key = match tags.get("k").unwrap_or(b"rsa") {
            b"rsa" => PublicKey::rsa(&octets),
            b"ed25519" => PublicKey::ed25519(&octets),
            _ => return Err(Problem::KeyType),
        };
        Ok(Self {
            key: key.map_err(Problem::Key)?,
            sha1: allows(b"sha1"),
            sha256: allows(b"sha256"),
            testing: flag(b"y"),
            strict: flag(b"s"),
        })
    }

    /// The key, if it may verify a signature of that algorithm, `below` whose domain `d=` the
    /// domain of `i=` is.
    pub(crate) fn verifier(&self, algorithm: Algorithm, below: bool) -> Result<&PublicKey, Problem> {
        let rsa = matches!(self.key, PublicKey::Rsa(..));
        if rsa != algorithm.is_rsa() {
            return Err(Problem::KeyType);
        }
        let allowed = match algorithm.hash() {
            Hash::Sha1 => self.sha1,
            Hash::Sha256 => self.sha256,
        };
        if !allowed {
            return Err(Problem::KeyHash);
        }
        if self.strict && below {
            return Err(Problem::KeyStrict);
        }
        Ok(&self.key)
    }

    /// How many bits the key has.
    pub(crate) fn bits(&self) -> usize {
        self.key.bits()
    }
}
