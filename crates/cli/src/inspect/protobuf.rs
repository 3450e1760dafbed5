//! Where in a protobuf message an error lies.
//!
//! The rule: the layers' decoders say what is wrong, this says where: at the first field with which the message
//! up to there is wrong in the same way.

/// The offset of the field that makes `is_wrong`, which holds for all of `bytes`; their length where no field does.
pub(super) fn offending(bytes: &[u8], is_wrong: impl Fn(&[u8]) -> bool) -> usize {
    let mut start = 0;
    while start < bytes.len() {
        let end = match field(&bytes[start..]) {
            Some(len) => start + len,
            None => return start,
        };
        if is_wrong(&bytes[..end]) {
            return start;
        }
        start = end;
    }
    bytes.len()
}

/// The length of the field at the beginning, key included; `None` where it does not hold.
fn field(bytes: &[u8]) -> Option<usize> {
    let (key, key_len) = varint(bytes)?;
    let rest = &bytes[key_len..];
    let value = match key & 7 {
        0 => varint(rest)?.1,
        1 => 8,
        2 => {
            let (len, len_len) = varint(rest)?;
            len_len.checked_add(usize::try_from(len).ok()?)?
        }
        5 => 4,
        // Groups are in no message of ours.
        _ => return None,
    };
    (key >> 3 != 0 && value <= rest.len()).then_some(key_len + value)
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_does_not_fit_is_found() {
        // Field 1 is 3, field 2 has one byte, field 3 announces nine and has one.
        let bytes = [0x08, 3, 0x12, 1, b'a', 0x1a, 9, b'b'];
        assert_eq!(offending(&bytes, |_| false), 5);
        assert_eq!(offending(&bytes[..5], |prefix| prefix.len() > 2), 2);
        assert_eq!(offending(&bytes[..5], |_| false), 5);
        assert_eq!(offending(&[0x80, 0x80], |_| false), 0);
        assert_eq!(offending(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], |_| false), 0);
    }
}
