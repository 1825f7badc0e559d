//! Half-precision networks with f32 weights.

use burn::module::{Lora, Module, ModuleVisitor, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, FloatDType, Tensor};
use ddm_denoiser::VPrediction;
use ddm_models::{MlpConfig, UNetConfig};
use ddm_samplers::{HostNoise, NoiseSource};
use ddm_schedule::Cosine;
use ddm_train::{LossScale, MixedPrecision, Objective, Training};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The float types of a module's parameters.
struct Types(Vec<DType>);

impl ModuleVisitor for Types {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.0.contains(&param.val().dtype()) {
            self.0.push(param.val().dtype());
        }
    }
}

fn types<M: Module>(module: &M) -> Vec<DType> {
    let mut types = Types(Vec::new());
    module.visit(&mut types);
    types.0
}

/// Both types, where flex computes in them.
fn both() -> [MixedPrecision; 2] {
    let both = [MixedPrecision::bf16(), MixedPrecision::f16(1024.0).unwrap()];
    assert!(both.iter().all(|mixed| mixed.is_supported(&Device::flex())));
    both
}

#[test]
fn networks_learn_in_half_precision() {
    let device = Device::flex().autodiff();
    let mlp = MlpConfig::new().with_hidden(32).init(&device).unwrap();
    let train = |mixed: Option<MixedPrecision>| {
        let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
        let training = Training { steps: 200, ema_decay: 0.98, seed: 4 };
        let adam = AdamWConfig::new().init();
        let trained = training.run(mlp.clone(), adam, 3e-3, |network, noise| {
            let x0 = noise.draw([64, 2], &device).sign();
            let Some(mixed) = mixed else { return objective.loss(network, x0, noise) };
            let half = mixed.network(network);
            assert_eq!(types(&half), [mixed.dtype().into()]);
            let objective = objective.clone().network_dtype(mixed.dtype());
            Ok(mixed.loss(objective.loss(&half, x0, noise)?))
        });
        let trained = trained.unwrap();
        assert_eq!(types(&trained.network), [DType::F32]);
        assert_eq!(types(&trained.average), [DType::F32]);
        let last = &trained.losses[15..];
        (trained.losses[0].1, last.iter().map(|(_, loss)| loss).sum::<f64>() / last.len() as f64)
    };
    let (_, single) = train(None);
    for mixed in both() {
        let (first, last) = train(Some(mixed));
        println!("{:?}: {first} to {last}; in f32 to {single}", mixed.dtype());
        assert!(last < 0.9 * first, "{first} to {last}");
        assert!((last / single - 1.0).abs() < 0.01, "{last}, not {single}");
    }
}

/// The gradients of a U-Net in half precision are those in f32, up to rounding.
#[test]
fn gradients_arrive_in_f32() {
    let device = Device::flex().autodiff();
    let config = UNetConfig::new(1, 1).with_channels(vec![32, 32]);
    let unet = config.init(&device).unwrap();
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let x0: Tensor<4> = HostNoise::new(1).draw([2, 1, 8, 8], &device);
    let loss = |network: &_, objective: &Objective<_, _>| {
        objective.loss(network, x0.clone(), &mut HostNoise::new(2)).unwrap()
    };
    let flat = |loss: Tensor<1>| {
        let gradients = GradientsParams::from_grads(loss.backward(), &unet);
        let mut all = Flat { gradients: &gradients, values: Vec::new() };
        unet.visit(&mut all);
        all.values
    };
    let single = flat(loss(&unet, &objective));
    let norm = single.iter().map(|g| g * g).sum::<f64>().sqrt();
    for mixed in both() {
        let objective = objective.clone().network_dtype(mixed.dtype());
        let half = flat(mixed.loss(loss(&mixed.network(&unet), &objective)));
        assert_eq!(half.len(), single.len());
        let off = half.iter().zip(&single).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        println!("{:?}: gradients off by {} of {norm}", mixed.dtype(), off / norm);
        let bound = if mixed.dtype() == FloatDType::F16 { 0.01 } else { 0.03 };
        assert!(off / norm < bound, "{}", off / norm);
    }
}

/// All gradients of a module, in f32.
struct Flat<'a> {
    gradients: &'a GradientsParams,
    values: Vec<f64>,
}

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            assert_eq!(gradient.dtype(), DType::F32);
            self.values.extend(values(gradient));
        }
    }
}

fn ones(device: &Device) -> Linear {
    let config = LinearConfig::new(1, 1).with_bias(false);
    config.with_initializer(Initializer::Ones).init(device)
}

/// 100 updates of 1e-4 move a weight of 1 to 0.99, where half precision would not move at all.
#[test]
fn small_updates_are_not_lost() {
    let device = Device::flex().autodiff();
    for mixed in both() {
        let mut network = ones(&device);
        let mut sgd = SgdConfig::new().init();
        let x = Tensor::<2>::ones([1, 1], &device).cast(mixed.dtype());
        for _ in 0..100 {
            let loss = mixed.network(&network).forward(x.clone()).cast(DType::F32).mean();
            let gradients = GradientsParams::from_grads(mixed.loss(loss).backward(), &network);
            network = sgd.step(1e-4, network, gradients);
        }
        let weight = values(network.weight.val().inner())[0];
        assert!((weight - 0.99).abs() < 1e-5, "{weight}");
        let lost = Tensor::<1>::ones([1], &device).cast(mixed.dtype()) - 1e-4;
        assert_eq!(values(lost.inner()), [1.0]);
    }
}

/// Adapters train in half precision, too, and the frozen weights get no gradients.
#[test]
fn adapters_get_their_gradients() {
    let device = Device::flex().autodiff();
    let linear: Linear = LinearConfig::new(6, 4).with_bias(false).init(&device);
    let linear = linear.apply_lora(Lora::new(2, 4.0));
    let x: Tensor<2> = HostNoise::new(1).draw([8, 6], &device);
    let of = |network: &Linear, x: Tensor<2>| network.forward(x).cast(DType::F32).square().mean();
    let gradients = |loss: Tensor<1>| {
        let gradients = GradientsParams::from_grads(loss.backward(), &linear);
        assert!(gradients.get::<2>(linear.weight.id).is_none());
        let adapter = linear.weight.adapter().unwrap();
        [&adapter.a, &adapter.b].map(|factor| gradients.get::<2>(factor.id).unwrap())
    };
    let single = gradients(of(&linear, x.clone()));
    for mixed in both() {
        let half = of(&mixed.network(&linear), x.clone().cast(mixed.dtype()));
        for (half, single) in gradients(mixed.loss(half)).into_iter().zip(single.clone()) {
            assert_eq!(half.dtype(), DType::F32);
            let off = values((half - single.clone()).abs().max())[0];
            let size = values(single.abs().max())[0];
            assert!(off <= 0.02 * size, "{off} of {size}");
        }
    }
}

/// A gradient of 1e-9 is 0 in f16, unless it is scaled; the loss itself keeps its bits.
#[test]
fn the_scale_saves_small_gradients() {
    let device = Device::flex().autodiff();
    let network = ones(&device);
    let gradient = |scale: f64| {
        let mixed = MixedPrecision::f16(scale).unwrap();
        let x = Tensor::<2>::ones([1, 1], &device).cast(mixed.dtype());
        let loss = mixed.network(&network).forward(x).cast(DType::F32).mean() * 1e-9;
        let scaled = mixed.loss(loss.clone());
        assert_eq!(values(scaled.clone().inner()), values(loss.inner()));
        let gradients = GradientsParams::from_grads(scaled.backward(), &network);
        values(gradients.get::<2>(network.weight.id).unwrap())[0]
    };
    assert_eq!(gradient(1.0), 0.0);
    let found = gradient(65536.0);
    assert!((found / 1e-9 - 1.0).abs() < 2e-3, "{found}");
    assert!(MixedPrecision::f16(0.0).is_err() && MixedPrecision::f16(f64::NAN).is_err());
}

/// The dynamic scale halves until nothing overflows, and then lets every step through.
#[test]
fn the_dynamic_scale_finds_its_place() {
    let device = Device::flex().autodiff();
    let network = ones(&device);
    let mut scale = LossScale::default();
    let mut skipped = 0;
    for step in 0..2010 {
        let mixed = scale.mixed_precision();
        let x = Tensor::<2>::ones([1, 1], &device).cast(mixed.dtype());
        // A gradient of 100: with a scale of 1024 it overflows 65,504, with 512 it does not.
        let loss = mixed.network(&network).forward(x).cast(DType::F32).mean() * 100.0;
        let gradients = GradientsParams::from_grads(mixed.loss(loss).backward(), &network);
        if scale.accepts(&network, &gradients).unwrap() {
            let gradient = values(gradients.get::<2>(network.weight.id).unwrap())[0];
            assert!((gradient - 100.0).abs() < 0.1, "{gradient}");
        } else {
            skipped += 1;
        }
        if step == 100 {
            assert_eq!((scale.scale(), skipped), (512.0, 7));
        }
    }
    // It grew once after 2000 steps, and fell back.
    assert_eq!((scale.scale(), skipped), (512.0, 8));
}
