//! Clients that take their time.

use crate::bystander::{flat, is_served};
use crate::support::client::Client;
use crate::support::relay::Site;
use crate::support::users;

const MANY: usize = 200;

#[test]
fn two_hundred_clients_send_an_octet_now_and_then() {
    let site = Site::closed();
    let relay = site.start();
    let command = b"EHLO a.client.that.takes.its.time.test\r\n";
    flat(&relay, "200 slow clients", || {
        let mut slow: Vec<_> = (0..MANY).map(|_| Client::connect(relay.address()).unwrap()).collect();
        for octet in command {
            slow.iter_mut().for_each(|client| client.send(&[*octet]).unwrap());
            is_served(&relay);
        }
        // None of them was forgotten.
        slow.iter_mut().for_each(|client| assert_eq!(client.reply().unwrap().code, 250));
    });
    relay.stop();
}

#[test]
fn slow_clients_under_tls() {
    let site = users::site("", "", "");
    let relay = site.start();
    let (address, trust) = (relay.listener("submissions"), site.trust(None));
    flat(&relay, "50 slow clients under TLS", || {
        let mut slow: Vec<_> = (0..50).map(|_| Client::implicit_tls(address, &trust).unwrap()).collect();
        for octet in b"NOOP of a client that takes its time" {
            slow.iter_mut().for_each(|client| client.send(&[*octet]).unwrap());
            is_served(&relay);
        }
        slow.iter_mut().for_each(|client| assert_eq!(client.command("").unwrap().code, 250));
    });
    relay.stop();
}
