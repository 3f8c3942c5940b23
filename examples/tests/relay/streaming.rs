//! A big message flows through; it is never held.

use crate::support::client::Client;
use crate::support::delivered;
use crate::support::message::{added, with_lf};
use crate::support::relay::Site;
use crate::support::sink::Sink;

const SIZE: usize = 50 << 20;

fn message(size: usize) -> Vec<u8> {
    // The signature is none, but the body is hashed for it all the same, in two canonical forms.
    let signature = |form: &str| {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; c={form}; d=sender.test; s=s;\r\n h=from; \
             bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
        )
    };
    let from = "From: a@sender.test\r\nSubject: big\r\n\r\n";
    let mut message = (signature("relaxed/relaxed") + &signature("simple/simple") + from).into_bytes();
    for number in 0_u64.. {
        if message.len() + 100 > size {
            break;
        }
        message.extend_from_slice(format!(".{number:076}\r\n").as_bytes());
    }
    let rest = size - message.len() - 2;
    message.extend(std::iter::repeat_n(b'x', rest));
    message.extend_from_slice(b"\r\n");
    message
}

#[test]
fn fifty_mebibytes_grow_the_relay_by_less_than_eight() {
    let sink = Sink::start();
    let transport = format!("[[delivery.transport]]\ndomain = \"sink.test\"\nto = \"{}\"", sink.address());
    let site = Site::new("local_domains = [\"example.test\"]\nrelay_domains = [\"sink.test\"]", &transport);
    let relay = site.start();
    let send = |to: &str, message: &[u8]| {
        let mut client = Client::hello(relay.address()).unwrap();
        let reply = client.transaction("a@sender.test", &[to], message).unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
    };
    // What the first mail on each road needs is not the message's size.
    let small = message(1000);
    send("b@example.test", &small);
    send("b@sink.test", &small);
    delivered(&site.mail(), 1);
    sink.wait(1);
    let first = delivered(&site.mail(), 1);
    let results = added(&first[0]).results.unwrap();
    assert_eq!(results.matches("dkim=").count(), 2, "{results}");
    let before = relay.peak_memory();

    let big = message(SIZE);
    assert_eq!(big.len(), SIZE);
    send("b@example.test", &big);
    let found = delivered(&site.mail(), 2);
    let largest = found.iter().max_by_key(|content| content.len()).unwrap();
    assert!(added(largest).message == with_lf(&big), "the message in the Maildir is another one");
    send("b@sink.test", &big);
    let taken = sink.wait(1);
    assert!(added(&taken[0].data).message == big, "the message at the sink is another one");

    let grown = relay.peak_memory() - before;
    assert!(grown < 8 << 10, "grown by {grown} KiB");
    relay.stop();
}
