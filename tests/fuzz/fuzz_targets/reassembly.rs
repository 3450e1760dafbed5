//! The fuzzer's program for `quorate_fuzz::reassembly`: segments of one payload, some of them forged.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::reassembly(input));
