//! The limits of the configuration, and their names in the log.

use std::io;

use crate::support::client::{Client, Reply};
use crate::support::relay::Site;
use crate::support::users::{site, user};
use crate::support::{delivered, eventually};

/// Waits for the names of the limits that were reached.
fn limits(site: &Site, expected: &[&str]) {
    eventually(&format!("limits {expected:?}"), || {
        let names: Vec<_> = site.events("limit").iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect();
        (names == expected).then_some(())
    });
}

fn until_closed(client: &mut Client, line: &str, most: usize) -> io::Result<(usize, Reply)> {
    for said in 1..=most {
        let reply = client.command(line)?;
        if reply.code == 421 {
            assert!(client.is_closed(), "421 ends it");
            return Ok((said, reply));
        }
    }
    Err(io::Error::other("no 421"))
}

#[test]
fn d39_commands_recipients_and_size() {
    let tables = "[limits]\nerrors = 3\njunk = 5\nrecipients = 2\nmessage_size = 1000\n";
    let site = Site::new("local_domains = [\"example.test\"]", tables);
    let relay = site.start();
    let client = || Client::hello(relay.address()).unwrap();
    assert_eq!(until_closed(&mut client(), "BOGUS", 9).unwrap().0, 4);
    limits(&site, &["errors"]);
    let (said, reply) = until_closed(&mut client(), "NOOP", 9).unwrap();
    assert_eq!(said, 5, "EHLO was the first: {reply:?}");
    limits(&site, &["errors", "junk"]);
    let mut many = client();
    assert_eq!(many.command("MAIL FROM:<a@sender.test>").unwrap().code, 250);
    let mut rcpt = || many.command("RCPT TO:<bert@example.test>").unwrap().code;
    assert_eq!([rcpt(), rcpt(), rcpt()], [250, 250, 452]);
    limits(&site, &["errors", "junk", "recipients"]);
    drop(many);
    let mut large = Client::connect(relay.address()).unwrap();
    assert!(large.command("EHLO client.sender.test").unwrap().text().contains("SIZE 1000"));
    assert_eq!(large.command("MAIL FROM:<a@sender.test> SIZE=1001").unwrap().code, 552);
    let message = "x".repeat(70) + "\r\n";
    let reply = large.transaction("a@sender.test", &["bert@example.test"], message.repeat(20).as_bytes()).unwrap();
    assert_eq!(reply.code, 552, "{reply:?}");
    let names = site.events("limit");
    let sizes = names.iter().filter(|line| line["name"] == "message_size");
    assert!(sizes.count() >= 1, "{names:?}");
    relay.stop();
}

#[test]
fn the_limits_of_a_message_have_names() {
    let site = Site::closed();
    let relay = site.start();
    for (message, code) in [
        ("Received: x\r\n".repeat(101) + "\r\nx\r\n", 554),
        (format!("X: {}\r\n", "x".repeat(900)).repeat(400) + "\r\nx\r\n", 552),
    ] {
        let mut client = Client::hello(relay.address()).unwrap();
        let reply = client.transaction("a@sender.test", &["bert@example.test"], message.as_bytes()).unwrap();
        assert_eq!(reply.code, code, "{reply:?}");
    }
    limits(&site, &["hops", "header_size"]);
    relay.stop();
}

#[test]
fn connections_of_one_address() {
    for (loopback, expected) in [("", [220, 220, 220]), ("loopback = true\n", [220, 220, 421])] {
        let tables = format!("[limits]\nconnections_per_ip = 2\n{loopback}");
        let site = Site::new("local_domains = [\"example.test\"]", &tables);
        let relay = site.start();
        let mut clients: Vec<Client> = Vec::new();
        let codes: Vec<u16> = (0..3)
            .map(|_| {
                let mut client = Client::open(relay.address()).unwrap();
                let code = client.reply().unwrap().code;
                clients.push(client);
                code
            })
            .collect();
        assert_eq!(codes, expected, "{loopback}");
        if !loopback.is_empty() {
            limits(&site, &["connections_per_ip"]);
            assert!(clients[2].is_closed());
            // A place that becomes free is given to the next one.
            assert_eq!(clients[0].command("QUIT").unwrap().code, 221);
            eventually("a free place", || Client::connect(relay.address()).ok());
            let closed = site.events("closed");
            assert!(closed.iter().any(|line| line["reason"].as_str().is_some_and(|r| r.starts_with("421 4.7.0"))));
        }
        relay.stop();
    }
}

#[test]
fn connections_in_all() {
    let tables = "[limits]\nconnections = 1\n";
    let site = Site::new("local_domains = [\"example.test\"]", tables);
    let relay = site.start();
    let first = Client::connect(relay.address()).unwrap();
    assert_eq!(Client::open(relay.address()).unwrap().reply().unwrap().code, 421);
    limits(&site, &["connections"]);
    let connections = site.events("connection");
    assert_eq!(connections.len(), 2, "who is turned away stands in the log too: {connections:?}");
    drop(first);
    relay.stop();
}

#[test]
fn d39_failed_logins() {
    let tables = "[limits]\nloopback = true\nauth_attempts = 1\nauth_attempts_per_user = 3\n";
    let site = site("", tables, &[user("alice", ""), user("bob", "")].concat());
    let relay = site.start();
    let trust = site.trust(None);
    let client = || Client::start_tls(site.listener("submission"), &trust).unwrap();
    let mut first = client();
    assert_eq!(first.plain("alice", "wrong").unwrap().code, 535);
    assert_eq!(first.plain("alice", "wrong").unwrap().code, 421);
    assert!(first.is_closed());
    limits(&site, &["auth_attempts"]);
    assert_eq!(client().plain("alice", "wrong").unwrap().code, 535);
    // Even with the right password now: nobody is asked.
    assert_eq!(client().plain("alice", "secret").unwrap().code, 454);
    limits(&site, &["auth_attempts", "auth_attempts_per_user"]);
    let mut other = client();
    assert_eq!(other.plain("bob", "secret").unwrap().code, 235);
    let message = b"From: bob@example.test\r\n\r\nx\r\n";
    assert_eq!(other.transaction("bob@example.test", &["bert@example.test"], message).unwrap().code, 250);
    delivered(&site.mail(), 1);
    relay.stop();
}

#[test]
fn d44_a_slow_client() {
    let tables = "[limits]\ncommand_seconds = 1\n";
    let site = Site::new("local_domains = [\"example.test\"]", tables);
    let relay = site.start();
    let mut idle = Client::hello(relay.address()).unwrap();
    let reply = idle.reply().unwrap();
    assert!(reply.code == 421 && reply.text().starts_with("4.4.2 "), "{reply:?}");
    limits(&site, &["command_time"]);
    relay.stop();

    let tables = "[limits]\nsession_seconds = 1\n";
    let site = Site::new("local_domains = [\"example.test\"]", tables);
    let relay = site.start();
    let mut idle = Client::hello(relay.address()).unwrap();
    assert_eq!(idle.reply().unwrap().code, 421);
    limits(&site, &["session_seconds"]);
    relay.stop();
}
