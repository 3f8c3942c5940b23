//! What everybody else gets, and what an attack costs.

use crate::support::client::Client;
use crate::support::relay::Relay;

/// What an attack may cost in memory, in KiB, whatever its size.
const FLAT: u64 = 4 << 10;

/// One message of somebody else, on a connection of its own.
pub(crate) fn is_served(relay: &Relay) {
    let mut client = Client::hello(relay.address()).expect("others are greeted");
    let reply = client.transaction("a@sender.test", &["b@example.test"], b"Subject: fair\r\n\r\nmail\r\n");
    let reply = reply.expect("others are answered");
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// Attacks while others send mail, and returns what the attack came to. Others must be served
/// before it ends, and the relay must not grow by what it gets.
pub(crate) fn under<T: Send>(relay: &Relay, name: &str, attack: impl FnOnce() -> T + Send) -> T {
    let mut served = 0;
    let outcome = flat(relay, name, || {
        std::thread::scope(|scope| {
            let attack = scope.spawn(attack);
            loop {
                is_served(relay);
                if attack.is_finished() {
                    break attack.join();
                }
                served += 1;
            }
        })
    });
    println!("{name}: {served} messages of others meanwhile");
    let outcome = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(served > 0, "{name}: nobody else was served");
    outcome
}

/// Does something that the relay's memory must not show.
pub(crate) fn flat<T>(relay: &Relay, name: &str, attack: impl FnOnce() -> T) -> T {
    // What the first messages need is not what the attack costs.
    (0..20).for_each(|_| is_served(relay));
    let before = relay.peak_memory();
    let outcome = attack();
    let grown = relay.peak_memory() - before;
    println!("{name}: {before} KiB before, {grown} KiB more at the peak");
    assert!(grown < FLAT, "{name}: grown by {grown} KiB");
    outcome
}
