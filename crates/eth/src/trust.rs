//! What a value is worth: consistent with a header that a node chose, or anchored in one that is vouched for.
//!
//! The rule: the two are different types, and only this crate makes them. A node that is asked for the
//! latest block can invent one, with proofs that hold; only who trusts the header has learned something
//! about the world. An API that wants truth takes [`Anchored`].

use crate::error::{Reason, Rejected};
use crate::header::Header;
use crate::json::Json;
use crate::recover::recover;
use alloy_primitives::{Address, B256, U256, keccak256};
use std::collections::BTreeMap;

/// The most signatures that are looked at in one answer.
const MAX_SIGNATURES: usize = 256;
/// What IN3's signers say of a block that is too young to be signed.
const NOT_FINAL: i64 = -16_001;

/// A value that follows from the header it came with. The node may have made up that header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistent<T>(T);

impl<T> Consistent<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, which may be a story that is merely free of contradictions.
    pub const fn claimed(&self) -> &T {
        &self.0
    }

    /// Gives the value away.
    pub fn into_claimed(self) -> T {
        self.0
    }
}

/// A value that follows from a header that somebody vouches for whom the caller named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored<T> {
    value: T,
    anchor: Anchor,
}

impl<T> Anchored<T> {
    pub(crate) const fn new(value: T, anchor: Anchor) -> Self {
        Self { value, anchor }
    }

    /// The value.
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// Gives the value away.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Who vouches for it.
    pub const fn anchor(&self) -> &Anchor {
        &self.anchor
    }
}

/// Who vouches for a header.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anchor {
    /// All signers that were asked for signed its number and hash.
    Signers(Vec<Address>),
    /// The caller knew the block's hash.
    TrustedHash,
    /// It needs no header: the value is the hash of what the caller sent.
    Content,
}

/// Whom the caller trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// All of them must have signed the header, unless its hash is known.
    pub signers: Vec<Address>,
    /// Block numbers whose hashes are known: a checkpoint, or what was anchored before.
    pub hashes: BTreeMap<u64, B256>,
    /// The registry in which the signers are entered; part of what they sign, where there is one.
    pub registry: Option<B256>,
}

impl Trust {
    /// Trusts nobody: what is verified is [`Consistent`] at best.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Looks for somebody who vouches for the header. `None` where the caller named nobody; an error
    /// where somebody whom the caller named does not.
    ///
    /// `proof` may hold `signatures`, an array of `{ blockHash, block, r, s, v }` over
    /// `keccak256(hash, number as 32 bytes, registry)`.
    pub(crate) fn vouch(&self, header: &Header, proof: &Json<'_>) -> Result<Option<Anchor>, Rejected> {
        let (hash, signatures) = (header.hash(), proof.at("signatures"));
        if let Some(&trusted) = self.hashes.get(&header.number) {
            let reason = Reason::NotTrusted { number: header.number, trusted };
            return if trusted == hash { Ok(Some(Anchor::TrustedHash)) } else { Err(proof.reject(reason)) };
        }
        if self.signers.is_empty() {
            return Ok(None);
        }
        let (mut signed, mut young) = (Vec::new(), false);
        if !signatures.is_null() {
            let items = signatures.items()?;
            if items.len() > MAX_SIGNATURES {
                return Err(signatures.reject(Reason::TooMany { max: MAX_SIGNATURES }));
            }
            for signature in items {
                young |= signature.at("error").at("code").value().as_i64() == Some(NOT_FINAL);
                // Signatures of other blocks belong to other headers of the same answer.
                if signature.find("block").map(|block| block.u64()).transpose()? == Some(header.number) {
                    signed.push(self.signer(&signature, header.number, hash)?);
                }
            }
        }
        match self.signers.iter().find(|signer| !signed.contains(&Some(**signer))) {
            Some(&signer) if young => Err(signatures.reject(Reason::NotFinal { signer })),
            Some(&signer) => Err(signatures.reject(Reason::NotSigned { signer })),
            None => Ok(Some(Anchor::Signers(self.signers.clone()))),
        }
    }

    /// Who signed; nobody where a signer's refusal stands in place of a signature.
    fn signer(&self, signature: &Json<'_>, number: u64, hash: B256) -> Result<Option<Address>, Rejected> {
        if signature.find("error").is_some() {
            return Ok(None);
        }
        let claimed = signature.need("blockHash")?;
        claimed.expect(claimed.hash()?, hash, "the header's hash")?;
        let message = signed_message(hash, number, self.registry);
        if let Some(told) = signature.find("msgHash") {
            told.expect(told.hash()?, message, "the hash of the message that was to be signed")?;
        }
        let (r, s, v) = (signature.need("r")?.u256()?, signature.need("s")?.u256()?, signature.need("v")?);
        let odd = match v.u64()? {
            0 | 27 => false,
            1 | 28 => true,
            _ => return Err(v.malformed("27 or 28")),
        };
        let signer = recover(r, s, odd, message).ok_or_else(|| signature.reject(Reason::InvalidSignature))?;
        if let Some(told) = signature.find("address") {
            told.expect(told.address()?, signer, "who signed")?;
        }
        Ok(Some(signer))
    }
}

/// What a signer signs to vouch for a block.
pub fn signed_message(hash: B256, number: u64, registry: Option<B256>) -> B256 {
    let number = B256::from(U256::from(number));
    let registry = registry.as_ref().map_or(&[][..], |registry| registry.as_slice());
    keccak256([hash.as_slice(), number.as_slice(), registry].concat())
}

/// A value and, where there is one, its anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verified<T> {
    /// It follows from a header that the node chose.
    Consistent(Consistent<T>),
    /// It follows from a header that is vouched for.
    Anchored(Anchored<T>),
}

impl<T> Verified<T> {
    pub(crate) fn new(value: T, anchor: Option<Anchor>) -> Self {
        match anchor {
            None => Self::Consistent(Consistent::new(value)),
            Some(anchor) => Self::Anchored(Anchored::new(value, anchor)),
        }
    }

    /// The anchored value; the merely consistent one as the error.
    pub fn anchored(self) -> Result<Anchored<T>, Consistent<T>> {
        match self {
            Self::Consistent(consistent) => Err(consistent),
            Self::Anchored(anchored) => Ok(anchored),
        }
    }

    /// Whether nobody vouches for it.
    pub const fn is_merely_consistent(&self) -> bool {
        matches!(self, Self::Consistent(_))
    }

    /// The value, whatever it is worth.
    pub const fn claimed(&self) -> &T {
        match self {
            Self::Consistent(consistent) => consistent.claimed(),
            Self::Anchored(anchored) => anchored.get(),
        }
    }
}
