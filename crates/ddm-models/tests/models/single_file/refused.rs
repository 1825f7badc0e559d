//! Files that are refused, and what the errors say.

use burn::tensor::{Device, TensorData};
use ddm_models::UNet2dConditionConfig;
use ddm_models::single_file::{SingleFile, SingleFileError};
use ddm_models::transformer::Sd3TransformerConfig;
use ddm_weights::{TensorView, Tensors, WeightsError};

use super::pipelines;
use crate::golden::directory;

fn zeros(shape: &[usize]) -> TensorView {
    TensorView::from(TensorData::zeros::<f32, _>(shape.to_vec()))
}

fn file(name: &str) -> Tensors {
    Tensors::open(pipelines(name).join("model.safetensors")).unwrap()
}

fn refused(tensors: &Tensors) -> SingleFileError {
    SingleFile::from_tensors(tensors).unwrap_err()
}

/// Asserts that an error says all of this.
fn assert_says(error: &SingleFileError, texts: &[&str]) {
    let message = error.to_string();
    for text in texts {
        assert!(message.contains(text), "{text}: {message}");
    }
}

/// A file with tensors of these names alone.
fn of(names: &[&str]) -> Tensors {
    let mut tensors = file("single-file-sd35").rename(|_| None).unwrap();
    for name in names {
        tensors.insert(*name, zeros(&[1]));
    }
    tensors
}

#[test]
fn what_is_no_checkpoint() {
    for (names, hint) in [
        (&[][..], "it has no tensors; known are Stable Diffusion 1,"),
        (&["a", "b"], "is in no layout that is known; it has 2 such as a, b"),
        (&["betas"], "it has 1 such as betas"),
        (&["lora_unet_down_blocks_0.lora_down.weight"], "perhaps a LoRA"),
        (&["control_model.time_embed.0.weight"], "perhaps a ControlNet"),
        (&["down_blocks.0.resnets.0.conv1.weight"], "which is loaded from its directory"),
        (&["model.diffusion_model.single_stream_modulation.lin.weight"], "perhaps Flux.2"),
        (&["diffusion_model.cap_embedder.0.weight"], "perhaps Lumina"),
        (&["model.diffusion_model.blocks.0.weight", "vae.decoder.conv_in.weight"], "it has 2"),
    ] {
        let error = refused(&of(names));
        assert!(matches!(error, SingleFileError::Unrecognized { .. }), "{error}");
        assert_says(&error, &[hint]);
    }
    let unet = "stable-diffusion-small/unet/diffusion_pytorch_model.safetensors";
    let error = SingleFile::open(pipelines(unet)).unwrap_err();
    assert_says(&error, &["perhaps a network by the names of diffusers"]);
}

/// Networks that have the tensors of another, and more.
#[test]
fn kin_of_known_networks() {
    let kin = [
        ("model.diffusion_model.distilled_guidance_layer.in_proj.bias", "Chroma"),
        ("distilled_guidance_layer.in_proj.bias", "Chroma"),
        ("txt_in.individual_token_refiner.blocks.0.mlp.0.bias", "HunyuanVideo"),
        ("edm_mean", "Playground"),
    ];
    let path = directory("single-file-flux").join("flux1-tiny.safetensors");
    for (name, hint) in kin {
        let mut tensors = Tensors::open(&path).unwrap();
        tensors.insert(name, zeros(&[1]));
        assert_says(&refused(&tensors), &[hint]);
    }
}

#[test]
fn parts_that_are_not_there() {
    let device = Device::flex();
    let sd2 = SingleFile::from_tensors(&file("single-file-sd2")).unwrap();
    let error = sd2.autoencoder_config().unwrap_err();
    assert!(matches!(error, SingleFileError::NoPart { .. }));
    let says = "has no autoencoder: it is Stable Diffusion 2, and has the U-Net, the text encoder";
    assert_says(&error, &[says]);
    let error = sd2.flux(&Default::default(), &device).unwrap_err();
    assert_says(&error, &["has no transformer of Flux: it is Stable Diffusion 2"]);
    let sd3 = SingleFile::from_tensors(&file("single-file-sd35")).unwrap();
    let error = sd3.unet(&UNet2dConditionConfig::default(), &device).unwrap_err();
    assert_says(&error, &["has no U-Net: it is Stable Diffusion 3, and has the transformer of"]);
    assert_says(&sd3.t5_config().unwrap_err(), &["has no T5 encoder"]);
    assert_says(&sd3.text_encoder_2_config().unwrap_err(), &["has no second text encoder"]);
}

fn sd35() -> Sd3TransformerConfig {
    let json = std::fs::read_to_string(directory("sd35-transformer").join("config.json")).unwrap();
    Sd3TransformerConfig::from_json(&json).unwrap()
}

#[test]
fn missing_and_unknown_tensors() {
    let device = Device::flex();
    let load = |tensors: &Tensors| {
        SingleFile::from_tensors(tensors).unwrap().sd3(&sd35(), &device).unwrap_err()
    };
    let mut tensors = file("single-file-sd35");
    let view = tensors.remove("joint_blocks.1.x_block.mlp.fc1.bias").unwrap();
    let missing = "1 missing: transformer_blocks.1.ff.net.0.proj.bias";
    assert_says(&load(&tensors), &["does not fit the network", missing]);
    tensors.insert("joint_blocks.1.x_block.mlp.fc1.bias", view);
    tensors.insert("register_tokens", zeros(&[1]));
    tensors.insert("joint_blocks.2.x_block.mlp.fc1.bias", zeros(&[96]));
    assert_says(&load(&tensors), &["2 unknown", "register_tokens", "transformer_blocks.2.ff"]);
    tensors.remove("register_tokens").unwrap();
    tensors.remove("joint_blocks.2.x_block.mlp.fc1.bias").unwrap();
    tensors.insert("joint_blocks.1.x_block.mlp.fc1.bias", zeros(&[95]));
    assert_says(&load(&tensors), &["1 different", "is [95] and must be [96]"]);
    // A shape that cannot be parted is told of, too.
    tensors.insert("joint_blocks.1.x_block.attn.qkv.bias", zeros(&[70]));
    assert!(matches!(load(&tensors), SingleFileError::Weights(WeightsError::View { .. })));
    tensors.insert("joint_blocks.1.x_block.attn.qkv.bias", zeros(&[]));
    assert!(matches!(load(&tensors), SingleFileError::Weights(WeightsError::View { .. })));

    let mut tensors = file("single-file-sd2");
    tensors.insert("depth_model.layer.weight", zeros(&[1]));
    let error = refused(&tensors);
    assert!(matches!(error, SingleFileError::Unknown { .. }));
    let says =
        "is Stable Diffusion 2, and has tensors that belong to no part of it: 1 such as depth";
    assert_says(&error, &[says, "SingleFile::from_tensors"]);
    let known = |name: &str| (!name.starts_with("depth_model.")).then(|| name.to_owned());
    SingleFile::from_tensors(&tensors.rename(known).unwrap()).unwrap();
}

/// The same tensor under two names.
#[test]
fn tensors_twice() {
    let device = Device::flex();
    let mut tensors = file("single-file-sd2");
    let name = "model.diffusion_model.out.2.bias";
    let view = tensors.get(name).unwrap().clone();
    tensors.insert(&name["model.".len()..], view.clone());
    assert_says(&refused(&tensors), &["were both renamed to out.2.bias"]);
    let mut tensors = file("single-file-sd35");
    tensors.insert("proj_out.bias", view);
    let error = SingleFile::from_tensors(&tensors).unwrap().sd3(&sd35(), &device).unwrap_err();
    assert_says(&error, &["final_layer.linear.bias and proj_out.bias were both renamed to"]);
}

#[test]
fn configs_that_cannot_be_told_or_do_not_fit() {
    let device = Device::flex();
    let flux = directory("single-file-flux").join("flux1-tiny.safetensors");
    let error = SingleFile::open(flux).unwrap().flux_config().unwrap_err();
    assert_says(&error, &["cannot be told from", "its heads have 12 channels", "give one"]);
    let mut tensors = file("single-file-sd35");
    tensors.insert("pos_embed", zeros(&[1, 0, 24]));
    let error = SingleFile::from_tensors(&tensors).unwrap().sd3_config().unwrap_err();
    assert_says(&error, &["pos_embed is of shape [1, 0, 24]"]);
    tensors.remove("pos_embed").unwrap();
    let error = SingleFile::from_tensors(&tensors).unwrap().sd3_config().unwrap_err();
    assert_says(&error, &["it has no pos_embed"]);
    // Its norms have 3 groups.
    let sd2 = SingleFile::from_tensors(&file("single-file-sd2")).unwrap();
    let error = sd2.unet(&sd2.unet_config().unwrap(), &device).unwrap_err();
    assert!(matches!(error, SingleFileError::Network(_)), "{error}");
    let error = sd2.unet(&UNet2dConditionConfig::default(), &device).unwrap_err();
    assert_says(&error, &["does not fit the network", "missing", "different"]);
}

#[test]
fn files_that_cannot_be_read() {
    let error = SingleFile::open("no-such.safetensors").unwrap_err();
    assert!(matches!(error, SingleFileError::Weights(WeightsError::Read { .. })));
    let bytes = std::fs::read(pipelines("single-file-sd/model.ckpt")).unwrap();
    let whole = std::fs::read(pipelines("single-file-sd2/model.safetensors")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for bytes in [&bytes[..bytes.len() / 2], &whole[..whole.len() - 1], &whole[..100], &[]] {
        let path = directory.path().join("model.ckpt");
        std::fs::write(&path, bytes).unwrap();
        let error = SingleFile::open(path).unwrap_err();
        assert!(matches!(error, SingleFileError::Weights(WeightsError::File { .. })), "{error}");
    }
    // A pickle that would run code.
    let error = SingleFile::open(pipelines("../torch/code.pt")).unwrap_err();
    assert!(matches!(error, SingleFileError::Weights(WeightsError::Refused { .. })), "{error}");
}
