//! A changed `model_index.json`: an error or a directory, never a panic.
//!
//! `PROPTEST_CASES=1000000` runs as many of each.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use burn::tensor::Device;
use ddm_pipelines::{Loading, ModelDirectory, PipelineError, open};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

/// As many cases as the environment says, or enough for every day.
fn cases() -> ProptestConfig {
    let said = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if said { config } else { ProptestConfig { cases: 500, ..config } }
}

/// The files of all recorded pipelines.
static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/pipelines");
    let mut paths: Vec<_> = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let texts = paths.iter().filter_map(|path| fs::read(path.join("model_index.json")).ok());
    let texts: Vec<Vec<u8>> = texts.collect();
    assert!(texts.len() > 10);
    texts
});

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// The parts that pipelines ask for.
const PARTS: [&str; 8] =
    ["unet", "vae", "transformer", "text_encoder", "text_encoder_2", "tokenizer", "vqvae", ""];

/// Writes the text, opens its directory as each of the two readers does, and asks for everything.
fn read(name: &str, text: &[u8]) {
    let folder = FOLDER.path().join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("model_index.json"), text).unwrap();
    match ModelDirectory::open(&folder) {
        Ok(directory) => {
            assert_eq!(
                serde_json::from_slice::<Value>(text).unwrap()["_class_name"],
                directory.class()
            );
            for part in PARTS {
                let class = directory.class_of(part).map(str::to_owned);
                let _ = directory.flag(part);
                let allowed = class.as_deref().unwrap_or("X");
                assert_eq!(directory.part(part, &[allowed]).is_ok(), class.is_some());
                // There are no other files.
                assert!(matches!(directory.config(part), Err(PipelineError::Read { .. })));
            }
            assert!(matches!(directory.scheduler(), Err(PipelineError::Read { .. })));
        }
        Err(PipelineError::File { path, reason }) => {
            assert!(path.ends_with("model_index.json") && !reason.is_empty());
        }
        Err(other) => panic!("{other:?}"),
    }
    // No class has all of its parts here.
    let error = open(&folder, &Loading::new(&Device::flex())).err().unwrap();
    assert!(!error.to_string().is_empty());
}

/// A change of bytes at a place.
#[derive(Clone, Debug)]
enum Edit {
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Swap(Index, Index, usize),
    End(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let pieces = prop::sample::select(vec![
        "null",
        "\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\\u0000",
        "\\ud800",
        "1e999",
        "-",
        "true",
        "\"_class_name\": ",
        "\u{feff}",
        "[[[[[[[[[[[[[[[[",
        "\n",
        "\0",
    ]);
    let piece = prop_oneof![
        pieces.prop_map(|piece| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Put(at, byte)),
        (any::<Index>(), piece).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Edit::Repeat(at, length)),
        (any::<Index>(), any::<Index>(), 1_usize..40).prop_map(|(a, b, n)| Edit::Swap(a, b, n)),
        any::<Index>().prop_map(Edit::End),
    ]
}

fn changed(mut text: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let all = text.len();
        let place = |at: &Index| at.index(all + 1);
        let part = |at: &Index, length: usize| place(at)..(place(at) + length).min(all);
        match edit {
            Edit::Put(at, byte) => {
                if let Some(old) = text.get_mut(place(at)) {
                    *old = *byte;
                }
            }
            Edit::Insert(at, bytes) => drop(text.splice(place(at)..place(at), bytes.clone())),
            Edit::Remove(at, length) => drop(text.drain(part(at, *length))),
            Edit::Repeat(at, length) => {
                let copy = text[part(at, *length)].to_vec();
                drop(text.splice(place(at)..place(at), copy));
            }
            Edit::Swap(a, b, length) => {
                let copy = text[part(a, *length)].to_vec();
                drop(text.splice(part(b, *length), copy));
            }
            Edit::End(at) => text.truncate(place(at)),
        }
    }
    text
}

/// Values where an index has a pair of library and class, a flag, or a text.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!(["diffusers", "AutoencoderKL"])),
        Just(json!("StableDiffusionXLPipeline")),
        Just(json!("FluxPipeline")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z_0-9]{0,6}", inner), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn changed_bytes_are_errors_or_directories(
        file in any::<Index>(),
        edits in prop::collection::vec(edit(), 1..8),
    ) {
        read("bytes", &changed(file.get::<Vec<u8>>(&VALID).clone(), &edits));
    }

    #[test]
    fn changed_values_are_errors_or_directories(
        file in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), value()), 1..6),
        whole in prop::option::weighted(0.05, value()),
    ) {
        let mut index: Map<String, Value> = serde_json::from_slice(file.get::<Vec<u8>>(&VALID)).unwrap();
        for (at, value) in changes {
            let names: Vec<String> = index.keys().cloned().collect();
            index.insert(at.get(&names).clone(), value);
        }
        let index = whole.unwrap_or(Value::Object(index));
        read("values", index.to_string().as_bytes());
    }
}
