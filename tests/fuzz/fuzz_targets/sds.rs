//! The fuzzer's program for `quorate_fuzz::sds`: an SDS message from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::sds(input));
