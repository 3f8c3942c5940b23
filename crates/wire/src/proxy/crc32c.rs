//! CRC-32C, the checksum of version 2 (RFC 9260 appendix A has the polynomial).

/// The polynomial of Castagnoli, bits reversed.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// The checksum of several pieces in a row.
pub(super) fn checksum(pieces: &[&[u8]]) -> u32 {
    let octets = pieces.iter().flat_map(|piece| piece.iter());
    !octets.fold(!0, |crc: u32, octet| TABLE[usize::from(crc as u8 ^ octet)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_checksums() {
        assert_eq!(checksum(&[b"123456789"]), 0xE306_9283);
        assert_eq!(checksum(&[b"1234", b"", b"56789"]), 0xE306_9283);
        assert_eq!(checksum(&[&[0; 32]]), 0x8A91_36AA);
        assert_eq!(checksum(&[&[0xFF; 32]]), 0x62A8_AB43);
        assert_eq!(checksum(&[]), 0);
    }
}
