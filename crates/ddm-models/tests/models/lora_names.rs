//! All names that a LoRA's tensors have, and names that nobody wrote.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use burn::tensor::TensorData;
use ddm_models::lora::*;
use ddm_weights::{TensorView, Tensors};
use proptest::prelude::*;

use super::lora::{KOHYA, PEFT, WEIGHT, file, random, renamed, tensors, unet, weights};
use super::*;

/// Blocks of the small U-Net in original checkpoints, counted by hand.
const BLOCKS: [(&str, &str); 15] = [
    ("down_blocks_0_resnets_0", "input_blocks_1_0"),
    ("down_blocks_0_attentions_0", "input_blocks_1_1"),
    ("down_blocks_0_downsamplers_0_conv", "input_blocks_2_0_op"),
    ("down_blocks_1_resnets_0", "input_blocks_3_0"),
    ("mid_block_resnets_0", "middle_block_0"),
    ("mid_block_attentions_0", "middle_block_1"),
    ("mid_block_resnets_1", "middle_block_2"),
    ("up_blocks_0_resnets_0", "output_blocks_0_0"),
    ("up_blocks_0_resnets_1", "output_blocks_1_0"),
    ("up_blocks_0_upsamplers_0_conv", "output_blocks_1_1_conv"),
    ("up_blocks_1_resnets_0", "output_blocks_2_0"),
    ("up_blocks_1_attentions_0", "output_blocks_2_1"),
    ("up_blocks_1_resnets_1", "output_blocks_3_0"),
    ("up_blocks_1_attentions_1", "output_blocks_3_1"),
    ("conv_in", "input_blocks_0_0"),
];

/// Layers of a residual block there.
const LAYERS: [(&str, &str); 4] = [
    ("_conv1", "_in_layers_2"),
    ("_time_emb_proj", "_emb_layers_1"),
    ("_conv2", "_out_layers_3"),
    ("_conv_shortcut", "_skip_connection"),
];

fn original(name: &str) -> String {
    let (layer, end) = name.split_once('.').unwrap();
    let path = layer.strip_prefix("lora_unet_").unwrap();
    let (block, new) = BLOCKS.iter().find(|(block, _)| path.starts_with(block)).unwrap();
    let rest = &path[block.len()..];
    let rest = LAYERS.iter().find(|(layer, _)| *layer == rest).map_or(rest, |(_, new)| new);
    format!("lora_unet_{new}{rest}.{end}")
}

struct Numbers(BTreeMap<usize, Vec<f32>>);
impl ModuleVisitor for Numbers {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(self.0.len(), floats(param.val()));
    }
}

fn numbers<M: Module>(module: &M) -> BTreeMap<usize, Vec<f32>> {
    let mut numbers = Numbers(BTreeMap::new());
    module.visit(&mut numbers);
    numbers.0
}

/// A name of today's diffusers, as older ones or PEFT have it.
fn replaced(name: &str, replacements: &[(&str, &str)]) -> Option<String> {
    let name = name.strip_prefix("unet.")?.to_owned();
    Some(replacements.iter().fold(name, |name, (old, new)| name.replace(old, new)))
}

#[test]
fn other_names_of_the_same_layers() {
    let fused = |lora: Lora| {
        assert_eq!(lora.parts().collect::<Vec<_>>(), [Part::UNet]);
        assert_eq!(lora.layers(Part::UNet).len(), 79);
        numbers(&lora.fused(unet(), Part::UNet, WEIGHT).unwrap())
    };
    let unet_of = |name: &str| name.starts_with("unet.").then(|| name.to_owned());
    let expected = fused(renamed(PEFT, unet_of));
    let with = |prefix: &str, replacements: &[(&str, &str)]| {
        let new = |name: &str| Some(format!("{prefix}{}", replaced(name, replacements)?));
        assert_eq!(fused(renamed(PEFT, new)), expected, "{prefix} {replacements:?}");
    };
    with("", &[]);
    with("base_model.model.", &[]);
    with("base_model.model.unet.", &[]);
    with("diffusion_model.", &[]);
    with("unet.", &[("lora_A.", "lora_A.default."), ("lora_B.", "lora_B.default.")]);
    with("unet.", &[("lora_A", "lora.down"), ("lora_B", "lora.up")]);
    with("unet.", &[("lora_A", "lora_down"), ("lora_B", "lora_up")]);
    with("unet.", &[("lora_A", "lora_linear_layer.down"), ("lora_B", "lora_linear_layer.up")]);
    let mut old = vec![(".to_out.0.", ".to_out.")];
    for (new, before) in [
        (".to_q.lora_A", ".processor.to_q_lora.down"),
        (".to_q.lora_B", ".processor.to_q_lora.up"),
        (".to_k.lora_A", ".processor.to_k_lora.down"),
        (".to_k.lora_B", ".processor.to_k_lora.up"),
        (".to_v.lora_A", ".processor.to_v_lora.down"),
        (".to_v.lora_B", ".processor.to_v_lora.up"),
        (".to_out.lora_A", ".processor.to_out_lora.down"),
        (".to_out.lora_B", ".processor.to_out_lora.up"),
        (".lora_A", ".lora.down"),
        (".lora_B", ".lora.up"),
    ] {
        old.push((new, before));
    }
    with("unet.", &old);
    with("", &old);

    // Kohya's tensors and α in the names of PEFT.
    let peft = file(PEFT);
    let paths: BTreeMap<_, _> = peft
        .names()
        .filter_map(|name| name.strip_prefix("unet.")?.split_once(".lora_"))
        .map(|(path, _)| (path.replace('.', "_"), path))
        .collect();
    let dotted = |name: &str| {
        let (layer, end) = name.strip_prefix("lora_unet_")?.split_once('.')?;
        let end = end.replace("lora_down", "lora_A").replace("lora_up", "lora_B");
        Some(format!("unet.{}.{end}", paths[layer]))
    };

    let unet_of = |name: &str| name.starts_with("lora_unet_").then(|| name.to_owned());
    let expected = fused(renamed(KOHYA, unet_of));
    assert_eq!(fused(renamed(KOHYA, dotted)), expected);
    let lora = renamed(KOHYA, |name| unet_of(name).map(|name| original(&name)));
    assert!(
        lora.layers(Part::UNet)
            .iter()
            .all(|layer| layer.name().contains("put_blocks")
                || layer.name().contains("middle_block"))
    );
    assert_eq!(fused(lora), expected);
    let dotted = |name: &str| {
        let name = original(&unet_of(name)?);
        let (layer, end) = name.split_once('.')?;
        // The dots of the original, put back where this network has them.
        let mut path = layer.strip_prefix("lora_unet_")?.replace('_', ".");
        for name in [
            "input_blocks",
            "output_blocks",
            "middle_block",
            "transformer_blocks",
            "in_layers",
            "out_layers",
            "emb_layers",
            "skip_connection",
            "proj_in",
            "proj_out",
            "to_q",
            "to_k",
            "to_v",
            "to_out",
        ] {
            path = path.replace(&name.replace('_', "."), name);
        }
        Some(format!("model.diffusion_model.{path}.{end}"))
    };
    assert_eq!(fused(renamed(KOHYA, dotted)), expected);
}

/// Layers in original checkpoints of Stable Diffusion XL, and what diffusers makes of their names.
const SDXL: [(&str, &str); 26] = [
    ("input_blocks_0_0", "conv_in"),
    ("input_blocks_1_0_in_layers_2", "down_blocks.0.resnets.0.conv1"),
    ("input_blocks_2_0_emb_layers_1", "down_blocks.0.resnets.1.time_emb_proj"),
    ("input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"),
    ("input_blocks_4_0_skip_connection", "down_blocks.1.resnets.0.conv_shortcut"),
    ("input_blocks_4_1_proj_in", "down_blocks.1.attentions.0.proj_in"),
    (
        "input_blocks_5_1_transformer_blocks_1_attn1_to_q",
        "down_blocks.1.attentions.1.transformer_blocks.1.attn1.to_q",
    ),
    ("input_blocks_6_0_op", "down_blocks.1.downsamplers.0.conv"),
    (
        "input_blocks_7_1_transformer_blocks_2_ff_net_0_proj",
        "down_blocks.2.attentions.0.transformer_blocks.2.ff.net.0.proj",
    ),
    ("input_blocks_8_0_out_layers_3", "down_blocks.2.resnets.1.conv2"),
    ("input_blocks_8_1_proj_out", "down_blocks.2.attentions.1.proj_out"),
    ("middle_block_0_in_layers_2", "mid_block.resnets.0.conv1"),
    (
        "middle_block_1_transformer_blocks_0_attn2_to_k",
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k",
    ),
    ("middle_block_2_out_layers_3", "mid_block.resnets.1.conv2"),
    ("output_blocks_0_0_skip_connection", "up_blocks.0.resnets.0.conv_shortcut"),
    ("output_blocks_2_1_proj_in", "up_blocks.0.attentions.2.proj_in"),
    ("output_blocks_2_2_conv", "up_blocks.0.upsamplers.0.conv"),
    (
        "output_blocks_5_1_transformer_blocks_0_attn1_to_out_0",
        "up_blocks.1.attentions.2.transformer_blocks.0.attn1.to_out.0",
    ),
    ("output_blocks_5_2_conv", "up_blocks.1.upsamplers.0.conv"),
    ("output_blocks_6_0_in_layers_2", "up_blocks.2.resnets.0.conv1"),
    ("output_blocks_8_0_out_layers_3", "up_blocks.2.resnets.2.conv2"),
    ("time_embed_0", "time_embedding.linear_1"),
    ("time_embed_2", "time_embedding.linear_2"),
    ("label_emb_0_0", "add_embedding.linear_1"),
    ("label_emb_0_2", "add_embedding.linear_2"),
    ("out_2", "conv_out"),
];

#[test]
fn original_names_of_sdxl() {
    let path = super::golden::directory("unet2d-condition-sdxl").join("config.json");
    let json = std::fs::read_to_string(path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&json).unwrap();
    let [down, up] = ["Down", "Up"].map(|way| {
        let cross = format!("CrossAttn{way}Block2D");
        [format!("{way}Block2D"), cross.clone(), cross]
    });
    config["down_block_types"] = down.to_vec().into();
    config["up_block_types"] = up.into_iter().rev().collect::<Vec<_>>().into();
    config["block_out_channels"] = vec![8, 16, 24].into();
    config["attention_head_dim"] = vec![1, 2, 3].into();
    config["transformer_layers_per_block"] = vec![1, 2, 3].into();
    config["layers_per_block"] = 2.into();
    let config = UNet2dConditionConfig::from_diffusers(&config.to_string()).unwrap();
    let network = config.init(&Device::flex()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("unet.safetensors");
    ddm_weights::save(&network, &path).unwrap();
    let shapes = Tensors::open(path).unwrap();
    let fused = |name: &dyn Fn((&str, &str)) -> String| {
        let mut list = Vec::new();
        for (seed, names) in SDXL.into_iter().enumerate() {
            let shape = shapes.get(&format!("{}.weight", names.1)).unwrap().shape();
            let columns = shape[1..].iter().product::<usize>();
            let down = random([2, columns], seed as u64).try_to_vec::<f32>().unwrap();
            let down = TensorData::new(down, [&[2], &shape[1..]].concat());
            list.push((format!("{}.lora_down.weight", name(names)), down));
            let up = random([shape[0], 2], 100 + seed as u64);
            list.push((format!("{}.lora_up.weight", name(names)), up));
        }
        let lora = Lora::from_tensors(&tensors(list)).unwrap();
        assert_eq!(lora.layers(Part::UNet).len(), SDXL.len());
        weights(&lora.fused(network.clone(), Part::UNet, 1.0).unwrap())
    };
    let (base, expected) = (weights(&network), fused(&|(_, name)| format!("unet.{name}")));
    assert_eq!(base.iter().filter(|(name, base)| expected[*name] != **base).count(), SDXL.len());
    assert_eq!(fused(&|(name, _)| format!("lora_unet_{name}")), expected);
}

#[test]
fn text_encoders() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/pipelines/stable-diffusion-small/text_encoder");
    let text = ddm_models::text::ClipText::from_transformers(directory, &Device::flex()).unwrap();
    let fused = |part: Part, new: &dyn Fn(&str) -> Option<String>| {
        let lora = renamed(PEFT, new);
        assert_eq!(lora.layers(part).len(), 12);
        numbers(&lora.fused(text.clone(), part, WEIGHT).unwrap())
    };
    let path = |name: &str| name.strip_prefix("text_encoder.").map(str::to_owned);
    let expected = fused(Part::TextEncoder, &|name| Some(format!("text_encoder.{}", path(name)?)));
    assert_ne!(numbers(&text), expected);
    let flat = |prefix: &str, name: &str| {
        let (layer, end) =
            path(name)?.split_once(".lora_").map(|(a, b)| (a.replace('.', "_"), b.to_owned()))?;
        let end = end.replace("A.", "down.").replace("B.", "up.");
        Some(format!("{prefix}{layer}.lora_{end}"))
    };
    let old = |name: &str| {
        let name = format!("text_encoder.{}", path(name)?)
            .replace("lora_A", "lora_linear_layer.down")
            .replace("lora_B", "lora_linear_layer.up");
        let older =
            [("q_proj", "to_q"), ("k_proj", "to_k"), ("v_proj", "to_v"), ("out_proj", "to_out")];
        Some(older.into_iter().fold(name, |name, (new, old)| {
            name.replace(&format!("{new}.lora_linear_layer"), &format!("{old}_lora"))
        }))
    };
    type New<'a> = &'a dyn Fn(&str) -> Option<String>;
    let names: [(Part, New<'_>); 8] = [
        (Part::TextEncoder, &path),
        (Part::TextEncoder, &|name| path(name)?.strip_prefix("text_model.").map(str::to_owned)),
        (Part::TextEncoder, &|name| flat("lora_te_", name)),
        (Part::TextEncoder, &|name| flat("lora_te1_", name)),
        (Part::TextEncoder2, &|name| flat("lora_te2_", name)),
        (Part::TextEncoder3, &|name| flat("lora_te3_", name)),
        (Part::TextEncoder2, &|name| Some(format!("text_encoder_2.{}", path(name)?))),
        (Part::TextEncoder, &old),
    ];
    for (part, new) in names {
        assert_eq!(fused(part, new), expected, "{part}");
    }
}

/// As many cases as the environment says (`PROPTEST_CASES=1000000`), or enough for every day.
fn cases() -> ProptestConfig {
    let said = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if said { config } else { ProptestConfig { cases: 2000, ..config } }
}

static EMPTY: LazyLock<Tensors> = LazyLock::new(|| file(PEFT).rename(|_| None).unwrap());
static NETWORK: LazyLock<Convolutions> = LazyLock::new(|| {
    let linear = || burn::nn::LinearConfig::new(3, 2).init(&Device::flex());
    Convolutions {
        to_out: vec![linear()],
        text_model: linear(),
        down_blocks: vec![linear(), linear()],
    }
});

#[derive(Module, Debug)]
struct Convolutions {
    to_out: Vec<burn::nn::Linear>,
    text_model: burn::nn::Linear,
    down_blocks: Vec<burn::nn::Linear>,
}

/// Reads tensors of some names; then the layers are added to a network, or do not fit it.
fn read(names: &[String]) {
    let mut tensors = EMPTY.clone();
    for name in names {
        let down = name.contains("own") || name.contains("lora_A");
        let shape = if name.contains("alpha") {
            vec![1]
        } else if down {
            vec![1, 3]
        } else {
            vec![2, 1]
        };
        let data = TensorData::new(vec![1.0_f32; shape.iter().product()], shape);
        tensors.insert(name, TensorView::from(data));
    }
    let count = tensors.len();
    let Ok(lora) = Lora::from_tensors(&tensors) else { return };
    let parts: Vec<_> = lora.parts().collect();
    assert!(!parts.is_empty());
    let layers: usize = parts.iter().map(|part| lora.layers(*part).len()).sum();
    // Nothing is left out: each has A and B, and perhaps α and a middle one.
    assert!(2 * layers <= count && count <= 4 * layers, "{names:?}");
    for part in parts {
        let fused = lora.fused(NETWORK.clone(), part, 1.0);
        if let Ok(network) = fused {
            assert_ne!(numbers(&network), numbers(&*NETWORK), "{names:?}");
        }
    }
}

/// Pieces that names are made of.
const WORDS: [&str; 44] = [
    "unet.",
    "transformer.",
    "text_encoder.",
    "text_encoder_2.",
    "base_model.model.",
    "diffusion_model.",
    "lora_unet_",
    "lora_te_",
    "lora_te1_",
    "lora_te2_",
    "lora_transformer_",
    "down_blocks",
    "text_model",
    "to_out",
    "input_blocks",
    "encoder",
    "0",
    "1",
    ".",
    "_",
    ".processor.",
    "self_attn",
    "to_q",
    "conv",
    ".lora_A",
    ".lora_B",
    ".lora_down",
    ".lora_up",
    ".lora_mid",
    ".lora.down",
    ".lora.up",
    "_lora.down",
    "_lora.up",
    ".lora_linear_layer.down",
    ".lora_linear_layer.up",
    ".weight",
    ".alpha",
    ".default",
    ".bias",
    ".dora_scale",
    ".diff",
    "é",
    "😀",
    "",
];

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..7).prop_map(|words| words.concat())
}

static REAL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let names = |name| file(name).names().map(str::to_owned).collect::<Vec<_>>();
    [names(PEFT), names(KOHYA)].concat()
});

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_names(names in prop::collection::vec(".{0,40}", 1..4)) {
        read(&names);
    }

    #[test]
    fn names_of_known_pieces(names in prop::collection::vec(words(), 1..4)) {
        read(&names);
    }

    /// Two ends of one path, so that there is a layer.
    #[test]
    fn pairs(path in words(), kind in 0_usize..6, other in words()) {
        let ends = [24, 26, 29, 31, 33, 24][kind];
        let name = |end: &str| format!("{path}{end}.weight");
        let mut names = vec![name(WORDS[ends]), name(WORDS[ends + 1])];
        if kind == 5 {
            names.push(other);
        }
        read(&names);
    }

    #[test]
    fn changed_names(
        index in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        length in 0_usize..4,
        insert in ".{0,3}",
    ) {
        let real = index.get(&REAL);
        let mut name: Vec<char> = real.chars().collect();
        let start = place.index(name.len());
        let end = name.len().min(start + length);
        name.splice(start..end, insert.chars());
        read(&[real.clone(), name.into_iter().collect()]);
    }
}
