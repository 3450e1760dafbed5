//! The fuzzer's program for `quorate_fuzz::channel`: operations on two reliable channels.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::channel(input));
