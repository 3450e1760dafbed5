//! Who made a signature over secp256k1.
//!
//! The rule: one double multiplication, and no more. The key that comes out of it fits the signature by construction; libraries
//! verify it once more, which costs as much again.
//!
//! Source: SEC 1, 4.1.6; of the four candidates Ethereum's signatures name one of the first two.

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_primitives::{Address, B256, U256};
use k256::elliptic_curve::ops::{MulByGeneratorVartime, Reduce};
use k256::elliptic_curve::point::DecompressPoint;
use k256::elliptic_curve::scalar::IsHigh;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::elliptic_curve::{Group, PrimeField};
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};

/// Who made a signature; nobody where `r` or `s` is none of the curve's numbers, or `s` is not the lower of the two that would do.
pub(crate) fn recover(r: U256, s: U256, odd: bool, message: B256) -> Option<Address> {
    if bool::from(scalar(s)?.is_high()) { None } else { recover_any(r, s, odd, message) }
}

/// The same with either `s`.
fn recover_any(r: U256, s: U256, odd: bool, message: B256) -> Option<Address> {
    let (r_bytes, s) = (FieldBytes::from(r.to_be_bytes()), scalar(s)?);
    let r = scalar(r)?;
    // Nothing here is secret: it need not take the same time for all.
    let inverse = Option::<Scalar>::from(r.invert_vartime()).filter(|_| !bool::from(r.is_zero()))?;
    if bool::from(s.is_zero()) {
        return None;
    }
    let point: Option<AffinePoint> = AffinePoint::decompress(&r_bytes, u8::from(odd).into()).into();
    let digest = <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(message.0));
    let (of_generator, of_point) = (-(inverse * digest), inverse * s);
    let point = ProjectivePoint::from(point?);
    let key = ProjectivePoint::mul_by_generator_and_mul_add_vartime(&of_generator, &of_point, &point);
    (!bool::from(key.is_identity())).then(|| address_of(&key.to_affine()))
}

/// The address of a public key, which is not the point at infinity.
pub(crate) fn address_of(key: &AffinePoint) -> Address {
    let point = key.to_sec1_point(false);
    // The first byte says how the rest is written.
    point.as_bytes().get(1..).map(Address::from_raw_public_key).unwrap_or_default()
}

/// Who sent a transaction; nobody where its signature is nobody's. The oldest ones, which name no chain, may have either `s`: until
/// Homestead (EIP-2) both were valid.
pub(crate) fn recover_sender(transaction: &TxEnvelope) -> Option<Address> {
    let signature = transaction.signature();
    let recover = if transaction.chain_id().is_none() { recover_any } else { recover };
    recover(signature.r(), signature.s(), signature.v(), transaction.signature_hash())
}

/// A number below the order of the curve.
fn scalar(number: U256) -> Option<Scalar> {
    Scalar::from_repr(FieldBytes::from(number.to_be_bytes())).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Signature, keccak256};
    use k256::ecdsa::SigningKey;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    /// What the library says, which verifies as well.
    fn by_library(r: U256, s: U256, odd: bool, message: B256) -> Option<Address> {
        let signature = Signature::new(r, s, odd);
        let high = signature.normalize_s().is_some();
        if high { None } else { signature.recover_address_from_prehash(&message).ok() }
    }

    proptest! {
        #[test]
        fn a_signer_is_found_and_nobody_else(secret: [u8; 32], message: [u8; 32], wrong: bool, flip in 0usize..64) {
            let message = B256::from(message);
            let secret = keccak256(secret);
            let key = SigningKey::from_slice(secret.as_slice()).expect("a hash is a key");
            let (signature, parity) = key.sign_prehash_recoverable(message.as_slice());
            let mut bytes = signature.to_bytes();
            if wrong {
                bytes[flip] ^= 1;
            }
            let (r, s) = (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..]));
            let found = recover(r, s, parity.is_y_odd(), message);
            prop_assert_eq!(found, by_library(r, s, parity.is_y_odd(), message));
            let signer = address_of(key.verifying_key().as_affine());
            prop_assert_eq!(found == Some(signer), !wrong);
        }

        #[test]
        fn any_numbers_are_judged_as_the_library_judges_them(
            r: [u8; 32], s: [u8; 32], message: [u8; 32], odd: bool, edge in any::<u8>(),
        ) {
            // SEC 2, 2.4.1.
            let order = alloy_primitives::uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
            let pick = |bytes, edge| match edge % 8 {
                0 => U256::ZERO,
                1 => order,
                2 => order - U256::from(1),
                3 => order >> 1,
                4 => (order >> 1) + U256::from(1),
                _ => U256::from_be_bytes(bytes),
            };
            let (r, s, message) = (pick(r, edge), pick(s, edge / 8), B256::from(message));
            prop_assert_eq!(recover(r, s, odd, message), by_library(r, s, odd, message));
        }
    }
}
