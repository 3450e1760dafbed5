//! Leopard's definition, written down a second time without any fast transform, and every set held to it.
//!
//! A shard is a column of field elements. In a field with Cantor basis `b`, point `i` is the sum of `b[j]` over the bits `j` of
//! `i`. Of `m` the next power of two of the parity count, the data shards stand at the points from `m` on, in groups of
//! `m`; a parity shard is the sum over the groups of the value, at its own point, of the polynomial of degree below `m`
//! through the group.

use super::*;
use proptest::prelude::*;

/// A field whose elements are written in Cantor's basis, by tables of logarithms.
struct Field {
    log: Vec<usize>,
    power: Vec<usize>,
}

impl Field {
    fn new(bits: u32, polynomial: usize, basis: &[usize]) -> Self {
        let order = 1usize << bits;
        let mut plain_log = vec![0; order];
        let mut state = 1;
        for exponent in 0..order - 1 {
            plain_log[state] = exponent;
            state <<= 1;
            if state >= order {
                state ^= polynomial;
            }
        }
        // Coordinates in Cantor's basis name the element that is their sum.
        let element = |name: usize| {
            basis.iter().enumerate().filter(|(bit, _)| name >> bit & 1 == 1).fold(0, |sum, (_, b)| sum ^ b)
        };
        let mut field = Self { log: vec![0; order], power: vec![0; order - 1] };
        for name in 1..order {
            let exponent = plain_log[element(name)];
            field.log[name] = exponent;
            field.power[exponent] = name;
        }
        field
    }

    fn small() -> Self {
        Self::new(8, 0x11D, &[1, 214, 152, 146, 86, 200, 88, 230])
    }

    fn large() -> Self {
        let basis = [
            0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012, 0x6C98, 0x10D8, 0x6A72, 0xB900,
            0xFDB8, 0xFB34, 0xFF38, 0x991E,
        ];
        Self::new(16, 0x1002D, &basis)
    }

    fn mul(&self, a: usize, b: usize) -> usize {
        if a == 0 || b == 0 {
            return 0;
        }
        self.power[(self.log[a] + self.log[b]) % self.power.len()]
    }

    fn div(&self, a: usize, b: usize) -> usize {
        if a == 0 { 0 } else { self.power[(self.log[a] + self.power.len() - self.log[b]) % self.power.len()] }
    }

    /// The value at `point` of the polynomial through `values` at the points from `first` on. Sums are XOR.
    fn interpolate(&self, values: &[usize], first: usize, point: usize) -> usize {
        let term = |(i, value): (usize, &usize)| {
            let others = (0..values.len()).filter(|j| *j != i);
            others.fold(*value, |product, j| {
                self.div(self.mul(product, point ^ (first + j)), (first + i) ^ (first + j))
            })
        };
        values.iter().enumerate().map(term).fold(0, |sum, term| sum ^ term)
    }

    /// The parity of one column.
    fn parity(&self, column: &[usize], parity: usize) -> Vec<usize> {
        let m = parity.next_power_of_two();
        let mut column = column.to_vec();
        column.resize(column.len().div_ceil(m) * m, 0);
        let groups = || column.chunks(m).zip(1..);
        let at = |point| groups().fold(0, |sum, (group, n)| sum ^ self.interpolate(group, n * m, point));
        (0..parity).map(at).collect()
    }
}

/// One element of a shard: a byte, or in GF(2^16) a byte of each half of a block of 64.
fn column(shards: &[Bytes], large: bool) -> Vec<usize> {
    let element = |shard: &Bytes| usize::from(shard[5]) | if large { usize::from(shard[37]) << 8 } else { 0 };
    shards.iter().map(element).collect()
}

fn data(count: usize, shard: usize) -> Vec<Bytes> {
    let byte = |index: usize, at: usize| (index * 89 + at * 31 + index * at % 7 + 3) as u8;
    (0..count).map(|index| (0..shard).map(|at| byte(index, at)).collect::<Vec<_>>().into()).collect()
}

/// All rates from a segment up to as many as there are data, at steps, and every set that 12.5 % yields, rounded up or down.
#[test]
fn parity_is_leopards_in_every_set_of_at_most_256() {
    let (small, large) = (Field::small(), Field::large());
    let mut tried = [0; 4];
    for count in (1..=255_usize).step_by(3).chain([8, 98, 99, 224, 225, 227, 228, 239, 240, 254, 255]) {
        let eighth = [count / 8, count.div_ceil(8)];
        for parity in eighth.into_iter().chain([1, 2, 15, 17, count / 2, count]) {
            let Some(code) = Code::of(count, parity).filter(|_| count + parity <= 256) else { continue };
            tried[code as usize] += 1;
            let data = data(count, 64);
            let encoded = encode(&data, parity, 64).unwrap();
            assert_eq!(encoded.len(), parity);
            let expected = match code {
                Code::Copy => vec![usize::from(data[0][5])],
                Code::Xor => vec![column(&data, false).into_iter().fold(0, |sum, byte| sum ^ byte)],
                Code::Small => small.parity(&column(&data, false), parity),
                Code::Large => large.parity(&column(&data, true), parity),
            };
            assert_eq!(column(&encoded, code == Code::Large), expected, "{count} + {parity}");
        }
    }
    assert!(tried.iter().all(|count| *count >= 1), "{tried:?}");
}

#[test]
fn the_counts_are_rounded_up_and_stay_within_256() {
    let eighth = |data| count(data, 125);
    assert_eq!([1, 8, 9, 100, 224, 228, 250, 256].map(eighth), [1, 1, 2, 13, 28, 28, 6, 0]);
    assert_eq!((count(10, 0), count(10, 1_000), count(200, 1_000)), (0, 10, 56));
}

#[test]
fn counts_without_a_code_are_refused() {
    assert_eq!(encode(&data(2, 64), 3, 64), None);
    assert_eq!(encode(&[], 1, 64), None);
    let pieces = data(4, 64);
    let held: Vec<_> = pieces.iter().map(Some).collect();
    assert_eq!(recover(&held, &[], 64), Some(BTreeMap::new()), "nothing is missing");
    assert_eq!(recover(&[None, None], &[Some(&pieces[0]), None], 64), None, "too few");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_sufficient_subset_recovers(
        shape in prop_oneof![Just((1, 1)), Just((5, 1)), Just((8, 8)), Just((100, 12)), Just((100, 13)),
            Just((224, 28)), Just((225, 29)), Just((239, 17)), (2..120usize, 2..40usize)],
        order in any::<u64>(),
        last in 1..=128usize,
    ) {
        let (count, parity) = (shape.0, shape.1.min(shape.0));
        let mut pieces = data(count, 128);
        pieces[count - 1].truncate(last);
        let parities = encode(&pieces, parity, 128).unwrap();
        let mut places: Vec<usize> = (0..count + parity).collect();
        fastrand::Rng::with_seed(order).shuffle(&mut places);
        let kept: std::collections::BTreeSet<usize> = places.into_iter().take(count).collect();
        let held = |from: usize, shards: &'_ [Bytes]| -> Vec<Option<Bytes>> {
            shards.iter().enumerate().map(|(at, shard)| kept.contains(&(from + at)).then(|| shard.clone())).collect()
        };
        let (held_data, held_parity) = (held(0, &pieces), held(count, &parities));
        let data_refs: Vec<_> = held_data.iter().map(Option::as_ref).collect();
        let parity_refs: Vec<_> = held_parity.iter().map(Option::as_ref).collect();
        let restored = recover(&data_refs, &parity_refs, 128).unwrap();
        for (index, piece) in pieces.iter().enumerate().filter(|(index, _)| !kept.contains(index)) {
            prop_assert_eq!(&restored[&index][..piece.len()], &piece[..], "{} of {} + {}", index, count, parity);
        }
    }
}
