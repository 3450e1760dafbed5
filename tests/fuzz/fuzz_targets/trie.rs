//! The fuzzer's program for `quorate_fuzz::trie`: proofs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::trie(input));
