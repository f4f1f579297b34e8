//! CRC-32 of ITU V.42, as FINGERPRINT needs it (RFC 8489 section 14.7).

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32; // below 256, so nothing is cut
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (0xedb8_8320 * (value & 1));
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// The checksum of the bytes, given in pieces.
pub fn crc32(pieces: &[&[u8]]) -> u32 {
    let mut value = u32::MAX;
    for byte in pieces.iter().copied().flatten() {
        value = TABLE[usize::from(value.to_le_bytes()[0] ^ byte)] ^ (value >> 8);
    }
    !value
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_standard_check_value() {
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xcbf4_3926);
    }
}
