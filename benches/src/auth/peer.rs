//! The side of mail-auth. Where it has no such thing there is no task.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use mail_auth::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::dkim::{Canonicalization, DkimSigner, DomainKey};
use mail_auth::dmarc::DmarcRecord;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::dns::{DnsCache, Mx, Negative, Parameters, RecordSet, ResolverCache, TxtRecord, TxtRecordParser};
use mail_auth::headers::HeaderWriter;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::signer::Ready;
use mail_auth::spf::SpfRecord;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, DnsError, Error, MessageAuthenticator, SpfOutput,
    SpfResult,
};

use rustls::pki_types::PrivateKeyDer;

use super::work::{self, Algorithm, DOMAIN, Work};
use crate::task::Task;

/// The fields that are signed: what its documentation names, and those that ours signs beside.
const SIGNED: [&str; 8] = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Reply-To"];
/// The client's claims.
const CLAIMS: [&str; 3] = ["mail.example.com", "mx.example.net", "sender@example.com"];

/// Answers that are always there, without a lock or an end.
struct Map<K, V>(HashMap<K, V>);

impl<K: Hash + Eq, V: Clone> ResolverCache<K, V> for Map<K, V> {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: K, _: V, _: Instant) {}
}

type Answer<T> = Result<RecordSet<T>, Negative>;

struct Cache {
    txt: Map<Box<str>, TxtRecord>,
    mx: Map<Box<str>, Answer<Mx>>,
    ipv4: Map<Box<str>, Answer<Ipv4Addr>>,
    ipv6: Map<Box<str>, Answer<Ipv6Addr>>,
    ptr: Map<IpAddr, Answer<Box<str>>>,
}

impl DnsCache for Cache {
    type Txt = Map<Box<str>, TxtRecord>;
    type Mx = Map<Box<str>, Answer<Mx>>;
    type Ipv4 = Map<Box<str>, Answer<Ipv4Addr>>;
    type Ipv6 = Map<Box<str>, Answer<Ipv6Addr>>;
    type Ptr = Map<IpAddr, Answer<Box<str>>>;

    fn txt(&self) -> Option<&Self::Txt> {
        Some(&self.txt)
    }

    fn mx(&self) -> Option<&Self::Mx> {
        Some(&self.mx)
    }

    fn ipv4(&self) -> Option<&Self::Ipv4> {
        Some(&self.ipv4)
    }

    fn ipv6(&self) -> Option<&Self::Ipv6> {
        Some(&self.ipv6)
    }

    fn ptr(&self) -> Option<&Self::Ptr> {
        Some(&self.ptr)
    }
}

/// The output of a future whose every answer is in the cache.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("an answer is missing in the cache"),
    }
}

struct Receiver {
    authenticator: MessageAuthenticator,
    cache: Cache,
}

impl Receiver {
    fn new() -> Self {
        // Its resolver wants a runtime to be there; it is never asked.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let _inside = runtime.enter();
        let authenticator = MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default());
        let read = |text: &str| -> TxtRecord {
            let octets = text.as_bytes();
            if text.starts_with("v=spf1") {
                SpfRecord::parse(octets).expect("a record").into()
            } else if text.starts_with("v=DMARC1") {
                DmarcRecord::parse(octets).expect("a record").into()
            } else {
                DomainKey::parse(octets).expect("a record").into()
            }
        };
        let mut txt: HashMap<Box<str>, TxtRecord> =
            work::records().into_iter().map(|(name, text)| (format!("{name}.").into(), read(&text))).collect();
        txt.insert("_dmarc.com.".into(), TxtRecord::Error(Error::Dns(DnsError::InvalidRecordType)));
        let (mx, ipv4) = (Map(HashMap::new()), Map(HashMap::new()));
        let (ipv6, ptr) = (Map(HashMap::new()), Map(HashMap::new()));
        Self { authenticator: authenticator.expect("a resolver"), cache: Cache { txt: Map(txt), mx, ipv4, ipv6, ptr } }
    }

    #[inline(never)]
    fn verify<'m>(&'m self, message: &'m AuthenticatedMessage<'m>) -> Vec<DkimOutput<'m>> {
        now(self.authenticator.verify_dkim(Parameters::new(message).with_cache(&self.cache)))
    }

    #[inline(never)]
    fn spf(&self) -> SpfOutput {
        let [hello, receiver, sender] = CLAIMS;
        let question = SpfParameters::mail_from(work::client(), hello, receiver, sender);
        now(self.authenticator.verify_spf(Parameters::new(question).with_cache(&self.cache)))
    }

    #[inline(never)]
    fn dmarc(&self, message: &AuthenticatedMessage<'_>, dkim: &[DkimOutput<'_>], spf: &SpfOutput) -> bool {
        let question = DmarcParameters::new(message, dkim, DOMAIN, spf);
        let done = now(self.authenticator.verify_dmarc(Parameters::new(question).with_cache(&self.cache)));
        *done.dkim_result() == DmarcResult::Pass && *done.spf_result() == DmarcResult::Pass
    }
}

fn signer<K: SigningKey>(key: K) -> DkimSigner<K, Ready> {
    DkimSigner::from_key(key)
        .domain(DOMAIN)
        .selector("rsa")
        .headers(SIGNED)
        .header_canonicalization(Canonicalization::Relaxed)
        .body_canonicalization(Canonicalization::Relaxed)
}

fn rsa() -> RsaKey<Sha256> {
    RsaKey::from_key_der(PrivateKeyDer::Pkcs8(Algorithm::Rsa.der().into())).expect("a key")
}

fn ed25519() -> Ed25519Key {
    Ed25519Key::from_pkcs8_maybe_unchecked_der(&Algorithm::Ed25519.der()).expect("a key")
}

fn parse(message: &[u8]) -> AuthenticatedMessage<'_> {
    AuthenticatedMessage::parse(message).expect("a message")
}

/// What mail-auth does of a work.
pub fn task(work: &Work) -> Option<Task> {
    let receiver = Receiver::new();
    Some(match work.clone() {
        Work::Verify { message, .. } => Task::plain(move || {
            let message = parse(black_box(&message));
            assert!(*receiver.verify(&message)[0].result() == DkimResult::Pass);
        }),
        Work::Hash(body) => Task::plain(move || _ = black_box(hash(black_box(&body)))),
        Work::Sign { message, algorithm: Algorithm::Rsa } => sign(signer(rsa()), message),
        Work::Sign { message, algorithm: Algorithm::Ed25519 } => sign(signer(ed25519()), message),
        Work::Spf => Task::plain(move || assert!(black_box(receiver.spf()).result() == SpfResult::Pass)),
        Work::Dmarc => {
            // What was verified before borrows the message, which lives as long as the program.
            let message = work::signed(&work::message(4 << 10, work::text), Algorithm::Rsa);
            let message = &*Box::leak(Box::new(parse(message.leak())));
            let receiver = &*Box::leak(Box::new(receiver));
            let (dkim, spf) = (receiver.verify(message), receiver.spf());
            Task::plain(move || assert!(receiver.dmarc(black_box(message), &dkim, &spf)))
        }
        Work::Check(message) => Task::plain(move || {
            let spf = receiver.spf();
            let message = parse(black_box(&message));
            let dkim = receiver.verify(&message);
            assert!(receiver.dmarc(&message, &dkim, &spf));
        }),
        Work::Bound(_) => return None,
    })
}

#[inline(never)]
fn hash(body: &[u8]) -> Vec<u8> {
    mail_auth::testing::whole_body_digest(Canonicalization::Relaxed, body, 0)
}

fn sign<K: SigningKey + 'static>(signer: DkimSigner<K, Ready>, message: Vec<u8>) -> Task {
    let signer = Arc::new(signer);
    Task::plain(move || _ = black_box(signer.sign(black_box(&message)).expect("it signs").to_header()))
}

/// What it has found, in words.
pub fn read(work: &Work) -> Option<Vec<String>> {
    let receiver = Receiver::new();
    let dkim = |message: &[u8]| {
        let message = parse(message);
        let is_pass = |one: &DkimOutput<'_>| *one.result() == DkimResult::Pass;
        let outputs = receiver.verify(&message);
        outputs.iter().map(|one| format!("dkim {}", if is_pass(one) { "pass" } else { "not pass" })).collect()
    };
    let spf = || format!("spf {}", if receiver.spf().result() == SpfResult::Pass { "pass" } else { "not pass" });
    Some(match work {
        Work::Verify { message, .. } => dkim(message),
        Work::Hash(body) => vec![format!("{:02x?}", hash(body))],
        Work::Sign { message, algorithm } => {
            // What hikyaku has signed, mail-auth verifies.
            dkim(&work::signed(message, *algorithm))
        }
        Work::Spf => vec![spf()],
        Work::Dmarc => vec!["dmarc pass".into()],
        Work::Check(message) => [vec![spf()], dkim(message), vec!["dmarc pass".into()]].concat(),
        Work::Bound(_) => return None,
    })
}
