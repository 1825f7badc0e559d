//! Files that are not what they say: one error for each fault.

use std::fs;
use std::path::Path;

use burn::nn::LinearConfig;
use burn::tensor::{Device, TensorData};
use ddm_weights::{Fault, LoadOptions, Tensors, Variant, WeightsError, load};

use crate::bytes::{archive, floats, gguf, pickle, safetensors, torch};
use crate::files::testdata;

#[track_caller]
fn fault(bytes: Vec<u8>) -> Fault {
    match Tensors::from_bytes(bytes) {
        Err(WeightsError::File { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_file_of_weights_says_what_it_is() {
    let missing = Tensors::open("missing.safetensors").unwrap_err();
    assert!(matches!(missing, WeightsError::Read { .. }));
    assert!(matches!(Tensors::open(testdata("models")), Err(WeightsError::Read { .. })));
    for (bytes, hint) in [
        (&b""[..], "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git LFS"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"{\"weight_map\": {}}", "JSON"),
        (b"something else", ""),
    ] {
        let Fault::Format { hint: found } = fault(bytes.to_vec()) else { panic!("{hint}") };
        assert!(found.contains(hint), "{found}");
    }
}

#[test]
fn a_lying_header_of_safetensors_is_refused() {
    let whole = floats("w", &[1.0, 2.0]);
    assert_eq!(Tensors::from_bytes(whole.clone()).unwrap().read("w").unwrap().num_elements(), 2);
    assert!(matches!(fault(whole[..whole.len() - 1].to_vec()), Fault::Outside { .. }));
    assert!(matches!(fault(whole[..20].to_vec()), Fault::Truncated { length: 20, .. }));
    assert!(matches!(fault([&whole[..], &[0]].concat()), Fault::Gap { begin: 8, end: 9 }));

    let mut long = whole.clone();
    long[4] = 1;
    assert!(matches!(fault(long), Fault::Header { .. }));

    let one = |entry: &str| fault(safetensors(&format!("{{{entry}}}"), &[0; 8]));
    assert!(matches!(
        one(r#""w":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,8]}"#),
        Fault::Shape { .. }
    ));
    assert!(matches!(
        one(r#""w":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}"#),
        Fault::Size { .. }
    ));
    assert!(matches!(
        one(r#""w":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}"#),
        Fault::Shape { .. }
    ));
    assert!(matches!(
        one(r#""w":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}"#),
        Fault::Outside { .. }
    ));
    assert!(matches!(
        one(r#""w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#),
        Fault::Outside { .. }
    ));
    assert!(matches!(
        one(r#""w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#),
        Fault::Size { bytes: 8, .. }
    ));
    assert!(matches!(
        one(r#""w":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}"#),
        Fault::Type { found, .. } if found == "F33"
    ));
    assert!(matches!(
        one(r#""w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#),
        Fault::Gap { begin: 0, end: 4 }
    ));
    let byte = |name: &str, from: u8, to: u8| {
        format!(r#""{name}":{{"dtype":"U8","shape":[{}],"data_offsets":[{from},{to}]}}"#, to - from)
    };
    assert!(matches!(
        one(&[byte("a", 0, 5), byte("b", 4, 8)].join(",")),
        Fault::Overlap { first, second } if first == "a" && second == "b"
    ));
    let twice = one(&[byte("a", 0, 4), byte("a", 4, 8)].join(","));
    assert!(
        matches!(&twice, Fault::Json(reason) if reason.contains("a is there twice")),
        "{twice}"
    );
    assert!(matches!(one(r#""w":{"dtype":"F32"}"#), Fault::Json(_)));
    assert!(matches!(one(&format!(r#""w":{}"#, "[".repeat(10_000))), Fault::Json(_)));
}

#[test]
fn a_lying_header_of_gguf_is_refused() {
    let whole = gguf(&[("w", &[2, 1], 0, 0)], &[0; 8]);
    assert_eq!(Tensors::from_bytes(whole.clone()).unwrap().get("w").unwrap().shape(), [1, 2]);
    assert!(matches!(fault(whole[..whole.len() - 1].to_vec()), Fault::Outside { .. }));
    assert!(matches!(fault(whole[..40].to_vec()), Fault::Truncated { .. }));
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        fault(file)
    };
    assert!(matches!(patched(4, &[4]), Fault::Version { found, .. } if found == "4"));
    // The numbers of tensors, of pairs, and the length of a name.
    for at in [8, 16, 24] {
        let fault = patched(at, &[255; 8]);
        assert!(matches!(fault, Fault::Truncated { .. } | Fault::Metadata(_)), "{at}: {fault}");
    }
    assert!(matches!(fault(gguf(&[("w", &[u64::MAX, 2], 0, 0)], &[0; 8])), Fault::Shape { .. }));
    assert!(matches!(fault(gguf(&[("w", &[2], 0, u64::MAX)], &[0; 8])), Fault::Outside { .. }));
    assert!(matches!(fault(gguf(&[("w", &[2], 99, 0)], &[0; 8])), Fault::Type { .. }));
    assert!(matches!(fault(gguf(&[("w", &[31], 2, 0)], &[0; 18])), Fault::Size { .. }));
    let two: [(_, &[u64], _, _); 2] = [("a", &[2], 0, 0), ("b", &[1], 0, 4)];
    assert!(matches!(fault(gguf(&two, &[0; 8])), Fault::Overlap { .. }));
    let same: [(_, &[u64], _, _); 2] = [("a", &[1], 0, 0), ("a", &[1], 0, 4)];
    assert!(matches!(fault(gguf(&same, &[0; 8])), Fault::Twice(name) if name == "a"));
}

#[test]
fn a_lying_archive_or_pickle_is_refused() {
    let whole = torch(&pickle(4, 0, &[2, 2], &[2, 1]));
    let read = Tensors::from_bytes(whole.clone()).unwrap().read("w").unwrap();
    assert_eq!(read.iter::<f32>().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
    let turned = Tensors::from_bytes(torch(&pickle(4, 0, &[2, 2], &[1, 2]))).unwrap();
    let turned = turned.read("w").unwrap();
    assert_eq!(turned.iter::<f32>().collect::<Vec<_>>(), [1.0, 3.0, 2.0, 4.0]);

    assert!(matches!(fault(whole[..whole.len() - 30].to_vec()), Fault::Archive(_)));
    assert!(matches!(fault(torch(&pickle(5, 0, &[2], &[1]))), Fault::Size { .. }));
    // Beyond the storage: by offset, by shape, by strides; and more elements than it has.
    for (offset, shape, strides) in [(3, [2], [1]), (0, [5], [1]), (0, [2], [4]), (0, [200], [0])] {
        assert!(matches!(fault(torch(&pickle(4, offset, &shape, &strides))), Fault::Shape { .. }));
    }
    assert!(matches!(fault(torch(&pickle(4, 0, &[2, 2], &[1]))), Fault::Shape { .. }));
    let storage = pickle(4, 0, &[2], &[1]);
    let absent = archive(&[("a/data.pkl", &storage)]);
    assert!(matches!(fault(absent), Fault::Archive(_)));
    let big = archive(&[("a/data.pkl", &storage), ("a/data/0", &[0; 16]), ("a/byteorder", b"big")]);
    assert!(matches!(fault(big), Fault::Archive(_)));
    for (pickle, reason) in [
        (&b"\x80\x02K\x01."[..], "no dictionary"),
        (b"\x80\x02}", ""),
        (b"\x80\x02.", "empty"),
        (b"\x80\x00.", "protocol 0"),
        (b"\x80\x02}(0.", "empty"),
        (b"\x80\x02h\x05.", "nothing was kept"),
        (b"\x80\x02i.", "opcode"),
        (b"\x80\x02}X\xff\xff\xff\x7f", "text of"),
        (b"\x80\x02K\x01Q.", "tuple"),
    ] {
        let fault = fault(torch(pickle));
        assert!(fault.to_string().contains(reason), "{fault}, and not {reason}");
    }
    let refused = Tensors::from_bytes(torch(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R."));
    assert!(matches!(refused, Err(WeightsError::Refused { name, .. }) if name == "os.system"));
}

#[test]
fn dictionaries_in_circles_come_to_an_end() {
    // d = {"d": d, "w": …}
    let mut pickle = pickle(4, 0, &[2], &[1]);
    pickle.splice(3..3, *b"q\x00X\x01\0\0\0dh\x00s");
    let tensors = Tensors::from_bytes(torch(&pickle)).unwrap();
    assert_eq!(tensors.names().collect::<Vec<_>>(), ["w"]);
    // A tuple in a tuple in a tuple …
    let deep = [b"\x80\x02)".to_vec(), vec![0x85; 1_000_000], b"0}.".to_vec()].concat();
    assert!(Tensors::from_bytes(torch(&deep)).unwrap().is_empty());
}

/// A directory with an index and shards.
fn shards(index: &str, files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("model.safetensors.index.json"), index).unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

fn component(directory: &Path) -> WeightsError {
    Tensors::component(directory, &Variant::PLAIN).unwrap_err()
}

#[test]
fn an_index_that_does_not_fit_its_shards_is_refused() {
    let a = floats("a", &[1.0]);
    let map = |entries: &str| format!(r#"{{"metadata":{{}},"weight_map":{{{entries}}}}}"#);

    let absent = shards(&map(r#""a":"1.safetensors""#), &[]);
    let error = component(absent.path());
    assert!(matches!(&error, WeightsError::Read { path, .. } if path.ends_with("1.safetensors")));

    for outside in ["../1.safetensors", "/etc/passwd", "x/1.safetensors", "..", "", r"x\\y"] {
        let index = map(&format!(r#""a":"{outside}""#));
        let error = component(shards(&index, &[]).path());
        assert!(
            matches!(error, WeightsError::File { fault: Fault::Shard(_), .. }),
            "{outside}: {error}"
        );
    }

    let index = map(r#""a":"1.safetensors","b":"2.safetensors""#);
    let twice = shards(&index, &[("1.safetensors", a.clone()), ("2.safetensors", a.clone())]);
    let error = component(twice.path());
    assert!(matches!(&error, WeightsError::Duplicate { tensor, .. } if tensor == "a"), "{error}");

    let index = map(r#""a":"1.safetensors","b":"1.safetensors""#);
    let error = component(shards(&index, &[("1.safetensors", a.clone())]).path());
    let WeightsError::File { fault, .. } = error else { panic!("{error}") };
    assert!(matches!(fault, Fault::Absent { tensor, .. } if tensor == "b"));

    // An index that lists nothing is a component without tensors; `load` says what is missing.
    let nothing = shards(&map(""), &[]);
    assert!(Tensors::component(nothing.path(), &Variant::PLAIN).unwrap().is_empty());

    let both = safetensors(
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
        &[0; 2],
    );
    let error =
        component(shards(&map(r#""a":"1.safetensors""#), &[("1.safetensors", both)]).path());
    let WeightsError::File { fault, .. } = error else { panic!("{error}") };
    assert!(matches!(fault, Fault::Unlisted { tensor, .. } if tensor == "b"));

    for index in ["", "{}", "[]", r#"{"weight_map":{"a":1}}"#] {
        let error = component(shards(index, &[]).path());
        assert!(
            matches!(error, WeightsError::File { fault: Fault::Json(_), .. }),
            "{index}: {error}"
        );
    }
    let index = map(r#""a":"1.safetensors","a":"2.safetensors""#);
    let error = component(shards(&index, &[]).path());
    assert!(error.to_string().contains("a is there twice"), "{error}");

    // What the index does not list is not looked at.
    let stray = [("1.safetensors", a), ("2.safetensors", b"stray".to_vec())];
    let directory = shards(&map(r#""a":"1.safetensors""#), &stray);
    assert_eq!(Tensors::component(directory.path(), &Variant::PLAIN).unwrap().len(), 1);
}

#[test]
fn a_file_that_is_cut_while_it_is_open_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("w.safetensors");
    fs::write(&path, floats("w", &[1.0; 64])).unwrap();
    let tensors = Tensors::open(&path).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    let error = tensors.read("w").unwrap_err();
    assert!(matches!(error, WeightsError::File { fault: Fault::Truncated { .. }, .. }), "{error}");
}

/// What a file or a network says to need is compared before there is memory for it.
#[test]
fn a_huge_shape_is_refused_before_it_is_allocated() {
    let huge = 1 << 40;
    let linear = || LinearConfig::new(huge, huge).with_bias(false).init(&Device::flex());
    let small = Tensors::from_bytes(floats("weight", &[1.0])).unwrap();
    let error = load(linear(), &small, &LoadOptions::new()).unwrap_err();
    let WeightsError::Misfit { misfit, .. } = error else { panic!("{error}") };
    assert_eq!(misfit.different[0].expected, format!("[{huge}, {huge}]"));
    // A pickle whose storage is said to be huge, in an archive of 16 bytes of it.
    let mut pickle = pickle(4, 0, &[2], &[1]);
    let at = pickle.windows(4).position(|bytes| bytes == b"cpuK").unwrap() + 3;
    pickle.splice(at..at + 2, *b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f");
    assert!(matches!(fault(torch(&pickle)), Fault::Size { .. }));
}

/// Of one component, shards may differ in their float types: the network is then in f32, as one file of
/// several types is.
#[test]
fn shards_of_several_float_types_make_a_network_of_one() {
    let half = r#"{"bias":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#;
    let single = r#"{"weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#;
    let index = r#"{"weight_map":{"bias":"1.safetensors","weight":"2.safetensors"}}"#;
    let files = [
        ("1.safetensors", safetensors(half, &[0x00, 0x38])),
        ("2.safetensors", safetensors(single, &0.1_f32.to_le_bytes())),
    ];
    let directory = shards(index, &files);
    let tensors = Tensors::component(directory.path(), &Variant::PLAIN).unwrap();
    let linear = LinearConfig::new(1, 1).init(&Device::flex());
    let linear = load(linear, &tensors, &LoadOptions::new()).unwrap();
    assert_eq!(linear.weight.val().into_data(), TensorData::from([[0.1_f32]]));
    assert_eq!(linear.bias.unwrap().val().into_data(), TensorData::from([0.5_f32]));
}
