//! What parsing and writing replies allocates.

use std::hint::black_box;

use bytes::BytesMut;
use hikyaku_wire::{Capabilities, Capability, EhloKeyword, Reply, ReplyReader};

const LINE: &[u8] = b"250 2.1.5 Destination address valid: Recipient ok\r\n";
const EHLO: &[u8] = b"250-mx.example.com at your service, [192.0.2.1]\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n\
    250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n250-DSN\r\n\
    250-LIMITS RCPTMAX=50 X=1\r\n250-AUTH PLAIN LOGIN XOAUTH2\r\n250-X-NEW a b\r\n250 HELP\r\n";

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn a_borrowed_reply_allocates_nothing() {
    for bytes in [LINE, EHLO, "550-5.7.1 gr\u{fc}n\r\n550 5.7.1 \u{fc}\r\n".as_bytes(), b"250\r\n", b"250-a\r\n"] {
        let count = allocations(|| {
            let parsed = Reply::parse(black_box(bytes)).unwrap();
            if let Some((reply, _)) = parsed {
                black_box((reply.code(), reply.enhanced(), reply.lines().map(str::len).sum::<usize>()));
            }
        });
        assert_eq!(count, 0, "{bytes:?}");
    }
    for bytes in [&b"250-a\r\n251 b\r\n"[..], b"250 a\n", b"hello\r\n"] {
        let count = allocations(|| {
            black_box(Reply::parse(black_box(bytes)).unwrap_err());
        });
        assert_eq!(count, 0, "{bytes:?}");
    }
    // The counter counts: what must become harmless is copied.
    assert!(allocations(|| drop(black_box(Reply::parse(black_box(b"250 \x07\r\n"))))) > 0);
}

#[test]
fn borrowed_capabilities_allocate_nothing() {
    let count = allocations(|| {
        let (reply, _) = Reply::parse(black_box(EHLO)).unwrap().unwrap();
        let offered = Capabilities::parse(&reply);
        assert!(offered.has(&EhloKeyword::PIPELINING) && !offered.has(&EhloKeyword::REQUIRETLS));
        assert!(offered.has(&EhloKeyword::parse("x-new").unwrap()));
        assert_eq!((offered.size(), offered.limits().recipients()), (Some(52_428_800), Some(50)));
        assert_eq!((offered.mechanisms().count(), offered.iter().count()), (3, 12));
        assert_eq!(offered.get(&EhloKeyword::DSN), Some(Capability::Dsn));
    });
    assert_eq!(count, 0);
}

#[test]
fn a_reader_allocates_the_text_and_nothing_else() {
    for (bytes, expected) in [(LINE, 1), (EHLO, 1), (b"250 \r\n", 0)] {
        let mut input = BytesMut::from(bytes);
        let mut reader = ReplyReader::new();
        let count = allocations(|| drop(black_box(reader.next(&mut input).unwrap().unwrap())));
        assert_eq!(count, expected, "{bytes:?}");
    }
}

#[test]
fn writing_allocates_nothing_but_room() {
    let mut out = BytesMut::with_capacity(1024);
    let (reply, _) = Reply::parse(EHLO).unwrap().unwrap();
    let owned = reply.clone().into_owned();
    let count = allocations(|| {
        Reply::RELAY_DENIED_550.write(&mut out);
        reply.write(&mut out);
        out.clear();
        owned.write(&mut out);
    });
    assert_eq!((count, &out[..]), (0, EHLO));
    let mut out = BytesMut::new();
    assert_eq!(allocations(|| Reply::RELAY_DENIED_550.write(&mut out)), 1);
    let mut out = BytesMut::new();
    assert_eq!(allocations(|| owned.write(&mut out)), 1);
}
