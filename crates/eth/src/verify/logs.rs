//! Logs: each is shown to be in a receipt that is proven, and whether there are others is said.
//!
//! The rule: a node that leaves a log out lies by silence, which a proof of the others does not show. Only
//! where every block of the range is accounted for, by its header's bloom filter or by all of its receipts, is
//! the answer complete; otherwise it says that it is not known to be.
//!
//! Source: `eth_getLogs`; Yellow Paper 4.3.1.

mod block;

use super::{Case, MAX_ENTRIES, Unproven, Verdict};
use crate::answer::{Answer, Logs, PlacedLog};
use crate::error::{Reason, Rejected};
use crate::filter::LogFilter;
use crate::json::{Json, block_number};
use crate::question::BlockId;
use crate::trust::{Anchor, Verified};
use block::{ProvenBlock, ProvenReceipt};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The most blocks in one proof.
const MAX_BLOCKS: usize = 10_000;

/// `eth_getLogs`.
pub(super) fn verify(case: &Case<'_>, filter: &LogFilter) -> Result<Verdict, Rejected> {
    case.kind("logProof")?;
    let (blocks, anchor) = blocks(case)?;
    let told = case.result.items()?;
    if told.len() > MAX_ENTRIES {
        return Err(case.result.reject(Reason::TooMany { max: MAX_ENTRIES }));
    }
    let (mut logs, mut claimed) = (Vec::<PlacedLog>::new(), None);
    for log in told {
        let (placed, receipt) = place(&log, &blocks, filter, logs.last())?;
        claimed = check_index(&log, &placed, receipt, claimed)?;
        logs.push(placed);
    }
    let complete = is_complete(case, &blocks, filter, &logs)?;
    if logs.is_empty() && !complete {
        return Ok(Verdict::Unproven(Unproven::Empty));
    }
    Ok(Verdict::Verified(Verified::new(Answer::Logs(Logs { logs, complete }), anchor)))
}

type Blocks = BTreeMap<u64, ProvenBlock>;

/// The blocks in the proof; the answer is anchored if all of them are, and consistent if one is not.
fn blocks(case: &Case<'_>) -> Result<(Blocks, Option<Anchor>), Rejected> {
    let Some(proof) = case.proof.find("logProof") else { return Ok((Blocks::new(), None)) };
    let members = proof.members()?;
    if members.len() > MAX_BLOCKS {
        return Err(proof.reject(Reason::TooMany { max: MAX_BLOCKS }));
    }
    let (mut blocks, mut anchors) = (Blocks::new(), Vec::new());
    for (name, given) in members {
        let block = ProvenBlock::verify(&given)?;
        given.expect(block_number(name), Some(block.header.number), "what its name says")?;
        // Signatures stand with the block, or with all others in the proof.
        let signed = if given.find("signatures").is_some() { &given } else { &case.proof };
        anchors.push(case.trust.vouch(&block.header, signed)?);
        if blocks.insert(block.header.number, block).is_some() {
            return Err(given.reject(Reason::OutOfOrder));
        }
    }
    let anchored = anchors.iter().all(Option::is_some);
    Ok((blocks, anchors.into_iter().flatten().next().filter(|_| anchored)))
}

/// Finds a log of the answer in the receipt where it says it is.
fn place<'b>(
    told: &Json<'_>,
    blocks: &'b Blocks,
    filter: &LogFilter,
    before: Option<&PlacedLog>,
) -> Result<(PlacedLog, &'b ProvenReceipt), Rejected> {
    let number = told.need("blockNumber")?;
    let block = blocks
        .get(&number.u64()?)
        .ok_or_else(|| number.reject(Reason::NotInTrie { what: "anything: the proof lacks this block" }))?;
    let hash = told.need("transactionHash")?;
    let receipt = block.receipt(hash.hash()?).ok_or_else(|| {
        hash.reject(Reason::NotInTrie { what: "anything: the proof lacks this transaction" })
    })?;
    block.place(receipt).check(told)?;
    let log = super::receipt::read_log(told)?;
    // The same log may be in a receipt twice: the one after the last that was found is meant.
    let next = match before {
        Some(last) if (last.number, last.transaction) == (block.header.number, receipt.transaction) => {
            last.index_in_transaction + 1
        }
        _ => 0,
    };
    let position = match told.find("transactionLogIndex") {
        Some(index) => {
            let at = index.u64()?;
            let held = usize::try_from(at).ok().and_then(|at| receipt.logs.get(at));
            if held != Some(&log) {
                return Err(told.differs("the log in the receipt"));
            }
            at
        }
        None => (0_u64..)
            .zip(&receipt.logs)
            .find(|(at, held)| *at >= next && **held == log)
            .map(|(at, _)| at)
            .ok_or_else(|| told.differs("every log in the receipt"))?,
    };
    super::receipt::check_log(told, position)?;
    let elsewhere = before.is_some_and(|last| last.number != block.header.number);
    if !filter.matches(&log)
        || !filter.covers(block.header.number, block.hash)
        || (filter.one_block && elsewhere)
    {
        return Err(told.reject(Reason::OutsideFilter));
    }
    let placed = PlacedLog {
        log,
        block: block.hash,
        number: block.header.number,
        transaction: receipt.transaction,
        transaction_index: receipt.index,
        index_in_transaction: position,
        index_in_block: matches!(receipt.before, (_, true)).then(|| receipt.before.0 + position),
    };
    match before {
        Some(last) if order(last) >= order(&placed) => Err(told.reject(Reason::OutOfOrder)),
        _ => Ok((placed, receipt)),
    }
}

/// What the logs before say about the block's logs: its number, the receipt after theirs, and the place of that one's first log.
type Claimed = (u64, u64, u64);

/// The place in the block that a log says it has. Where receipts before its own are missing it cannot be known, but it must be
/// after all that is known, and the logs of one receipt, or of two that follow one another, must follow one another.
fn check_index(
    told: &Json<'_>,
    log: &PlacedLog,
    receipt: &ProvenReceipt,
    claimed: Option<Claimed>,
) -> Result<Option<Claimed>, Rejected> {
    const ITS_PLACE: &str = "its place in the block";
    let Some(index) = told.told("logIndex") else { return Ok(claimed) };
    let first = index.u64()?.checked_sub(log.index_in_transaction).ok_or_else(|| index.differs(ITS_PLACE))?;
    let (known, all) = receipt.before;
    let fits = if all { first == known } else { first >= known };
    let follows = match claimed {
        Some((number, next, after)) if number == log.number => {
            let length = receipt.logs.len() as u64;
            match (receipt.index + 1).cmp(&next) {
                // Another log of the same receipt.
                Ordering::Equal => first.checked_add(length) == Some(after),
                _ if receipt.index == next => first == after,
                _ => first >= after,
            }
        }
        _ => true,
    };
    if !fits || !follows {
        return Err(index.differs(ITS_PLACE));
    }
    let after = first.checked_add(receipt.logs.len() as u64).ok_or_else(|| index.differs(ITS_PLACE))?;
    Ok(Some((log.number, receipt.index + 1, after)))
}

const fn order(log: &PlacedLog) -> (u64, u64, u64) {
    (log.number, log.transaction_index, log.index_in_transaction)
}

/// Whether no block of the range can have another log. A proven log that was left out is an error.
fn is_complete(
    case: &Case<'_>,
    blocks: &Blocks,
    filter: &LogFilter,
    logs: &[PlacedLog],
) -> Result<bool, Rejected> {
    let mut all = true;
    for block in blocks.values().filter(|block| filter.covers(block.header.number, block.hash)) {
        let number = block.header.number;
        let told = logs.iter().filter(|log| log.number == number).count();
        let proven = block.logs().filter(|log| filter.matches(log)).count();
        if proven != told {
            return Err(case.result.reject(Reason::LeftOut { number }));
        }
        if !block.has_all_receipts() {
            all &= !filter.may_match(&block.header.logs_bloom);
        }
    }
    Ok(all && covers_range(blocks, filter))
}

/// Whether the proof has every block of the range. It cannot where the node chose the range's ends.
fn covers_range(blocks: &Blocks, filter: &LogFilter) -> bool {
    match (filter.from, filter.to) {
        (BlockId::Hash(hash), _) => blocks.values().any(|block| block.hash == hash),
        (BlockId::Number(first), BlockId::Number(last)) => {
            let there = blocks.range(first..=last.max(first)).count() as u64;
            first <= last && (last - first).checked_add(1) == Some(there)
        }
        _ => false,
    }
}
