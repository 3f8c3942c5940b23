//! What allocates nothing, counted by an allocator of this test binary's own.

use hikyaku_message::{Date, Header, HeaderLimits, HeaderScan, MessageId, ReceivedClauses, ReturnPath};

const HEADER: &[u8] = b"Received: from a.test (a.test [192.0.2.1])\r\n\tby b.test with ESMTPS id 1;\r\n\
    \tTue, 24 Nov 2026 05:52:00 +0000\r\nFrom : Anna <anna@a.test>\r\nX-Long-Name-Of-Somebody: 1\r\n\
    References: <1@a.test>\r\n\t<2@a.test>\r\nMessage-ID: <3@a.test>\r\n\r\nbody";

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn scanning_allocates_nothing() {
    for step in [1, 7, 4096] {
        let count = allocations(|| {
            let mut scan = HeaderScan::new(HeaderLimits::default());
            let mut octets = 0;
            for piece in HEADER.chunks(step) {
                scan.push_each(piece, |span| octets += span.end - span.start);
            }
            assert_eq!((scan.fields(), octets, scan.has("from")), (5, scan.octets() - 2, true));
        });
        assert_eq!(count, 0, "in pieces of {step}");
    }
}

#[test]
fn looking_up_fields_allocates_nothing() {
    let count = allocations(|| {
        let header = Header::parse(HEADER, HeaderLimits::default()).unwrap();
        assert_eq!(header.fields().rev().count(), 5);
        assert_eq!(&*header.only("message-id").unwrap().value(), b"<3@a.test>");
        assert!(header.first("from").is_some() && header.last("x-none").is_none());
    });
    assert_eq!(count, 0);
}

#[test]
fn reading_trace_fields_allocates_nothing() {
    let header = Header::parse(HEADER, HeaderLimits::default()).unwrap();
    let value = |name| header.only(name).unwrap().raw_value();
    let count = allocations(|| {
        let received = ReceivedClauses::parse(value("Received")).unwrap();
        assert_eq!(received.date, Date::parse(b"24 Nov 2026 05:52 +0000").ok());
        assert_eq!(MessageId::parse(value("Message-ID")).unwrap().as_str(), "3@a.test");
        assert_eq!(MessageId::list(value("References")).count(), 2);
        assert!(ReturnPath::parse(b" <>").is_ok());
    });
    assert_eq!(count, 0);
}
