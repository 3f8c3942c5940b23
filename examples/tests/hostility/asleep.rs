//! Clients that only an end of patience helps against: all of them at once, in one minute. The
//! tests beside it take less, if this one is the first by name.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::bystander::{flat, is_served, is_told};
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::relay::Relay;
use crate::support::users;

/// Octets of commands that no buffers of two kernels can hold.
const TOO_MUCH: usize = 64 << 20;

/// Says `NOOP` and never reads until nothing more is taken, or far too much has been.
fn send_until_blocked(stream: &mut TcpStream) -> usize {
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let piece = "NOOP\r\n".repeat(1000);
    let mut sent = 0;
    while sent < TOO_MUCH {
        match stream.write(piece.as_bytes()) {
            Ok(octets) => sent += octets,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("after {sent} octets: {error}"),
        }
    }
    sent
}

/// Waits for the end of the connection; what comes before it is dropped.
fn until_closed(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut dropped = [0; 4096];
    while let Ok(octets) = stream.read(&mut dropped) {
        if octets == 0 {
            return;
        }
    }
}

/// A message that has begun and goes on with an octet every few seconds.
fn trickle(relay: &Relay) {
    let mut client = Client::hello(relay.address()).unwrap();
    for (line, code) in [("MAIL FROM:<a@sender.test>", 250), ("RCPT TO:<b@example.test>", 250), ("DATA", 354)] {
        assert_eq!(client.command(line).unwrap().code, code);
    }
    let stream = client.stream();
    std::thread::scope(|scope| {
        let told = scope.spawn(move || client.reply());
        let mut writer = &stream;
        while !told.is_finished() && writer.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_secs(1));
        }
        let reply = told.join().expect("no panic").unwrap();
        assert_eq!((reply.code, reply.text().starts_with("4.4.2 ")), (421, true), "{reply:?}");
    });
}

#[test]
fn d44_who_does_not_move_is_ended() {
    let site = users::site("", "[limits]\njunk = 1_000_000\ncommands = 2_000_000", "");
    let relay = site.start();
    flat(&relay, "clients that do not move", || {
        std::thread::scope(|scope| {
            let trickle = scope.spawn(|| trickle(&relay));
            // Never reads: it is not read from either.
            let mut deaf = Client::hello(relay.address()).unwrap().stream();
            let sent = send_until_blocked(&mut deaf);
            println!("a client that never reads: {sent} octets of commands were taken");
            assert!(sent < TOO_MUCH);
            // Says nothing where TLS is to begin, or the beginning of a handshake.
            let tls = relay.listener("submissions");
            let mut mute: Vec<_> = (0..50).map(|_| TcpStream::connect(tls).expect("connect")).collect();
            for stream in mute.iter_mut().skip(25) {
                stream.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
            }
            (0..20).for_each(|_| is_served(&relay));
            mute.iter().for_each(until_closed);
            is_told(&site, "handshake_time");
            is_told(&site, "write_time");
            (0..20).for_each(|_| is_served(&relay));
            trickle.join().expect("no panic");
            is_told(&site, "min_bytes_per_second");
        });
    });
    relay.stop();
}
