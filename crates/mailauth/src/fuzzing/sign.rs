//! Of keys, signing and sealing.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hikyaku_dns::{Data, Zone};
use hikyaku_message::results::{self, AuthenticationResults, Value};
use hikyaku_message::{Header, HeaderLimits};
use hikyaku_wire::Timestamp;

use crate::crypto::PublicKey;
use crate::dkim::key::Key;
use crate::{BodyHashes, Budget, Canonicalization, Hash, Lookups, Records, SigningKey, arc, dkim};

const TIME: Timestamp = Timestamp::from_millis(1_795_500_000_000);
const LIMITS: HeaderLimits = HeaderLimits { octets: 1 << 16, fields: 1000, hops: 100 };

/// A private key in PEM form: what is read signs, and its record verifies it; what is not says
/// why without showing it. And a public key: what is read has a size that is allowed.
pub fn pem(data: &[u8]) {
    if let Ok(key) = PublicKey::rsa(data) {
        assert!((1024..=8192).contains(&key.bits()));
        assert!(!key.verifies(Hash::Sha256, data, data));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    match SigningKey::from_pem(text) {
        Ok(key) => {
            let signature = key.sign(data).expect("a key that was read signs");
            let record = Key::parse(key.record().as_bytes()).expect("its record is one");
            let algorithm = dkim::Algorithm::parse(key.algorithm()).expect("it is known");
            let public = record.verifier(algorithm, false).expect("it may");
            assert!(public.verifies(Hash::Sha256, data, &signature));
            assert!(!public.verifies(Hash::Sha256, &[data, b"x"].concat(), &signature));
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            let secret = text.lines().find(|line| line.len() > 60 && shown.contains(line));
            assert_eq!(secret, None, "{shown}");
        }
    }
}

/// Two octets that say how, and a message: what is signed verifies, in whatever pieces it came,
/// and does not with a longer body.
pub fn sign(data: &[u8]) {
    let [how, size, message @ ..] = data else { return };
    let form = |bit: u8| if how & bit == 0 { Canonicalization::Relaxed } else { Canonicalization::Simple };
    let signer = || dkim::Signer { header: form(1), body: form(2), ..signer("one.example") };
    let signed = |size: usize| {
        let mut signing = dkim::Signing::with_limits(vec![signer()], LIMITS);
        message.chunks(size).for_each(|piece| signing.push(piece));
        signing.finish("", TIME)
    };
    let field = signed(usize::from(*size).max(1));
    assert_eq!(field, signed(message.len().max(1)));
    let Ok(field) = field else { return };
    assert!(field.split("\r\n").all(|line| line.len() <= 78), "{field}");
    let whole = [field.as_bytes(), message].concat();
    assert_eq!(first(&whole), results::Dkim::Pass);
    if Header::parse(&whole, LIMITS).is_ok_and(|header| header.is_complete()) {
        assert_eq!(first(&[&whole, &b"x"[..]].concat()), results::Dkim::Fail);
    }
}

/// A message: its chain is judged with bounded lookups, whatever it is, and one more seal of ours
/// makes a chain of one more.
pub fn chain(data: &[u8]) {
    let Ok(header) = Header::parse(data, LIMITS) else { return };
    let (outcome, asked) = judge(data);
    let some = header.fields().any(|field| arc::Field::ALL.iter().any(|kind| field.is(kind.as_str())));
    assert_eq!(outcome.result == results::Arc::None, !some);
    assert_eq!(outcome.result == results::Arc::Fail, outcome.reason.is_some());
    assert!(outcome.result == results::Arc::Pass || outcome.sealers.is_empty());
    assert!(asked <= 51);

    let found = Value::new("mx.example.net").and_then(AuthenticationResults::new).expect("a host name");
    let mut sealing = arc::Sealing::new(signer("two.example"), LIMITS);
    data.chunks(7).for_each(|piece| sealing.push(piece));
    let Ok(set) = sealing.finish(&outcome, &found, TIME) else { return };
    let (again, _) = judge(&[set.as_bytes(), data].concat());
    match outcome.result {
        // Where the sets are not whole, or an older one says that it failed, that is told first.
        results::Arc::Fail => assert_eq!(again.result, results::Arc::Fail),
        _ => assert_eq!(
            (again.result, again.sealers.len()),
            (results::Arc::Pass, outcome.sealers.len() + 1),
            "{again:?} {set}"
        ),
    }
}

fn judge(message: &[u8]) -> (arc::Outcome, u32) {
    let limits = HeaderLimits { octets: LIMITS.octets + 4096, fields: LIMITS.fields + 3, ..LIMITS };
    let header = Header::parse(message, limits).expect("it is within the limits");
    let mut bodies = BodyHashes::default();
    let chain = arc::Chain::find(&header, &dkim::Rules::default(), &mut bodies);
    bodies.push(&message[header.octets().len()..]);
    with_lookups(|lookups| (now(chain.verify(&header, &bodies.finish(), lookups, TIME)), lookups.asked()))
}

/// What we make of the topmost signature.
fn first(message: &[u8]) -> results::Dkim {
    let limits = HeaderLimits { octets: LIMITS.octets + 4096, fields: LIMITS.fields + 1, ..LIMITS };
    let header = Header::parse(message, limits).expect("it is within the limits");
    let mut bodies = BodyHashes::default();
    let rules = dkim::Rules { signatures: usize::MAX, ..dkim::Rules::default() };
    let signatures = dkim::Signatures::find(&header, &rules, &mut bodies);
    bodies.push(&message[header.octets().len()..]);
    with_lookups(|lookups| now(signatures.verify(&header, &bodies.finish(), lookups, TIME))[0].result)
}

fn signer(domain: &str) -> dkim::Signer {
    let key = SigningKey::from_pem(include_str!("../crypto/keys/ed25519.pem")).expect("a key");
    dkim::Signer::new(domain.parse().expect("a name"), "arc".parse().expect("a name"), Arc::new(key))
}

fn with_lookups<T>(judge: impl FnOnce(&Lookups<'_, Zone>) -> T) -> T {
    let mut zone = Zone::default();
    for domain in ["one.example", "two.example", "three.example"] {
        let name = format!("arc._domainkey.{domain}").parse().expect("a name");
        zone.add(name, 60, Data::Txt(signer(domain).key.record().as_str().into()));
    }
    judge(&Records::new(zone).lookups(Instant::now(), Budget::default()))
}

/// A zone in memory has its answers at once.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a zone in memory never waits"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn replay(target: &str, run: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files: Vec<_> = fs::read_dir(&corpus).expect("a corpus").collect();
        assert!(files.len() >= 10, "{} seeds of {target}", files.len());
        for file in files {
            run(&fs::read(file.expect("a file").path()).expect("a seed"));
        }
    }

    #[test]
    fn corpus_of_mailauth_pem() {
        replay("mailauth_pem", super::pem);
    }

    #[test]
    fn corpus_of_mailauth_sign() {
        replay("mailauth_sign", super::sign);
    }

    #[test]
    fn corpus_of_mailauth_arc() {
        replay("mailauth_arc", super::chain);
    }
}
