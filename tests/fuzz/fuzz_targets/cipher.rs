//! The fuzzer's program for `quorate_fuzz::cipher`: the cipher of a channel from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::cipher(input));
