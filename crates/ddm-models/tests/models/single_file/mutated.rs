//! Changed names and shapes: an error or a network, never a panic.
//!
//! `PROPTEST_CASES=1000000` runs as many of each.

use std::sync::LazyLock;

use burn::tensor::{Device, TensorData};
use ddm_models::single_file::SingleFile;
use ddm_models::text::{ClipTextConfig, T5EncoderConfig};
use ddm_models::transformer::{FluxTransformerConfig, Sd3TransformerConfig};
use ddm_models::{AutoencoderKlConfig, UNet2dConditionConfig};
use ddm_weights::{TensorView, Tensors};
use proptest::prelude::*;

use super::pipelines;
use crate::golden::directory;

/// As many cases as the environment says, or enough for every day.
fn cases() -> ProptestConfig {
    let said = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if said { config } else { ProptestConfig { cases: 200, ..config } }
}

static FILES: LazyLock<Vec<Tensors>> = LazyLock::new(|| {
    let flux = directory("single-file-flux").join("flux1-tiny.safetensors");
    let files = ["sd", "sdxl", "sd2", "sd3", "sd35"]
        .map(|name| pipelines(&format!("single-file-{name}/model.safetensors")));
    files.iter().chain([&flux]).map(|path| Tensors::open(path).unwrap()).collect()
});

/// The configs of those files.
struct Configs {
    unets: Vec<UNet2dConditionConfig>,
    autoencoder: AutoencoderKlConfig,
    encoders: Vec<ClipTextConfig>,
    sd3: Vec<Sd3TransformerConfig>,
    t5: T5EncoderConfig,
    flux: FluxTransformerConfig,
}

static CONFIGS: LazyLock<Configs> = LazyLock::new(|| {
    let json = |path: &str| std::fs::read_to_string(pipelines(path).join("config.json")).unwrap();
    let unet = |path| UNet2dConditionConfig::from_diffusers(&json(path)).unwrap();
    let clip = |path| ClipTextConfig::from_json(&json(path)).unwrap();
    let sd3 = |path| Sd3TransformerConfig::from_json(&json(path)).unwrap();
    Configs {
        unets: ["stable-diffusion-small/unet", "stable-diffusion-xl/unet", "single-file-sd2/unet"]
            .map(unet)
            .into(),
        autoencoder: AutoencoderKlConfig::from_diffusers(&json("stable-diffusion-small/vae"))
            .unwrap(),
        encoders: ["stable-diffusion-xl/text_encoder_2", "stable-diffusion-3/text_encoder"]
            .map(clip)
            .into(),
        sd3: ["stable-diffusion-3/transformer", "../models/sd35-transformer"].map(sd3).into(),
        t5: T5EncoderConfig::from_json(&json("stable-diffusion-3/text_encoder_3")).unwrap(),
        flux: FluxTransformerConfig::from_json(&json("../models/single-file-flux")).unwrap(),
    }
});

/// Makes all parts, by the configs that are told and those of the files.
fn load(tensors: &Tensors) {
    let device = Device::flex();
    let Ok(file) = SingleFile::from_tensors(tensors) else { return };
    assert!(!file.layout().to_string().is_empty() && file.parts().count() > 0);
    let known = &*CONFIGS;
    for config in known.unets.iter().cloned().chain(file.unet_config()) {
        drop(file.unet(&config, &device));
    }
    for config in [known.autoencoder.clone()].into_iter().chain(file.autoencoder_config()) {
        drop(file.autoencoder(&config, &device));
    }
    for config in known.encoders.iter().cloned().chain(file.text_encoder_config()) {
        drop(file.text_encoder(&config, &device));
        drop(file.text_encoder_2(&config, &device));
    }
    for config in known.sd3.iter().cloned().chain(file.sd3_config()) {
        drop(file.sd3(&config, &device));
    }
    for config in [known.t5.clone()].into_iter().chain(file.t5_config()) {
        drop(file.t5(&config, &device));
    }
    for config in [known.flux.clone()].into_iter().chain(file.flux_config()) {
        drop(file.flux(&config, &device));
    }
}

const PREFIXES: [&str; 10] = [
    "",
    "model.diffusion_model.",
    "diffusion_model.",
    "first_stage_model.",
    "cond_stage_model.",
    "conditioner.embedders.0.model.",
    "conditioner.embedders.1.model.",
    "text_encoders.clip_l.transformer.",
    "text_encoders.t5xxl.transformer.",
    "model_ema.",
];

const ENDS: [&str; 16] = [
    "input_blocks.0.0.weight",
    "input_blocks.1.0.in_layers.2.weight",
    "input_blocks.2.0.op.weight",
    "label_emb.0.0.weight",
    "middle_block.1.transformer_blocks.0.attn2.to_k.weight",
    "joint_blocks.0.context_block.adaLN_modulation.1.bias",
    "pos_embed",
    "double_blocks.0.img_attn.norm.key_norm.scale",
    "decoder.conv_in.weight",
    "encoder.down.0.block.0.conv1.weight",
    "token_embedding.weight",
    "transformer.resblocks.0.attn.in_proj_weight",
    "text_model.embeddings.token_embedding.weight",
    "text_projection",
    "shared.weight",
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
];

/// A change of a name: a tensor and a place, each of 2¹⁶, what is done, and with what.
type Change = (u16, u16, u8, u8);

fn changed(name: &str, (_, place, kind, with): Change) -> String {
    let letters = b"0123456789._aqw";
    let letter = char::from(letters[usize::from(with) % letters.len()]);
    let at = name.len() * usize::from(place) / (1 << 16);
    let (start, end) = name.split_at(at);
    match kind % 7 {
        0 => start.to_owned(),
        1 => end.to_owned(),
        2 => format!("{start}{letter}{end}"),
        3 => format!("{start}{letter}{}", end.get(1..).unwrap_or("")),
        4 => format!("{}{name}", PREFIXES[usize::from(with) % PREFIXES.len()]),
        5 => format!("{}{}", PREFIXES[usize::from(with) % PREFIXES.len()], ENDS[at % ENDS.len()]),
        // Another number.
        _ => name.replace(char::from(b'0' + with % 10), "18446744073709551615"),
    }
}

fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0_usize..5, 0..4)
}

fn zeros(shape: &[usize]) -> TensorView {
    TensorView::from(TensorData::zeros::<f32, _>(shape.to_vec()))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn changed_names_and_shapes(
        file in 0_usize..6,
        names in prop::collection::vec(any::<Change>(), 0..5),
        shapes in prop::collection::vec((any::<u16>(), shape()), 0..3),
        left_out in prop::collection::vec(any::<u16>(), 0..3),
    ) {
        let mut tensors = FILES[file].clone();
        let all: Vec<String> = tensors.names().map(str::to_owned).collect();
        let chosen = |at: u16| all[all.len() * usize::from(at) / (1 << 16)].as_str();
        for change in &names {
            if let Ok(view) = tensors.remove(chosen(change.0)) {
                tensors.insert(changed(chosen(change.0), *change), view);
            }
        }
        for (at, shape) in &shapes {
            tensors.insert(chosen(*at), zeros(shape));
        }
        for at in &left_out {
            drop(tensors.remove(chosen(*at)));
        }
        load(&tensors);
    }

    #[test]
    fn any_known_names(
        names in prop::collection::vec((0_usize..10, 0_usize..16, shape(), any::<Change>()), 0..9),
        changes in 0_usize..3,
    ) {
        let mut tensors = FILES[5].rename(|_| None).unwrap();
        for (number, (prefix, end, shape, change)) in names.iter().enumerate() {
            let name = format!("{}{}", PREFIXES[*prefix], ENDS[*end]);
            let name = if number < changes { changed(&name, *change) } else { name };
            tensors.insert(name, zeros(shape));
        }
        load(&tensors);
    }
}
