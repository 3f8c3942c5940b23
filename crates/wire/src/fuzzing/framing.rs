//! Lines, DATA and BDAT, each beside a slow reader that does it by the letter.

use bytes::BytesMut;

use crate::{
    BareLineEnd, BareLineEndKind, BareLineEnds, ChunkDecoder, ChunkEncoder, ChunkError, Chunked, Decoded, DotDecoder,
    DotEncoder, LineError, LineErrorKind, Lines,
};

/// The first octets say where the rest is cut into three.
fn cut(data: &[u8]) -> Option<[&[u8]; 3]> {
    let (&[one, two], bytes) = data.split_first_chunk()?;
    let (head, tail) = bytes.split_at(usize::from(one).min(bytes.len()));
    let (middle, tail) = tail.split_at(usize::from(two).min(tail.len()));
    Some([head, middle, tail])
}

fn policy(octet: usize) -> BareLineEnds {
    if octet.is_multiple_of(2) { BareLineEnds::Refuse } else { BareLineEnds::Keep }
}

/// The first bare line end of a whole message.
fn verdict(message: &[u8], policy: BareLineEnds) -> Result<(), BareLineEnd> {
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

/// A message on the wire: what comes out is what the letter of RFC 5321 §4.5.2 says, in three
/// pieces, in both forms; and what is encoded decodes to the same.
pub fn dot(data: &[u8]) {
    let Some(pieces) = cut(data) else { return };
    let policy = policy(data.len());
    let bytes = pieces.concat();
    let (message, ended) = dots(&pieces, policy);
    assert_eq!(dots(&[&bytes], policy), (message.clone(), ended));

    let (mut expected, mut rest) = (Vec::new(), &bytes[..]);
    let end = loop {
        if rest.starts_with(b".\r\n") {
            break Some(verdict(&expected, policy));
        }
        if matches!(rest, b"" | b"." | b".\r") {
            break None;
        }
        let line = rest.windows(2).position(|pair| pair == b"\r\n").map_or(rest.len(), |at| at + 2);
        expected.extend_from_slice(rest[..line].strip_prefix(b".").unwrap_or(&rest[..line]));
        if !rest[..line].ends_with(b"\r\n") {
            break None;
        }
        rest = &rest[line..];
    };
    assert_eq!((&message, ended), (&expected, end));

    let (mut encoder, mut sent) = (DotEncoder::new(policy), BytesMut::new());
    let encoded = pieces.iter().try_for_each(|piece| encoder.encode(piece, &mut sent));
    let finished = encoder.finish(&mut sent);
    assert_eq!(encoded.and(finished), verdict(&bytes, policy));
    if finished.is_ok() {
        let mut whole = bytes.clone();
        if !bytes.is_empty() && !bytes.ends_with(b"\r\n") {
            whole.extend_from_slice(b"\r\n");
        }
        assert_eq!(dots(&[&sent], policy), (whole, Some(Ok(()))));
    }
}

/// The message and the verdict, where it has ended.
fn dots(pieces: &[&[u8]], policy: BareLineEnds) -> (Vec<u8>, Option<Result<(), BareLineEnd>>) {
    let mut decoder = DotDecoder::new(policy);
    let mut borrowed = decoder.clone();
    let (mut input, mut message, mut slices) = (BytesMut::new(), Vec::new(), Vec::new());
    for mut piece in pieces.iter().copied() {
        input.extend_from_slice(piece);
        let end = loop {
            match decoder.decode(&mut input) {
                Decoded::Data(data) => message.extend_from_slice(&data),
                Decoded::More => break None,
                Decoded::End(verdict) => break Some(verdict),
            }
        };
        let ended = loop {
            match borrowed.decode_slice(&mut piece) {
                Decoded::Data(data) => slices.extend_from_slice(data),
                Decoded::More => break None,
                Decoded::End(verdict) => break Some(verdict),
            }
        };
        assert_eq!((&slices, ended, piece), (&message, end, &input[..]));
        if end.is_some() {
            return (message, end);
        }
    }
    (message, None)
}

/// Lines in three pieces: what comes out is what the letter of RFC 5321 §2.3.8 says, in both forms.
pub fn line(data: &[u8]) {
    const LIMIT: usize = 32;
    let Some(pieces) = cut(data) else { return };
    let bytes = pieces.concat();
    let (mut owned, mut borrowed) = (Lines::new(LIMIT), Lines::new(LIMIT));
    let (mut input, mut from, mut end, mut read) = (BytesMut::new(), 0, 0, Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        end += piece.len();
        let mut slice = &bytes[from..end];
        while let Some(line) = owned.next(&mut input) {
            let line = line.map(|line| line.to_vec());
            assert_eq!(borrowed.next_slice(&mut slice).map(|line| line.map(<[u8]>::to_vec)), Some(line.clone()));
            read.push(line);
        }
        assert_eq!(borrowed.next_slice(&mut slice), None);
        assert_eq!(slice, input);
        assert!(input.len() < LIMIT);
        from = end - slice.len();
    }

    let mut expected = Vec::new();
    for line in bytes.split_inclusive(|octet| *octet == b'\n') {
        let error = |kind, at| Err(LineError { kind, at });
        let Some(text) = line.strip_suffix(b"\n").filter(|_| line.len() <= LIMIT) else {
            if line.len() >= LIMIT {
                expected.push(error(LineErrorKind::TooLong, LIMIT));
            }
            continue;
        };
        let (text, crlf) = text.strip_suffix(b"\r").map_or((text, false), |text| (text, true));
        expected.push(match text.iter().position(|octet| matches!(octet, b'\r' | 0)) {
            Some(at) => error(if text[at] == 0 { LineErrorKind::Nul } else { LineErrorKind::BareCr }, at),
            None if !crlf => error(LineErrorKind::BareLf, text.len()),
            None => Ok(text.to_vec()),
        });
    }
    assert_eq!(read, expected);
}

/// A message in chunks, as sizes and octets: what comes out is what was announced, and what is
/// encoded decodes to the same.
pub fn bdat(data: &[u8]) {
    let Some((&limit, data)) = data.split_first() else { return };
    let Some(pieces) = cut(data) else { return };
    let policy = policy(data.len());
    let limit = u64::from(limit);
    let (mut decoder, mut message, mut announced) = (ChunkDecoder::new(limit, policy), Vec::new(), 0u64);
    for (number, piece) in pieces.iter().enumerate() {
        let last = number == 2;
        announced += piece.len() as u64;
        let fits = announced <= limit;
        assert_eq!(decoder.start(piece.len() as u64, last).is_ok(), fits);
        assert_eq!(decoder.start(0, last), Err(ChunkError::Unfinished { left: piece.len() as u64 }));
        let mut borrowed = decoder.clone();
        // A command is behind the chunk, and none of it may be taken.
        let (head, tail) = piece.split_at(piece.len() / 2);
        let mut input = BytesMut::from(head);
        let before = message.len();
        let mut end = chunk(&mut decoder, &mut input, &mut message);
        if end.is_none() {
            input.extend_from_slice(&[tail, b"RSET\r\n"].concat());
            end = chunk(&mut decoder, &mut input, &mut message);
        } else {
            input.extend_from_slice(b"RSET\r\n");
        }
        assert_eq!(input, "RSET\r\n");
        let mut slice = *piece;
        let mut whole = Vec::new();
        let ended = loop {
            match borrowed.decode_slice(&mut slice) {
                Chunked::Data(data) => whole.extend_from_slice(data),
                Chunked::More => unreachable!("the chunk is whole"),
                Chunked::End(verdict) | Chunked::Last(verdict) => break verdict,
            }
        };
        assert_eq!((&whole[..], Some(ended)), (&message[before..], end));
        assert_eq!(&message[before..], if fits { *piece } else { b"" });
        if last {
            let bare = verdict(&message, policy).map_err(ChunkError::from);
            let too_big = if fits { Ok(()) } else { Err(ChunkError::TooBig { limit }) };
            assert_eq!(end, Some(bare.and(too_big)));
        }
    }

    let (mut encoder, mut sent) = (ChunkEncoder::new(policy), BytesMut::new());
    let encoded = pieces[..2].iter().try_for_each(|piece| encoder.encode(piece, &mut sent));
    let encoded = encoded.and(encoder.finish(pieces[2], &mut sent));
    assert_eq!(encoded, verdict(&pieces.concat(), policy));
    if encoded.is_ok() {
        let mut read = Vec::new();
        let mut lines = Lines::new(64);
        while let Some(line) = lines.next(&mut sent) {
            let line = line.expect("a command");
            let line = std::str::from_utf8(&line).expect("a command is text");
            let size = line.strip_prefix("BDAT ").expect("nothing but chunks");
            let (size, last) = size.strip_suffix(" LAST").map_or((size, false), |size| (size, true));
            let octets = sent.split_to(size.parse().expect("a size"));
            read.extend_from_slice(&octets);
            assert_eq!(last, sent.is_empty());
        }
        assert_eq!(read, pieces.concat());
    }
}

/// What has come of a chunk is added to `message`; its verdict where it has ended.
fn chunk(decoder: &mut ChunkDecoder, input: &mut BytesMut, message: &mut Vec<u8>) -> Option<Result<(), ChunkError>> {
    loop {
        match decoder.decode(input) {
            Chunked::Data(data) => message.extend_from_slice(&data),
            Chunked::More => return None,
            Chunked::End(verdict) | Chunked::Last(verdict) => return Some(verdict),
        }
    }
}
