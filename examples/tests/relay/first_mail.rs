//! A first mail in, a foreign one refused, and all of it in the audit log.

use serde_json::Value;

use crate::support::client::{Client, Reply};
use crate::support::message::{added, with_lf};
use crate::support::relay::Site;
use crate::support::{delivered, eventually, files, maildir};

const MESSAGE: &[u8] = b"From: Anna <anna@sender.test>\r\nTo: bert@example.test\r\nSubject: first\r\n\
    \r\nHello.\r\n\r\n.a leading dot\r\n..two\r\n.\r\n\xe9 eight bits\r\n";

/// The word of the reply that some audit line has in its `key`: the id of a session or message.
fn id_in(reply: &Reply, audit: &[Value], key: &str) -> Option<String> {
    let known = |word: &String| audit.iter().any(|line| line[key] == word.as_str());
    reply.words().into_iter().find(known)
}

/// The events whose `key` is `id`, in order.
fn events<'a>(audit: &'a [Value], key: &str, id: &str) -> Vec<&'a str> {
    let lines = audit.iter().filter(|line| line[key] == id);
    lines.map(|line| line["event"].as_str().expect("an audit line names its event")).collect()
}

#[test]
fn the_first_mail_lands_in_the_maildir() {
    let site = Site::closed();
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let reply = client.transaction("anna@sender.test", &["bert@example.test"], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    assert_eq!(client.command("QUIT").unwrap().code, 221);

    let found = delivered(&site.mail(), 1);
    assert_eq!(found.len(), 1);
    let added = added(&found[0]);
    assert_eq!(added.return_path.as_deref(), Some("<anna@sender.test>"));
    assert_eq!(added.message, with_lf(MESSAGE), "nothing but the two fields is added, and LF ends the lines");
    for part in ["from client.sender.test", "[127.0.0.1]", "by mx.example.test", "with ESMTP", " id "] {
        assert!(added.received.contains(part), "{part:?} in {:?}", added.received);
    }

    relay.stop();
    assert_eq!(maildir(&site.mail()).len(), 1);
    let audit = site.audit();
    let message = id_in(&reply, &audit, "message").expect("the 250 names the message's id");
    assert!(added.received.contains(&format!(" id {message}")), "{}", added.received);
    assert_eq!(events(&audit, "message", &message), ["verified", "queued", "attempt", "delivered"]);
    // The line that queues the message names the session too, so that one search
    // leads from the message to the connection and back.
    let queued = audit.iter().find(|line| line["event"] == "queued").unwrap();
    let session = queued["session"].as_str().expect("a queued line names the session");
    let events = events(&audit, "session", session);
    assert_eq!((events.first(), events.last()), (Some(&"connection"), Some(&"closed")), "{events:?}");
    let decision = audit
        .iter()
        .find(|line| line["session"] == session && line["stage"] == "recipient")
        .expect("the decision on the recipient");
    assert_eq!(decision["event"], "decision");
    assert_eq!(decision["rule"], "permit when to local_domains");
    assert!(decision["reply"].as_str().is_some_and(|told| told.starts_with("250 2.1.5 ")), "{decision}");
}

#[test]
fn a_foreign_domain_is_refused_with_a_reason_and_the_connections_id() {
    let site = Site::closed();
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    assert_eq!(client.command("MAIL FROM:<anna@sender.test>").unwrap().code, 250);
    let reply = client.command("RCPT TO:<carl@elsewhere.test>").unwrap();
    assert_eq!(reply.code, 550);
    assert!(reply.text().starts_with("5.7.1 "), "{reply:?}");
    assert!(reply.words().len() >= 4, "a reason in words: {reply:?}");
    // Nothing can be sent to nobody.
    assert_eq!(client.command("DATA").unwrap().code, 554);
    drop(client);

    let refusal = eventually("the refusal in the audit log", || {
        let audit = site.audit();
        let session = id_in(&reply, &audit, "session")?;
        audit.into_iter().find(|line| {
            line["event"] == "decision" && line["session"] == session && line["recipient"] == "<carl@elsewhere.test>"
        })
    });
    assert!(refusal["rule"].as_str().is_some_and(|rule| !rule.is_empty()), "{refusal}");
    assert!(refusal["reply"].as_str().is_some_and(|told| told.starts_with("550 5.7.1 ")), "{refusal}");
    relay.stop();
    assert!(maildir(&site.mail()).is_empty());
}

#[test]
fn an_unknown_user_of_a_closed_list_is_refused_and_postmaster_always_exists() {
    let site = Site::new("local_domains = [\"example.test\"]", "[local]\nusers = [\"bert\"]");
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    assert_eq!(client.command("MAIL FROM:<>").unwrap().code, 250);
    let reply = client.command("RCPT TO:<nobody@example.test>").unwrap();
    assert_eq!((reply.code, reply.text().starts_with("5.1.1 ")), (550, true), "{reply:?}");
    for to in ["<postmaster>", "<POSTMASTER@example.test>", "<bert@EXAMPLE.test>"] {
        assert_eq!(client.command(format!("RCPT TO:{to}")).unwrap().code, 250, "{to}");
    }
    assert_eq!(client.data(MESSAGE).unwrap().code, 250);
    // Two boxes: both names of the postmaster are one.
    let found = eventually("mail in two boxes", || {
        let boxes: std::collections::BTreeSet<_> =
            maildir(&site.mail()).iter().map(|(path, _)| path.parent().unwrap().to_owned()).collect();
        (boxes.len() == 2).then_some(boxes)
    });
    relay.stop();
    let boxes: std::collections::BTreeSet<_> =
        maildir(&site.mail()).iter().map(|(path, _)| path.parent().unwrap().to_owned()).collect();
    assert_eq!(boxes, found);
}

#[test]
fn a_local_part_never_names_a_path() {
    let hostile = [
        "../../../etc/passwd",
        "/tmp/x",
        "|/bin/sh",
        ":include:/etc/passwd",
        "..",
        ".",
        "a/b",
        "a\\\\b",
        "CON",
        " ",
        "new",
        "tmp",
        "a%2Fb",
        "=2F",
        "a",
        "\\\"",
        "%",
        "~root",
        "-rf",
        "*",
    ];
    let site = Site::closed();
    let relay = site.start();
    for local in hostile {
        let mut client = Client::hello(relay.address()).unwrap();
        let to = format!("\"{local}\"@example.test");
        let reply = client.transaction("a@sender.test", &[&to], MESSAGE).unwrap();
        assert_eq!(reply.code, 250, "{to}: {reply:?}");
    }
    delivered(&site.mail(), hostile.len());
    relay.stop();
    let mut boxes = std::collections::BTreeSet::new();
    for path in files(site.path()) {
        let inside = path.strip_prefix(site.path()).unwrap();
        for component in inside.components() {
            let name = component.as_os_str().to_str().expect("names are ASCII");
            let plain = |c: char| c.is_ascii_alphanumeric() || "._=+@%-".contains(c);
            assert!(name.chars().all(plain) && !name.starts_with('.'), "{}", inside.display());
        }
        if path.starts_with(site.mail()) {
            assert_eq!(path.parent().unwrap().file_name().unwrap(), "new", "{}", inside.display());
            boxes.insert(path.parent().unwrap().to_owned());
        }
    }
    assert_eq!(boxes.len(), hostile.len(), "each local part has a box of its own");
}

#[test]
fn a_pipelined_session_in_one_write() {
    let site = Site::closed();
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    client
        .send(
            b"MAIL FROM:<a@sender.test> BODY=8BITMIME SIZE=20\r\nRCPT TO:<x@elsewhere.test>\r\n\
            RCPT TO:<b@example.test>\r\nNOOP\r\nDATA\r\n",
        )
        .unwrap();
    let codes: Vec<u16> = (0..5).map(|_| client.reply().unwrap().code).collect();
    assert_eq!(codes, [250, 550, 250, 250, 354]);
    // D43: what follows the final dot in the same packet is the next command.
    client.send(b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n").unwrap();
    assert_eq!(client.reply().unwrap().code, 250);
    assert_eq!(client.reply().unwrap().code, 221);
    assert!(client.is_closed());
    assert_eq!(delivered(&site.mail(), 1).len(), 1);
    relay.stop();
}

#[test]
fn bare_line_ends_and_nul_are_refused_after_the_true_end() {
    let site = Site::closed();
    let relay = site.start();
    for body in [&b"a\nb\r\n"[..], b"a\rb\r\n", b"a\0b\r\n", b"\n.\r\n", b"a\n.\nMAIL FROM:<x@y.test>\r\n", b"a\r\r\n"]
    {
        let mut client = Client::hello(relay.address()).unwrap();
        let mut message = b"From: a@sender.test\r\nSubject: x\r\n\r\n".to_vec();
        message.extend_from_slice(body);
        let reply = client.transaction("a@sender.test", &["b@example.test"], &message).unwrap();
        assert!((550..=554).contains(&reply.code), "{body:?}: {reply:?}");
        assert!(client.is_closed(), "{body:?}");
    }
    relay.stop();
    assert!(maildir(&site.mail()).is_empty());
}
