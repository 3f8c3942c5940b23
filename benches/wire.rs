//! The grammar on the wire: commands and the data of a message, each beside the
//! limit of the machine (a search, a copy) over the same bytes.

use bytes::{Bytes, BytesMut};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use hikyaku_wire::{Command, Decoded, DotDecoder, DotEncoder, Lines};

fn main() {
    divan::main();
}

/// A session of five commands, as a relay gets them.
const COMMANDS: &[u8] = b"EHLO mail.sender.example.org\r\n\
    MAIL FROM:<bounces+4711=reader=example.com@lists.example.org> SIZE=74233 BODY=8BITMIME\r\n\
    RCPT TO:<reader@example.com>\r\n\
    RCPT TO:<\"another reader\"@example.com>\r\n\
    DATA\r\n";

/// What one read of a socket holds in the benches.
const READ: usize = 16 * 1024;

/// 1 MiB of text in lines of 78 octets, one in 20 with a leading dot.
fn message() -> Bytes {
    let mut message = Vec::with_capacity(1 << 20);
    for number in 0.. {
        let start = if number % 20 == 0 { '.' } else { 'x' };
        let line = format!("{start}{number:075}\r\n");
        if message.len() + line.len() > 1 << 20 {
            break;
        }
        message.extend_from_slice(line.as_bytes());
    }
    message.into()
}

fn stuffed() -> Bytes {
    let mut out = BytesMut::new();
    let mut encoder = DotEncoder::default();
    encoder.encode(&message(), &mut out).expect("every line of the message ends in CRLF");
    encoder.finish(&mut out).expect("every line of the message ends in CRLF");
    out.freeze()
}

#[divan::bench]
fn commands_parsed(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::new(COMMANDS.len()))
        .with_inputs(|| (Lines::new(2048), BytesMut::from(COMMANDS)))
        .bench_local_values(|(mut lines, mut input)| {
            let mut count = 0;
            while let Some(line) = lines.next(&mut input) {
                let line = line.expect("the commands are lines");
                black_box(Command::parse(&line).expect("the commands are right"));
                count += 1;
            }
            assert_eq!(count, 5);
        });
}

#[divan::bench]
fn commands_limit_memchr(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::new(COMMANDS.len()))
        .bench_local(|| memchr::memchr_iter(b'\n', black_box(COMMANDS)).count());
}

/// Un-stuffs what comes in reads of 16 KiB; counts the octets of the message.
fn decoded(stuffed: &[u8]) -> usize {
    let mut decoder = DotDecoder::default();
    let mut input = BytesMut::with_capacity(2 * READ);
    let mut octets = 0;
    for read in stuffed.chunks(READ) {
        input.extend_from_slice(read);
        loop {
            match decoder.decode(&mut input) {
                Decoded::Data(piece) => octets += black_box(piece).len(),
                Decoded::More => break,
                Decoded::End(verdict) => {
                    verdict.expect("every line of the message ends in CRLF");
                    return octets;
                }
            }
        }
    }
    octets
}

#[divan::bench]
fn data_unstuffed(bencher: Bencher<'_, '_>) {
    let (stuffed, length) = (stuffed(), message().len());
    bencher.counter(BytesCount::new(stuffed.len())).bench_local(|| assert_eq!(decoded(black_box(&stuffed)), length));
}

#[divan::bench]
fn data_stuffed(bencher: Bencher<'_, '_>) {
    let message = message();
    bencher.counter(BytesCount::new(message.len())).bench_local(|| {
        let mut encoder = DotEncoder::default();
        let mut out = BytesMut::with_capacity(2 * READ);
        for piece in black_box(&message).chunks(READ) {
            out.clear();
            encoder.encode(piece, &mut out).expect("every line of the message ends in CRLF");
            black_box(&out);
        }
    });
}

/// The same bytes copied once through a buffer of the same size.
#[divan::bench]
fn data_limit_memcpy(bencher: Bencher<'_, '_>) {
    let stuffed = stuffed();
    bencher.counter(BytesCount::new(stuffed.len())).bench_local(|| {
        let mut out = BytesMut::with_capacity(2 * READ);
        for read in black_box(&stuffed).chunks(READ) {
            out.clear();
            out.extend_from_slice(read);
            black_box(&out);
        }
    });
}

/// The same bytes searched once for their line ends.
#[divan::bench]
fn data_limit_memchr(bencher: Bencher<'_, '_>) {
    let stuffed = stuffed();
    bencher
        .counter(BytesCount::new(stuffed.len()))
        .bench_local(|| memchr::memchr_iter(b'\n', black_box(&stuffed)).count());
}
