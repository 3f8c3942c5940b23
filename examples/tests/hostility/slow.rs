//! Clients that take their time.

use crate::bystander::{flat, is_served};
use crate::support::client::Client;
use crate::support::relay::Site;

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
