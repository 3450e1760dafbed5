//! The fuzzer's program for `quorate_fuzz::fanout`: a query under any operations.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::fanout(input));
