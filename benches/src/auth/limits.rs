//! What no program can go below: the hash of the body and one signature operation, by the library
//! that hikyaku uses (the first), and by the other.

use std::hint::black_box;

use super::work::{self, Algorithm, Work};
use crate::task::Task;

/// What a signature covers of the header section of these messages, in its canonical form, in octets.
const SIGNED: usize = 1_045;

/// One library: both have the same names.
macro_rules! library {
    ($module:ident, $library:ident, $parsed:expr) => {
        mod $module {
            use super::*;
            use $library::digest::{Digest, SHA256, digest};
            use $library::rand::SystemRandom;
            use $library::signature::{
                ED25519, Ed25519KeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
                UnparsedPublicKey,
            };

            fn hash(octets: &[u8]) -> Digest {
                digest(&SHA256, octets)
            }

            pub(super) fn hash_only(body: Vec<u8>) -> Task {
                Task::plain(move || _ = black_box(hash(black_box(&body))))
            }

            pub(super) fn sign(body: Vec<u8>, algorithm: Algorithm) -> Task {
                let der = algorithm.der();
                let block = vec![b'x'; SIGNED];
                match algorithm {
                    Algorithm::Rsa => {
                        let (key, random) = (RsaKeyPair::from_pkcs8(&der).expect("a key"), SystemRandom::new());
                        let mut signature = vec![0; 256];
                        Task::plain(move || {
                            black_box(hash(black_box(&body)));
                            key.sign(&RSA_PKCS1_SHA256, &random, &block, &mut signature).expect("it signs");
                            black_box(&signature);
                        })
                    }
                    Algorithm::Ed25519 => {
                        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).expect("a key");
                        Task::plain(move || {
                            black_box(hash(black_box(&body)));
                            black_box(key.sign(hash(&block).as_ref()));
                        })
                    }
                }
            }

            pub(super) fn verify(body: Vec<u8>, algorithm: Algorithm) -> Task {
                let der = algorithm.der();
                let block = vec![b'x'; SIGNED];
                match algorithm {
                    Algorithm::Rsa => {
                        let key = RsaKeyPair::from_pkcs8(&der).expect("a key");
                        let mut signature = vec![0; 256];
                        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &block, &mut signature).expect("it signs");
                        #[allow(clippy::redundant_closure_call, reason = "the libraries differ in this alone")]
                        let verify = ($parsed)(key.public_key().as_ref());
                        Task::plain(move || {
                            black_box(hash(black_box(&body)));
                            assert!(verify(&block, &signature));
                        })
                    }
                    Algorithm::Ed25519 => {
                        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).expect("a key");
                        let signature = key.sign(hash(&block).as_ref()).as_ref().to_vec();
                        let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref().to_vec());
                        Task::plain(move || {
                            black_box(hash(black_box(&body)));
                            public.verify(hash(&block).as_ref(), &signature).expect("it is good");
                        })
                    }
                }
            }

            /// Not used where the key can be parsed once.
            #[allow(dead_code, reason = "one of the two libraries uses it")]
            fn unparsed(key: &[u8]) -> impl Fn(&[u8], &[u8]) -> bool + use<> {
                let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.to_vec());
                move |octets, signature| key.verify(octets, signature).is_ok()
            }
        }
    };
}

library!(by_ring, ring, unparsed);
library!(by_aws_lc_rs, aws_lc_rs, |key: &[u8]| {
    let key = aws_lc_rs::signature::ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).expect("a key");
    move |octets: &[u8], signature: &[u8]| key.verify_sig(octets, signature).is_ok()
});

/// The limits of a work, each under the name of the library.
pub fn tasks(work: &Work) -> Vec<(&'static str, Task)> {
    let (ring, aws_lc_rs) = match work {
        Work::Verify { message, algorithm } => {
            let body = work::body(message).to_vec();
            (by_ring::verify(body.clone(), *algorithm), by_aws_lc_rs::verify(body, *algorithm))
        }
        Work::Check(message) => {
            let body = work::body(message).to_vec();
            (by_ring::verify(body.clone(), Algorithm::Rsa), by_aws_lc_rs::verify(body, Algorithm::Rsa))
        }
        Work::Sign { message, algorithm } => {
            let body = work::body(message).to_vec();
            (by_ring::sign(body.clone(), *algorithm), by_aws_lc_rs::sign(body, *algorithm))
        }
        Work::Hash(body) => (by_ring::hash_only(body.clone()), by_aws_lc_rs::hash_only(body.clone())),
        Work::Spf | Work::Dmarc | Work::Bound(_) => return Vec::new(),
    };
    let mut limits = vec![("ring", ring), ("aws-lc-rs", aws_lc_rs)];
    if cfg!(feature = "aws-lc-rs") {
        limits.reverse();
    }
    limits
}
