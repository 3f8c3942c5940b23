//! What the framing of messages and lines costs in allocations.

use allocation_counter::{AllocationInfo, measure};
use bytes::BytesMut;
use hikyaku_wire::{
    BareLineEnds, ChunkDecoder, Chunked, Command, Decoded, DotDecoder, DotEncoder, LineErrorKind, Lines,
};

const READ: usize = 16 * 1024;

/// Lines of 78 octets, `dots` of them in ten with a dot in front, without the end.
fn text(dots: usize) -> Vec<u8> {
    let line = |number: usize| format!("{}{number:075}\r\n", if number % 10 < dots { '.' } else { 'x' });
    (0..10_000).map(line).collect::<String>().into_bytes()
}

fn nothing() -> AllocationInfo {
    AllocationInfo::default()
}

/// Reads in steps of 16 KiB into one buffer, as from a socket, and takes what comes out.
fn receive(wire: &[u8], mut take: impl FnMut(&mut BytesMut)) -> AllocationInfo {
    let mut input = BytesMut::with_capacity(2 * READ);
    measure(|| {
        for read in wire.chunks(READ) {
            input.extend_from_slice(read);
            take(&mut input);
            assert!(input.is_empty());
        }
    })
}

#[test]
fn data_without_dots_costs_what_splitting_a_buffer_costs() {
    let wire = text(0);
    let split = receive(&wire, |input| drop(input.split().freeze()));
    for policy in [BareLineEnds::Refuse, BareLineEnds::Keep] {
        // The search for dots is set up once a process.
        DotDecoder::new(policy).decode(&mut BytesMut::from("a\r\n.b"));
        let mut decoder = DotDecoder::new(policy);
        let decoded = receive(&wire, |input| {
            assert!(matches!(decoder.decode(input), Decoded::Data(piece) if !piece.is_empty()));
            assert_eq!(decoder.decode(input), Decoded::More);
        });
        assert_eq!(decoded, split, "{policy:?}");
    }
}

#[test]
fn dots_cost_no_more() {
    for dots in [1, 10] {
        let mut wire = BytesMut::new();
        DotEncoder::default().encode(&text(dots), &mut wire).unwrap();
        let split = receive(&wire, |input| drop(input.split().freeze()));
        let mut decoder = DotDecoder::default();
        let decoded = receive(&wire, |input| while decoder.decode(input) != Decoded::More {});
        assert_eq!(decoded.count_total, split.count_total, "{dots}");
        assert_eq!(decoded.bytes_max, split.bytes_max, "{dots}");
    }
}

#[test]
fn slices_cost_nothing() {
    let mut wire = BytesMut::new();
    DotEncoder::default().encode(&text(5), &mut wire).unwrap();
    DotDecoder::default().decode(&mut BytesMut::from("a\r\n.b"));
    let mut octets = 0;
    let cost = measure(|| {
        let mut decoder = DotDecoder::default();
        for mut read in wire.chunks(READ) {
            while let Decoded::Data(piece) = decoder.decode_slice(&mut read) {
                octets += piece.len();
            }
        }
    });
    assert_eq!((cost, octets), (nothing(), text(5).len()));

    let cost = measure(|| {
        let mut decoder = ChunkDecoder::new(u64::MAX, BareLineEnds::Refuse);
        for mut read in wire.chunks(READ) {
            decoder.start(read.len() as u64, false).unwrap();
            while let Chunked::Data(piece) = decoder.decode_slice(&mut read) {
                octets += piece.len();
            }
        }
    });
    assert_eq!((cost, octets), (nothing(), text(5).len() + wire.len()));

    let cost = measure(|| {
        let (mut lines, mut input) = (Lines::new(100), &b"NOOP\r\nRSET\nDATA\r\n"[..]);
        assert_eq!(lines.next_slice(&mut input), Some(Ok(&b"NOOP"[..])));
        assert!(lines.next_slice(&mut input).is_some_and(|line| line.unwrap_err().kind == LineErrorKind::BareLf));
        let line = lines.next_slice(&mut input).unwrap().unwrap();
        assert!(matches!(Command::parse(line), Ok(Command::Data)));
    });
    assert_eq!(cost, nothing());
}

#[test]
fn a_piece_that_is_encoded_costs_one_growth() {
    for dots in [0, 1, 10] {
        let text = text(dots);
        let mut encoder = DotEncoder::default();
        encoder.encode(b"a\r\n.b\r\n", &mut BytesMut::new()).unwrap();
        let mut out = BytesMut::new();
        let cost = measure(|| encoder.encode(&text, &mut out).unwrap());
        assert_eq!((cost.count_total, cost.count_current), (1, 1), "{dots}");
    }
}
