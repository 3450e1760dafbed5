//! The fuzzer's program for `quorate_fuzz::files`: a message of a file transfer from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::files(input));
