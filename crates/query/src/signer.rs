//! Signing: who has the keys.
//!
//! The rule: a signer sees what it signs before it signs. It may change it, may ask for something to be fetched first, and
//! refuses an account or a kind of signature that it does not know.

use crate::call::Call;
use crate::error::Reason;
use async_trait::async_trait;
use bytes::Bytes;

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignKind {
    /// The message is the digest, 32 bytes (seed `SIGN_EC_RAW`).
    Raw,
    /// The message is hashed first, as the account's protocol hashes (seed `SIGN_EC_HASH`).
    Hash,
}

/// What is to be signed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignRequest {
    /// The account: an address or a public key.
    pub account: Bytes,
    /// What is signed.
    pub message: Bytes,
    /// How.
    pub kind: SignKind,
}

/// A call that a signer had made first, and the verified value as JSON.
pub type Fetched = (Call, Bytes);

/// What a signer says when it is asked.
#[derive(Debug, Clone)]
pub enum Signed {
    /// It signed.
    Signature(Signature),
    /// It has to know these first; it is asked again when they are there.
    Needs(Vec<Call>),
}

/// A signature, and what it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What was signed: the message of the request, or what the signer made of it.
    pub message: Bytes,
    /// The signature; for secp256k1 `r`, `s` and the parity (0 or 1), 65 bytes.
    pub bytes: Bytes,
}

/// Why nothing was signed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Nobody was given who could sign.
    #[error("there is no signer")]
    NoSigner,
    /// The signer does not have the account.
    #[error("the signer does not know the account")]
    UnknownAccount,
    /// The signer does not make signatures of this kind.
    #[error("the signer does not sign that way")]
    UnknownKind,
    /// The message cannot be signed, such as a digest that has not 32 bytes.
    #[error("the message cannot be signed: {0}")]
    BadMessage(#[source] Reason),
    /// Somebody or something said no.
    #[error("the signer refuses: {0}")]
    Refused(#[source] Reason),
    /// The signer, or the way to it, failed.
    #[error("signing failed: {0}")]
    Failed(#[source] Reason),
}

/// Signs. Hardware, a wallet, a service, or a key in memory.
#[async_trait]
pub trait Signer: Send + Sync + 'static {
    /// Signs a request, or says what it has to know first; `fetched` has what it said it needs, in that order, over all times
    /// that it was asked.
    ///
    /// What it changes about the message before signing (a wallet that wraps a transaction for several owners), it says in
    /// [`Signature::message`].
    async fn sign(&self, request: &SignRequest, fetched: &[Fetched]) -> Result<Signed, SignError>;
}
