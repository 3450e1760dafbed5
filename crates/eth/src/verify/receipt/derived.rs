//! What a receipt says and its bytes do not hold, but which follows from the transaction, the header and the receipt together.
//!
//! The rule: what follows is compared, whatever a node calls it; what does not is not told on. Who sent the transaction, and so where
//! its contract is, costs a signature recovery: that is held against it in [full depth](Depth::Full) only.

use super::{Case, Place};
use crate::error::{Reason, Rejected};
use crate::json::Json;
use crate::recover::recover_sender;
use crate::verify::Depth;
use crate::verify::transaction::recipient;
use alloy_consensus::{Eip658Value, ReceiptEnvelope, Transaction as _, TxEnvelope, TxReceipt as _};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;

const DERIVED: &str = "what follows from the transaction";

pub(super) fn check(
    case: &Case<'_>,
    place: &Place<'_>,
    transaction: &TxEnvelope,
    receipt: &ReceiptEnvelope,
) -> Result<(), Rejected> {
    let told = &case.result;
    if let Some(to) = told.told("to") {
        to.expect(recipient(&to)?, transaction.kind().to().copied(), DERIVED)?;
    }
    if let Some(price) = told.find("effectiveGasPrice") {
        let follows = transaction.effective_gas_price(place.header.base_fee_per_gas);
        price.expect(price.u128()?, follows, "what follows from the transaction and the base fee")?;
    }
    if let Some(gas) = told.find("blobGasUsed") {
        let blobs = transaction.blob_versioned_hashes().map_or(0, |hashes| hashes.len() as u64);
        gas.expect(gas.u64()?, blobs.saturating_mul(DATA_GAS_PER_BLOB), DERIVED)?;
    }
    gas_used(told, place, transaction, receipt)?;
    contract(told, transaction, receipt)?;
    match case.depth {
        Depth::Full => parties(case, transaction),
        Depth::None | Depth::Standard => Ok(()),
    }
}

/// Of the first receipt it is all the gas so far; of a later one it cannot be more than that, or than was paid for.
fn gas_used(
    told: &Json<'_>,
    place: &Place<'_>,
    transaction: &TxEnvelope,
    receipt: &ReceiptEnvelope,
) -> Result<(), Rejected> {
    let Some(gas) = told.find("gasUsed") else { return Ok(()) };
    let (used, so_far) = (gas.u64()?, receipt.cumulative_gas_used());
    let possible = match place.index {
        0 => used == so_far,
        _ => used <= so_far.min(transaction.gas_limit()),
    };
    if possible { Ok(()) } else { Err(gas.differs("what the block's gas leaves for it")) }
}

/// Whether there is a contract. Where the creation failed there is none, and nodes differ in whether they say where it would be.
fn contract(told: &Json<'_>, transaction: &TxEnvelope, receipt: &ReceiptEnvelope) -> Result<(), Rejected> {
    let Some(contract) = told.told("contractAddress") else { return Ok(()) };
    let created = transaction.kind().is_create();
    let succeeded = receipt.status_or_post_state() == Eip658Value::Eip658(true);
    let fits = if contract.is_null() { !(created && succeeded) } else { created };
    if fits { Ok(()) } else { Err(contract.differs(DERIVED)) }
}

/// Who sent it, and where its contract is.
fn parties(case: &Case<'_>, transaction: &TxEnvelope) -> Result<(), Rejected> {
    let Some(sender) = recover_sender(transaction) else {
        return Err(case.proof.at("txProof").reject(Reason::InvalidSignature));
    };
    if let Some(from) = case.result.told("from") {
        from.expect(from.address()?, sender, DERIVED)?;
    }
    if let Some(contract) = case.result.find("contractAddress") {
        contract.expect(contract.address()?, sender.create(transaction.nonce()), DERIVED)?;
    }
    Ok(())
}
