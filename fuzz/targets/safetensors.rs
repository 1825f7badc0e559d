//! The header of a safetensors file: JSON, before 64 bytes of data.
#![no_main]

libfuzzer_sys::fuzz_target!(|header: &[u8]| {
    let length = (header.len() as u64).to_le_bytes();
    ddm_fuzz::read_all([&length, header, &[1; 64]].concat());
});
