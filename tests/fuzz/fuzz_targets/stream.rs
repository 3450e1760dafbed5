//! The fuzzer's program for `quorate_fuzz::stream`: frames on a stream, in any chunks.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::stream(input));
