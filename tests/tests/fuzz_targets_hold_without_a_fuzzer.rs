//! Each fuzz target runs in the ordinary tests: on its seeds, on damaged seeds, and on plain noise.
//!
//! So a target cannot rot where there is no nightly, and what a fuzzer once found, once it is
//! committed to `tests/fuzz/seeds`, is tried by everybody.

use std::fs;
use std::path::Path;

use targets::{TARGETS, Target};

/// The bodies of the targets. Their own package is another workspace, which cannot be a dependency.
#[path = "../fuzz/src/lib.rs"]
pub mod targets;

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds");
const DAMAGES: usize = 64;
const NOISES: usize = 256;

/// Sorted, so that the random damage is the same everywhere.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(Path::new(SEEDS).join(target)).expect("each target has a folder of seeds");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a seed is a file")).collect()
}

/// One to four bytes changed, or the end cut off.
fn damaged(seed: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = seed.to_vec();
    if random.bool() {
        input.truncate(random.usize(..=seed.len()));
    }
    for _ in 0..random.usize(1..=4) {
        if !input.is_empty() {
            let at = random.usize(..input.len());
            input[at] = random.u8(..);
        }
    }
    input
}

#[test]
fn every_target_holds_on_its_seeds() {
    for Target { name, run } in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seed");
        seeds.iter().for_each(|seed| run(seed));
    }
}

#[test]
fn every_target_holds_on_damaged_seeds() {
    let mut random = fastrand::Rng::with_seed(1);
    for Target { name, run } in TARGETS {
        for seed in seeds(name) {
            (0..DAMAGES).for_each(|_| run(&damaged(&seed, &mut random)));
        }
    }
}

#[test]
fn every_target_holds_on_noise() {
    let mut random = fastrand::Rng::with_seed(2);
    for Target { run, .. } in TARGETS {
        for _ in 0..NOISES {
            let length = random.usize(..300);
            let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
            run(&noise);
        }
    }
}

#[test]
fn every_target_is_a_program_of_the_fuzzer() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    for Target { name, .. } in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in tests/fuzz/Cargo.toml");
    }
    let programs = manifest.matches("[[bin]]").count();
    assert_eq!(programs, TARGETS.len(), "a program of the fuzzer is not in TARGETS");
}
