//! Words of up to 23 octets as integers, which compare at once and without regard to case.

/// The word at the beginning of a harmless text in upper case, and how many octets it takes: it
/// ends where a space, a control character or the text does. Of a word of 24 octets and more
/// nothing is told; no known name is so long.
///
/// Letters lose the bit that makes them small. What else loses it becomes a control character,
/// which no name holds.
#[inline(always)]
pub(super) const fn word(text: &[u8]) -> ([u64; 3], usize) {
    let (first, length) = part(text);
    if length < 8 {
        return ([first, 0, 0], length);
    }
    let (second, length) = part(text.split_at(8).1);
    if length < 8 {
        return ([first, second, 0], 8 + length);
    }
    let (third, length) = part(text.split_at(16).1);
    if length < 8 { ([first, second, third], 16 + length) } else { ([0; 3], 24) }
}

/// At most eight octets of a word.
#[inline(always)]
const fn part(text: &[u8]) -> (u64, usize) {
    const UPPER: u64 = 0xdfdf_dfdf_dfdf_dfdf;
    const EACH: u64 = 0x0101_0101_0101_0101;
    let octets = match text.first_chunk() {
        Some(octets) => u64::from_le_bytes(*octets),
        None => last_part(text),
    };
    // The high bit of each octet up to 0x20, exact for the first of them.
    let ends = octets.wrapping_sub(0x21 * EACH) & !octets & (0x80 * EACH);
    if ends == 0 {
        return (octets & UPPER, 8);
    }
    // The bits below the end, without its octet.
    let before = ends ^ (ends - 1);
    (octets & UPPER & (before >> 8), ends.trailing_zeros() as usize / 8)
}

/// Fewer than eight octets, and spaces behind them.
#[inline(always)]
const fn last_part(text: &[u8]) -> u64 {
    const SPACES: u64 = 0x2020_2020_2020_2020;
    let octets = match (text.first_chunk(), text.last_chunk()) {
        // Where the two overlap they agree.
        (Some(first), Some(last)) => {
            u32::from_le_bytes(*first) as u64 | (u32::from_le_bytes(*last) as u64) << (8 * (text.len() - 4))
        }
        _ => match text {
            [] => 0,
            [a] => u64::from_le_bytes([*a, 0, 0, 0, 0, 0, 0, 0]),
            [a, b] => u64::from_le_bytes([*a, *b, 0, 0, 0, 0, 0, 0]),
            [a, b, c, ..] => u64::from_le_bytes([*a, *b, *c, 0, 0, 0, 0, 0]),
        },
    };
    octets | SPACES << (8 * text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_ends_at_a_space_or_with_the_text() {
        for length in 0..=26 {
            for end in ["", " ", "\t", "\r", " xxxxxxxxxxxxxxxxxxxxxxxxx", "\r\n250-xxxxxxxx"] {
                let text = format!("{}{end}", &"abcdefghijklmnopqrstuvwxyz"[..length]);
                let (packed, found) = word(text.as_bytes());
                assert_eq!(found, length.min(24), "{text:?}");
                let mut octets = packed.iter().flat_map(|part| part.to_le_bytes()).collect::<Vec<_>>();
                octets.truncate(if length < 24 { length } else { 0 });
                assert_eq!(octets, text.as_bytes()[..octets.len()].to_ascii_uppercase());
                assert_eq!(packed == [0; 3], length == 0 || length >= 24);
            }
        }
        assert_eq!(word("ü x".as_bytes()).1, 2);
    }
}
