//! The fuzzer's program for `quorate_fuzz::answers`: JSON-RPC from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::answers(input));
