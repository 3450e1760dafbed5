//! Bytes as text that somebody copies: bech32m (BIP-350) over text of any length.
//!
//! The rule: one text per value. The prefix is the expected one, the checksum holds, and no bit is left over. The longer the text, the
//! fewer wrong characters the checksum finds for *certain* (four up to 90 characters, three up to 1,023); it misses any other change once
//! in 2^30.

use bech32::primitives::decode::{CharError, CheckedHrpstring, UncheckedHrpstring, UncheckedHrpstringError};
use bech32::{Bech32m, Checksum, Hrp};
use std::fmt;

/// Text that is not bech32m with the expected prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Bech32mError {
    /// It has not the shape: a prefix, `1`, and a checksum at least.
    #[error("it is no prefix with data behind it")]
    Shape,
    /// It has another prefix.
    #[error("it has another prefix")]
    Prefix,
    /// It mixes upper and lower case.
    #[error("it mixes upper and lower case")]
    MixedCase,
    /// It has a character that bech32 does not have.
    #[error("{0:?} is not a character of bech32")]
    Character(char),
    /// The checksum does not match.
    #[error("its checksum does not match")]
    Checksum,
    /// Bits that belong to no byte are not zero, or are too many.
    #[error("bits are left over at its end")]
    Padding,
}

/// Writes `bytes` behind `prefix`, in lower case.
///
/// # Errors
///
/// When `prefix` is none, or `out` fails.
pub fn write(out: &mut impl fmt::Write, prefix: &str, bytes: &[u8]) -> fmt::Result {
    let prefix = Hrp::parse(prefix).map_err(|_| fmt::Error)?;
    bech32::encode_lower_to_fmt::<Long, _>(out, prefix, bytes).map_err(|_| fmt::Error)
}

/// Adds the bytes in `text` to `bytes`. The caller bounds the length of `text`; it is in one case, either.
///
/// # Errors
///
/// [`Bech32mError`].
pub fn read(prefix: &str, text: &str, bytes: &mut impl Extend<u8>) -> Result<(), Bech32mError> {
    let unchecked = UncheckedHrpstring::new(text).map_err(|error| match error {
        UncheckedHrpstringError::Char(CharError::InvalidChar(found)) => Bech32mError::Character(found),
        UncheckedHrpstringError::Char(CharError::MixedCase) => Bech32mError::MixedCase,
        _ => Bech32mError::Shape,
    })?;
    if !unchecked.hrp().as_str().eq_ignore_ascii_case(prefix) {
        return Err(Bech32mError::Prefix);
    }
    let checked = CheckedHrpstring::new::<Long>(text).map_err(|_| Bech32mError::Checksum)?;
    checked.validate_segwit_padding().map_err(|_| Bech32mError::Padding)?;
    bytes.extend(checked.byte_iter());
    Ok(())
}

/// The checksum of bech32m, without its limit of 90 characters.
enum Long {}

impl Checksum for Long {
    type MidstateRepr = <Bech32m as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32m as Checksum>::CorrectionField;

    const ROOT_GENERATOR: Self::CorrectionField = Bech32m::ROOT_GENERATOR;
    const ROOT_EXPONENTS: std::ops::RangeInclusive<usize> = Bech32m::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32m::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32m::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32m::TARGET_RESIDUE;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(bytes: &[u8]) -> String {
        let mut text = String::new();
        write(&mut text, "qrt", bytes).unwrap();
        text
    }

    fn bytes(text: &str) -> Result<Vec<u8>, Bech32mError> {
        let mut bytes = Vec::new();
        read("qrt", text, &mut bytes).map(|()| bytes)
    }

    fn error(text: &str) -> Bech32mError {
        bytes(text).unwrap_err()
    }

    proptest! {
        #[test]
        fn what_is_written_reads(value: Vec<u8>) {
            let text = written(&value);
            prop_assert_eq!(bytes(&text), Ok(value.clone()));
            prop_assert_eq!(bytes(&text.to_uppercase()), Ok(value));
        }
    }

    #[test]
    fn long_text_reads_too() {
        let long = vec![7; 10_000];
        assert_eq!(bytes(&written(&long)), Ok(long));
    }

    #[test]
    fn each_kind_of_wrong_text_has_its_own_error() {
        let text = written(b"some bytes");
        assert_eq!(error("qqq"), Bech32mError::Shape);
        assert_eq!(error(""), Bech32mError::Shape);
        assert_eq!(read("abc", &text, &mut Vec::new()), Err(Bech32mError::Prefix));
        assert_eq!(error(&text.replacen('q', "Q", 1)), Bech32mError::MixedCase);
        assert_eq!(error(&format!("{text}b")), Bech32mError::Character('b'));
        assert_eq!(error(&text[..text.len() - 1]), Bech32mError::Checksum);
        let older = bech32::encode::<bech32::Bech32>(Hrp::parse("qrt").unwrap(), b"x").unwrap();
        assert_eq!(error(&older), Bech32mError::Checksum);
    }

    #[test]
    fn bits_that_are_left_over_are_an_error() {
        use bech32::Fe32;
        use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
        let hrp = Hrp::parse("qrt").unwrap();
        let mut symbols: Vec<Fe32> = b"x".iter().copied().bytes_to_fes().collect();
        symbols[1] = Fe32::L;
        let text: String = symbols.iter().copied().with_checksum::<Long>(&hrp).chars().collect();
        assert_eq!(error(&text), Bech32mError::Padding);
        symbols[1] = Fe32::Q;
        let text: String = symbols.into_iter().with_checksum::<Long>(&hrp).chars().collect();
        assert_eq!(bytes(&text), Ok(b"x".to_vec()));
    }
}
