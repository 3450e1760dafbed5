//! The fuzzer's program for `quorate_fuzz::ticket`: a ticket from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::ticket(input));
