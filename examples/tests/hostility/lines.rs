//! A gibibyte without a line end.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bystander::{flat, limited, under};
use crate::support::client::{Client, Reply};
use crate::support::relay::{Relay, Site};
use crate::support::users;

const GIBIBYTE: u64 = 1 << 30;
const PIECE: &[u8] = &[b'x'; 64 << 10];
/// What the kernel's buffers of both sides may take although nobody reads it any more.
const KERNEL: u64 = 32 << 20;

/// Sends `x` until a gibibyte has gone or the relay has hung up; returns how many octets went.
fn pour(client: &mut Client) -> u64 {
    let mut sent = 0;
    while sent < GIBIBYTE && client.send(PIECE).is_ok() {
        sent += PIECE.len() as u64;
    }
    sent
}

/// All replies until the connection ends.
fn replies(client: &mut Client) -> Vec<Reply> {
    std::iter::from_fn(|| client.reply().ok()).collect()
}

fn codes(replies: &[Reply]) -> Vec<u16> {
    replies.iter().map(|reply| reply.code).collect()
}

#[test]
fn c1_8_a_gibibyte_without_line_end_on_the_command_port() {
    let site = Site::closed();
    let relay = site.start();
    cut_off(&relay, "line of a gibibyte", || {
        let mut client = Client::hello(relay.address()).unwrap();
        let sent = pour(&mut client);
        let replies = replies(&mut client);
        assert_eq!(codes(&replies), [500, 421], "{replies:?}");
        sent
    });
    relay.stop();
}

#[test]
fn c1_8_a_gibibyte_without_line_end_under_tls() {
    let site = users::site("", "", "");
    let relay = site.start();
    let trust = site.trust(None);
    // What cannot be written keeps this client from reading the replies.
    cut_off(&relay, "line of a gibibyte under TLS", || {
        pour(&mut Client::implicit_tls(relay.listener("submissions"), &trust).unwrap())
    });
    relay.stop();
}

/// Attacks with lines without end; each must be cut off, and says how many octets of it went.
fn cut_off(relay: &Relay, name: &str, attack: impl Fn() -> u64 + Sync) {
    let most = AtomicU64::new(0);
    under(relay, name, 20, || {
        most.fetch_max(attack(), Ordering::Relaxed);
    });
    let most = most.into_inner();
    println!("{name}: at most {most} octets went");
    assert!(most < KERNEL, "{most} octets went");
}

/// `DATA`, the beginning of a message, and then `x` without end.
fn endless(relay: &Relay, beginning: &[u8]) -> (u64, Vec<Reply>) {
    let mut client = Client::hello(relay.address()).unwrap();
    for (line, code) in [("MAIL FROM:<a@sender.test>", 250), ("RCPT TO:<b@example.test>", 250), ("DATA", 354)] {
        assert_eq!(client.command(line).unwrap().code, code);
    }
    client.send(beginning).unwrap();
    (pour(&mut client), replies(&mut client))
}

#[test]
fn a_gibibyte_without_line_end_in_a_message() {
    let site = Site::closed();
    let relay = site.start();
    // 50 MiB are a message, and three times as much is read before the connection ends.
    for (name, beginning) in [
        ("body line", &b"From: a@sender.test\r\nSubject: long\r\n\r\n"[..]),
        ("header line", b"From: a@sender.test\r\nSubject: "),
    ] {
        under(&relay, name, 1, || {
            let (sent, replies) = endless(&relay, beginning);
            println!("{name}: {sent} octets went");
            assert!((150 << 20..(150 << 20) + KERNEL).contains(&sent), "{name}: {sent} octets went");
            assert_eq!(codes(&replies), [421], "{name}: {replies:?}");
        });
    }
    relay.stop();
}

#[test]
fn a_long_line_with_an_end_is_refused_and_the_conversation_goes_on() {
    let site = limited("text_line = 0");
    let relay = site.start();
    flat(&relay, "60 MiB in one line", || {
        let mut client = Client::hello(relay.address()).unwrap();
        for (line, code) in [("MAIL FROM:<a@sender.test>", 250), ("RCPT TO:<b@example.test>", 250), ("DATA", 354)] {
            assert_eq!(client.command(line).unwrap().code, code);
        }
        client.send(b"From: a@sender.test\r\nSubject: long\r\n\r\n").unwrap();
        (0..60 << 4).for_each(|_| client.send(PIECE).unwrap());
        client.send(b"\r\n.\r\n").unwrap();
        let reply = client.reply().unwrap();
        assert_eq!((reply.code, reply.text().starts_with("5.3.4 ")), (552, true), "{reply:?}");
        let reply = client
            .transaction("a@sender.test", &["b@example.test"], b"From: a@sender.test\r\nSubject: short\r\n\r\n")
            .unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
    });
    relay.stop();
}
