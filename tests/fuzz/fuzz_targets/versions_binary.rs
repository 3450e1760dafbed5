//! The fuzzer's program for `quorate_fuzz::versions_binary`: the binary encoding of versions from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::versions_binary(input));
