//! `kill -9` at any moment: nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use crate::support::client::Client;
use crate::support::relay::Site;
use crate::support::{eventually, maildir};

const ROUNDS: u64 = 12;
const CLIENTS: usize = 4;

/// Every message is several lines long, so that a torn one would be seen.
fn message(number: u64) -> Vec<u8> {
    let mut message = format!("From: a@sender.test\r\nSubject: number {number}\r\n\r\n").into_bytes();
    for line in 0..50 {
        message.extend_from_slice(format!("line {line} of {number}\r\n").as_bytes());
    }
    message.extend_from_slice(b"the end\r\n");
    message
}

/// Sends numbered messages until the relay is gone; tells each reply to `moves`,
/// with the number when it is the 250 for a message.
fn send(address: SocketAddr, numbers: &AtomicU64, moves: &Sender<Option<u64>>) -> std::io::Result<()> {
    loop {
        let mut client = Client::hello(address)?;
        for _ in 0..5 {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            for line in ["MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.test>", "DATA"] {
                client.command(line)?;
                let _ = moves.send(None);
            }
            client.send(&message(number))?;
            client.send(b".\r\n")?;
            let reply = client.reply()?;
            let _ = moves.send((reply.code == 250).then_some(number));
        }
    }
}

/// The numbers of all messages in the Maildir; each must be whole.
fn numbers_in(site: &Site) -> BTreeSet<u64> {
    let number = |content: Vec<u8>| {
        let text = String::from_utf8(content).unwrap();
        let number = text.lines().find_map(|line| line.strip_prefix("Subject: number ")).unwrap().parse().unwrap();
        let expected = String::from_utf8(message(number)).unwrap().replace("\r\n", "\n");
        assert!(text.ends_with(&expected), "message {number} is not whole: {text}");
        number
    };
    maildir(&site.mail()).into_iter().map(|(_, content)| number(content)).collect()
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let site = Site::closed();
    let numbers = AtomicU64::new(0);
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let relay = site.start();
        let address = relay.address();
        // Some early in a session, some after many messages.
        let last_move = 1 + RandomState::new().hash_one(round) % 400;
        let (sender, moves) = channel();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let (sender, numbers) = (sender.clone(), &numbers);
                scope.spawn(move || send(address, numbers, &sender));
            }
            drop(sender);
            let mut relay = Some(relay);
            // Goes on after the kill until the last client has seen its end: a
            // 250 that was under way counts.
            for (count, known) in (1..).zip(&moves) {
                acknowledged.extend(known);
                if count == last_move {
                    relay.take().expect("killed once").kill();
                }
            }
            assert!(relay.is_none(), "round {round}: the clients have stopped before the kill");
        });
    }
    assert!(!acknowledged.is_empty(), "no message was acknowledged in {ROUNDS} rounds");

    let relay = site.start();
    eventually("every acknowledged message in the Maildir", || {
        acknowledged.is_subset(&numbers_in(&site)).then_some(())
    });
    relay.stop();
    let delivered = numbers_in(&site);
    assert!(acknowledged.is_subset(&delivered));
    // What is there beyond that was under way when the relay was killed.
    let sent = numbers.into_inner();
    assert!(delivered.iter().all(|number| *number < sent));
}
