//! Of DKIM: what is read of a signature and a key, the forms that are hashed, and verification.

use std::time::Instant;

use hikyaku_dns::{Data, Txt, Zone};
use hikyaku_message::results::Dkim;
use hikyaku_message::{Field, Header, HeaderLimits};
use hikyaku_wire::Timestamp;

use crate::Canonicalization::{Relaxed, Simple};
use crate::canonical::{self, Body, slow};
use crate::dkim::key::Key;
use crate::dkim::signature::{Kind, Signature};
use crate::dkim::slow::{Draft, RECORD, sign};
use crate::dkim::{Rules, Signatures, Verified};
use crate::tags::{Tags, base64};
use crate::{BodyHashes, Budget, Canonicalization, Hash, Records};

const LIMITS: HeaderLimits = HeaderLimits { octets: 1 << 20, fields: 1 << 20, hops: 1 << 20 };

/// The canonical forms are what a slow reading of the standard says, in pieces of any size; the
/// first octet is the size.
pub fn canonical(data: &[u8]) {
    let Some((&step, body)) = data.split_first() else { return };
    for form in [Simple, Relaxed] {
        let expected = slow::body(body, form);
        for step in [1, usize::from(step).max(1), body.len().max(1)] {
            assert_eq!(pieces(body, form, step), expected, "in pieces of {step}");
        }
        assert_eq!(pieces(&expected, form, 7), expected, "the canonical form is its own");
        let mut hashes = BodyHashes::default();
        let (whole, part) = (hashes.want(form, None, Hash::Sha256), hashes.want(form, Some(9), Hash::Sha256));
        body.chunks(usize::from(step).max(1)).for_each(|piece| hashes.push(piece));
        let digests = hashes.finish();
        assert_eq!(digests.length(whole), expected.len() as u64);
        assert_eq!(digests.digest(whole) == digests.digest(part), expected.len() <= 9);
    }
    let Ok(header) = Header::parse(body, LIMITS) else { return };
    for field in header.fields() {
        let line_end: &[u8] = if field.octets().ends_with(b"\r\n") { b"" } else { b"\r\n" };
        let whole = [field.octets(), line_end].concat();
        for form in [Simple, Relaxed] {
            let mut out = b"before".to_vec();
            canonical::field(&field, form, &mut out);
            assert_eq!(&out[6..], slow::field(&whole, form));
        }
    }
}

fn pieces(body: &[u8], form: Canonicalization, step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut state = Body::new(form);
    body.chunks(step).for_each(|piece| state.push(piece, |octets| out.extend_from_slice(octets)));
    state.finish(|octets| out.extend_from_slice(octets));
    out
}

/// A list of tags: printed and read again it is the same, and its spans are its values.
pub fn tags(data: &[u8]) {
    let Ok(tags) = Tags::parse(data) else { return };
    let mut printed = Vec::new();
    let mut at = 0;
    for tag in &tags.tags {
        assert!(at <= tag.span.start && tag.span.end <= data.len());
        assert_eq!(data[tag.span.start - 1], b'=');
        at = tag.span.end;
        assert_eq!(tags.get(std::str::from_utf8(tag.name).expect("ASCII")), Some(tag.value), "no two have one name");
        for part in [tag.name, b"=", tag.value, b";"] {
            printed.extend_from_slice(part);
        }
        if let Some(octets) = base64(tag.value) {
            assert!(octets.len() <= tag.value.len() && !octets.is_empty());
        }
    }
    let again = Tags::parse(&printed).expect("what is printed is a list");
    let view = |tags: &Tags<'_>| -> Vec<(Vec<u8>, Vec<u8>)> {
        tags.tags.iter().map(|tag| (tag.name.to_vec(), tag.value.to_vec())).collect()
    };
    assert_eq!(view(&again), view(&tags));
}

/// A field with a signature: what is read of it is also read of its relaxed form, and of nothing
/// that lacks its signature.
pub fn dkim_signature(data: &[u8]) {
    for kind in [Kind::Dkim, Kind::Arc] {
        let whole = [b"DKIM-Signature:", data, b"\r\n"].concat();
        let Ok(header) = Header::parse(&whole, LIMITS) else { return };
        let Some(field) = header.fields().next() else { return };
        let (facts, signature) = Signature::parse(&field, kind);
        let Ok(signature) = signature else { continue };
        assert!(facts.domain.is_some_and(|domain| signature.key.is_within(&domain)));
        assert!(signature.key.labels().any(|label| label == b"_domainkey"));
        let mut relaxed = Vec::new();
        canonical::field(&field, Relaxed, &mut relaxed);
        let again = parse(&relaxed, kind).expect("what is folded otherwise means the same");
        assert_eq!(
            (&again.key, &again.body_hash, &again.signature, again.length, again.below),
            (&signature.key, &signature.body_hash, &signature.signature, signature.length, signature.below)
        );
        let value = field.raw_value();
        let emptied =
            [b"DKIM-Signature:", &value[..signature.own.start], &value[signature.own.end..], b"\r\n"].concat();
        assert!(parse(&emptied, kind).is_none(), "the signature is what was taken out");
    }
}

fn parse(field: &[u8], kind: Kind) -> Option<Signature> {
    let header = Header::parse(field, LIMITS).ok()?;
    let field: Field<'_> = header.fields().next()?;
    Signature::parse(&field, kind).1.ok()
}

/// The record of a key: what is read is a key of a size that may be used.
pub fn dkim_key(data: &[u8]) {
    if let Ok(key) = Key::parse(data) {
        assert!(matches!(key.bits(), 256 | 1024..=8192));
        assert!(data.len() <= 4096);
    }
}

/// Verification: any message causes at most ten lookups and ten hashes; one that is really signed
/// passes, and with another octet passes only where the canonical form does not change.
///
/// The first octets say how is signed, what is changed, and where; the rest is a message, and the
/// body of the one that is signed.
pub fn dkim_verify(data: &[u8]) {
    let [how, bit, at, high, rest @ ..] = data else { return };
    let (found, asked, hashes) = verify(rest);
    let Ok(header) = Header::parse(rest, LIMITS) else { return };
    assert_eq!(found.len(), header.all("DKIM-Signature").count());
    assert!(asked <= 10 && hashes <= 10);
    for one in &found {
        assert_eq!(one.reason.is_none(), one.result == Dkim::Pass);
    }

    let form = |bit: u8| if how & bit == 0 { Simple } else { Relaxed };
    let draft = Draft { header: form(1), body: form(2), ..Draft::default() };
    let head = b"From: ann@example.test\r\nTo: bob@example.net\r\nSubject:  one\r\n two\r\n\r\n";
    let mut message = [&head[..], rest].concat();
    let field = sign(&message, &draft);
    let passes = |message: &[u8]| verify(&[&field, message].concat()).0.iter().any(|one| one.result == Dkim::Pass);
    assert!(passes(&message), "what is signed passes");
    let body = slow::body(rest, draft.body);
    let place = usize::from(u16::from_be_bytes([*high, *at])) % (message.len() - 6);
    if place < 11 {
        // Within the address of From.
        message[6 + place] ^= 1 << (bit % 8);
        assert!(!passes(&message), "an address was changed");
    } else if let Some(octet) = message.get_mut(head.len() + place - 11) {
        *octet ^= 1 << (bit % 8);
        let same = slow::body(&message[head.len()..], draft.body) == body;
        assert_eq!(passes(&message), same, "the body was changed");
    }
}

fn verify(message: &[u8]) -> (Vec<Verified>, u32, usize) {
    let Ok(header) = Header::parse(message, LIMITS) else { return (Vec::new(), 0, 0) };
    let mut zone = Zone::default();
    zone.add("sel._domainkey.example.test".parse().expect("a name"), 300, Data::Txt(Txt::from(RECORD)));
    let mut bodies = BodyHashes::default();
    let signatures = Signatures::find(&header, &Rules::default(), &mut bodies);
    let hashes = bodies.count();
    bodies.push(&message[header.octets().len()..]);
    let records = Records::new(&zone);
    let lookups = records.lookups(Instant::now(), Budget::default());
    let digests = bodies.finish();
    let verified = signatures.verify(&header, &digests, &lookups, Timestamp::from_millis(1_795_521_600_000));
    let verified = match std::pin::pin!(verified).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(verified) => verified,
        std::task::Poll::Pending => panic!("a zone never waits"),
    };
    (verified, lookups.asked(), hashes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn replay(target: &str, function: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let seeds: Vec<_> = corpus.read_dir().expect("the corpus").collect();
        assert!(seeds.len() >= 10, "{target}");
        for seed in seeds {
            let path = seed.expect("a seed").path();
            println!("{}", path.display());
            function(&std::fs::read(path).expect("a file"));
        }
    }

    #[test]
    fn corpus_of_canonical() {
        replay("mailauth_canonical", super::canonical);
    }

    #[test]
    fn corpus_of_tags() {
        replay("mailauth_tags", super::tags);
    }

    #[test]
    fn corpus_of_dkim_signature() {
        replay("mailauth_dkim_signature", super::dkim_signature);
    }

    #[test]
    fn corpus_of_dkim_key() {
        replay("mailauth_dkim_key", super::dkim_key);
    }

    #[test]
    fn corpus_of_dkim_verify() {
        replay("mailauth_dkim_verify", super::dkim_verify);
    }
}
