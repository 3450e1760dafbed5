//! The fuzzer's program for `quorate_fuzz::verified`: operations on a verified request.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::verified(input));
