//! Real and broken messages through the relay, byte for byte.
//!
//! The data is the folder `messages` that `HIKYAKU_CONFORMANCE` names; without
//! that variable nothing is run, and the test command says so.

use std::path::Path;

use serde_json::Value;

use crate::support::client::{Client, Reply};
use crate::support::conformance;
use crate::support::message::{added, is_refused, with_crlf};
use crate::support::relay::Site;
use crate::support::sink::Sink;

/// Name and bytes of each message, as stored.
fn messages(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let list = folder.join("messages/messages.jsonl");
    let text = std::fs::read_to_string(&list).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
    let message = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let name = row["file"].as_str().unwrap();
        let file = folder.join(name);
        let content = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(row["bytes"], content.len(), "{name}");
        (name.to_owned(), content)
    };
    text.lines().map(message).collect()
}

/// Sends a message in a session of its own; the end of it must be a reply.
fn send(site: &str, relay: std::net::SocketAddr, message: &[u8]) -> Reply {
    let mut client = Client::hello(relay).unwrap();
    let body = if message.is_ascii() { "" } else { " BODY=8BITMIME" };
    let mail = format!("MAIL FROM:<anna@sender.test>{body} SIZE={}", message.len());
    for line in [mail.as_str(), "RCPT TO:<bert@sink.test>"] {
        assert_eq!(client.command(line).unwrap().code, 250, "{site}: {line}");
    }
    client.data(message).unwrap_or_else(|error| panic!("{site}: {error}"))
}

#[test]
fn every_message_is_carried_byte_for_byte_or_refused() {
    let Some(folder) = conformance() else { return };
    let messages = messages(&folder);
    assert_eq!(messages.len(), 120);
    let sink = Sink::start();
    let site = Site::to_smart_host(sink.address());
    let relay = site.start();

    let (mut carried, mut refused) = (0, 0);
    for (name, stored) in &messages {
        let message = with_crlf(stored);
        let reply = send(name, relay.address(), &message);
        if is_refused(&message) {
            refused += 1;
            assert!((550..=554).contains(&reply.code), "{name}: {reply:?}");
            continue;
        }
        assert_eq!(reply.code, 250, "{name}: {reply:?}");
        carried += 1;
        let taken = sink.wait(1);
        assert_eq!(taken.len(), 1, "{name}");
        let mut expected = message;
        if !expected.ends_with(b"\r\n") {
            // The end of the data is CRLF . CRLF: the first of them is the message's own.
            expected.extend_from_slice(b"\r\n");
        }
        assert!(added(&taken[0].data).message == expected, "{name} has changed on its way");
    }
    assert_eq!((carried, refused), (116, 4));
    relay.stop();
    assert!(sink.taken().is_empty(), "something came twice or after a refusal");
}

#[test]
fn stored_with_bare_line_feeds_they_are_refused() {
    let Some(folder) = conformance() else { return };
    let sink = Sink::start();
    let site = Site::to_smart_host(sink.address());
    let relay = site.start();
    let (mut carried, mut refused) = (0, 0);
    for (name, stored) in &messages(&folder) {
        let reply = send(name, relay.address(), stored);
        if is_refused(stored) {
            refused += 1;
            assert!((550..=554).contains(&reply.code), "{name}: {reply:?}");
        } else {
            carried += 1;
            assert_eq!(reply.code, 250, "{name}: {reply:?}");
        }
    }
    assert_eq!((carried, refused), (29, 91));
    sink.wait(29);
    relay.stop();
    assert!(sink.taken().is_empty(), "something came twice or after a refusal");
}
