//! Damaged files and random bytes: an error or tensors, never a panic, and never more elements than a
//! file of that length can hold.
//!
//! `PROPTEST_CASES=1000000` runs as many of each.

use std::fs;
use std::sync::LazyLock;

use ddm_weights::{Tensors, Variant};
use proptest::prelude::*;

use crate::bytes::{Listed, floats, gguf, pickle, torch};
use crate::files::testdata;

/// As many cases as the environment says, or enough for every day.
pub(crate) fn cases() -> ProptestConfig {
    let said = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if said { config } else { ProptestConfig { cases: 2000, ..config } }
}

/// Opens bytes as a file, and reads what is in it.
fn open(bytes: Vec<u8>) {
    let length = bytes.len();
    let Ok(tensors) = Tensors::from_bytes(bytes) else { return };
    for (name, view) in tensors.iter() {
        // 256 numbers of IQ1_S have 50 bytes.
        assert!(view.elements() <= 6 * length, "{name} of {:?}", view.shape());
        let read = view.read().map(|data| data.num_elements());
        assert!(read.is_err() || read.is_ok_and(|elements| elements == view.elements()));
    }
}

/// A change of a file: a place, of 2¹⁶ along the file, what is done there, and a byte.
type Change = (u16, u8, u8);

fn changed(mut file: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for (place, kind, byte) in changes {
        let at = file.len() * usize::from(*place) / (1 << 16);
        match kind % 8 {
            _ if at >= file.len() => file.push(*byte),
            0 => file.truncate(at),
            1 => file.insert(at, *byte),
            2 => drop(file.remove(at)),
            // Numbers that are much too large, or one off.
            3 => file[at..].iter_mut().take(8).for_each(|other| *other = 255),
            4 => file[at] = file[at].wrapping_add(1),
            5 => file[at] = file[at].wrapping_sub(1),
            _ => file[at] = *byte,
        }
    }
    file
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(any::<Change>(), 1..6)
}

/// Changes within the first bytes of a long file, where its header is.
fn header(bytes: &[u8], length: usize, changes: &[Change]) -> Vec<u8> {
    let (header, data) = bytes.split_at(length.min(bytes.len()));
    [changed(header.to_vec(), changes), data.to_vec()].concat()
}

static SAFETENSORS: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read(testdata("torch/types.safetensors")).unwrap());
static ARCHIVE: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read(testdata("torch/linear.ckpt")).unwrap());
static LEGACY: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read(testdata("torch/types_legacy.pt")).unwrap());
static GGUF: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read(testdata("models/gguf-tensors/tensors.gguf")).unwrap());

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn damaged_safetensors(changes in changes(), first in any::<bool>()) {
        let length = if first { 64 } else { usize::MAX };
        open(header(&SAFETENSORS, length, &changes));
    }

    #[test]
    fn damaged_archives(changes in changes()) {
        open(changed(ARCHIVE.clone(), &changes));
    }

    #[test]
    fn damaged_pickles(
        numbers in any::<[u8; 4]>(),
        shape in prop::collection::vec(0_u8..4, 0..4),
        strides in prop::collection::vec(0_u8..4, 0..4),
        changes in changes(),
    ) {
        let [elements, offset, ..] = numbers.map(|number| number % 6);
        let pickle = pickle(elements, offset, &shape, &strides);
        open(torch(&pickle));
        open(torch(&changed(pickle, &changes)));
    }

    #[test]
    fn damaged_files_of_old_torch(changes in changes()) {
        open(changed(LEGACY.clone(), &changes));
    }

    #[test]
    fn damaged_gguf(changes in changes(), first in any::<bool>()) {
        let length = if first { 512 } else { 2048 };
        open(header(&GGUF, length, &changes));
    }

    #[test]
    fn any_shapes_and_places_in_gguf(
        entries in prop::collection::vec(
            (prop::collection::vec(0_u64..70, 0..5), 0_u32..42, 0_u64..8), 0..4),
        changes in changes(),
    ) {
        let names = ["a", "b", "c", "d"];
        let listed: Vec<Listed<'_>> = names.iter().zip(&entries)
            .map(|(name, (axes, kind, place))| (*name, &axes[..], *kind, place * 32))
            .collect();
        let file = gguf(&listed, &[7; 600]);
        open(file.clone());
        open(changed(file, &changes));
    }

    #[test]
    fn any_bytes(magic in 0_usize..6, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let start: [&[u8]; 6] = [
            b"",
            b"GGUF\x03\0\0\0",
            b"PK\x03\x04",
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02",
            b"\x80\0\0\0\0\0\0\0{",
            b"",
        ];
        open([start[magic], &bytes].concat());
        open(torch(&[b"\x80\x02", &bytes[..]].concat()));
    }

    #[test]
    fn any_json(header in "[{\\[]?(\"(a|b|__metadata__|dtype|shape|data_offsets|F32|U8)\"|[{}\\[\\]:,]|[0-9]|-1|null){0,24}") {
        open(crate::bytes::safetensors(&header, &[0; 8]));
    }

    #[test]
    fn damaged_indices(changes in changes()) {
        let index = br#"{"metadata":{"total_size":4},"weight_map":{"a":"1","b":"2"}}"#;
        DIRECTORY.with(|directory| {
            let path = directory.path().join("model.safetensors.index.json");
            fs::write(path, changed(index.to_vec(), &changes)).unwrap();
            drop(Tensors::component(directory.path(), &Variant::PLAIN));
        });
    }
}

thread_local! {
    /// Two shards, whose index the test writes.
    static DIRECTORY: tempfile::TempDir = {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("1"), floats("a", &[1.0])).unwrap();
        fs::write(directory.path().join("2"), floats("b", &[1.0])).unwrap();
        directory
    };
}
