//! The side of hikyaku: what is called is what an application calls.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hikyaku_dns::{Name, Zone};
use hikyaku_mailauth::dkim::{self, Signing, Verified};
use hikyaku_mailauth::spf::{self, Identity, Question};
use hikyaku_mailauth::{
    Authentication, BodyHashes, Budget, Canonicalization, Client, ClientResults, Hash, Records, Rules, Verifier, dmarc,
};
use hikyaku_message::{HeaderLimits, results};

use super::work::{self, Bound, DOMAIN, NOW, Work};
use crate::task::Task;
use crate::work::READ;

/// Larger than a message may be, so that what a stranger sends is looked at.
const LIMITS: HeaderLimits = HeaderLimits { octets: 64 << 20, fields: 1 << 20, hops: 100 };

/// The output of a future that has nothing to wait for: the DNS is in memory.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits for something"),
    }
}

/// What a receiver keeps from message to message.
pub struct Receiver {
    records: Records<Zone>,
    rules: Rules,
    /// For signatures alone.
    signatures: Rules,
    began: Instant,
    domain: Name,
}

impl Receiver {
    fn new() -> Self {
        let mut rules = Rules::none();
        rules.spf = true;
        rules.dkim = Some(dkim::Rules::default());
        rules.dmarc = true;
        rules.header = LIMITS;
        let mut signatures = Rules::none();
        signatures.dkim = Some(dkim::Rules::default());
        let (records, began) = (Records::new(work::zone()), Instant::now());
        Self { records, rules, signatures, began, domain: DOMAIN.parse().expect("a name") }
    }

    /// The signatures of a message that comes in reads; nothing else of it is judged.
    #[inline(never)]
    fn verify(&self, message: &[u8]) -> Vec<Verified> {
        let lookups = self.records.lookups(self.began, Budget::default());
        let mut verifier = Verifier::new(&self.signatures);
        message.chunks(READ).for_each(|piece| verifier.push(piece));
        now(verifier.finish(&lookups, ClientResults::default(), NOW)).dkim.expect("they were looked at")
    }

    #[inline(never)]
    fn spf(&self, domain: &str) -> spf::Outcome {
        let lookups = self.records.lookups(self.began, Budget::default());
        let sender = &*format!("sender@{domain}");
        let (client, receiver) = (work::client(), "mx.example.net");
        let question = Question { client, hello: "mail.example.com", sender, receiver, now: NOW };
        now(spf::check(&lookups, &question, Identity::MailFrom))
    }

    #[inline(never)]
    fn dmarc(&self, dkim: &[(results::Dkim, Name)]) -> dmarc::Outcome {
        let lookups = self.records.lookups(self.began, Budget::default());
        let spf = Some((results::Spf::Pass, &self.domain));
        now(dmarc::evaluate(&lookups, &dmarc::Identifiers { author: &self.domain, spf, dkim }))
    }

    #[inline(never)]
    fn check(&self, message: &[u8]) -> Authentication {
        let lookups = self.records.lookups(self.began, Budget::default());
        let client = Client {
            address: work::client(),
            hello: "mail.example.com",
            sender: "sender@example.com",
            receiver: "mx.example.net",
        };
        let client = now(ClientResults::check(&self.rules, &lookups, &client, NOW));
        let mut verifier = Verifier::new(&self.rules);
        for piece in message.chunks(READ) {
            verifier.push(piece);
        }
        now(verifier.finish(&lookups, client, NOW))
    }
}

/// The hash of a body in its relaxed form, as it comes in reads.
#[inline(never)]
fn hash(body: &[u8]) -> Vec<u8> {
    let mut bodies = BodyHashes::default();
    let id = bodies.want(Canonicalization::Relaxed, None, Hash::Sha256);
    for piece in body.chunks(READ) {
        bodies.push(piece);
    }
    bodies.finish().digest(id).to_vec()
}

#[inline(never)]
fn sign(signers: &[dkim::Signer], message: &[u8]) -> String {
    let mut signing = Signing::new(signers.to_vec());
    for piece in message.chunks(READ) {
        signing.push(piece);
    }
    signing.finish("", NOW).expect("the message can be signed")
}

/// What hikyaku does of a work.
pub fn task(work: &Work) -> Task {
    let receiver = Receiver::new();
    match work.clone() {
        Work::Verify { message, .. } => Task::plain(move || {
            assert_eq!(receiver.verify(black_box(&message))[0].result, results::Dkim::Pass);
        }),
        Work::Hash(body) => Task::plain(move || _ = black_box(hash(black_box(&body)))),
        Work::Sign { message, algorithm } => {
            let signers = [work::signer(algorithm)];
            Task::plain(move || _ = black_box(sign(&signers, black_box(&message))))
        }
        Work::Spf => Task::plain(move || assert_eq!(receiver.spf(black_box(DOMAIN)).result, results::Spf::Pass)),
        Work::Dmarc => {
            let dkim = [(results::Dkim::Pass, receiver.domain.clone())];
            Task::plain(move || assert_eq!(receiver.dmarc(black_box(&dkim)).result, results::Dmarc::Pass))
        }
        Work::Check(message) => Task::plain(move || {
            let done = receiver.check(black_box(&message));
            assert_eq!(done.dmarc.expect("it was evaluated").result, results::Dmarc::Pass);
        }),
        Work::Bound(Bound::Includes) => Task::plain(move || {
            assert_eq!(receiver.spf(black_box("tree.test")).result, results::Spf::PermError);
        }),
        Work::Bound(bound) => {
            let message = bound.message();
            Task::plain(move || assert!(black_box(receiver.check(black_box(&message))).dmarc.is_some()))
        }
    }
}

/// What it has found, in words; [`peer::read`](super::peer::read) must have found the same.
pub fn read(work: &Work) -> Vec<String> {
    let receiver = Receiver::new();
    match work {
        Work::Verify { message, .. } => {
            receiver.verify(message).iter().map(|one| format!("dkim {}", one.result.as_str())).collect()
        }
        Work::Hash(body) => vec![format!("{:02x?}", hash(body))],
        Work::Sign { message, algorithm } => {
            let message = [sign(&[work::signer(*algorithm)], message).as_bytes(), message].concat();
            read(&Work::Verify { message, algorithm: *algorithm })
        }
        Work::Spf => vec![format!("spf {}", receiver.spf(DOMAIN).result.as_str())],
        Work::Dmarc => {
            let dkim = [(results::Dkim::Pass, receiver.domain.clone())];
            vec![format!("dmarc {}", receiver.dmarc(&dkim).result.as_str())]
        }
        Work::Check(message) => words(&receiver.check(message)),
        Work::Bound(Bound::Includes) => vec![format!("spf {}", receiver.spf("tree.test").result.as_str())],
        Work::Bound(bound) => words(&receiver.check(&bound.message())),
    }
}

fn words(done: &Authentication) -> Vec<String> {
    let spf = done.client.mail_from.as_ref().map(|spf| spf.result.as_str());
    let dkim = done.dkim.iter().flatten().map(|one| one.result.as_str());
    let dmarc = done.dmarc.as_ref().map(|dmarc| dmarc.result.as_str());
    let mut words = vec![format!("spf {}", spf.unwrap_or("-"))];
    words.extend(dkim.map(|result| format!("dkim {result}")));
    words.push(format!("dmarc {}", dmarc.unwrap_or("-")));
    words
}

/// The verifying of one message after the other.
pub struct Verifying(Receiver);

impl Verifying {
    /// Knows the keys.
    #[allow(clippy::new_without_default, reason = "nobody needs it")]
    pub fn new() -> Self {
        Self(Receiver::new())
    }

    /// Verifies the message of these pieces, and says whether its signature is good.
    pub fn run<'p>(&self, pieces: impl Iterator<Item = &'p [u8]>) -> bool {
        let lookups = self.0.records.lookups(self.0.began, Budget::default());
        let mut verifier = Verifier::new(&self.0.rules);
        pieces.for_each(|piece| verifier.push(piece));
        let done = now(verifier.finish(&lookups, ClientResults::default(), NOW));
        done.dkim.is_some_and(|dkim| dkim.iter().all(|one| one.result == results::Dkim::Pass) && !dkim.is_empty())
    }
}
