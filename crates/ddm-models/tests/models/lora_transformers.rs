//! LoRAs for Flux and Stable Diffusion 3 in the layouts of their makers, where one layer holds several of
//! diffusers'.

use burn::tensor::TensorData;
use ddm_models::lora::*;
use ddm_models::transformer::{FluxTransformer, Sd3Transformer};

use super::golden::directory;
use super::lora::{WEIGHT, error, random, tensors, weights};
use super::*;

/// A layer there, its block and its layers in diffusers, its columns, and the rows of each.
type Layer = (&'static str, &'static str, &'static [&'static str], usize, &'static [usize]);

/// What a file calls the matrices A and B of a layer.
type Names = fn(&str) -> [String; 2];

fn comfy(layer: &str) -> [String; 2] {
    ["lora_A", "lora_B"].map(|end| format!("diffusion_model.{layer}.{end}.weight"))
}

fn kohya(layer: &str) -> [String; 2] {
    let layer = layer.replace('.', "_");
    ["lora_down", "lora_up"].map(|end| format!("lora_unet_{layer}.{end}.weight"))
}

/// Merges random LoRAs of `layers` by the names of diffusers, and by others, which must be the same.
fn assert_same<M: Module + Clone>(network: &M, layers: &[Layer], changed: usize, others: &[Names]) {
    let rank = 2;
    let mut diffusers = Vec::new();
    let mut files = vec![Vec::new(); others.len()];
    for (seed, (layer, block, parts, columns, rows)) in layers.iter().enumerate() {
        let down = random([rank, *columns], 2 * seed as u64);
        let up = random([rows.iter().sum::<usize>(), rank], 2 * seed as u64 + 1);
        for (file, names) in files.iter_mut().zip(others) {
            let [a, b] = names(layer);
            file.extend([(a, down.clone()), (b, up.clone())]);
        }
        let (up, mut begin) = (up.try_to_vec::<f32>().unwrap(), 0);
        for (part, rows) in parts.iter().zip(*rows) {
            let end = begin + rows * rank;
            let own = TensorData::new(up[begin..end].to_vec(), [*rows, rank]);
            begin = end;
            let name = |end: &str| format!("transformer.{block}.{part}.{end}.weight");
            diffusers.extend([(name("lora_A"), down.clone()), (name("lora_B"), own)]);
        }
    }
    let fused = |list: Vec<(String, TensorData)>| {
        let lora = Lora::from_tensors(&tensors(list)).unwrap();
        weights(&lora.fused(network.clone(), Part::Transformer, WEIGHT).unwrap())
    };
    let (base, expected) = (weights(network), fused(diffusers));
    assert_eq!(base.iter().filter(|(name, base)| expected[*name] != **base).count(), changed);
    for file in files {
        let found = fused(file);
        for (name, expected) in &expected {
            let error = error(&found[name], expected);
            assert!(error < 2e-7, "{name}: {error:e}");
        }
    }
}

const WIDTH: usize = 28;

#[test]
fn layers_of_flux_are_taken_apart() {
    let network = FluxTransformer::from_diffusers(directory("flux-schnell"), &Device::flex());
    let layers: [Layer; 4] = [
        (
            "double_blocks.0.img_attn.qkv",
            "transformer_blocks.0.attn",
            &["to_q", "to_k", "to_v"],
            WIDTH,
            &[WIDTH; 3],
        ),
        (
            "double_blocks.0.txt_mlp.2",
            "transformer_blocks.0.ff_context.net",
            &["2"],
            4 * WIDTH,
            &[WIDTH],
        ),
        (
            "single_blocks.1.linear1",
            "single_transformer_blocks.1",
            &["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"],
            WIDTH,
            &[WIDTH, WIDTH, WIDTH, 4 * WIDTH],
        ),
        (
            "single_blocks.0.linear2",
            "single_transformer_blocks.0",
            &["proj_out"],
            5 * WIDTH,
            &[WIDTH],
        ),
    ];
    assert_same(&network.unwrap(), &layers, 9, &[comfy, kohya]);
}

/// XLabs trained the attention's processors.
#[test]
fn layers_of_xlabs_are_taken_apart() {
    let network = FluxTransformer::from_diffusers(directory("flux-schnell"), &Device::flex());
    let layers: [Layer; 6] = [
        (
            "double_blocks.0.processor.qkv_lora1",
            "transformer_blocks.0.attn",
            &["to_q", "to_k", "to_v"],
            WIDTH,
            &[WIDTH; 3],
        ),
        (
            "double_blocks.0.processor.qkv_lora2",
            "transformer_blocks.0.attn",
            &["add_q_proj", "add_k_proj", "add_v_proj"],
            WIDTH,
            &[WIDTH; 3],
        ),
        (
            "double_blocks.0.processor.proj_lora1",
            "transformer_blocks.0.attn",
            &["to_out.0"],
            WIDTH,
            &[WIDTH],
        ),
        (
            "double_blocks.0.processor.proj_lora2",
            "transformer_blocks.0.attn",
            &["to_add_out"],
            WIDTH,
            &[WIDTH],
        ),
        (
            "single_blocks.1.processor.qkv_lora",
            "single_transformer_blocks.1.attn",
            &["to_q", "to_k", "to_v"],
            WIDTH,
            &[WIDTH; 3],
        ),
        (
            "single_blocks.1.processor.proj_lora",
            "single_transformer_blocks.1",
            &["proj_out"],
            5 * WIDTH,
            &[WIDTH],
        ),
    ];
    let xlabs: Names = |layer| ["down", "up"].map(|end| format!("{layer}.{end}.weight"));
    assert_same(&network.unwrap(), &layers, 12, &[xlabs]);
}

#[test]
fn layers_of_stable_diffusion_3_are_taken_apart() {
    const WIDTH: usize = 24;
    let network = Sd3Transformer::from_diffusers(directory("sd35-transformer"), &Device::flex());
    let layers: [Layer; 6] = [
        (
            "joint_blocks.0.x_block.attn.qkv",
            "transformer_blocks.0.attn",
            &["to_q", "to_k", "to_v"],
            WIDTH,
            &[WIDTH; 3],
        ),
        (
            "joint_blocks.0.x_block.attn2.qkv",
            "transformer_blocks.0.attn2",
            &["to_q", "to_k", "to_v"],
            WIDTH,
            &[WIDTH; 3],
        ),
        (
            "joint_blocks.1.context_block.attn.qkv",
            "transformer_blocks.1.attn",
            &["add_q_proj", "add_k_proj", "add_v_proj"],
            WIDTH,
            &[WIDTH; 3],
        ),
        (
            "joint_blocks.0.context_block.attn.proj",
            "transformer_blocks.0.attn",
            &["to_add_out"],
            WIDTH,
            &[WIDTH],
        ),
        (
            "joint_blocks.1.x_block.mlp.fc1",
            "transformer_blocks.1.ff.net.0",
            &["proj"],
            WIDTH,
            &[4 * WIDTH],
        ),
        (
            "joint_blocks.0.context_block.adaLN_modulation.1",
            "transformer_blocks.0.norm1_context",
            &["linear"],
            WIDTH,
            &[6 * WIDTH],
        ),
    ];
    assert_same(&network.unwrap(), &layers, 12, &[comfy, kohya]);
}

/// The halves of these lie the other way round in diffusers, so they have no place.
#[test]
fn swapped_modulations_are_refused() {
    let network = Sd3Transformer::from_diffusers(directory("sd35-transformer"), &Device::flex());
    let network = network.unwrap();
    for layer in
        ["joint_blocks.1.context_block.adaLN_modulation.1", "final_layer.adaLN_modulation.1"]
    {
        let [a, b] = kohya(layer);
        let list = vec![(a, random([2, 24], 1)), (b, random([48, 2], 2))];
        let lora = Lora::from_tensors(&tensors(list)).unwrap();
        let error = lora.fused(network.clone(), Part::Transformer, WEIGHT).unwrap_err();
        assert!(error.to_string().contains("adaLN_modulation_1"), "{error}");
    }
}
