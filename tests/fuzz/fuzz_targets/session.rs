//! The fuzzer's program for `quorate_fuzz::session`: operations on a transport's core, in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::session(input));
