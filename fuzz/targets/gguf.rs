//! A GGUF file after its version.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ddm_fuzz::read_all([b"GGUF\x03\0\0\0", bytes, &[1; 64]].concat());
});
