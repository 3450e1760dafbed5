//! A signer with its keys in memory.

use crate::recover::address_of;
use alloy_primitives::{Address, keccak256};
use async_trait::async_trait;
use bytes::Bytes;
use k256::ecdsa::SigningKey;
use quorate_query::Reason;
use quorate_query::signer::{Fetched, SignError, SignKind, SignRequest, Signature, Signed, Signer};
use std::collections::BTreeMap;
use std::fmt;

/// Signs with secp256k1; `Hash` hashes with Keccak-256 first. Signatures are deterministic (RFC 6979) and low in `s`.
#[derive(Clone, Default)]
pub struct LocalSigner {
    keys: BTreeMap<Address, SigningKey>,
}

/// Bytes that are no secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret key has 32 bytes and is a number from 1 to the order of the curve")]
pub struct NotAKey;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 32 bytes, this one has {0}")]
struct NotADigest(usize);

impl LocalSigner {
    /// Without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a secret key more; its address.
    ///
    /// # Errors
    ///
    /// [`NotAKey`].
    pub fn insert(&mut self, secret: &[u8]) -> Result<Address, NotAKey> {
        // The library would take a shorter one for one with zeros in front.
        let secret = <[u8; 32]>::try_from(secret).map_err(|_| NotAKey)?;
        let key = SigningKey::from_slice(&secret).map_err(|_| NotAKey)?;
        let address = address_of(key.verifying_key().as_affine());
        self.keys.insert(address, key);
        Ok(address)
    }

    /// `r`, `s`, and the parity of the point.
    fn sign_digest(key: &SigningKey, digest: &[u8]) -> [u8; 65] {
        let (signature, parity) = key.sign_prehash_recoverable(digest);
        let mut bytes = [0; 65];
        let (scalars, last) = bytes.split_at_mut(64);
        scalars.copy_from_slice(&signature.to_bytes());
        last.fill(parity.is_y_odd().into());
        bytes
    }
}

impl fmt::Debug for LocalSigner {
    /// The addresses; never the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

#[async_trait]
impl Signer for LocalSigner {
    async fn sign(&self, request: &SignRequest, _fetched: &[Fetched]) -> Result<Signed, SignError> {
        let account = Address::try_from(&request.account[..]).ok();
        let key = account.and_then(|account| self.keys.get(&account)).ok_or(SignError::UnknownAccount)?;
        let message = &request.message;
        let bytes = match request.kind {
            SignKind::Hash => Self::sign_digest(key, keccak256(message).as_slice()),
            SignKind::Raw if message.len() == 32 => Self::sign_digest(key, message),
            SignKind::Raw => return Err(SignError::BadMessage(Reason::new(NotADigest(message.len())))),
            _ => return Err(SignError::UnknownKind),
        };
        let bytes = Bytes::copy_from_slice(&bytes);
        Ok(Signed::Signature(Signature { message: message.clone(), bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::recover;
    use alloy_primitives::{B256, U256};
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// A signer in memory waits for nothing.
    fn sign(
        signer: &LocalSigner,
        account: &[u8],
        message: &[u8],
        kind: SignKind,
    ) -> Result<Signature, SignError> {
        let (account, message) = (Bytes::copy_from_slice(account), Bytes::copy_from_slice(message));
        let request = SignRequest { account, message, kind };
        let mut signing = pin!(signer.sign(&request, &[]));
        match signing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Signed::Signature(signature))) => Ok(signature),
            Poll::Ready(Ok(Signed::Needs(_))) | Poll::Pending => Err(SignError::NoSigner),
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    fn signer() -> (LocalSigner, Address) {
        let mut signer = LocalSigner::new();
        let address = signer.insert(&[7; 32]);
        (signer, address.unwrap_or_default())
    }

    /// Who made a signature over this digest.
    fn who(signature: &Signature, digest: B256) -> Option<Address> {
        let (r, rest) = signature.bytes.split_at_checked(32)?;
        let (s, parity) = rest.split_at_checked(32)?;
        recover(U256::from_be_slice(r), U256::from_be_slice(s), parity == [1], digest)
    }

    #[test]
    fn a_raw_message_is_the_digest_and_another_is_hashed_first() {
        let (signer, address) = signer();
        let digest = keccak256("a message");
        let raw = sign(&signer, address.as_slice(), digest.as_slice(), SignKind::Raw).unwrap();
        let hashed = sign(&signer, address.as_slice(), b"a message", SignKind::Hash).unwrap();
        assert_eq!(raw.bytes, hashed.bytes, "signatures are deterministic");
        assert_eq!((raw.bytes.len(), who(&raw, digest)), (65, Some(address)));
        assert_eq!((&raw.message[..], &hashed.message[..]), (digest.as_slice(), &b"a message"[..]));
        // 32 bytes that are to be hashed are hashed.
        let twice = sign(&signer, address.as_slice(), digest.as_slice(), SignKind::Hash).unwrap();
        assert_eq!((who(&twice, keccak256(digest)), twice.bytes == raw.bytes), (Some(address), false));
    }

    #[test]
    fn a_digest_of_another_length_is_a_bad_message() {
        let (signer, address) = signer();
        for length in [0, 31, 33, 64] {
            let error = sign(&signer, address.as_slice(), &vec![1; length], SignKind::Raw).unwrap_err();
            assert!(matches!(&error, SignError::BadMessage(_)), "{error}");
            assert!(error.to_string().ends_with(&format!("this one has {length}")), "{error}");
        }
    }

    #[test]
    fn an_account_that_is_not_there_is_unknown() {
        let (signer, address) = signer();
        let key = [address.as_slice(), &[0]].concat();
        for account in [&[][..], &[1; 20], &key, &address[..19]] {
            let error = sign(&signer, account, &[1; 32], SignKind::Raw).unwrap_err();
            assert!(matches!(error, SignError::UnknownAccount), "{account:?}: {error}");
        }
        let nobody = sign(&LocalSigner::new(), address.as_slice(), &[1; 32], SignKind::Raw);
        assert!(matches!(nobody, Err(SignError::UnknownAccount)));
    }

    #[test]
    fn what_is_no_number_of_the_curve_is_no_key() {
        let mut signer = LocalSigner::new();
        // The order of secp256k1 (SEC 2, 2.4.1), the first number that is no key.
        let order =
            alloy_primitives::b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        let mut last = order;
        last.0[31] -= 1;
        for broken in [&[][..], &[7; 31], &[7; 33], &[0; 32], order.as_slice(), &[0xff; 32]] {
            assert_eq!(signer.insert(broken), Err(NotAKey));
        }
        assert!(signer.insert(last.as_slice()).is_ok());
    }

    #[test]
    fn keys_are_not_shown() {
        let (signer, address) = signer();
        let shown = format!("{signer:?}");
        assert!(shown.to_lowercase().contains(&address.to_string().to_lowercase()));
        assert!(!shown.contains("0707"), "{shown}");
    }
}
