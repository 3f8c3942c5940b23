//! `SIGTERM`: no new connections, no transaction cut, nothing lost, status 0.

use std::net::TcpStream;

use crate::support::client::Client;
use crate::support::relay::Site;
use crate::support::{delivered, eventually, maildir};

#[test]
fn a_running_transaction_is_finished() {
    let site = Site::closed();
    let relay = site.start();
    let mut idle = Client::hello(relay.address()).unwrap();
    let mut busy = Client::hello(relay.address()).unwrap();
    for line in ["MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.test>"] {
        assert_eq!(busy.command(line).unwrap().code, 250);
    }
    assert_eq!(busy.command("DATA").unwrap().code, 354);
    busy.send(b"From: a@sender.test\r\nSubject: slow\r\n\r\nfirst half\r\n").unwrap();

    relay.terminate();
    let reply = idle.reply().unwrap();
    assert_eq!((reply.code, reply.text().starts_with("4.3.2 ")), (421, true), "{reply:?}");
    assert!(idle.is_closed());
    eventually("the end of listening", || TcpStream::connect(relay.address()).is_err().then_some(()));

    busy.send(b"second half\r\n.\r\n").unwrap();
    assert_eq!(busy.reply().unwrap().code, 250);
    // No further transaction begins.
    if let Ok(reply) = busy.command("MAIL FROM:<a@sender.test>") {
        assert_eq!(reply.code, 421, "{reply:?}");
    }
    let (status, said) = relay.wait();
    assert!(status.success(), "{status}: {said}");

    // It is in the Maildir, or in the spool for the next start.
    if maildir(&site.mail()).is_empty() {
        let relay = site.start();
        delivered(&site.mail(), 1);
        relay.stop();
    }
    let found = maildir(&site.mail());
    assert_eq!(found.len(), 1);
    assert!(found[0].1.ends_with(b"\nfirst half\nsecond half\n"));
}

#[test]
fn an_idle_relay_ends_at_once_and_starts_again() {
    let site = Site::closed();
    for _ in 0..3 {
        let said = site.start().stop();
        assert!(said.contains("listening on 127.0.0.1:"), "{said}");
    }
}
