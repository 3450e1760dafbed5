//! The fuzzer's program for `quorate_fuzz::envelope`: an envelope from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::envelope(input));
