//! A file of PyTorch: the pickles of the old format, or an archive.
#![no_main]

/// The magic number, the version, and what wrote it.
const OLD: &[u8] =
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'P', b'K', ..] => ddm_fuzz::read_all(bytes.to_vec()),
        _ => ddm_fuzz::read_all([OLD, bytes].concat()),
    }
});
