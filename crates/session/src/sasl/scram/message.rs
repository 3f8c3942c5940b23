//! The messages (RFC 5802 §7), and nothing of what they prove.

use hikyaku_wire::Base64;

use crate::sasl::{
    crypto::Hash,
    gs2::{Header, unescape},
    keys::number,
};

/// Octets of a nonce at the most, of both sides together.
const NONCE: usize = 512;

/// `client-first-message = gs2-header client-first-message-bare`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    pub(super) header: Header<'a>,
    /// The name, not yet prepared.
    pub(super) user: String,
    pub(super) nonce: &'a str,
    pub(super) bare: &'a str,
}

/// `server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    /// Not yet compared with what is reasonable.
    pub(super) iterations: u32,
}

/// `client-final-message = channel-binding "," nonce ["," extensions] "," proof`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) without_proof: &'a str,
    pub(super) proof: Hash,
}

impl<'a> ClientFirst<'a> {
    /// `client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]`; the
    /// extension that stands first must be understood, and none is.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (header, bare) = Header::parse(text)?;
        let mut parts = bare.split(',');
        let user = unescape(attribute(parts.next()?, 'n')?)?;
        let nonce = nonce(parts.next()?)?;
        extensions(parts)?;
        Some(Self { header, user, nonce, bare })
    }
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(',');
        let nonce = nonce(parts.next()?)?;
        let salt = octets(attribute(parts.next()?, 's')?)?;
        let iterations = number(attribute(parts.next()?, 'i')?)?;
        extensions(parts)?;
        Some(Self { nonce, salt, iterations })
    }
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (without_proof, proof) = text.rsplit_once(',')?;
        let proof = octets(attribute(proof, 'p')?)?.try_into().ok()?;
        let mut parts = without_proof.split(',');
        let binding = octets(attribute(parts.next()?, 'c')?)?;
        let nonce = nonce(parts.next()?)?;
        extensions(parts)?;
        Some(Self { binding, nonce, without_proof, proof })
    }
}

/// `server-final-message = (server-error / verifier) ["," extensions]`: the signature, if it is a
/// verifier.
pub(super) fn server_final(text: &str) -> Option<Hash> {
    let mut parts = text.split(',');
    let signature = octets(attribute(parts.next()?, 'v')?)?.try_into().ok()?;
    extensions(parts)?;
    Some(signature)
}

/// The base64 of octets that are few.
pub(super) fn base64(octets: &[u8]) -> Base64 {
    Base64::encode(octets).expect("nonces, salts and hashes are far below 9,213 octets")
}

/// The value of the attribute of this letter.
fn attribute(text: &str, letter: char) -> Option<&str> {
    text.strip_prefix(letter)?.strip_prefix('=').filter(|value| !value.is_empty() && !value.contains('\0'))
}

/// `nonce = "r=" printable`
fn nonce(text: &str) -> Option<&str> {
    let value = attribute(text, 'r')?;
    (value.len() <= NONCE && value.bytes().all(|byte| byte.is_ascii_graphic())).then_some(value)
}

/// `attr-val` after `attr-val`: what is not known is nothing to us.
fn extensions<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<()> {
    let known = |text: &str| {
        let letter = text.chars().next().filter(char::is_ascii_alphabetic);
        // `m` would have had to be understood, and stands where it must not.
        letter.is_some_and(|letter| letter != 'm' && attribute(text, letter).is_some())
    };
    parts.all(known).then_some(())
}

fn octets(text: &str) -> Option<Vec<u8>> {
    Base64::parse(text).ok().map(|base64| base64.decode())
}
