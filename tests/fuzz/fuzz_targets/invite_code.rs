//! The fuzzer's program for `quorate_fuzz::invite_code`: invite codes from any text.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::invite_code(input));
