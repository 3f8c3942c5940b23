//! Commands by the million.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr};

use crate::bystander::{is_told, limited, under};
use crate::support::client::Client;
use crate::support::relay::Site;

const MILLION: usize = 1_000_000;

/// Connects, and says `EHLO` and `command` that many times without waiting for anything, while
/// it reads: how many replies came of which code, the greeting and that to `EHLO` left out.
fn flood(address: SocketAddr, command: &str, times: usize) -> (usize, usize) {
    let stream = Client::hello(address).unwrap().stream();
    let (mut answered, mut ended) = (0, 0);
    std::thread::scope(|scope| {
        let mut sending = stream.try_clone().expect("one more handle");
        scope.spawn(move || {
            let piece = command.repeat(1000);
            // The relay may hang up before all has gone.
            (0..times / 1000).try_for_each(|_| sending.write_all(piece.as_bytes())).ok();
            sending.shutdown(Shutdown::Write).ok();
        });
        let mut read = BufReader::new(&stream);
        let mut line = String::new();
        while read.read_line(&mut line).is_ok_and(|octets| octets > 0) {
            match &line[..4] {
                "250 " => answered += 1,
                "421 " => ended += 1,
                _ => panic!("{line:?}"),
            }
            line.clear();
        }
    });
    (answered, ended)
}

#[test]
fn d39_a_million_noops_end_at_the_junk_limit() {
    let site = Site::closed();
    let relay = site.start();
    under(&relay, "a million NOOPs, refused", 20, || {
        // `EHLO` is the first of the hundred.
        assert_eq!(flood(relay.address(), "NOOP\r\n", MILLION), (99, 1));
    });
    is_told(&site, "junk");
    relay.stop();
}

#[test]
fn a_million_noops_are_answered_where_they_may_be_said() {
    let site = limited("junk = 1_000_000\ncommands = 2_000_000");
    let relay = site.start();
    under(&relay, "a million NOOPs", 1, || {
        assert_eq!(flood(relay.address(), "NOOP\r\n", MILLION), (MILLION - 1, 1));
    });
    relay.stop();
}
