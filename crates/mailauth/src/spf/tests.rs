//! Checks against zones in memory.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hikyaku_dns::Zone;

use super::*;
use crate::{Budget, Records};

mod suite;

/// All answers are there, so that every future is ready at once.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a zone never waits"),
    }
}

/// The first moment of a message; which one it is does not matter.
#[allow(clippy::disallowed_methods, reason = "tests may read the clock")]
fn instant() -> Instant {
    Instant::now()
}

fn question<'a>(client: &str, hello: &'a str, sender: &'a str) -> Question<'a> {
    let now = Timestamp::from_millis(1_795_499_520_250);
    Question { client: client.parse().unwrap(), hello, sender, receiver: "mx.receiver.test", now }
}

fn explained(zone: &Zone, question: &Question<'_>, identity: Identity) -> Trace {
    let records = Records::new(zone);
    let lookups = records.lookups(instant(), Budget::default());
    let trace = now(explain(&lookups, question, identity));
    // The plain check says the same and asks the same.
    let plain = records.lookups(instant(), Budget::default());
    assert_eq!(now(check(&plain, question, identity)), trace.outcome);
    assert_eq!(plain.asked(), lookups.asked());
    trace
}
