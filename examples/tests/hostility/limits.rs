//! Each limit, set to a small value: what the client is told, and the event of its name.

use std::net::SocketAddr;

use crate::bystander::{is_served, is_told, limited};
use crate::support::client::{Client, Reply};
use crate::support::relay::Site;
use crate::support::{eventually, users};

/// The code and the enhanced code.
fn said(reply: &Reply) -> (u16, String) {
    (reply.code, reply.text().split(' ').next().unwrap_or_default().to_owned())
}

fn says(reply: &Reply, code: u16, enhanced: &str) {
    assert_eq!(said(reply), (code, enhanced.to_owned()), "{reply:?}");
}

/// The last reply, and nothing behind it.
fn ends_with(client: &mut Client, reply: &Reply, code: u16, enhanced: &str) {
    says(reply, code, enhanced);
    assert!(client.is_closed(), "the connection is still open");
}

/// Says the lines, each of which must get this code.
fn each_gets(client: &mut Client, code: u16, lines: impl IntoIterator<Item = String>) {
    for line in lines {
        let reply = client.command(&line).unwrap();
        assert_eq!(reply.code, code, "{line}: {reply:?}");
    }
}

/// A crowd that fits, one too many, and room for another one when one of the crowd leaves.
fn one_too_many(site: &Site, limit: &str) {
    let relay = site.start();
    let mut crowd: Vec<_> = (0..3).map(|_| Client::hello(relay.address()).unwrap()).collect();
    let mut late = Client::open(relay.address()).unwrap();
    let reply = late.reply().unwrap();
    ends_with(&mut late, &reply, 421, "4.7.0");
    is_told(site, limit);
    // Those inside do not notice.
    crowd.iter_mut().for_each(|client| assert_eq!(client.command("NOOP").unwrap().code, 250));
    crowd.pop();
    eventually("room for one more", || Client::hello(relay.address()).ok());
    relay.stop();
}

#[test]
fn connections_in_all() {
    one_too_many(&limited("connections = 3"), "connections");
}

#[test]
fn connections_of_one_address() {
    one_too_many(&limited("connections_per_ip = 3\nloopback = true"), "connections_per_ip");
}

#[test]
fn connections_of_loopback_are_its_own() {
    let site = limited("connections_per_ip = 3");
    let relay = site.start();
    let crowd: Vec<_> = (0..10).map(|_| Client::hello(relay.address()).unwrap()).collect();
    is_served(&relay);
    drop(crowd);
    relay.stop();
}

#[test]
fn d39_recipients() {
    let site = limited("recipients = 5");
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let recipients = |from: u32, to: u32| (from..to).map(|n| format!("RCPT TO:<b{n}@example.test>"));
    each_gets(&mut client, 250, ["MAIL FROM:<a@sender.test>".to_owned()]);
    each_gets(&mut client, 250, recipients(0, 5));
    each_gets(&mut client, 452, recipients(5, 10));
    let reply = client.command("RCPT TO:<b10@example.test>").unwrap();
    ends_with(&mut client, &reply, 421, "4.7.0");
    is_told(&site, "recipients");
    // Whoever stops at the first 452 sends to those before it.
    let mut client = Client::hello(relay.address()).unwrap();
    each_gets(&mut client, 250, ["MAIL FROM:<a@sender.test>".to_owned()]);
    each_gets(&mut client, 250, recipients(0, 5));
    each_gets(&mut client, 452, recipients(5, 6));
    assert_eq!(client.data(b"From: a@sender.test\r\nSubject: to five\r\n\r\n").unwrap().code, 250);
    relay.stop();
}

#[test]
fn message_size() {
    let site = limited("message_size = 2000");
    let relay = site.start();
    let message = |octets: usize| {
        let beginning = "From: a@sender.test\r\nSubject: size\r\n\r\n";
        format!("{beginning}{}\r\n", "x".repeat(octets - beginning.len() - 2)).into_bytes()
    };
    let mut client = Client::connect(relay.address()).unwrap();
    let reply = client.command("EHLO client.sender.test").unwrap();
    assert!(reply.lines.iter().any(|line| line == "SIZE 2000"), "{reply:?}");
    each_gets(&mut client, 552, ["MAIL FROM:<a@sender.test> SIZE=2001".to_owned()]);
    let mut send = |octets| client.transaction("a@sender.test", &["b@example.test"], &message(octets)).unwrap();
    says(&send(2001), 552, "5.3.4");
    assert_eq!(send(2000).code, 250);
    is_told(&site, "message_size");
    relay.stop();
}

#[test]
fn d39_errors() {
    let site = limited("errors = 5");
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    each_gets(&mut client, 500, (0..5).map(|n| format!("WRONG {n}")));
    let reply = client.command("WRONG 5").unwrap();
    ends_with(&mut client, &reply, 421, "4.7.0");
    is_told(&site, "errors");
    relay.stop();
}

#[test]
fn d39_junk() {
    let site = limited("junk = 5");
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    // `EHLO` was the first.
    each_gets(&mut client, 250, (0..4).map(|_| "NOOP".to_owned()));
    let reply = client.command("NOOP").unwrap();
    ends_with(&mut client, &reply, 421, "4.7.0");
    is_told(&site, "junk");
    // A message that is accepted pays for it.
    let mut client = Client::hello(relay.address()).unwrap();
    for _ in 0..3 {
        each_gets(&mut client, 250, (0..4).map(|_| "NOOP".to_owned()));
        let reply = client
            .transaction("a@sender.test", &["b@example.test"], b"From: a@sender.test\r\nSubject: paid\r\n\r\n")
            .unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
    }
    relay.stop();
}

#[test]
fn commands() {
    let site = limited("commands = 5");
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    // `EHLO` was the first.
    each_gets(&mut client, 250, (0..4).map(|_| "NOOP".to_owned()));
    let reply = client.command("MAIL FROM:<a@sender.test>").unwrap();
    ends_with(&mut client, &reply, 421, "4.7.0");
    is_told(&site, "commands");
    relay.stop();
}

#[test]
fn d39_logins_of_one_connection() {
    let site = users::site("", "[limits]\nauth_attempts = 2", &users::user("alice", ""));
    let relay = site.start();
    let mut client = Client::implicit_tls(relay.listener("submissions"), &site.trust(None)).unwrap();
    for _ in 0..2 {
        says(&client.plain("alice", "wrong").unwrap(), 535, "5.7.8");
    }
    let reply = client.plain("alice", "wrong").unwrap();
    ends_with(&mut client, &reply, 421, "4.7.0");
    is_told(&site, "auth_attempts");
    relay.stop();
}

#[test]
fn logins_of_one_address_and_of_one_user() {
    for (limit, name) in [
        ("auth_attempts_per_ip = 2\nloopback = true", "auth_attempts_per_ip"),
        ("auth_attempts_per_user = 2", "auth_attempts_per_user"),
    ] {
        let site = users::site("", &format!("[limits]\n{limit}"), &users::user("alice", ""));
        let relay = site.start();
        let login = |password| {
            let mut client = Client::implicit_tls(relay.listener("submissions"), &site.trust(None)).unwrap();
            client.plain("alice", password).unwrap()
        };
        for _ in 0..2 {
            says(&login("wrong"), 535, "5.7.8");
        }
        says(&login("wrong"), 454, "4.7.0");
        is_told(&site, name);
        relay.stop();
    }
}

#[test]
fn session_seconds() {
    let site = limited("session_seconds = 2");
    let relay = site.start();
    let mut idle = Client::hello(relay.address()).unwrap();
    let mut busy = Client::hello(relay.address()).unwrap();
    each_gets(&mut busy, 250, ["MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.test>"].map(str::to_owned));
    assert_eq!(busy.command("DATA").unwrap().code, 354);
    for client in [&mut idle, &mut busy] {
        let reply = client.reply().unwrap();
        ends_with(client, &reply, 421, "4.4.2");
    }
    is_told(&site, "session_seconds");
    relay.stop();
}

#[test]
fn command_seconds() {
    let site = limited("command_seconds = 1");
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    client.send(b"NOO").unwrap();
    let reply = client.reply().unwrap();
    ends_with(&mut client, &reply, 421, "4.4.2");
    is_told(&site, "command_time");
    relay.stop();
}

#[test]
fn octets_of_a_command_line() {
    let site = limited("command_line = 600");
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let line = |octets: usize| format!("NOOP {}", "x".repeat(octets - "NOOP \r\n".len()));
    each_gets(&mut client, 250, [line(600)]);
    says(&client.command(line(601)).unwrap(), 500, "5.5.2");
    is_told(&site, "command_line");
    // The conversation goes on behind the line.
    each_gets(&mut client, 250, ["NOOP".to_owned()]);
    relay.stop();
}

/// What stands in the place of the 250 for a message that begins so.
fn refused(address: SocketAddr, header: &str) -> Reply {
    let mut client = Client::hello(address).unwrap();
    let message = format!("{header}From: end@sender.test\r\n\r\nbody\r\n");
    client.transaction("a@sender.test", &["b@example.test"], message.as_bytes()).unwrap()
}

#[test]
fn octets_and_fields_of_a_header_section() {
    let site = limited("header_size = 2000\nheader_fields = 100");
    let relay = site.start();
    let line = format!("X-Long: {}\r\n", "x".repeat(800));
    assert_eq!(refused(relay.address(), &line.repeat(2)).code, 250);
    says(&refused(relay.address(), &line.repeat(3)), 552, "5.3.4");
    is_told(&site, "header_size");
    assert_eq!(refused(relay.address(), &"X: y\r\n".repeat(99)).code, 250);
    says(&refused(relay.address(), &"X: y\r\n".repeat(100)), 554, "5.6.0");
    is_told(&site, "header_fields");
    relay.stop();
}

#[test]
fn octets_of_a_line_of_a_message() {
    let site = limited("text_line = 100");
    let relay = site.start();
    let line = |octets: usize| format!("X: {}\r\n", "x".repeat(octets - "X: \r\n".len()));
    assert_eq!(refused(relay.address(), &line(100)).code, 250);
    says(&refused(relay.address(), &line(101)), 554, "5.6.0");
    is_told(&site, "text_line");
    relay.stop();
}

#[test]
fn hops() {
    let site = limited("hops = 9");
    let relay = site.start();
    let hop = "Received: from a by b; Tue, 24 Nov 2026 12:00:00 +0000\r\n";
    assert_eq!(refused(relay.address(), &hop.repeat(9)).code, 250);
    says(&refused(relay.address(), &hop.repeat(10)), 554, "5.4.6");
    is_told(&site, "hops");
    relay.stop();
}

#[test]
fn a_server_that_is_nearly_full_has_less_patience() {
    let site = limited("connections = 10");
    let relay = site.start();
    // Time enough for all: an idle client is told to go after 300 seconds, longer than this test waits.
    let mut crowd: Vec<_> = (0..9).map(|_| Client::hello(relay.address()).unwrap()).collect();
    for client in &mut crowd {
        let reply = client.reply().unwrap();
        ends_with(client, &reply, 421, "4.4.2");
    }
    is_told(&site, "command_time");
    is_served(&relay);
    relay.stop();
}
