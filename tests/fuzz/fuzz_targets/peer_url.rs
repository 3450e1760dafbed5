//! The fuzzer's program for `quorate_fuzz::peer_url`: a peer URL from any text.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::peer_url(input));
