//! The fuzzer's program for `quorate_fuzz::frame`: a frame from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::frame(input));
