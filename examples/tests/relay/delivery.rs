//! Onward by SMTP: byte-identical below one `Received`, each recipient with its
//! own result, and a bounce that stops at the null sender.

use crate::support::client::Client;
use crate::support::message::added;
use crate::support::relay::Site;
use crate::support::sink::Sink;
use crate::support::{delivered, maildir};

const MESSAGE: &[u8] =
    b"From: a@sender.test\r\nSubject: onward\r\nReturn-Path: <kept@as.it.is>\r\n\r\n.\r\n..\r\n.x\r\n\xff\r\n\r\n";

fn text(content: &[u8]) -> String {
    String::from_utf8_lossy(content).into_owned()
}

#[test]
fn a_smart_host_gets_the_same_bytes_in_one_transaction() {
    let sink = Sink::start();
    let site = Site::to_smart_host(sink.address());
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let to = ["b@one.test", "\"quoted part\"@two.test", "c@[192.0.2.1]"];
    let reply = client.transaction("a@sender.test", &to, MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    let taken = sink.wait(1);
    relay.stop();
    assert!(sink.taken().is_empty(), "one transaction");
    assert!(taken[0].from.starts_with("<a@sender.test>"), "{:?}", taken[0].from);
    let expected = to.map(|to| format!("<{to}>"));
    assert_eq!(taken[0].to, expected);
    let added = added(&taken[0].data);
    assert_eq!((added.return_path, added.message.as_slice()), (None, MESSAGE));
    assert!(added.received.contains("by mx.example.test with ESMTP id "), "{}", added.received);
    assert!(!added.received.contains("@one.test"), "no recipient is disclosed to the others: {}", added.received);
}

#[test]
fn a_refused_recipient_is_bounced_and_the_other_delivered() {
    let sink = Sink::with_rule(|line| line.contains("<gone@").then_some("550 5.1.1 no such user here"));
    let site = Site::to_smart_host(sink.address());
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let reply = client.transaction("anna@example.test", &["gone@far.test", "here@far.test"], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    assert_eq!(sink.wait(1)[0].to, ["<here@far.test>"]);

    let bounce = text(&delivered(&site.mail(), 1)[0]);
    for part in [
        "Return-Path: <>\n",
        "Auto-Submitted: auto-replied\n",
        "multipart/report",
        "report-type=delivery-status",
        "Reporting-MTA: dns; mx.example.test\n",
        "Final-Recipient: rfc822; gone@far.test\n",
        "Action: failed\n",
        "Status: 5.1.1\n",
        "no such user here",
        "Subject: onward\n",
    ] {
        assert!(bounce.contains(part), "{part:?} in {bounce}");
    }
    assert!(!bounce.contains("here@far.test"), "only the failed recipient is reported: {bounce}");
    relay.stop();
    let audit = site.audit();
    for event in ["bounced", "delivered"] {
        assert!(audit.iter().any(|line| line["event"] == event), "{event} in {audit:?}");
    }
}

#[test]
fn nothing_is_ever_sent_to_the_null_sender() {
    // D65: the message is refused for good, and its sender is `<>`.
    let sink = Sink::with_rule(|line| (line == ".").then_some("554 5.6.0 not this one"));
    let site = Site::to_smart_host(sink.address());
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let reply = client.transaction("", &["b@far.test"], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    crate::support::eventually("the end of the message in the audit log", || {
        site.audit().iter().any(|line| line["event"] == "bounced" || line["event"] == "failed").then_some(())
    });
    relay.stop();
    // A second start would send what is still queued.
    site.start().stop();
    assert!(sink.taken().is_empty());
    assert!(maildir(&site.mail()).is_empty());
}

#[test]
fn a_transport_chooses_the_destination_by_domain() {
    let (first, second) = (Sink::start(), Sink::start());
    let tables = format!(
        "[[delivery.transport]]\ndomain = \"one.test\"\nto = \"{}\"\n\n\
         [[delivery.transport]]\ndomain = \"two.test\"\nto = \"{}\"\n\n\
         [[delivery.transport]]\ndomain = \"three.test\"\nto = \"maildir\"\n",
        first.address(),
        second.address()
    );
    let top = "local_domains = [\"example.test\"]\nrelay_domains = [\"one.test\", \"two.test\", \"three.test\"]";
    let site = Site::new(top, &tables);
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let to = ["b@one.test", "b@TWO.test", "b@three.test", "b@example.test"];
    assert_eq!(client.transaction("a@sender.test", &to, MESSAGE).unwrap().code, 250);
    assert_eq!(first.wait(1)[0].to, ["<b@one.test>"]);
    assert_eq!(second.wait(1)[0].to, ["<b@TWO.test>"]);
    delivered(&site.mail(), 2);
    relay.stop();
    assert_eq!((first.taken().len(), second.taken().len(), maildir(&site.mail()).len()), (0, 0, 2));
}
