//! The fuzzer's program for `quorate_fuzz::preflight`: preflights from any bytes, and the verdict.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::preflight(input));
