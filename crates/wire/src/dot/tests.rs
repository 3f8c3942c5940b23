use super::*;
use crate::BareLineEndKind;

type Verdict = Result<(), BareLineEnd>;

/// The message, the verdict if the end came, and what is left behind it.
type Outcome = (Vec<u8>, Option<Verdict>, Vec<u8>);

fn decode(pieces: &[&[u8]], policy: BareLineEnds) -> Outcome {
    let mut decoder = DotDecoder::new(policy);
    let (mut input, mut message, mut end) = (BytesMut::new(), Vec::new(), None);
    for piece in pieces {
        input.extend_from_slice(piece);
        while end.is_none() {
            match decoder.decode(&mut input) {
                Decoded::Data(data) => {
                    assert!(!data.is_empty());
                    message.extend_from_slice(&data);
                }
                Decoded::More => {
                    assert!(input.is_empty(), "all that has come is taken");
                    break;
                }
                Decoded::End(verdict) => end = Some(verdict),
            }
        }
    }
    assert_eq!(slices(pieces, policy), (message.clone(), end, input.to_vec()), "borrowed form of {pieces:?}");
    (message, end, input.to_vec())
}

fn slices(pieces: &[&[u8]], policy: BareLineEnds) -> Outcome {
    let mut decoder = DotDecoder::new(policy);
    let (mut message, mut end, mut rest) = (Vec::new(), None, Vec::new());
    for mut piece in pieces.iter().copied() {
        while end.is_none() {
            match decoder.decode_slice(&mut piece) {
                Decoded::Data(data) => {
                    assert!(!data.is_empty());
                    message.extend_from_slice(data);
                }
                Decoded::More => break,
                Decoded::End(verdict) => end = Some(verdict),
            }
        }
        rest.extend_from_slice(piece);
    }
    (message, end, rest)
}

/// The same by the letter of RFC 5321 §4.5.2, on all of the input at once: line by line.
fn reference(wire: &[u8], policy: BareLineEnds) -> Outcome {
    let (mut message, mut rest) = (Vec::new(), wire);
    loop {
        if let Some(behind) = rest.strip_prefix(b".\r\n") {
            return (message.clone(), Some(verdict(&message, policy)), behind.to_vec());
        }
        if matches!(rest, b"" | b"." | b".\r") {
            return (message, None, Vec::new());
        }
        let line = rest.windows(2).position(|pair| pair == b"\r\n").map_or(rest, |at| &rest[..at + 2]);
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        if line.len() == rest.len() && !line.ends_with(b"\r\n") {
            return (message, None, Vec::new());
        }
        rest = &rest[line.len()..];
    }
}

fn verdict(message: &[u8], policy: BareLineEnds) -> Verdict {
    let bare = (0..message.len()).find_map(|i| match message[i] {
        b'\r' if message.get(i + 1) != Some(&b'\n') => Some((BareLineEndKind::Cr, i)),
        b'\n' if i == 0 || message[i - 1] != b'\r' => Some((BareLineEndKind::Lf, i)),
        _ => None,
    });
    match (policy, bare) {
        (BareLineEnds::Refuse, Some((kind, at))) => Err(BareLineEnd { kind, at: at as u64 }),
        _ => Ok(()),
    }
}

const POLICIES: [BareLineEnds; 2] = [BareLineEnds::Refuse, BareLineEnds::Keep];

/// The outcome of `wire` is that of the reference at every cut, and octet by octet.
fn every_cut(wire: &[u8]) -> Outcome {
    for policy in POLICIES {
        let expected = reference(wire, policy);
        for cut in 0..=wire.len() {
            let cut_at = decode(&[&wire[..cut], &wire[cut..]], policy);
            assert_eq!(cut_at, expected, "{wire:?} at {cut}, {policy:?}");
        }
        let octets: Vec<&[u8]> = wire.chunks(1).collect();
        let (message, end, _) = decode(&octets, policy);
        assert_eq!((&message, end), (&expected.0, expected.1), "{wire:?} octet by octet, {policy:?}");
    }
    decode(&[wire], BareLineEnds::Refuse)
}

#[test]
fn d26_every_string_of_the_alphabet_at_every_cut() {
    for length in 0..=7u32 {
        for n in 0..4usize.pow(length) {
            let wire: Vec<u8> = (0..length).map(|i| b"\r\n.x"[n / 4usize.pow(i) % 4]).collect();
            every_cut(&wire);
        }
    }
}

#[test]
fn d26_critical_strings_in_all_chunkings() {
    let strings = [
        &b"\r\n.\r\n"[..],
        b"\r\n..\r\n.\r\n",
        b"\r\n.\r\nX",
        b"x\r\n.\rX\r\n.\r\n",
        b"\r\n.\r\r\n.\r\n",
        b"..a\r\n.b\r\n.\r\n",
        b"\n.\n\r\n.\r\n",
        b"\r\n.\n.\r\n.\r\n",
        b"\r\n...\r\n.\r\nQ\r\n",
        b"\r.\r\r\n.\r\n..",
    ];
    for wire in strings {
        for policy in POLICIES {
            let expected = reference(wire, policy);
            for cuts in 0..1usize << (wire.len() - 1) {
                let (mut pieces, mut from) = (Vec::new(), 0);
                for at in 1..wire.len() {
                    if cuts >> (at - 1) & 1 == 1 {
                        pieces.push(&wire[from..at]);
                        from = at;
                    }
                }
                pieces.push(&wire[from..]);
                let (message, end, _) = decode(&pieces, policy);
                assert_eq!((message, end), (expected.0.clone(), expected.1), "{pieces:?}, {policy:?}");
            }
        }
    }
}

#[test]
fn d26_known_messages() {
    for (wire, message, rest) in [
        (&b".\r\n"[..], &b""[..], &b""[..]),
        (b"..a\r\n.\r\n", b".a\r\n", b""),
        (b"\r\n.\r\n", b"\r\n", b""),
        (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"..first\r\n..\r\n...\r\n.\r\nQUIT\r\n", b".first\r\n.\r\n..\r\n", b"QUIT\r\n"),
        (b"a\r\n.\r\n.\r\nx\n", b"a\r\n", b".\r\nx\n"),
    ] {
        assert_eq!(every_cut(wire), (message.to_vec(), Some(Ok(())), rest.to_vec()));
    }
}

#[test]
fn d31_no_other_end_is_an_end() {
    for end in [
        &b"\n.\n"[..],
        b"\n.\r",
        b"\r.\n",
        b"\r.\r",
        b"\n.\r\n",
        b"\r.\r\n",
        b"\r\n.\r\r\n",
        b"\r\r\n.\r\r\n",
        b"\r\n.\n",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
    ] {
        let wire = [b"text", end, b"MAIL FROM:<x@y.test>"].concat();
        let (_, ended, _) = every_cut(&wire);
        assert_eq!(ended, None, "{end:?}");
        let (_, ended, rest) = every_cut(&[&wire[..], b"\r\n.\r\n"].concat());
        assert!(matches!(ended, Some(Err(_))) || end.contains(&0), "{end:?}");
        assert_eq!(rest, b"");
    }
}

#[test]
fn the_verdict_names_the_octet_and_is_early() {
    let mut decoder = DotDecoder::default();
    let bare = BareLineEnd { kind: BareLineEndKind::Cr, at: 4 };
    let mut input = BytesMut::from(&b"..\r\nx\ry"[..]);
    assert_eq!(decoder.decode(&mut input), Decoded::Data(".\r\nx\ry".into()));
    assert_eq!(decoder.bare_line_end(), Some(bare));
    input.extend_from_slice(b"\n\r\n.\r\nx\n");
    assert_eq!(decoder.decode(&mut input), Decoded::Data("\n\r\n".into()));
    assert_eq!(decoder.decode(&mut input), Decoded::End(Err(bare)), "the first one");
    // The next message has nothing of it; what stood behind the end did not count.
    assert_eq!(decoder.bare_line_end(), None);
    input.extend_from_slice(b"\r\n.\r\n");
    assert_eq!(decoder.decode(&mut input), Decoded::Data("x\n\r\n".into()));
    let bare = BareLineEnd { kind: BareLineEndKind::Lf, at: 1 };
    assert_eq!(decoder.decode(&mut input), Decoded::End(Err(bare)));
}

#[test]
fn what_stands_behind_the_end_does_not_count() {
    for behind in [&b"\n"[..], b"\r", b"NOOP\nx\r", &[b'\n'; 3000]] {
        let wire = [&b"line\r\n".repeat(100)[..], b".\r\n", behind].concat();
        let (message, end, rest) = decode(&[&wire], BareLineEnds::Refuse);
        assert_eq!((message.len(), end, &rest[..]), (600, Some(Ok(())), behind));
    }
}

/// Lines of every length in every mix: what is near and what is far is copied alike.
#[test]
fn long_messages_against_the_reference() {
    for length in (0..70).chain([250, 253, 254, 255, 256, 257, 300, 600]) {
        for first in ["", ".", "..", "x"] {
            let line = format!("{first}{}\r\n", "a".repeat(length));
            for other in ["..\r\n", "x\r\n", "...a.\r\n", ".y\n.\r\n", "z\r.\r\n"] {
                let wire = [line.repeat(3), other.repeat(3), line.repeat(2), other.into(), ".\r\nQUIT\r\n".into()];
                let wire = wire.concat().into_bytes();
                for policy in POLICIES {
                    let expected = reference(&wire, policy);
                    for cut in [0, 1, 2, 3, 4, 5, 255, 256, 257, 258, 259] {
                        let (head, tail) = wire.split_at(wire.len().min(cut));
                        assert_eq!(decode(&[head, tail], policy), expected, "{:?}", String::from_utf8_lossy(&wire));
                    }
                }
            }
        }
    }
}

/// By the letter, line by line; the message is clean.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let (mut wire, mut rest) = (Vec::new(), message);
    while !rest.is_empty() {
        let at = rest.windows(2).position(|pair| pair == b"\r\n").map_or(rest.len(), |at| at + 2);
        wire.extend_from_slice(if rest[0] == b'.' { b"." } else { b"" });
        wire.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
    }
    wire.extend_from_slice(if message.is_empty() || message.ends_with(b"\r\n") { b".\r\n" } else { b"\r\n.\r\n" });
    wire
}

fn encode(pieces: &[&[u8]], policy: BareLineEnds) -> Result<Vec<u8>, BareLineEnd> {
    let (mut encoder, mut out) = (DotEncoder::new(policy), BytesMut::new());
    for piece in pieces {
        let before = out.clone();
        let encoded = encoder.encode(piece, &mut out);
        if let Err(bare) = encoded {
            assert_eq!(out, before, "nothing of the piece is appended");
            assert_eq!(encoder.encode(b"x", &mut out), Err(bare));
            assert_eq!(encoder.finish(&mut out), Err(bare));
            assert_eq!(out, before);
            return Err(bare);
        }
    }
    encoder.finish(&mut out).map(|()| out.to_vec())
}

#[test]
fn d27_messages_are_stuffed() {
    for (message, sent) in [
        (&b"."[..], &b"..\r\n.\r\n"[..]),
        (b"a\r\n.b", b"a\r\n..b\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"", b".\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    ] {
        assert_eq!(encode(&[message], BareLineEnds::Refuse).unwrap(), sent);
    }
}

#[test]
fn d27_every_string_of_the_alphabet_is_sent_or_refused_at_every_cut() {
    for length in 0..=7u32 {
        for n in 0..4usize.pow(length) {
            let message: Vec<u8> = (0..length).map(|i| b"\r\n.x"[n / 4usize.pow(i) % 4]).collect();
            for cut in 0..=message.len() {
                let (head, tail) = message.split_at(cut);
                let expected = verdict(&message, BareLineEnds::Refuse).map(|()| stuffed(&message));
                assert_eq!(encode(&[head, tail], BareLineEnds::Refuse), expected, "{message:?} at {cut}");
                assert_eq!(encode(&[head, tail], BareLineEnds::Keep), Ok(stuffed(&message)), "{message:?} at {cut}");
            }
        }
    }
}

#[test]
fn the_output_grows_once_a_piece() {
    for message in
        [b".\r\n".repeat(1000), b"x\r\n".repeat(1000), [&b"x".repeat(700)[..], &b"\r\n.".repeat(99)].concat()]
    {
        let mut out = BytesMut::new();
        DotEncoder::default().encode(&message, &mut out).unwrap();
        let dots = message.windows(2).filter(|pair| pair == b"\n.").count();
        assert!(out.capacity() <= message.len() + dots + 8, "{} for {}", out.capacity(), out.len());
    }
}

#[test]
fn lf_and_dot_are_counted() {
    for length in 0..=1100 {
        let piece: Vec<u8> = (0..length).map(|at| b"\n."[at % 2]).collect();
        assert_eq!(line_dots(&piece), length / 2, "{length}");
    }
}

proptest::proptest! {
    #[test]
    fn what_is_sent_is_what_arrives(lines in proptest::collection::vec("[.ax]{0,30}", 0..15), cuts in proptest::collection::vec(0usize..500, 0..6)) {
        let message = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>();
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < message.len()).collect();
        cuts.sort_unstable();
        cuts.push(message.len());
        let (mut pieces, mut from) = (Vec::new(), 0);
        for cut in cuts {
            pieces.push(&message.as_bytes()[from..cut]);
            from = cut;
        }
        let wire = encode(&pieces, BareLineEnds::Refuse).unwrap();
        proptest::prop_assert_eq!(&wire, &stuffed(message.as_bytes()));
        proptest::prop_assert_eq!(every_cut(&wire), (message.into_bytes(), Some(Ok(())), Vec::new()));
    }
}
