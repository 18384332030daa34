#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| shared::testing::properties::api(input));
