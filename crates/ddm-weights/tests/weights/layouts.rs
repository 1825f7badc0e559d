//! Directories that diffusers and transformers wrote: the same weights in several layouts.

use burn::tensor::DType;
use ddm_weights::{Stored, Tensors, Variant, WeightsError};

use crate::files::{assert_same, testdata};

fn component(name: &str, variant: &Variant) -> Tensors {
    Tensors::component(testdata("models").join(name), variant).unwrap()
}

fn plain(name: &str) -> Tensors {
    component(name, &Variant::PLAIN)
}

fn half(name: &str) -> Tensors {
    component(name, &Variant::named("fp16").unwrap())
}

#[test]
fn a_text_encoder_is_the_same_in_every_layout() {
    let one_file = plain("clip-text-eos2");
    assert_same(&one_file, &plain("layout-clip-sharded"));

    let legacy = plain("layout-clip-legacy");
    assert_same(&legacy, &plain("layout-clip-bin"));
    let ids = legacy.get("text_model.embeddings.position_ids").unwrap();
    assert_eq!((ids.stored(), ids.dtype()), (Stored::I64, DType::I64));
    assert_eq!(ids.read().unwrap().iter::<i64>().collect::<Vec<_>>()[..3], [0, 1, 2]);
    let renamed = legacy.rename(|name| {
        let name = name.strip_prefix("text_model.")?;
        (name != "embeddings.position_ids").then(|| name.to_owned())
    });
    assert_same(&one_file, &renamed.unwrap());
}

#[test]
fn a_network_is_the_same_in_shards_and_in_a_bin() {
    let sharded = plain("layout-sharded");
    assert_eq!(sharded.len(), 144);
    assert_same(&sharded, &plain("layout-bin"));
}

#[test]
fn half_precision_is_what_rounding_gives() {
    let (full, sharded) = (plain("layout-sharded"), half("layout-fp16-sharded"));
    assert_same(&half("layout-fp16-variant"), &sharded);
    let brain = plain("layout-bf16");
    for (name, view) in full.iter() {
        assert_eq!(sharded.get(name).unwrap().stored(), Stored::F16);
        assert_eq!(view.read_as(DType::F16).unwrap(), sharded.read(name).unwrap(), "{name}");
        assert_eq!(brain.get(name).unwrap().stored(), Stored::BF16);
        assert_eq!(view.read_as(DType::BF16).unwrap(), brain.read(name).unwrap(), "{name}");
        // And back: widening is exact.
        let widened = sharded.read_as(name, DType::F32).unwrap();
        assert_eq!(widened.convert_dtype(DType::F16), sharded.read(name).unwrap(), "{name}");
    }
}

#[test]
fn a_missing_variant_names_what_is_there() {
    let directory = testdata("models/layout-sharded");
    let variant = Variant::named("fp16").unwrap();
    let error = Tensors::component(&directory, &variant).unwrap_err();
    let WeightsError::NoWeights { found, looked_for, .. } = &error else { panic!("{error}") };
    assert_eq!(found.len(), 5); // three shards, their index, the recorded outputs
    assert!(looked_for.contains(&"diffusion_pytorch_model.fp16.safetensors".to_owned()));
    assert!(error.to_string().contains("the variant fp16"), "{error}");

    let either = Tensors::component(&directory, &variant.or_plain()).unwrap();
    assert_same(&either, &plain("layout-sharded"));
    let error = Tensors::component(testdata("models/layout-fp16-variant"), &Variant::PLAIN);
    assert!(matches!(error, Err(WeightsError::NoWeights { .. })));
    for name in ["", "../fp16", "a/b", "fp 16"] {
        assert!(matches!(Variant::named(name), Err(WeightsError::Variant(_))), "{name}");
    }
}

#[test]
fn every_published_spelling_of_an_index_is_found() {
    let source = testdata("models/layout-fp16-sharded");
    for spelling in [
        "diffusion_pytorch_model.safetensors.index.fp16.json",
        "diffusion_pytorch_model.fp16.safetensors.index.json",
    ] {
        let directory = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(&source).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let name = if name.contains(".index.") { spelling } else { &name };
            std::fs::copy(entry.path(), directory.path().join(name)).unwrap();
        }
        let variant = Variant::named("fp16").unwrap();
        let tensors = Tensors::component(directory.path(), &variant).unwrap();
        assert_same(&tensors, &half("layout-fp16-variant"));
    }
}

#[test]
fn safetensors_come_before_a_bin() {
    let directory = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(testdata("models").join(from), directory.path().join(to)).unwrap();
    };
    copy("layout-bf16/diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors");
    copy("layout-bin/diffusion_pytorch_model.bin", "diffusion_pytorch_model.bin");
    let tensors = Tensors::component(directory.path(), &Variant::PLAIN).unwrap();
    assert_same(&tensors, &plain("layout-bf16"));
}
