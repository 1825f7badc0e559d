//! Whether a JPEG file is whole.

/// Returns whether the data of a JPEG file end with an end mark. A decoder shows a file that is cut
/// off with a grey rest, without an error.
///
/// It looks after the start of the scan only: a thumbnail in the head has an end mark of its own.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    const END: [u8; 2] = [0xff, 0xd9];
    scan(bytes).is_some_and(|scan| scan.windows(2).any(|mark| mark == END))
}

/// Returns what follows the mark of the first scan: segments with their lengths come before it.
fn scan(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let (&[fill, mark], after) = rest.split_first_chunk::<2>()?;
        match (fill, mark) {
            (0xff, 0xda) => return Some(after),
            // A mark may begin with several 0xff.
            (0xff, 0xff) => rest = &rest[1..],
            (0xff, 0x01 | 0xd0..=0xd7) => rest = after,
            (0xff, _) => {
                let length = u16::from_be_bytes(*after.first_chunk::<2>()?);
                rest = after.get(usize::from(length).max(2)..)?;
            }
            _ => return None,
        }
    }
}
