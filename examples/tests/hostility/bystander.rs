//! What everybody else gets, and what an attack costs.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::relay::{Relay, Site};

/// What an attack may cost in memory, in KiB, whatever its size.
const FLAT: u64 = 4 << 10;
/// How many messages of others are taken in the meantime, at least.
const SERVED: usize = 10;

/// A relay for any user of `example.test`, with these keys of `[limits]`.
pub(crate) fn limited(limits: &str) -> Site {
    Site::new("local_domains = [\"example.test\"]", &format!("[limits]\n{limits}"))
}

/// One message of somebody else, on a connection of its own.
pub(crate) fn is_served(relay: &Relay) {
    let mut client = Client::hello(relay.address()).expect("others are greeted");
    let reply = client.transaction(
        "a@sender.test",
        &["b@example.test"],
        b"From: a@sender.test\r\nSubject: fair\r\n\r\nmail\r\n",
    );
    let reply = reply.expect("others are answered");
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// Attacks again and again, so many times at least, while others send mail. The relay must not
/// grow by what it gets, and others must be served in the meantime.
pub(crate) fn under(relay: &Relay, name: &str, times: usize, attack: impl Fn() + Sync) {
    let (mut attacks, served) = (0, AtomicUsize::new(0));
    flat(relay, name, || {
        std::thread::scope(|scope| {
            let attacker = scope.spawn(|| {
                while attacks < times || served.load(Ordering::Relaxed) < SERVED {
                    attack();
                    attacks += 1;
                }
            });
            // Who is not served runs out of patience, and the attack goes on until he is.
            while !attacker.is_finished() {
                is_served(relay);
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    println!("{name}: {attacks} times, and {} messages of others meanwhile", served.into_inner());
}

/// Waits until the audit log has told of the limit.
pub(crate) fn is_told(site: &Site, limit: &str) {
    let tells = |line: &Value| line["event"] == "limit" && line["name"] == limit;
    eventually(&format!("the audit event of {limit}"), || site.audit().iter().any(tells).then_some(()));
}

/// Does something that the relay's memory must not show.
pub(crate) fn flat<T>(relay: &Relay, name: &str, attack: impl FnOnce() -> T) -> T {
    // What the first messages need is not what the attack costs.
    (0..20).for_each(|_| is_served(relay));
    let before = relay.peak_memory();
    let outcome = attack();
    // The kernel counts by page and thread, and is a little behind.
    let grown = relay.peak_memory().saturating_sub(before);
    println!("{name}: {before} KiB before, {grown} KiB more at the peak");
    assert!(grown < FLAT, "{name}: grown by {grown} KiB");
    outcome
}
