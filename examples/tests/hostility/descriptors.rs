//! No file descriptor left (EMFILE): the relay waits until there is one, and goes on.

use std::net::TcpStream;
use std::time::Duration;

use crate::bystander::is_served;
use crate::support::client::Client;
use crate::support::relay::Site;
use crate::support::{delivered, eventually, maildir};

#[test]
fn c1_24_a_hundred_connections_where_forty_files_may_be_open() {
    let site = Site::closed();
    let relay = site.start_with_open_files(40);
    is_served(&relay);
    delivered(&site.mail(), 1);
    let mut inside = Client::hello(relay.address()).unwrap();

    let crowd: Vec<_> = (0..100).map(|_| TcpStream::connect(relay.address()).expect("the kernel connects")).collect();
    // Who is inside is taken, for a message needs no descriptor, or told to come again; nothing ends.
    for _ in 0..20 {
        let reply = inside
            .transaction("a@sender.test", &["b@example.test"], b"From: a@sender.test\r\nSubject: no room\r\n\r\n")
            .unwrap();
        assert!(reply.code == 250 || (400..500).contains(&reply.code), "{reply:?}");
    }
    // It waits; it does not try again and again.
    let before = relay.processor_time();
    std::thread::sleep(Duration::from_secs(1));
    let used = relay.processor_time() - before;
    println!("processor time of a second without descriptors: {used} hundredths");
    assert!(used < 30, "{used} hundredths of a second");

    drop(crowd);
    is_served(&relay);
    let reply = inside
        .transaction("a@sender.test", &["b@example.test"], b"From: a@sender.test\r\nSubject: room\r\n\r\n")
        .unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    // What was taken without a descriptor to deliver it with waits for its next attempt.
    eventually("the message that there was room for", || {
        maildir(&site.mail()).iter().any(|(_, content)| content.ends_with(b"Subject: room\n\n")).then_some(())
    });
    relay.stop();
}
