//! A signed transaction from the JSON in which nodes tell it.

use crate::error::{Reason, Rejected};
use crate::json::Json;
use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxEip7702, TxEnvelope, TxLegacy,
};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};

/// The most entries in one list of a transaction.
const MAX_LIST: usize = 100_000;

/// Rebuilds a transaction of type 0 to 4.
pub(in crate::verify) fn from_json(told: &Json<'_>) -> Result<TxEnvelope, Rejected> {
    if !told.is_object() {
        return Err(told.malformed("a transaction"));
    }
    let kind = told.find("type").map(|kind| kind.u64()).transpose()?.unwrap_or(0);
    let (r, s) = (told.need("r")?.u256()?, told.need("s")?.u256()?);
    if kind == 0 {
        let v = told.need("v")?;
        let (odd, chain_id) = legacy_parity(v.u64()?).ok_or_else(|| v.malformed("27, 28, or 35 and more"))?;
        let signature = Signature::new(r, s, odd);
        return Ok(TxEnvelope::from(legacy(told, chain_id)?.into_signed(signature)));
    }
    let signature = Signature::new(r, s, parity(told)?);
    Ok(match kind {
        1 => TxEnvelope::from(eip2930(told)?.into_signed(signature)),
        2 => TxEnvelope::from(eip1559(told)?.into_signed(signature)),
        3 => TxEnvelope::Eip4844(TxEip4844Variant::TxEip4844(eip4844(told)?).into_signed(signature)),
        4 => TxEnvelope::from(eip7702(told)?.into_signed(signature)),
        _ => return Err(told.at("type").malformed("a type from 0 to 4")),
    })
}

/// What the `v` of a legacy transaction says: which of two keys, and which chain, if any (EIP-155).
const fn legacy_parity(v: u64) -> Option<(bool, Option<u64>)> {
    match v {
        27 | 28 => Some((v == 28, None)),
        35.. => Some(((v - 35) % 2 == 1, Some((v - 35) / 2))),
        _ => None,
    }
}

/// `yParity`, or `v` in its place, which some nodes count from 27; where both are there, they must agree.
fn parity(told: &Json<'_>) -> Result<bool, Rejected> {
    let read = |name: &'static str| {
        let Some(member) = told.find(name) else { return Ok(None) };
        match member.u64()? {
            bit @ (0 | 1) => Ok(Some(bit == 1)),
            v @ (27 | 28) if name == "v" => Ok(Some(v == 28)),
            _ => Err(member.malformed("0 or 1")),
        }
    };
    match (read("yParity")?, read("v")?) {
        (Some(parity), Some(v)) if parity != v => Err(told.at("v").differs("yParity")),
        (parity, v) => parity.or(v).ok_or_else(|| told.at("yParity").reject(Reason::Missing)),
    }
}

fn legacy(told: &Json<'_>, chain_id: Option<u64>) -> Result<TxLegacy, Rejected> {
    Ok(TxLegacy {
        chain_id,
        nonce: told.need("nonce")?.u64()?,
        gas_price: told.need("gasPrice")?.u128()?,
        gas_limit: gas(told)?,
        to: to(told)?,
        value: told.need("value")?.u256()?,
        input: input(told)?,
    })
}

fn eip2930(told: &Json<'_>) -> Result<TxEip2930, Rejected> {
    Ok(TxEip2930 {
        chain_id: told.need("chainId")?.u64()?,
        nonce: told.need("nonce")?.u64()?,
        gas_price: told.need("gasPrice")?.u128()?,
        gas_limit: gas(told)?,
        to: to(told)?,
        value: told.need("value")?.u256()?,
        access_list: access_list(told)?,
        input: input(told)?,
    })
}

fn eip1559(told: &Json<'_>) -> Result<TxEip1559, Rejected> {
    Ok(TxEip1559 {
        chain_id: told.need("chainId")?.u64()?,
        nonce: told.need("nonce")?.u64()?,
        gas_limit: gas(told)?,
        max_fee_per_gas: told.need("maxFeePerGas")?.u128()?,
        max_priority_fee_per_gas: told.need("maxPriorityFeePerGas")?.u128()?,
        to: to(told)?,
        value: told.need("value")?.u256()?,
        access_list: access_list(told)?,
        input: input(told)?,
    })
}

fn eip4844(told: &Json<'_>) -> Result<TxEip4844, Rejected> {
    Ok(TxEip4844 {
        chain_id: told.need("chainId")?.u64()?,
        nonce: told.need("nonce")?.u64()?,
        gas_limit: gas(told)?,
        max_fee_per_gas: told.need("maxFeePerGas")?.u128()?,
        max_priority_fee_per_gas: told.need("maxPriorityFeePerGas")?.u128()?,
        to: told.need("to")?.address()?,
        value: told.need("value")?.u256()?,
        access_list: access_list(told)?,
        blob_versioned_hashes: told.list("blobVersionedHashes", MAX_LIST, |hash| hash.hash())?,
        max_fee_per_blob_gas: told.need("maxFeePerBlobGas")?.u128()?,
        input: input(told)?,
    })
}

fn eip7702(told: &Json<'_>) -> Result<TxEip7702, Rejected> {
    Ok(TxEip7702 {
        chain_id: told.need("chainId")?.u64()?,
        nonce: told.need("nonce")?.u64()?,
        gas_limit: gas(told)?,
        max_fee_per_gas: told.need("maxFeePerGas")?.u128()?,
        max_priority_fee_per_gas: told.need("maxPriorityFeePerGas")?.u128()?,
        to: told.need("to")?.address()?,
        value: told.need("value")?.u256()?,
        access_list: access_list(told)?,
        authorization_list: told.list("authorizationList", MAX_LIST, authorization)?,
        input: input(told)?,
    })
}

fn authorization(told: &Json<'_>) -> Result<SignedAuthorization, Rejected> {
    let authorization = Authorization {
        chain_id: told.need("chainId")?.u256()?,
        address: told.need("address")?.address()?,
        nonce: told.need("nonce")?.u64()?,
    };
    let parity = told.find("yParity").map_or_else(|| told.need("v"), Ok)?;
    let bit = u8::try_from(parity.u64()?).map_err(|_| parity.malformed("a number below 256"))?;
    let (r, s): (U256, U256) = (told.need("r")?.u256()?, told.need("s")?.u256()?);
    Ok(SignedAuthorization::new_unchecked(authorization, bit, r, s))
}

fn gas(told: &Json<'_>) -> Result<u64, Rejected> {
    let (gas, limit) = (told.find("gas"), told.find("gasLimit"));
    let value = gas.or(limit).ok_or_else(|| told.at("gas").reject(Reason::Missing))?.u64()?;
    if let Some(limit) = limit {
        limit.expect(limit.u64()?, value, "gas")?;
    }
    Ok(value)
}

/// Whom a transaction is for.
fn to(told: &Json<'_>) -> Result<TxKind, Rejected> {
    Ok(recipient(&told.at("to"))?.map_or(TxKind::Create, TxKind::Call))
}

/// The address; none for the creation of a contract, which nodes write as null, as nothing, or leave out.
pub(in crate::verify) fn recipient(to: &Json<'_>) -> Result<Option<Address>, Rejected> {
    if to.is_null() || to.is_empty_text() { Ok(None) } else { to.address().map(Some) }
}

/// `input` and its older name `data`; where both are there, they must agree.
fn input(told: &Json<'_>) -> Result<Bytes, Rejected> {
    let (input, data) = (told.find("input"), told.find("data"));
    let bytes = input.or(data).ok_or_else(|| told.at("input").reject(Reason::Missing))?.bytes()?;
    if let Some(data) = data {
        data.expect(data.bytes()?, bytes.clone(), "input")?;
    }
    Ok(bytes)
}

fn access_list(told: &Json<'_>) -> Result<AccessList, Rejected> {
    let entry = |entry: &Json<'_>| {
        let storage_keys: Vec<B256> = entry.list("storageKeys", MAX_LIST, |key| key.hash())?;
        Ok(AccessListItem { address: entry.need("address")?.address()?, storage_keys })
    };
    told.list("accessList", MAX_LIST, entry).map(AccessList)
}
