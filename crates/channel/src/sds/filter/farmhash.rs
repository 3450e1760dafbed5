//! FarmHash64, variant NA: what Nim 2.2 hashes strings with.
//!
//! The rule: this is `farmhashna::Hash64`. The variant XO, which libraries call `hash64`, differs for 33 to 96 bytes.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

/// The 64-bit hash of `bytes`.
pub(in crate::sds) fn hash64(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0..=16 => upto_16(bytes),
        17..=32 => upto_32(bytes),
        33..=64 => upto_64(bytes),
        _ => beyond_64(bytes),
    }
}

fn upto_16(bytes: &[u8]) -> u64 {
    let len = bytes.len() as u64;
    let mul = K2.wrapping_add(len * 2);
    match bytes {
        [] => K2,
        [first, .., last] if bytes.len() < 4 => three(*first, bytes.get(bytes.len() / 2), *last, len),
        [only] => three(*only, Some(only), *only, len),
        _ if bytes.len() >= 8 => {
            let a = word(bytes, 0).wrapping_add(K2);
            let b = word(bytes, bytes.len() - 8);
            let c = b.rotate_right(37).wrapping_mul(mul).wrapping_add(a);
            let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(mul);
            mix(c, d, mul)
        }
        _ => {
            let a = half_word(bytes, 0);
            mix(len.wrapping_add(a << 3), half_word(bytes, bytes.len() - 4), mul)
        }
    }
}

fn three(first: u8, middle: Option<&u8>, last: u8, len: u64) -> u64 {
    let y = u64::from(first) + (u64::from(middle.copied().unwrap_or(0)) << 8);
    let z = len + (u64::from(last) << 2);
    shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K0)).wrapping_mul(K2)
}

fn upto_32(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let mul = K2.wrapping_add(len as u64 * 2);
    let a = word(bytes, 0).wrapping_mul(K1);
    let b = word(bytes, 8);
    let c = word(bytes, len - 8).wrapping_mul(mul);
    let d = word(bytes, len - 16).wrapping_mul(K2);
    mix(join(a, b, c, d), a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), mul)
}

fn upto_64(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let mul = K2.wrapping_add(len as u64 * 2);
    let a = word(bytes, 0).wrapping_mul(K2);
    let b = word(bytes, 8);
    let c = word(bytes, len - 8).wrapping_mul(mul);
    let d = word(bytes, len - 16).wrapping_mul(K2);
    let y = join(a, b, c, d);
    let z = mix(y, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), mul);
    let e = word(bytes, 16).wrapping_mul(mul);
    let f = word(bytes, 24);
    let g = y.wrapping_add(word(bytes, len - 32)).wrapping_mul(mul);
    let h = z.wrapping_add(word(bytes, len - 24)).wrapping_mul(mul);
    mix(join(e, f, g, h), e.wrapping_add(f.wrapping_add(a).rotate_right(18)).wrapping_add(g), mul)
}

fn beyond_64(bytes: &[u8]) -> u64 {
    const SEED: u64 = 81;
    let mut state = State {
        x: SEED.wrapping_mul(K2).wrapping_add(word(bytes, 0)),
        y: SEED.wrapping_mul(K1).wrapping_add(113),
        z: 0,
        v: (0, 0),
        w: (0, 0),
    };
    state.z = shift_mix(state.y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let tail = (bytes.len() - 1) & 63;
    let whole = (bytes.len() - 1) / 64;
    for block in bytes.chunks(64).take(whole) {
        state.block(block);
    }
    state.last(bytes.get(bytes.len() - 64..).unwrap_or_default(), tail as u64)
}

struct State {
    x: u64,
    y: u64,
    z: u64,
    v: (u64, u64),
    w: (u64, u64),
}

impl State {
    fn block(&mut self, s: &[u8]) {
        let Self { x, y, z, v, w } = self;
        *x = sum([*x, *y, v.0, word(s, 8)]).rotate_right(37).wrapping_mul(K1) ^ w.1;
        *y = sum([*y, v.1, word(s, 48)]).rotate_right(42).wrapping_mul(K1);
        *y = sum([*y, v.0, word(s, 40)]);
        *z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(K1);
        *v = weak(s, 0, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        *w = weak(s, 32, z.wrapping_add(w.1), y.wrapping_add(word(s, 16)));
        std::mem::swap(z, x);
    }

    fn last(self, s: &[u8], tail: u64) -> u64 {
        let Self { mut x, mut y, mut z, mut v, mut w } = self;
        let mul = K1.wrapping_add((z & 0xff) << 1);
        w.0 = w.0.wrapping_add(tail);
        v.0 = v.0.wrapping_add(w.0);
        w.0 = w.0.wrapping_add(v.0);
        x = sum([x, y, v.0, word(s, 8)]).rotate_right(37).wrapping_mul(mul) ^ w.1.wrapping_mul(9);
        y = sum([y, v.1, word(s, 48)]).rotate_right(42).wrapping_mul(mul);
        y = sum([y, v.0.wrapping_mul(9), word(s, 40)]);
        z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(mul);
        v = weak(s, 0, v.1.wrapping_mul(mul), x.wrapping_add(w.0));
        w = weak(s, 32, z.wrapping_add(w.1), y.wrapping_add(word(s, 16)));
        std::mem::swap(&mut z, &mut x);
        let left = sum([mix(v.0, w.0, mul), shift_mix(y).wrapping_mul(K0), z]);
        mix(left, mix(v.1, w.1, mul).wrapping_add(x), mul)
    }
}

fn weak(s: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let (w, x, y, z) = (word(s, at), word(s, at + 8), word(s, at + 16), word(s, at + 24));
    let a = a.wrapping_add(w);
    let b = sum([b, a, z]).rotate_right(21);
    let end = sum([a, x, y]);
    (end.wrapping_add(z), sum([b, end.rotate_right(44), a]))
}

fn join(a: u64, b: u64, c: u64, d: u64) -> u64 {
    sum([a.wrapping_add(b).rotate_right(43), c.rotate_right(30), d])
}

fn mix(u: u64, v: u64, mul: u64) -> u64 {
    let a = shift_mix((u ^ v).wrapping_mul(mul));
    shift_mix((v ^ a).wrapping_mul(mul)).wrapping_mul(mul)
}

const fn shift_mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

fn sum<const N: usize>(terms: [u64; N]) -> u64 {
    terms.into_iter().fold(0, u64::wrapping_add)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    let there = bytes.get(at..).unwrap_or_default();
    word.iter_mut().zip(there).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(word)
}

fn half_word(bytes: &[u8], at: usize) -> u64 {
    word(bytes, at) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn it_hashes_as_nim_does() {
        let all: Value =
            serde_json::from_str(include_str!("../../../tests/vectors/sds_hashes.json")).unwrap();
        for vector in all["farmhash"].as_array().unwrap() {
            let expected: i64 = vector["hash"].as_str().unwrap().parse().unwrap();
            let item = vector["item"].as_str().unwrap();
            assert_eq!(hash64(item.as_bytes()).cast_signed(), expected, "{item:?}");
        }
    }

    #[test]
    fn every_length_has_a_hash_of_its_own() {
        let bytes: Vec<u8> = (0..=255).cycle().take(300).collect();
        let hashes: std::collections::BTreeSet<u64> = (0..300).map(|len| hash64(&bytes[..len])).collect();
        assert_eq!(hashes.len(), 300);
    }
}
