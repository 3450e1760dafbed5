//! The fuzzer's program for `quorate_fuzz::eth`: recorded cases.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::eth(input));
