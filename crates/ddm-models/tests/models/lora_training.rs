//! A LoRA that is trained: its start, its products, its gradients, and its file.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use ddm_models::lora::*;
use ddm_models::transformer::{FluxTransformer, PixArt, Sd3Transformer};
use ddm_weights::Tensors;

use super::golden::directory;
use super::lora::{PEFT, error, file, unet, weights};
use super::*;

const ATTENTION: [&str; 4] = ["to_q", "to_k", "to_v", "to_out.0"];
/// Convolutions of 3×3, with strides too, and of 1×1.
const CONVOLUTIONS: [&str; 4] = ["conv1", "conv2", "conv", "conv_shortcut"];

fn unet_on(device: &Device) -> UNet2dCondition {
    unet().map(&mut On(device.clone()))
}

struct On(Device);
impl ModuleMapper for On {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = Tensor::from_data(param.val().into_data(), &self.0);
        Param::from_tensor(value)
    }
}

fn predict(unet: &UNet2dCondition, device: &Device) -> Tensor<4> {
    let condition = UNetCondition::new(waves([2, 5, 12], device));
    unet.predict_with(waves([2, 4, 8, 8], device), times(2, device), condition)
}

fn both() -> Vec<&'static str> {
    [ATTENTION, CONVOLUTIONS].concat()
}

/// Steps of Adam towards the prediction 1.
fn trained(mut adapted: Adapted<UNet2dCondition>, device: &Device) -> Adapted<UNet2dCondition> {
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..10 {
        let loss = (predict(&adapted.network(), device) - 1.0).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &adapted);
        adapted = optimizer.step(1e-2, adapted, gradients);
    }
    adapted
}

#[test]
fn it_starts_as_the_network() {
    let device = Device::flex().autodiff();
    let unet = unet_on(&device);
    let adapted = LoraConfig::new(2, both()).with_alpha(5.0).adapt(unet.clone()).unwrap();
    assert_eq!(weights(&adapted.network()), weights(&unet));
    let predictions = [&unet, &adapted.network()].map(|unet| floats(predict(unet, &device)));
    assert_eq!(predictions[0], predictions[1]);

    // The seed decides A, and the path: not the other layers.
    let first = |targets: &[&str], seed| {
        let config = LoraConfig::new(2, targets.iter().copied()).with_seed(seed);
        let adapted = config.adapt(unet.clone()).unwrap();
        let at = adapted.layers().position(|path| path.ends_with("conv1")).unwrap();
        (adapted.layers().nth(at).unwrap().to_owned(), factors(&adapted).swap_remove(2 * at + 1))
    };
    assert_eq!(first(&["conv1"], 0), first(&["to_q", "conv1"], 0));
    assert_ne!(first(&["conv1"], 0), first(&["conv1"], 1));
    // Uniform in ±1/√n.
    let (path, numbers) = first(&["conv1"], 0);
    let inputs = numbers.len() / 2;
    let bound = (inputs as f32).sqrt().recip();
    let most = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    let square = numbers.iter().map(|n| n * n).sum::<f32>() / numbers.len() as f32;
    println!(
        "{path}: largest {most}, bound {bound}, mean square · 3n {}",
        square * 3.0 * inputs as f32
    );
    assert!(most <= bound && most > 0.95 * bound);
    assert!((square * 3.0 * inputs as f32 - 1.0).abs() < 0.15);
}

/// The parameters of a module, in order.
fn factors<M: Module>(module: &M) -> Vec<Vec<f32>> {
    struct Values(Vec<Vec<f32>>);
    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(floats(param.val()));
        }
    }
    let mut values = Values(Vec::new());
    module.visit(&mut values);
    values.0
}

#[test]
fn only_the_factors_learn() {
    let device = Device::flex().autodiff();
    let unet = unet_on(&device);
    let adapted = LoraConfig::new(2, both()).adapt(unet.clone()).unwrap();
    let (layers, start) = (adapted.layers().len(), factors(&adapted));
    assert_eq!(start.len(), 2 * layers);
    println!("{layers} layers, {} of {} numbers", adapted.num_params(), unet.num_params());
    assert!(adapted.num_params() * 3 < unet.num_params());
    assert_eq!(adapted.num_params(), start.iter().map(Vec::len).sum::<usize>());

    let loss = |adapted: &Adapted<UNet2dCondition>| -> f32 {
        (predict(&adapted.network(), &device) - 1.0).square().mean().into_scalar()
    };
    let before = loss(&adapted);
    let adapted = trained(adapted, &device);
    let after = loss(&adapted);
    println!("loss {before} → {after}");
    assert!(after < 0.9 * before);
    assert_eq!(weights(adapted.base()), weights(&unet));
    let changed = factors(&adapted).iter().zip(&start).filter(|(now, then)| now != then).count();
    assert_eq!(changed, 2 * layers);
    // And a gradient reaches every factor, none of them the network.
    assert_gradients_reach_all(&adapted, predict(&adapted.network(), &device).square().mean());
    let gradients = predict(&adapted.network(), &device).square().mean().backward();
    let mut visitor =
        WithoutGradient { gradients: &gradients, path: vec![], found: vec![], visited: 0 };
    adapted.base().visit(&mut visitor);
    assert_eq!(visitor.found.len(), visitor.visited);

    // After validation, and on a device of its own, it is as it was, and trains on.
    for again in [adapted.valid().train(), adapted.clone().fork(&device)] {
        assert_eq!(weights(&again.network()), weights(&adapted.network()));
        assert_gradients_reach_all(&again, predict(&again.network(), &device).square().mean());
    }
    assert_eq!(adapted.devices().len(), 1);
}

#[test]
fn what_is_saved_is_what_was_trained() {
    let device = Device::flex().autodiff();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pytorch_lora_weights.safetensors");
    for alpha in [2.0, 3.5] {
        let config = LoraConfig::new(2, both()).with_alpha(alpha);
        let adapted = trained(config.adapt(unet_on(&device)).unwrap(), &device);
        let expected = adapted.valid().network();
        adapted.save(Part::UNet, &path).unwrap();
        let lora = Lora::open(&path).unwrap();
        assert_eq!(lora.parts().collect::<Vec<_>>(), [Part::UNet]);
        assert_eq!(lora.layers(Part::UNet).len(), adapted.layers().len());
        assert!(lora.layers(Part::UNet).iter().all(|layer| layer.scale() == alpha / 2.0));
        let found = lora.fused(unet(), Part::UNet, 1.0).unwrap();
        let (found_weights, weights) = (weights(&found), weights(&expected));
        let errors = weights.iter().map(|(name, weight)| error(&found_weights[name], weight));
        let largest = errors.fold(0.0, f32::max);
        let plain = Device::flex();
        let predictions = [&found, &expected].map(|unet| floats(predict(unet, &plain)));
        let of_predictions = error(&predictions[0], &predictions[1]);
        println!("alpha {alpha}: weights {largest:.1e}, predictions {of_predictions:.1e}");
        assert!(largest < 5e-7 && of_predictions < 1e-5);
        // A base that was changed by the training is not the same at all.
        let plain = error(&floats(predict(&unet(), &plain)), &predictions[1]);
        assert!(plain > 1e-2, "{plain}");
    }
    // To a folder that is not there.
    let adapted = LoraConfig::new(2, ["to_q"]).adapt(unet()).unwrap();
    let error = adapted.save(Part::UNet, directory.path().join("none/lora.safetensors"));
    assert!(matches!(error, Err(LoraError::Weights(ddm_weights::WeightsError::Write { .. }))));
}

/// Names, shapes and settings as in a file of diffusers.
#[test]
fn files_are_those_of_diffusers() {
    let golden = file(PEFT);
    let lora = Lora::from_tensors(&golden).unwrap();
    let layers = lora.layers(Part::UNet).iter();
    let layers: Vec<_> = layers.filter(|layer| layer.rank() == 3).collect();
    let targets = layers.iter().map(|layer| layer.name().strip_prefix("unet.").unwrap());
    let adapted = LoraConfig::new(3, targets).adapt(unet()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lora.safetensors");
    adapted.save(Part::UNet, &path).unwrap();
    let saved = Tensors::open(&path).unwrap();
    assert!(layers.len() > 10);
    assert_eq!(saved.len(), 2 * layers.len());
    for (name, view) in saved.iter() {
        assert_eq!(view.shape(), golden.get(name).unwrap().shape(), "{name}");
        assert_eq!(view.dtype(), DType::F32);
    }
    let settings: serde_json::Value =
        serde_json::from_str(&saved.metadata()["lora_adapter_metadata"]).unwrap();
    assert_eq!(settings["unet.r"], 3);
    assert_eq!(settings["unet.lora_alpha"], 3);
    assert_eq!(settings["unet.target_modules"].as_array().unwrap().len(), layers.len());
}

/// Trains nothing, but fills B, saves and fuses.
fn assert_saved<M: Module>(network: M, targets: &[&str], layers: usize) {
    let adapted = LoraConfig::new(2, targets.iter().copied()).with_alpha(1.0).adapt(network);
    let adapted = adapted.unwrap().map(&mut Fill);
    assert_eq!(adapted.layers().len(), layers);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lora.safetensors");
    adapted.save(Part::Transformer, &path).unwrap();
    let lora = Lora::open(&path).unwrap();
    let found = weights(&lora.fused(adapted.base().clone(), Part::Transformer, 1.0).unwrap());
    let (base, expected) = (weights(adapted.base()), weights(&adapted.network()));
    let changed = expected.iter().filter(|(name, weight)| base[*name] != **weight);
    assert_eq!(changed.count(), layers);
    for (name, weight) in expected {
        assert!(error(&found[&name], &weight) < 5e-7, "{name}");
    }
}

#[test]
fn transformers_have_them_too() {
    let device = Device::flex();
    let flux = FluxTransformer::from_diffusers(directory("flux-schnell"), &device).unwrap();
    // A block of two sequences, and two of one.
    assert_saved(flux, &["to_q", "to_out.0", "proj_mlp", "add_k_proj"], 3 + 1 + 2 + 1);
    let sd3 = Sd3Transformer::from_diffusers(directory("sd3-transformer"), &device).unwrap();
    // The last of two blocks has no text to give out.
    assert_saved(sd3, &["to_q", "to_add_out", "pos_embed.proj"], 2 + 1 + 1);
    let pixart = PixArt::from_diffusers(directory("pixart-alpha"), &device).unwrap();
    assert_saved(pixart, &ATTENTION, 2 * 2 * 4);
}

#[derive(Module, Debug)]
struct Layers {
    linear: Linear,
    strided: Conv2d,
    one: Conv2d,
    table: Embedding,
}

impl Layers {
    fn new(device: &Device) -> Self {
        let conv = |kernel| Conv2dConfig::new([3, 5], [kernel; 2]);
        let strided =
            conv(3).with_stride([2, 2]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        Self {
            linear: LinearConfig::new(4, 6).init(device),
            strided: strided.init(device),
            one: conv(1).init(device),
            table: EmbeddingConfig::new(7, 4).init(device),
        }
    }
}

/// The product is two layers one after the other, which is what PEFT computes: of a convolution, one with
/// its kernel and stride, and one of 1×1.
#[test]
fn two_layers_are_one() {
    let device = Device::flex();
    let layers = Layers::new(&device);
    let config = LoraConfig::new(2, ["linear", "strided", "one"]).with_alpha(3.0);
    let adapted = config.adapt(layers.clone()).unwrap().map(&mut Fill);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lora.safetensors");
    adapted.save(Part::UNet, &path).unwrap();
    let file = Tensors::open(&path).unwrap();
    let factor = |name: &str| file.get(&format!("unet.{name}.weight")).unwrap().read().unwrap();
    let network = adapted.network();

    let x = waves([2, 4], &device);
    let [down, up] = ["lora_A", "lora_B"]
        .map(|end| Tensor::<2>::from_data(factor(&format!("linear.{end}")), &device).transpose());
    let expected = layers.linear.forward(x.clone()) + x.clone().matmul(down).matmul(up) * 1.5;
    let linear = error(&floats(network.linear.forward(x)), &floats(expected));

    let x = waves([2, 3, 8, 8], &device);
    let conv = |name: &str, base: &Conv2d, merged: &Conv2d, stride, padding| {
        let [down, up] = ["lora_A", "lora_B"]
            .map(|end| Tensor::<4>::from_data(factor(&format!("{name}.{end}")), &device));
        let one = |stride, padding| ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
        let inner = conv2d(x.clone(), down, None, one(stride, padding));
        let expected = base.forward(x.clone()) + conv2d(inner, up, None, one(1, 0)) * 1.5;
        error(&floats(merged.forward(x.clone())), &floats(expected))
    };
    let strided = conv("strided", &layers.strided, &network.strided, 2, 1);
    let one = conv("one", &layers.one, &network.one, 1, 0);
    println!("linear {linear:.1e}, 3×3 strided {strided:.1e}, 1×1 {one:.1e}");
    assert!(linear < 1e-6 && strided < 1e-6 && one < 1e-6);
}

#[test]
fn weights_in_half_precision_stay_so() {
    let half = unet().map(&mut Cast(DType::F16));
    let adapted = LoraConfig::new(2, ["to_q"]).adapt(half.clone()).unwrap();
    assert_eq!(weights(&adapted.network()), weights(&half));
    // The factors are in f32, and the sum is rounded once.
    let adapted = adapted.map(&mut Fill);
    let wide = LoraConfig::new(2, ["to_q"]).adapt(half.map(&mut Cast(DType::F32))).unwrap();
    let expected = wide.map(&mut Fill).network().map(&mut Cast(DType::F16));
    assert_eq!(weights(&adapted.network()), weights(&expected));
}

#[test]
fn settings_that_make_no_sense() {
    let refused = |config: LoraConfig| {
        let error = config.adapt(Layers::new(&Device::flex())).unwrap_err();
        println!("{error}");
        error
    };
    for (config, word) in [
        (LoraConfig::new(0, ["linear"]), "rank"),
        (LoraConfig::new(1, ["linear"]).with_alpha(0.0), "alpha"),
        (LoraConfig::new(1, ["linear"]).with_alpha(f64::NAN), "alpha"),
        (LoraConfig::new::<String>(1, []), "target"),
    ] {
        let error = refused(config);
        assert!(matches!(error, LoraError::Invalid(_)) && error.to_string().contains(word));
    }
    // No name, and no end of one: a part of a word is none.
    for name in ["to_q", "near", "table", "linear.weight", ""] {
        let LoraError::Target { target, layers } = refused(LoraConfig::new(1, ["one", name]))
        else {
            panic!("{name} is a layer")
        };
        assert_eq!(
            (target.as_str(), layers),
            (name, ["linear", "one", "strided"].map(str::to_owned).to_vec())
        );
    }
    for (rank, name, most) in [(5, "linear", 4), (4, "one", 3), (usize::MAX, "strided", 5)] {
        let error = refused(LoraConfig::new(rank, [name]));
        assert!(matches!(error, LoraError::Rank { most: found, .. } if found == most));
    }
    let config = LoraConfig::new(5, ["strided"]).with_seed(3);
    let adapted = config.adapt(Layers::new(&Device::flex())).unwrap();
    assert_eq!((adapted.config().rank(), adapted.config().alpha()), (5, 5.0));

    // Endings with a number.
    let error = LoraConfig::new(1, ["nothing"]).adapt(unet()).unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains("to_out.0") && error.contains("conv_shortcut"));
}
