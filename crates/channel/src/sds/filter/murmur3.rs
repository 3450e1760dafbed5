//! MurmurHash3, x86, 32 bits, seed 0: what `@waku/sds` hashes ids with.
//!
//! The rule: it hashes characters, not bytes. Where each is ASCII this is the known function of the text; a wider one spills into its
//! neighbours, as in the published code.

/// The 32-bit hash of a text, given as one unit for each character.
pub(super) fn hash32(units: &[u16]) -> u32 {
    let mut hash = 0_u32;
    let mut chunks = units.chunks_exact(4);
    for chunk in &mut chunks {
        hash =
            (hash ^ scramble(little_endian(chunk))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !chunks.remainder().is_empty() {
        hash ^= scramble(little_endian(chunks.remainder()));
    }
    // Lengths beyond 32 bits wrap, as they do in the original.
    hash ^= units.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

const fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

fn little_endian(units: &[u16]) -> u32 {
    units.iter().rev().fold(0, |word, unit| word << 8 | u32::from(*unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (text, hash) in [
            ("", 0),
            ("a", 0x3c25_69b2),
            ("abc", 0xb3dd_93fa),
            ("abcd", 0x43ed_676a),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ] {
            let units: Vec<u16> = text.encode_utf16().collect();
            assert_eq!(hash32(&units), hash, "{text:?}");
        }
    }
}
