//! The search for what a relaxed form changes.

/// Octets that are looked at together, without a branch, so that the compiler makes vectors of
/// them.
const BLOCK: usize = 128;
/// So many of them, and it is seen anew whether there are blanks.
const BLOCKS: usize = 16;
/// Fewer, for the values of fields.
const SMALL: usize = 16;
/// Octets that are looked at in words before the blocks begin, at least.
const NEAR: usize = 64;
/// The blocks begin near a multiple of it, so that few of their parts lie in two cache lines.
const ALIGNED: usize = 64;

/// How many octets at the start of `text` are without a tab, and without a space that a space or
/// a CR follows: the relaxed form of a body leaves them as they are, but perhaps for one space at
/// their end.
pub(super) fn clean(text: &[u8]) -> usize {
    // Where there is one exception, the next is often near.
    let mut at = 0;
    let near = text.get(NEAR..).map_or(NEAR, |rest| NEAR + rest.as_ptr().align_offset(ALIGNED).min(ALIGNED) / 8 * 8);
    while at < near {
        match clean_word::<false>(text, at) {
            Some(8) => at += 8,
            Some(found) => return at + found,
            None => return at + clean_octets::<false>(&text[at..]),
        }
    }
    loop {
        // Where there are no blanks, as in base64, nothing is faster than to look for one.
        let Some(blank) = memchr::memchr2(b' ', b'\t', &text[at..]) else { return text.len() };
        at += blank / ALIGNED * ALIGNED;
        // Where there are, each octet is looked at beside the one behind it.
        let (here, next) = (&text[at..], text.get(at + 1..).unwrap_or_default());
        let blocks = here.chunks_exact(BLOCK).zip(next.chunks_exact(BLOCK)).take(BLOCKS);
        let clean = blocks.take_while(|(block, next)| is_clean::<false>(block, next)).count();
        at += clean * BLOCK;
        if clean < BLOCKS {
            return at + rest::<false>(&text[at..]);
        }
    }
}

/// The same of the value of a field, in which a CR may begin a fold: how many octets are without
/// that too. A line of it is seldom longer than a few small blocks, and has few exceptions.
pub(super) fn clean_value(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(octets) = text[at..].first_chunk::<{ SMALL + 1 }>()
        && is_clean::<true>(&octets[..SMALL], &octets[1..])
    {
        at += SMALL;
    }
    // What is left fits into one small block, with some of what is before it.
    if text.len() - at <= SMALL
        && let Some(octets) = text.last_chunk::<{ SMALL + 1 }>()
        && is_clean::<true>(&octets[..SMALL], &octets[1..])
        && !is_alone::<true>(octets[SMALL])
    {
        return text.len();
    }
    at + rest::<true>(&text[at..])
}

/// Whether an octet is an exception, whatever follows it.
#[inline]
fn is_alone<const VALUE: bool>(octet: u8) -> bool {
    octet == b'\t' || VALUE && octet == b'\r'
}

/// Whether a block is clean. The fold has no branch: one would keep the compiler from vectors.
#[inline]
fn is_clean<const VALUE: bool>(block: &[u8], next: &[u8]) -> bool {
    let found = block.iter().zip(next).fold(0, |found, (&octet, &next)| {
        let space = u8::from(octet == b' ') & (u8::from(next == b' ') | u8::from(next == b'\r'));
        let cr = if VALUE { u8::from(octet == b'\r') } else { 0 };
        found | u8::from(octet == b'\t') | cr | space
    });
    found == 0
}

/// How many octets are clean, in words.
fn rest<const VALUE: bool>(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match clean_word::<VALUE>(text, at) {
            Some(8) => at += 8,
            Some(found) => return at + found,
            None => return at + clean_octets::<VALUE>(&text[at..]),
        }
    }
}

/// How many of the eight octets at `at` are clean; `None` near the end, where they cannot be
/// looked at together.
#[inline]
fn clean_word<const VALUE: bool>(text: &[u8], at: usize) -> Option<usize> {
    let nine = text.get(at..at + 9)?;
    let (octets, next) = (u64::from_le_bytes(*nine.first_chunk()?), u64::from_le_bytes(*nine.last_chunk()?));
    let cr = if VALUE { equal(octets, b'\r') } else { 0 };
    let found = equal(octets, b'\t') | cr | equal(octets, b' ') & (equal(next, b' ') | equal(next, b'\r'));
    Some(found.trailing_zeros() as usize / 8)
}

/// The same octet by octet.
fn clean_octets<const VALUE: bool>(text: &[u8]) -> usize {
    let dirty = |(at, &octet): (usize, &u8)| match octet {
        b' ' => matches!(text.get(at + 1), Some(b' ' | b'\r')),
        octet => is_alone::<VALUE>(octet),
    };
    text.iter().enumerate().position(dirty).unwrap_or(text.len())
}

/// The top bit of each octet of the word that is `octet`, and no other.
fn equal(word: u64, octet: u8) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const LOW: u64 = ONES * 0x7f;
    let difference = word ^ (ONES * u64::from(octet));
    !(((difference & LOW) + LOW) | difference | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octet by octet, as the texts above say it.
    fn slow(text: &[u8], value: bool) -> usize {
        (0..text.len())
            .find(|&at| match text[at] {
                b'\t' => true,
                b'\r' => value,
                b' ' => text[at + 1..].first().is_some_and(|next| b" \r".contains(next)),
                _ => false,
            })
            .unwrap_or(text.len())
    }

    #[test]
    fn every_exception_is_found_where_it_is() {
        for len in [0, 1, 7, 8, 9, 15, 16, 17, 18, 31, 32, 33, 34, 63, 64, 65, 66, 127, 128, 129, 130, 256, 257, 300] {
            let plain = vec![b'x'; len];
            assert_eq!((clean(&plain), clean_value(&plain)), (len, len));
            for at in 0..len {
                let exceptions = [&b"\t"[..], b" ", b"  ", b" \r", b" \t", b"\r ", b"\r", b"!", b" !", b" !\r"];
                for what in exceptions.into_iter().chain([&b"\x89"[..], b"\x8d", b"\xa0 ", b"\xa0\x8d"]) {
                    let mut text = plain.clone();
                    let what = &what[..what.len().min(len - at)];
                    text[at..at + what.len()].copy_from_slice(what);
                    let said = format!("{} at {at} of {len}", what.escape_ascii());
                    assert_eq!(clean(&text), slow(&text, false), "{said}");
                    assert_eq!(clean_value(&text), slow(&text, true), "{said}");
                }
            }
        }
    }

    /// Prose, base64, and one behind the other, longer than what is looked at before blanks are
    /// looked for again.
    #[test]
    fn exceptions_are_found_far_from_the_start() {
        let (prose, letters) = ("some words ".repeat(400), "x".repeat(4400));
        for plain in [&prose, &letters, &format!("{letters}{prose}"), &format!("{prose}{letters}{prose}")] {
            let end = plain.len() - usize::from(plain.ends_with(' '));
            assert_eq!(clean(&plain.as_bytes()[..end]), end);
            for at in (0..plain.len() - 2).step_by(53) {
                let mut text = plain.clone().into_bytes();
                text[at..at + 2].copy_from_slice(if at % 2 == 0 { b"  " } else { b"!\t" });
                assert_eq!(clean(&text), slow(&text, false), "{at} of {}", text.len());
            }
        }
    }

    #[test]
    fn words_are_compared_octet_by_octet() {
        for octet in 0..=255_u8 {
            let word = u64::from_le_bytes([octet, b' ', b'!', 0xa0, 0x1f, 0, octet, b' ']);
            let expected = [octet == b' ', true, false, false, false, false, octet == b' ', true];
            let found = equal(word, b' ').to_le_bytes();
            assert_eq!(found, expected.map(|is| if is { 0x80 } else { 0 }), "{octet}");
        }
    }
}
