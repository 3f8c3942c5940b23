//! What users send is signed by the domain of their address.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hikyaku::dns::Zone;
use hikyaku::mailauth::{Budget, ClientResults, Records, Rules, SigningKey, Verifier, dkim};
use hikyaku::now;

use crate::support::client::{Client, Reply};
use crate::support::eventually;
use crate::support::message::with_crlf;
use crate::support::relay::{Relay, Site};
use crate::support::sink::Sink;
use crate::support::users::{site, user};

/// Puts a new key into the file, and gives the line of its zone.
fn renew(file: &Path, name: &str) -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    std::fs::write(file, &key).unwrap();
    format!("{name}. 300 TXT \"{}\"\n", SigningKey::from_pem(&key).unwrap().record())
}

/// `result selector domain` of each signature.
fn signatures(zone: &str, message: &[u8]) -> Vec<String> {
    let zone: Zone = zone.parse().unwrap();
    let mut rules = Rules::none();
    rules.dkim = Some(dkim::Rules::default());
    let mut verifier = Verifier::new(&rules);
    verifier.push(message);
    let records = Records::new(&zone);
    let lookups = records.lookups(Instant::now(), Budget::default());
    let verified = verifier.finish(&lookups, ClientResults::default(), now());
    let Poll::Ready(found) = pin!(verified).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a zone does not wait");
    };
    let found = found.dkim.unwrap();
    found
        .iter()
        .map(|one| format!("{} {} {}", one.result, one.selector.as_deref().unwrap(), one.domain.as_ref().unwrap()))
        .collect()
}

fn submit(site: &Site, relay: &Relay, sender: &str, to: &str, message: &[u8]) -> Reply {
    let mut client = Client::start_tls(relay.listener("submission"), &site.trust(None)).unwrap();
    assert_eq!(client.plain("alice", "secret").unwrap().code, 235);
    client.transaction(sender, &[to], message).unwrap()
}

#[test]
fn mail_of_users_goes_out_with_good_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut zone =
        renew(&file("one"), "one._domainkey.example.test") + &renew(&file("two"), "two._domainkey.example.test");
    zone += &renew(&file("sub"), "sub._domainkey.sub.example.test");
    let key = |domain: &str, selector: &str| {
        format!("[[dkim]]\ndomain = \"{domain}\"\nselector = \"{selector}\"\nkey = {:?}\n", file(selector))
    };
    let keys = key("example.test", "one") + &key("example.test", "two") + &key("sub.example.test", "sub");
    let sink = Sink::start();
    let smart = format!("[delivery]\nroute = \"smarthost\"\nsmarthost = \"{}\"\n", sink.address());
    let senders = "senders = [\"*@example.test\", \"*@sub.example.test\", \"*@other.test\"]";
    let site = site("", &format!("{smart}{keys}"), &user("alice", senders));
    let relay = site.start();
    let forged = "Authentication-Results: mx.example.test; dkim=pass\r\n";
    for (domain, expected) in [
        ("example.test", &["pass one example.test", "pass two example.test"][..]),
        ("deep.sub.example.test", &[]),
        ("sub.example.test", &["pass sub sub.example.test"]),
        ("other.test", &[]),
    ] {
        let message = format!("{forged}From: alice@{domain}\r\nSubject: x\r\n\tfolded \r\n\r\nbody \r\n.\r\n\r\n");
        let reply = submit(&site, &relay, &format!("alice@{domain}"), "carl@far.test", message.as_bytes());
        if domain == "deep.sub.example.test" {
            assert_eq!(reply.code, 553, "{reply:?}");
            continue;
        }
        assert_eq!(reply.code, 250, "{reply:?}");
        let taken = sink.wait(1);
        let text = String::from_utf8(taken[0].data.clone()).unwrap();
        assert_eq!(signatures(&zone, text.as_bytes()), expected, "{text}");
        assert!(text.starts_with("Received: ") && !text.contains("Authentication-Results"), "{text}");
        assert_eq!((text.matches("\r\nDate: ").count(), text.matches("\r\nMessage-ID: ").count()), (1, 1));
    }

    // A key is changed while the relay runs; a bad file changes nothing.
    let changed = renew(&file("sub"), "sub._domainkey.sub.example.test");
    let reloaded = |errors: usize| {
        relay.hang_up();
        eventually("the keys are read anew", || {
            let lines = site.events("reloaded").into_iter().filter(|line| line["what"] == "DKIM keys");
            let (bad, good): (Vec<_>, Vec<_>) = lines.partition(|line| line.get("error").is_some());
            (good.len() == 1 && bad.len() == errors).then_some(())
        });
    };
    reloaded(0);
    std::fs::write(file("sub"), "no key").unwrap();
    reloaded(1);
    let message = b"From: alice@sub.example.test\r\nSubject: x\r\n\r\nbody\r\n";
    assert_eq!(submit(&site, &relay, "alice@sub.example.test", "carl@far.test", message).code, 250);
    let taken = sink.wait(1);
    assert_eq!(signatures(&changed, &taken[0].data), ["pass sub sub.example.test"]);
    assert_ne!(signatures(&zone, &taken[0].data), ["pass sub sub.example.test"]);
    relay.stop();

    // What is wrong with a key is told before anything listens.
    let output = site.run(&["--config", "relay.toml"]);
    let told = String::from_utf8(output.stderr).unwrap();
    let expected = format!("relay: the DKIM key {}: ", file("sub").display());
    assert!(!output.status.success() && told.contains(&expected), "{told}");
}

#[test]
fn a_bounce_is_signed_by_the_domain_of_this_host() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    let zone = renew(&key, "s._domainkey.example.test");
    let sink = Sink::with_rule(|line| line.contains("<gone@").then_some("550 5.1.1 no such user here"));
    let tables = format!(
        "[[dkim]]\ndomain = \"example.test\"\nselector = \"s\"\nkey = {key:?}\n\
         [delivery]\nroute = \"smarthost\"\nsmarthost = \"{}\"\n",
        sink.address()
    );
    let site = site("", &tables, &user("alice", ""));
    let relay = site.start();
    let message = b"From: alice@example.test\r\nSubject: x\r\n\r\nbody\r\n";
    assert_eq!(submit(&site, &relay, "alice@example.test", "gone@far.test", message).code, 250);
    let bounce = crate::support::delivered(&site.mail(), 1).remove(0);
    assert!(bounce.starts_with(b"Return-Path: <>\nDKIM-Signature:"), "{}", String::from_utf8_lossy(&bounce));
    assert_eq!(signatures(&zone, &with_crlf(&bounce)), ["pass s example.test"]);
    relay.stop();
}

/// The relay believes its own signature, as every other server does.
#[test]
fn mail_of_one_relay_passes_at_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    let zone = renew(&key, "s._domainkey.example.test")
        + "_dmarc.example.test. 300 TXT \"v=DMARC1; p=reject; adkim=s\"\nexample.test. 300 TXT \"v=spf1 -all\"\n";
    let far = Site::new("local_domains = [\"far.test\"]", "");
    std::fs::write(far.zone(), zone).unwrap();
    let far_relay = far.start();
    let tables = format!(
        "[[dkim]]\ndomain = \"example.test\"\nselector = \"s\"\nkey = {key:?}\n\
         [delivery]\nroute = \"smarthost\"\nsmarthost = \"{}\"\n",
        far_relay.address()
    );
    let site = site("", &tables, &user("alice", ""));
    let relay = site.start();
    let message = b"From: alice@example.test\r\nSubject: x\r\n\r\n.body\r\n";
    assert_eq!(submit(&site, &relay, "alice@example.test", "carl@far.test", message).code, 250);
    let content = crate::support::delivered(&far.mail(), 1).remove(0);
    let results = crate::support::message::added(&content).results.unwrap();
    for part in ["spf=fail", "dkim=pass", "header.d=example.test", "dmarc=pass"] {
        assert!(results.contains(part), "{part} in {results}");
    }
    // The Maildir has LF; with CRLF it is still what was signed.
    assert!(String::from_utf8(with_crlf(&content)).unwrap().contains("\r\nDKIM-Signature:"));
    relay.stop();
    far_relay.stop();
}
