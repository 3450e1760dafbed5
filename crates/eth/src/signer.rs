//! A signer with its keys in memory.

use alloy_primitives::{Address, keccak256};
use async_trait::async_trait;
use bytes::Bytes;
use k256::ecdsa::{self, SigningKey};
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

/// Happens for no key and digest that anybody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the curve has no signature for this digest")]
struct CurveFailed;

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
        let key = SigningKey::from_slice(secret).map_err(|_| NotAKey)?;
        let address = Address::from_public_key(key.verifying_key());
        self.keys.insert(address, key);
        Ok(address)
    }

    /// `r`, `s`, and the parity of the point.
    fn sign_digest(key: &SigningKey, digest: &[u8]) -> Result<[u8; 65], ecdsa::Error> {
        let (signature, parity) = key.sign_prehash_recoverable(digest)?;
        let mut bytes = [0; 65];
        let (scalars, last) = bytes.split_at_mut(64);
        scalars.copy_from_slice(&signature.to_bytes());
        last.fill(parity.is_y_odd().into());
        Ok(bytes)
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
        let signed = match request.kind {
            SignKind::Hash => Self::sign_digest(key, keccak256(message).as_slice()),
            SignKind::Raw if message.len() == 32 => Self::sign_digest(key, message),
            SignKind::Raw => return Err(SignError::BadMessage(Reason::new(NotADigest(message.len())))),
            _ => return Err(SignError::UnknownKind),
        };
        let bytes = signed.map_err(|_| SignError::Failed(Reason::new(CurveFailed)))?;
        let bytes = Bytes::copy_from_slice(&bytes);
        Ok(Signed::Signature(Signature { message: message.clone(), bytes }))
    }
}
