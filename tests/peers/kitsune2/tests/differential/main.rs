//! The same operations on Kitsune2's transport and on ours: they agree, but for the listed differences.
//!
//! A sequence is drawn from its number; `SEED=n` runs that one alone. Both nodes get the same calls, from
//! above and from below, and handlers that answer by the same script. What is returned, who is called, in which
//! order and with which bytes is compared at every step. A sequence that fails is cut down to the shortest
//! one that does.

mod compare;
mod event;
mod op;
mod ours;
mod run;
mod script;
mod theirs;

use compare::Difference;
use event::Event;
use fastrand::Rng;
use op::Op;
use run::{Seen, run};
use std::{cell::Cell, collections::BTreeSet};

const SEQUENCES: u64 = 20_000;

/// The differences on the list that no operation here can show, and why.
const ELSEWHERE: [(&str, &str); 5] = [
    ("By URL there is one connection", "here our side is driven by connections, not by URLs"),
    ("Unknown peers are not blocked", "a default of the handler, and here every handler answers"),
    ("TxHandler::has_local_agents is gone", "theirs panics here when it is called: nothing calls it"),
    ("Stats count frames and bytes on the wire", "theirs are the backend's, which here only takes notes"),
    ("send returns when the frame has its place in the peer's queue", "here is no queue"),
];

thread_local! {
    /// Whether a panic is part of the test.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn both_do_the_same_but_for_the_listed_differences() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !EXPECTED.get() {
            shown(info);
        }
    }));
    let only: Option<u64> = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let mut seen = Seen::default();
    for seed in only.map_or(0..SEQUENCES, |seed| seed..seed + 1) {
        let (ops, entries) = draw(seed);
        if let Err(what) = quietly(&ops, entries, &mut seen) {
            let (shortest, why) = shrink(ops, entries, what);
            panic!("seed {seed} ({entries} count entries) fails with {shortest:#?}\n{why}");
        }
    }
    report(&seen);
    if only.is_none() {
        for (names, tally) in [(&Op::NAMES[..], &seen.ops), (&Event::NAMES[..], &seen.events)] {
            for name in names {
                assert!(tally.get(name).is_some_and(|count| *count > 0), "`{name}` never happened");
            }
            assert_eq!(tally.len(), names.len(), "a name is missing in the list");
        }
        for difference in Difference::ALL {
            assert!(seen.differences.contains_key(&difference), "{difference:?} never showed");
        }
    }
}

/// The exemptions are those that the documentation names, and the other way round.
#[test]
fn the_exempted_differences_are_the_documented_ones() {
    let page = include_str!("../../../../../docs/transport.md");
    let list = page.split("### Deliberate differences").nth(1).expect("the list is there");
    let list = list.split("\n#").next().unwrap_or_default();
    let listed: BTreeSet<String> = list
        .split("\n")
        .filter_map(|line| line.split_once(". ")?.1.strip_prefix("**")?.split_once("**"))
        .map(|(title, _)| title.trim_end_matches('.').replace('`', ""))
        .collect();
    let here = Difference::ALL.map(Difference::title);
    let known: BTreeSet<String> =
        here.into_iter().chain(ELSEWHERE.map(|(title, _)| title)).map(str::to_owned).collect();
    assert_eq!(listed, known);
}

#[test]
fn ids_are_told_apart() {
    assert!(run::ids_differ());
}

/// The sequence of a seed, and how many block counts the node keeps apart in it.
fn draw(seed: u64) -> (Vec<Op>, usize) {
    let mut rng = Rng::with_seed(seed);
    let (len, entries) = (rng.usize(30..120), if rng.bool() { 4_096 } else { 2 });
    let mut ops = op::beginning(&mut rng);
    while ops.len() < len {
        let op = Op::draw(&mut rng);
        // Both ways to register twice end a sequence, because theirs is unusable then: rarely.
        let twice = matches!(op, Op::RegisterSpace(_) | Op::RegisterModule(..)) && ops.contains(&op);
        if !twice || rng.u8(..40) == 0 {
            ops.push(op);
        }
    }
    (ops, entries)
}

fn quietly(ops: &[Op], entries: usize, seen: &mut Seen) -> Result<(), String> {
    EXPECTED.set(true);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(ops, entries, seen)));
    EXPECTED.set(false);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("a panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?")))
    })
}

/// Takes out operations, long runs first, for as long as it still fails.
fn shrink(mut ops: Vec<Op>, entries: usize, mut why: String) -> (Vec<Op>, String) {
    let mut chunk = ops.len().div_ceil(2);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + chunk).min(ops.len()));
            match quietly(&fewer, entries, &mut Seen::default()) {
                Err(what) => (ops, why, shorter) = (fewer, what, true),
                Ok(()) => at += chunk,
            }
        }
        match (shorter, chunk) {
            (false, 1) => return (ops, why),
            (false, _) => chunk = chunk.div_ceil(2),
            (true, _) => {}
        }
    }
}

fn report(seen: &Seen) {
    println!("{SEQUENCES} sequences, {} steps agreed", seen.agreed);
    for (what, tally) in [("operations", &seen.ops), ("calls", &seen.events)] {
        println!("{what}:");
        for (name, count) in tally {
            println!("  {count:>9}  {name}");
        }
    }
    println!("differences on purpose:");
    for (difference, count) in &seen.differences {
        println!("  {count:>9}  {difference:?} ({})", difference.title());
    }
}
