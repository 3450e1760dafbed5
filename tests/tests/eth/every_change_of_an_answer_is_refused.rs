//! One change at a time, at every place of an answer.
//!
//! The rule: a digit that is changed is refused, unless it is in one of the few fields that nothing proves, which
//! are listed here. (Headers are anchored: of a header that nobody vouches for, most fields could be otherwise.) Whatever else is done to a value is refused or changes nothing of what is verified.

use super::{Request, ask, chain, check, requests, value};
use quorate_eth::{Depth, Trust, Verdict};
use quorate_testkit::chain::{Chain, Proof};
use serde_json::{Value, json};

/// What nothing proves, and what is not in a typed value for that reason.
const UNPROVEN: &[&str] = &[
    ".id",
    ".jsonrpc",
    ".currentBlock",
    ".lastNodeList",
    ".totalDifficulty",
    ".size",
    // Of a receipt: it is the difference to the receipt before.
    ".gasUsed",
    // Of a log: its place in the block. Within one receipt the places must follow one another.
    ".logIndex",
];

/// Requests that between them use every kind of proof, about blocks of several forks.
fn sample(chain: &Chain) -> Vec<Request> {
    [3, 10, 23]
        .into_iter()
        .flat_map(|number| {
            let all = requests(chain, number);
            let (few, many) = all.split_at(17);
            few.iter().chain(many.iter().step_by(23)).cloned().collect::<Vec<_>>()
        })
        .collect()
}

/// The hashes of all blocks. Who knows none cannot tell one header from another that fits as well.
fn knowing(chain: &Chain) -> Trust {
    let hashes = chain.blocks().iter().map(|block| (block.header.number, block.hash)).collect();
    Trust { hashes, ..Trust::nobody() }
}

/// Calls `visit` with the path of every value and the pointer that leads to it.
fn walk(value: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(pointer, value);
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{pointer}/{at}"), visit);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                walk(member, &format!("{pointer}/{name}"), visit);
            }
        }
        _ => {}
    }
}

fn places(answer: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    walk(answer, "", &mut |pointer, value| places.push((pointer.to_owned(), value.clone())));
    places
}

fn is_unproven(request: &Request, pointer: &str) -> bool {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    let of_a_block = request.0.starts_with("eth_getBlock");
    UNPROVEN.iter().any(|unproven| unproven[1..] == *name) && !(of_a_block && name == "gasUsed")
}

#[test]
fn every_digit_counts() {
    // Every digit of what is short, and a hundred of what is long.
    let changes = digits(|len| 1.max(len / 97));
    assert!(changes > 50_000, "{changes} changes");
}

#[test]
#[ignore = "takes minutes: cargo nextest run --release -p quorate-tests --run-ignored all digit"]
fn every_digit_of_everything_counts() {
    let changes = digits(|_| 1);
    assert!(changes > 190_000, "{changes} changes");
}

/// Changes digits of all texts in all answers, one at a time, `step` of a text's length apart, and returns how many.
#[expect(clippy::unwrap_used, reason = "clippy does not see that helpers belong to tests")]
fn digits(step: fn(usize) -> usize) -> u32 {
    let (chain, proof) = (chain(), Proof { full: true, ..Proof::default() });
    let trust = knowing(&chain);
    let mut changes = 0;
    for request in sample(&chain) {
        let answer = ask(&chain, &request, &proof);
        let _ = value(check(&request, &answer, &trust, Depth::Full));
        for (pointer, held) in places(&answer) {
            let Some(text) = held.as_str().filter(|text| text.starts_with("0x") && text.len() > 2) else {
                continue;
            };
            for at in (2..text.len()).step_by(step(text.len())) {
                let mut changed = text.to_owned().into_bytes();
                changed[at] = if changed[at] == b'7' { b'8' } else { b'7' };
                let mut other = answer.clone();
                *other.pointer_mut(&pointer).unwrap() = json!(String::from_utf8(changed).unwrap());
                let outcome = check(&request, &other, &trust, Depth::Full);
                assert!(
                    outcome.is_err() || is_unproven(&request, &pointer),
                    "{request:?} {pointer} at {at}: {outcome:?}"
                );
                changes += 1;
            }
        }
    }
    changes
}

#[test]
fn other_kinds_of_values_are_refused_or_change_nothing() {
    let (chain, proof) = (chain(), Proof { full: true, ..Proof::default() });
    let trust = knowing(&chain);
    let others = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e30),
        json!(""),
        json!("0x"),
        json!("0xzz"),
        json!([]),
        json!({}),
        json!([[]]),
        json!("latest"),
    ];
    let mut refused = 0;
    for request in sample(&chain) {
        let answer = ask(&chain, &request, &proof);
        let honest = value(check(&request, &answer, &trust, Depth::Full));
        for (pointer, held) in places(&answer).into_iter().filter(|(pointer, _)| !pointer.is_empty()) {
            for other in others.iter().filter(|other| **other != held) {
                let mut changed = answer.clone();
                *changed.pointer_mut(&pointer).unwrap() = other.clone();
                match check(&request, &changed, &trust, Depth::Full) {
                    Ok(Verdict::Verified(verified)) => {
                        let same = *verified.claimed() == honest;
                        assert!(same || opens(&pointer, other), "{request:?} {pointer} as {other}");
                    }
                    Ok(Verdict::Unproven(_)) => {}
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 10_000, "{refused} refused");
}

/// What may be left out, and is then said not to be known.
fn opens(pointer: &str, other: &Value) -> bool {
    let left_out = ["/result/withdrawals", "/in3/proof/uncles", "/in3/proof/transactions"];
    other.is_null() && left_out.contains(&pointer) || pointer.contains("/logProof")
}

#[test]
fn lists_that_are_cut_doubled_or_reordered_are_refused() {
    let (chain, proof) = (chain(), Proof { full: true, ..Proof::default() });
    let trust = knowing(&chain);
    let mut refused = 0;
    for request in sample(&chain) {
        let answer = ask(&chain, &request, &proof);
        let honest = value(check(&request, &answer, &trust, Depth::Full));
        for (pointer, held) in places(&answer) {
            let Some(items) = held.as_array().filter(|items| !items.is_empty()) else { continue };
            let mut lists = vec![items[1..].to_vec(), items[..items.len() - 1].to_vec()];
            lists.push([items.as_slice(), &items[items.len() - 1..]].concat());
            lists.push([&items[..1], items.as_slice()].concat());
            let mut reversed = items.clone();
            reversed.reverse();
            lists.push(reversed);
            for list in lists.into_iter().filter(|list| list != items) {
                let mut changed = answer.clone();
                *changed.pointer_mut(&pointer).unwrap() = json!(list);
                match check(&request, &changed, &trust, Depth::Full) {
                    Ok(Verdict::Verified(verified)) => {
                        assert_eq!(*verified.claimed(), honest, "{request:?} {pointer}")
                    }
                    Ok(Verdict::Unproven(_)) => {}
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 300, "{refused} refused");
}
