//! The fuzzer's program for `quorate_fuzz::connect_info`: the seed's connect info from any text.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::connect_info(input));
