//! Modules in several files.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Device;
use ddm_weights::{LoadOptions, Tensors, Variant, WeightsError, load, save, save_shards};
use serde_json::Value;

use crate::files::assert_same;

#[derive(Module, Debug)]
struct Layers {
    linear: Vec<Linear>,
    norm: LayerNorm,
}

fn layers(device: &Device) -> Layers {
    Layers {
        linear: (0..3).map(|_| LinearConfig::new(8, 4).init(device)).collect(),
        norm: LayerNormConfig::new(5).init(device),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn component(directory: &Path) -> Tensors {
    Tensors::component(directory, &Variant::PLAIN).unwrap()
}

#[test]
fn shards_hold_what_one_file_does() {
    let (device, directory) = (Device::flex(), tempfile::tempdir().unwrap());
    let directory = directory.path();
    let module = layers(&device);
    let other = ["model-ema-00001-of-00002.safetensors", "model-of-mine.safetensors"];
    for name in other {
        save(&module, directory.join(name)).unwrap();
    }
    save(&module, directory.join("model.safetensors")).unwrap();
    let whole =
        Tensors::from_bytes(fs::read(directory.join("model.safetensors")).unwrap()).unwrap();

    // A layer has 144 bytes, the norm 40.
    save_shards(&module, directory, "model", 300).unwrap();
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let index = "model.safetensors.index.json";
    let mut expected = vec![shards[0], shards[1], other[0], other[1], index];
    expected.sort_unstable();
    assert_eq!(names(directory), expected, "the file from before is gone, those of others are not");
    for name in other {
        fs::remove_file(directory.join(name)).unwrap();
    }
    assert_same(&component(directory), &whole);
    let json = fs::read_to_string(directory.join(index)).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["metadata"]["total_size"], 3 * 144 + 40);
    assert_eq!(json["weight_map"]["linear.0.weight"], shards[0]);
    assert_eq!(json["weight_map"]["norm.bias"], shards[1]);
    for shard in shards {
        let tensors = Tensors::open(directory.join(shard)).unwrap();
        let bytes: usize = tensors.iter().map(|(_, tensor)| 4 * tensor.elements()).sum();
        assert!(bytes <= 300, "{shard} has {bytes} bytes");
        assert_eq!(tensors.metadata()["format"], "pt");
    }
    let again = load(layers(&device), &component(directory), &LoadOptions::new()).unwrap();
    assert_eq!(again.linear[2].weight.val().into_data(), module.linear[2].weight.val().into_data());

    // Fewer bytes than a tensor has: one tensor a file. Then all in one.
    save_shards(&module, directory, "model", 1).unwrap();
    assert_eq!(names(directory).len(), 8 + 1);
    assert_same(&component(directory), &whole);
    save_shards(&module, directory, "model", u64::MAX).unwrap();
    assert_eq!(names(directory), ["model.safetensors"]);
    assert_same(&component(directory), &whole);
}

#[test]
fn a_save_that_fails_leaves_the_one_before() {
    let (device, directory) = (Device::flex(), tempfile::tempdir().unwrap());
    let directory = directory.path();
    let module = layers(&device);
    save_shards(&module, directory, "model", 300).unwrap();
    let before = (names(directory), component(directory));
    // A directory is in the way of the second of three files.
    let blocked = directory.join("model-00002-of-00004.safetensors.new");
    fs::create_dir(&blocked).unwrap();
    let error = save_shards(&layers(&device), directory, "model", 150).unwrap_err();
    assert!(matches!(error, WeightsError::Write { .. }), "{error}");
    fs::remove_dir(&blocked).unwrap();
    assert_eq!(names(directory), before.0);
    assert_same(&component(directory), &before.1);
    let error = save_shards(&module, directory.join("missing"), "model", 300).unwrap_err();
    assert!(matches!(error, WeightsError::Write { .. }), "{error}");
}
