//! LoRA, against weights that diffusers merged (`testdata/pipelines/lora-sd`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::TensorData;
use ddm_models::lora::*;
use ddm_models::text::ClipText;
use ddm_weights::{TensorView, Tensors};

use super::*;

pub(super) const PEFT: &str = "pytorch_lora_weights.safetensors";
pub(super) const KOHYA: &str = "kohya.safetensors";
pub(super) const WEIGHT: f64 = 0.8;

pub(super) fn file(name: &str) -> Tensors {
    Tensors::open(pipelines().join("lora-sd").join(name)).unwrap()
}

fn pipelines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/pipelines")
}

pub(super) fn unet() -> UNet2dCondition {
    let directory = pipelines().join("stable-diffusion-small/unet");
    UNet2dCondition::from_diffusers(directory, &Device::flex()).unwrap()
}

fn text_encoder() -> ClipText {
    let directory = pipelines().join("stable-diffusion-small/text_encoder");
    ClipText::from_transformers(directory, &Device::flex()).unwrap()
}

/// The weights of a module by their names in diffusers.
pub(super) fn weights<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("module.safetensors");
    ddm_weights::save(module, &path).unwrap();
    let tensors = Tensors::open(path).unwrap();
    tensors.iter().map(|(name, view)| (name.to_owned(), numbers(view))).collect()
}

fn numbers(view: &TensorView) -> Vec<f32> {
    view.read_as(DType::F32).unwrap().try_to_vec().unwrap()
}

/// The largest error relative to the largest expected number.
pub(super) fn error<'a>(found: impl IntoIterator<Item = &'a f32>, expected: &[f32]) -> f32 {
    let largest = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    let errors = found.into_iter().zip(expected).map(|(a, b)| (a - b).abs());
    errors.fold(0.0, |most: f32, error| if error <= most { most } else { error }) / largest
}

/// The golden file with other names, and perhaps other tensors.
pub(super) fn renamed(name: &str, new: impl FnMut(&str) -> Option<String>) -> Lora {
    Lora::from_tensors(&file(name).rename(new).unwrap()).unwrap()
}

/// Tensors of these numbers.
pub(super) fn tensors(list: Vec<(String, TensorData)>) -> Tensors {
    let mut tensors = file(PEFT).rename(|_| None).unwrap();
    for (name, data) in list {
        tensors.insert(name, TensorView::from(data));
    }
    tensors
}

/// Numbers in [−0.5, 0.5], other ones for each seed.
pub(super) fn random<const D: usize>(shape: [usize; D], seed: u64) -> TensorData {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let number = |_| {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    TensorData::new((0..shape.iter().product()).map(number).collect(), shape)
}

#[test]
fn merged_weights_are_those_of_diffusers() {
    let reference = file("reference.safetensors");
    for (name, kind) in [(PEFT, "peft"), (KOHYA, "kohya")] {
        let lora = Lora::open(pipelines().join("lora-sd").join(name)).unwrap();
        assert_eq!(lora.parts().collect::<Vec<_>>(), [Part::UNet, Part::TextEncoder]);
        let found = [lora.layers(Part::UNet).len(), lora.layers(Part::TextEncoder).len()];
        assert_eq!(found, [79, 12]);
        for layer in lora.layers(Part::UNet) {
            assert!((3..=4).contains(&layer.rank()), "{layer:?}");
            let alpha = if kind == "kohya" { 2.0 } else { layer.rank() as f64 };
            assert_eq!(layer.scale(), alpha / layer.rank() as f64);
        }
        let unet = weights(&lora.fused(unet(), Part::UNet, WEIGHT).unwrap());
        let text = weights(&lora.fused(text_encoder(), Part::TextEncoder, WEIGHT).unwrap());
        let mut compared = 0;
        for (name, view) in reference.iter() {
            let Some(name) = name.strip_prefix(&format!("{kind}.fused_0.8.")) else { continue };
            let (part, name) = name.split_once('.').unwrap();
            let (weights, start) = match part {
                "unet" => (&unet, ""),
                _ => (&text, "text_model."),
            };
            let error = error(&weights[&format!("{start}{name}")], &numbers(view));
            println!("{kind} {part} {name}: {error:.1e}");
            assert!(error < 5e-7, "{kind} {part} {name}: {error:e}");
            compared += 1;
        }
        assert_eq!(compared, 4);
    }
}

/// All layers by hand: W + w · B A in f64, and no others changed.
#[test]
fn every_layer_is_added_in_its_place() {
    let file = file(PEFT);
    let (unet, text) = (unet(), text_encoder());
    let lora = Lora::from_tensors(&file).unwrap();
    let before = [weights(&unet), weights(&text)];
    let after = [
        weights(&lora.fused(unet.clone(), Part::UNet, WEIGHT).unwrap()),
        weights(&lora.fused(text.clone(), Part::TextEncoder, WEIGHT).unwrap()),
    ];
    let (mut changed, mut largest) = (0, 0.0_f32);
    for (index, prefix) in ["unet.", "text_encoder."].into_iter().enumerate() {
        for (name, base) in &before[index] {
            let layer = name.strip_suffix(".weight").unwrap_or("none");
            let found = &after[index][name];
            let down = format!("{prefix}{layer}.lora_A.weight");
            if !file.contains(&down) {
                assert_eq!(base, found, "{name}");
                continue;
            }
            let (a, b) = (file.get(&down).unwrap(), format!("{prefix}{layer}.lora_B.weight"));
            let (rank, b) = (a.shape()[0], numbers(file.get(&b).unwrap()));
            let (columns, a) = (a.elements() / rank, numbers(a));
            let sum = |index: usize| {
                let (row, column) = (index / columns, index % columns);
                let product =
                    |k: usize| f64::from(b[row * rank + k]) * f64::from(a[k * columns + column]);
                let sum: f64 = (0..rank).map(product).sum();
                (f64::from(base[index]) + WEIGHT * sum) as f32
            };
            let expected: Vec<_> = (0..base.len()).map(sum).collect();
            let error = error(found, &expected);
            assert!(error < 5e-7, "{name}: {error:e}");
            largest = largest.max(error);
            changed += 1;
        }
        assert_eq!(before[index].len(), after[index].len());
    }
    assert_eq!(changed, 79 + 12);
    println!("largest error of {changed} layers: {largest:.1e}");
    // The base is as it was.
    assert_eq!(weights(&unet), before[0]);
    // And a LoRA can be taken out, up to rounding.
    let fused = lora.fused(unet, Part::UNet, WEIGHT).unwrap();
    let again = weights(&lora.fused(fused, Part::UNet, -WEIGHT).unwrap());
    let largest = before[0].iter().map(|(name, base)| error(&again[name], base));
    let largest = largest.fold(0.0, f32::max);
    println!("in and out again: {largest:.1e}");
    assert!(largest < 5e-7, "{largest:e}");
}

#[test]
fn several_are_summed() {
    let (peft, kohya) =
        (Lora::from_tensors(&file(PEFT)).unwrap(), renamed(KOHYA, |name| Some(name.to_owned())));
    let both = fuse(unet(), Part::UNet, &[(&peft, 0.6), (&kohya, -0.3)]).unwrap();
    let first = peft.fused(unet(), Part::UNet, 0.6).unwrap();
    let second = weights(&kohya.fused(first, Part::UNet, -0.3).unwrap());
    for (name, weight) in weights(&both) {
        let error = error(&weight, &second[&name]);
        assert!(error < 5e-7, "{name}: {error:e}");
    }
    assert_eq!(weights(&fuse(unet(), Part::UNet, &[]).unwrap()), weights(&unet()));
    // One without layers of a part adds nothing beside one that has some.
    let text = renamed(PEFT, |name| name.starts_with("text_encoder.").then(|| name.to_owned()));
    let with = fuse(unet(), Part::UNet, &[(&peft, 0.6), (&text, 1.0)]).unwrap();
    assert_eq!(weights(&with), weights(&peft.fused(unet(), Part::UNet, 0.6).unwrap()));
}

#[test]
fn half_precision_is_rounded_once() {
    let lora = Lora::from_tensors(&file(PEFT)).unwrap();
    for dtype in [DType::F16, DType::BF16] {
        let half = unet().map(&mut Cast(dtype));
        // The same weights, in f32.
        let wide = half.clone().map(&mut Cast(DType::F32));
        let fused = lora.fused(half, Part::UNet, WEIGHT).unwrap();
        let expected = lora.fused(wide, Part::UNet, WEIGHT).unwrap().map(&mut Cast(dtype));
        assert_eq!(weights(&fused), weights(&expected));
        let mut types = Types(Vec::new());
        fused.visit(&mut types);
        assert!(types.0.iter().all(|found| *found == dtype), "{dtype:?}");
    }
    // Nothing becomes infinite or NaN.
    let error = lora.fused(unet().map(&mut Cast(DType::F16)), Part::UNet, 1e9).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("F16") && text.contains("too large"), "{text}");
    lora.fused(unet(), Part::UNet, 1e9).unwrap();
}

struct Types(Vec<DType>);
impl ModuleVisitor for Types {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().dtype());
    }
}

#[test]
fn a_network_with_a_lora_still_trains() {
    let device = Device::flex().autodiff();
    let directory = pipelines().join("stable-diffusion-small/unet");
    let network = UNet2dCondition::from_diffusers(directory, &device).unwrap();
    let lora = Lora::from_tensors(&file(PEFT)).unwrap();
    let network = lora.fused(network, Part::UNet, WEIGHT).unwrap();
    let x = waves([1, 4, 8, 8], &device);
    let condition = UNetCondition::new(waves([1, 5, 12], &device));
    let prediction = network.predict_with(x, times(1, &device), condition);
    assert_gradients_reach_all(&network, prediction.square().mean());
}

#[test]
fn linear_layers_and_convolutions_of_1x1_are_the_same() {
    let file = file(PEFT);
    let mut other = file.clone();
    for (name, view) in file.iter() {
        let shape = view.shape();
        let new = match shape {
            [rows, columns] => vec![*rows, *columns, 1, 1],
            [rows, columns, 1, 1] => vec![*rows, *columns],
            _ => continue,
        };
        other.insert(name, view.reshaped(new).unwrap());
    }
    let other = Lora::from_tensors(&other).unwrap().fused(unet(), Part::UNet, WEIGHT).unwrap();
    let lora = Lora::from_tensors(&file).unwrap().fused(unet(), Part::UNet, WEIGHT).unwrap();
    assert_eq!(weights(&other), weights(&lora));
}

#[derive(Module, Debug)]
struct Convolution {
    conv: Conv2d,
}

/// LoCon's three convolutions, one after the other: the sum that defines them, in f64.
#[test]
fn a_middle_convolution_is_computed() {
    let (rank, channels_in, channels_out) = (3, 5, 7);
    let (up, down) = (random([channels_out, rank, 1, 1], 1), random([rank, channels_in, 1, 1], 2));
    let (mid, alpha) = (random([rank, rank, 3, 2], 3), TensorData::from([1.5_f32]));
    let name = |end: &str| format!("lora_unet_conv.{end}");
    let lora = Lora::from_tensors(&tensors(vec![
        (name("lora_up.weight"), up.clone()),
        (name("lora_down.weight"), down.clone()),
        (name("lora_mid.weight"), mid.clone()),
        (name("alpha"), alpha),
    ]))
    .unwrap();
    assert_eq!(lora.layers(Part::Transformer)[0].shape(), [7, 5, 3, 2]);
    let conv = Conv2dConfig::new([channels_in, channels_out], [3, 2]).init(&Device::flex());
    let module = Convolution { conv };
    let base = floats(module.conv.weight.val());
    let fused = lora.fused(module, Part::Transformer, 2.0).unwrap();
    let [up, down, mid] = [up, down, mid].map(|data| data.try_to_vec::<f32>().unwrap());
    let mut expected = base;
    for (index, number) in expected.iter_mut().enumerate() {
        let (kernel, place) = (index % 6, index / 6);
        let (i, o) = (place % channels_in, place / channels_in);
        for p in 0..rank {
            for q in 0..rank {
                *number += 2.0
                    * 0.5
                    * up[o * rank + p]
                    * mid[(p * rank + q) * 6 + kernel]
                    * down[q * channels_in + i];
            }
        }
    }
    let error = error(&floats(fused.conv.weight.val()), &expected);
    assert!(error < 5e-7, "{error:e}");
}

/// α of PEFT's settings, by pattern or for all, in the metadata or in a file beside.
#[test]
fn alpha_of_the_settings() {
    let directory = tempfile::tempdir().unwrap();
    let (down, up) = (vec![0_u8; 4 * 4 * 3], vec![0_u8; 5 * 4 * 4]);
    let view = |bytes, shape| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, bytes).unwrap()
    };
    let save = |name: &str, prefix: &str, metadata: Option<&str>| {
        let mut list = Vec::new();
        for layer in ["mid_block.a.to_q", "mid_block.b.to_q", "mid_block.b.to_k"] {
            list.push((format!("{prefix}{layer}.lora_A.weight"), view(&down, vec![4, 3])));
            list.push((format!("{prefix}{layer}.lora_B.weight"), view(&up, vec![5, 4])));
        }
        let metadata = metadata.map(|json| {
            [("lora_adapter_metadata".to_owned(), json.to_owned())].into_iter().collect()
        });
        let path = directory.path().join(name);
        safetensors::serialize_to_file(list, metadata, &path).unwrap();
        path
    };
    let scales = |lora: &Lora| {
        let layers = lora.layers(Part::UNet).iter();
        layers.map(LoraLayer::scale).collect::<Vec<_>>()
    };
    let json = r#"{"unet.r": 4, "unet.lora_alpha": 8, "unet.alpha_pattern": {"b.to_q": 2, "^to_k": 1},
        "text_encoder.lora_alpha": 1}"#;
    // Sorted: a.to_q, b.to_k, b.to_q.
    let path = save("diffusers.safetensors", "unet.", Some(json));
    assert_eq!(scales(&Lora::open(path).unwrap()), [2.0, 2.0, 0.5]);
    let path = save("plain.safetensors", "unet.", None);
    assert_eq!(scales(&Lora::open(path).unwrap()), [1.0, 1.0, 1.0]);
    let json = r#"{"unet.lora_alpha": 8, "unet.use_rslora": true}"#;
    let path = save("rslora.safetensors", "unet.", Some(json));
    assert_eq!(scales(&Lora::open(path).unwrap()), [4.0, 4.0, 4.0]);

    let path = save("adapter_model.safetensors", "base_model.model.", None);
    assert_eq!(scales(&Lora::open(&path).unwrap()), [1.0, 1.0, 1.0]);
    let config = |json: &str| {
        std::fs::write(directory.path().join("adapter_config.json"), json).unwrap();
        Lora::open(&path)
    };
    let json =
        r#"{"peft_type": "LORA", "lora_alpha": 16, "alpha_pattern": {"^mid_block.a.to_q": 4}}"#;
    assert_eq!(scales(&config(json).unwrap()), [1.0, 4.0, 4.0]);
    let refused = |result: Result<Lora, LoraError>| result.unwrap_err();
    let error = refused(config(r#"{"use_dora": true}"#));
    assert!(matches!(error, LoraError::Unsupported { kind: "DoRA", .. }), "{error}");
    let error = refused(config(r#"{"peft_type": "LOHA"}"#));
    assert!(error.to_string().contains("LOHA"), "{error}");
    for json in [r#"{"alpha_pattern": {"a.*q": 4}}"#, r#"{"lora_alpha": "8"}"#, "[", "3"] {
        let error = refused(config(json));
        assert!(matches!(error, LoraError::Settings { .. }), "{error}");
        assert!(error.to_string().contains("adapter_config.json"), "{error}");
    }
    let path = save("invalid.safetensors", "unet.", Some("{"));
    assert!(matches!(Lora::open(path), Err(LoraError::Settings { .. })));
    let json = r#"{"unet.lora_alpha": 1e999}"#;
    let path = save("infinite.safetensors", "unet.", Some(json));
    assert!(Lora::open(path).is_err());
}

#[test]
fn what_is_no_lora_is_refused() {
    let one = |name: &str| tensors(vec![(name.to_owned(), random([2, 2], 1))]);
    for (name, kind) in [
        ("unet.a.lora_magnitude_vector", "DoRA"),
        ("unet.a.lora_magnitude_vector.default.weight", "DoRA"),
        ("lora_unet_a.dora_scale", "DoRA"),
        ("lora_unet_a.lokr_w1", "LoKr"),
        ("lora_unet_a.hada_w1_a", "LoHa"),
        ("lora_unet_a.oft_blocks", "OFT"),
        ("lora_unet_a.oft_diag", "OFT"),
        ("base_model.model.a.ia3_l", "IA3"),
        ("lora_unet_a.a1.weight", "GLoRA"),
        ("lora_unet_a.diff", "whole weights"),
        ("lora_unet_a.diff_b", "whole weights"),
        ("unet.a.lora_B.bias", "LoRA with biases"),
        ("unet.a.lora_embedding_A", "LoRA of an embedding"),
    ] {
        // Beside a LoRA, or alone.
        let mut beside = file(PEFT);
        beside.insert(name, TensorView::from(random([2, 2], 1)));
        for tensors in [beside, one(name)] {
            let error = Lora::from_tensors(&tensors).unwrap_err();
            let LoraError::Unsupported { kind: found, tensor, .. } = &error else {
                panic!("{name}: {error}")
            };
            assert_eq!((*found, tensor.as_str()), (kind, name));
            assert!(error.to_string().contains(name), "{error}");
        }
    }
    let error = Lora::from_tensors(&one("conv_in.weight")).unwrap_err();
    assert!(matches!(&error, LoraError::None { tensors: 1, .. }), "{error}");
    assert!(error.to_string().contains("conv_in.weight"), "{error}");
    let error = Lora::from_tensors(&tensors(Vec::new())).unwrap_err();
    assert!(matches!(&error, LoraError::None { tensors: 0, example: None, .. }), "{error}");
    let error = Lora::from_tensors(&one("unet.a.alpha")).unwrap_err();
    assert!(matches!(&error, LoraError::None { .. }), "{error}");
    let mut beside = file(PEFT);
    beside.insert("conv_in.weight", TensorView::from(random([2, 2], 1)));
    let error = Lora::from_tensors(&beside).unwrap_err();
    assert!(
        matches!(&error, LoraError::Unknown { tensors, .. } if tensors == &["conv_in.weight"]),
        "{error}"
    );
    let missing = Lora::open(pipelines().join("lora-sd/none.safetensors")).unwrap_err();
    assert!(matches!(missing, LoraError::Weights(_)), "{missing}");
}

#[test]
fn broken_layers_are_refused() {
    let layer = |down: TensorData, up: TensorData, alpha: Option<TensorData>| {
        let mut list = vec![
            ("unet.a.lora_A.weight".to_owned(), down),
            ("unet.a.lora_B.weight".to_owned(), up),
        ];
        list.extend(alpha.map(|alpha| ("unet.a.alpha".to_owned(), alpha)));
        Lora::from_tensors(&tensors(list))
    };
    layer(random([2, 3], 1), random([4, 2], 2), None).unwrap();
    for (down, up) in [
        (random([2, 3], 1), random([4, 3], 2)),
        (random([0, 3], 1), random([4, 0], 2)),
        (random([2], 1), random([4, 2], 2)),
        (random([2, 3], 1), random([2], 2)),
        (random([2, 3], 1), random([4, 2, 3, 3], 2)),
    ] {
        let error = layer(down, up, None).unwrap_err();
        assert!(matches!(&error, LoraError::Ranks { layer, .. } if layer == "unet.a"), "{error}");
    }
    for alpha in [
        TensorData::from([f32::NAN]),
        TensorData::from([f32::INFINITY]),
        random([2], 1),
        random([0], 1),
    ] {
        let error = layer(random([2, 3], 1), random([4, 2], 2), Some(alpha)).unwrap_err();
        assert!(matches!(&error, LoraError::Alpha { layer, .. } if layer == "unet.a"), "{error}");
    }
    // Alone.
    for end in ["lora_A.weight", "lora_B.weight", "alpha"] {
        let mut beside = file(PEFT);
        beside.insert(format!("unet.a.{end}"), TensorView::from(random([1, 1], 1)));
        let error = Lora::from_tensors(&beside).unwrap_err();
        assert!(
            matches!(&error, LoraError::Incomplete { layers, .. } if layers == &["unet.a"]),
            "{error}"
        );
    }
    // Twice.
    let mut twice = file(PEFT);
    let name = "unet.mid_block.resnets.0.conv1.lora_A.weight";
    twice.insert(
        "unet.mid_block.resnets.0.conv1.lora_A.other.weight",
        twice.get(name).unwrap().clone(),
    );
    let error = Lora::from_tensors(&twice).unwrap_err();
    assert!(matches!(&error, LoraError::Twice { .. }), "{error}");
    // NaN, where it is read.
    let mut nan = file(PEFT);
    let shape = nan.get(name).unwrap().shape().to_vec();
    let mut numbers = vec![0.0_f32; shape.iter().product()];
    numbers[5] = f32::NAN;
    nan.insert(name, TensorView::from(TensorData::new(numbers, shape)));
    let error = Lora::from_tensors(&nan).unwrap().fused(unet(), Part::UNet, 1.0).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(name) && text.contains("element 5") && text.contains("NaN"), "{text}");
}

#[test]
fn a_lora_for_another_network_is_refused() {
    let lora = Lora::from_tensors(&file(PEFT)).unwrap();
    for weight in [f64::NAN, f64::INFINITY] {
        let error = lora.fused(unet(), Part::UNet, weight).unwrap_err();
        assert!(matches!(error, LoraError::Weight(_)), "{error}");
    }
    let error = lora.fused(unet(), Part::Transformer, 1.0).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LoraError::NoPart { .. }), "{text}");
    assert!(text.contains("no layers of transformer, but of unet, text_encoder"), "{text}");

    let directory = super::golden::directory("unet2d-condition-sd15");
    let other = UNet2dCondition::from_diffusers(directory, &Device::flex()).unwrap();
    let error = lora.fused(other, Part::UNet, 1.0).unwrap_err();
    let LoraError::Misfit { part: Part::UNet, misfit, .. } = &error else { panic!("{error}") };
    println!("{error}");
    assert_eq!(misfit.different.len(), 79, "every width is another");
    assert!(misfit.unused.is_empty() && misfit.missing.is_empty());
    let attention =
        misfit.different.iter().find(|layer| layer.tensor.ends_with("attn2.to_k")).unwrap();
    assert_eq!(attention.found, "[6, 12] (rank 3)");
    assert_eq!(attention.expected, "[16, 24]");

    let linear: Linear = LinearConfig::new(2, 3).init(&Device::flex());
    let error = lora.fused(linear, Part::TextEncoder, 1.0).unwrap_err();
    let LoraError::Misfit { misfit, .. } = &error else { panic!("{error}") };
    assert_eq!(misfit.unused.len(), 12);
}
