//! Trained networks that are trained on: by a LoRA, in part, and into a smaller one.

use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamGroup};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use ddm_denoiser::{EpsilonPrediction, Model, NoisePredictor, VPrediction};
use ddm_models::lora::{Adapted, Lora, LoraConfig, Part};
use ddm_models::{Mlp, MlpConfig, UNet, UNet2d, UNetConfig};
use ddm_noise::{HostNoise, NoiseSource};
use ddm_quality::{Features, energy_distance};
use ddm_samplers::{Ddim, Sampling};
use ddm_schedule::{BetaTable, Cosine};
use ddm_train::{
    Checkpoints, Objective, OutputDistillation, StepNoise, TrainError, Training, narrow,
};

/// The numbers of a module's parameters, by path.
fn weights<M: Module>(module: &M) -> Vec<(String, Vec<f32>)> {
    #[derive(Default)]
    struct Values(Vec<String>, Vec<(String, Vec<f32>)>);
    impl ModuleVisitor for Values {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = param.val().into_data().try_into_vec().unwrap();
            self.1.push((self.0.join("."), values));
        }
    }
    let mut values = Values::default();
    module.visit(&mut values);
    values.1
}

/// Weights that do not depend on the generator of the device, which all tests share.
struct Start(HostNoise, Vec<String>);
impl ModuleMapper for Start {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.1.join(".");
        param.map(|old| {
            let (shape, device) = (old.dims(), old.device());
            let inputs = if D == 2 { shape[0] } else { shape.iter().skip(1).product() };
            let bound = (inputs as f64).sqrt().recip();
            let new = match path.rsplit('.').next() {
                Some("gamma") => old.ones_like(),
                Some("bias" | "beta") => old.zeros_like(),
                _ => {
                    let numbers = self.0.fork(&path).uniform(shape.iter().product());
                    let numbers = numbers.into_iter().map(|u| (2.0 * u - 1.0) * bound).collect();
                    Tensor::from_data(TensorData::new(numbers, shape), (&device, old.dtype()))
                }
            };
            new.detach().require_grad()
        })
    }
}

fn started<M: Module>(network: M, seed: u64) -> M {
    network.map(&mut Start(HostNoise::new(seed), Vec::new()))
}

fn unet(width: usize, seed: u64) -> UNet {
    let config = UNetConfig::new(1, 1).with_channels(vec![width, 2 * width]).with_norm_groups(4);
    let device = Device::flex().autodiff();
    started(config.with_head_size(Some(8)).init(&device).unwrap(), seed)
}

fn mlp(hidden: usize, layers: usize, seed: u64) -> Mlp {
    let config = MlpConfig::new().with_hidden(hidden).with_layers(layers);
    started(config.init(&Device::flex().autodiff()).unwrap(), seed)
}

fn adam() -> ModuleOptimizer {
    AdamWConfig::new().init()
}

/// Pictures of 8×8 with a bar at some height, or turned, from the left.
fn bars(noise: &mut impl NoiseSource, turned: bool, device: &Device) -> Tensor<4> {
    let places = noise.uniform(32).unwrap();
    let pixels = places.iter().flat_map(|u| {
        let place = (u * 7.0) as usize;
        (0..64).map(move |pixel| {
            let at = if turned { pixel % 8 } else { pixel / 8 };
            if at == place || at == place + 1 { 1.0_f32 } else { -1.0 }
        })
    });
    Tensor::from_data(TensorData::new(pixels.collect(), [32, 1, 8, 8]), device)
}

/// The mean loss at fixed noise.
fn loss(network: &impl NoisePredictor<4>, turned: bool) -> f64 {
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let mut noise = HostNoise::new(99);
    let losses = (0..8).map(|_| {
        let x0 = bars(&mut noise, turned, &Device::flex());
        objective.loss(network, x0, &mut noise).unwrap().into_scalar::<f32>()
    });
    f64::from(losses.sum::<f32>() / 8.0)
}

fn lora(network: UNet) -> Adapted<UNet> {
    let targets = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_out"];
    LoraConfig::new(1, targets).adapt(network).unwrap()
}

#[test]
fn a_lora_learns_other_data_and_goes_on_after_a_checkpoint() {
    let device = Device::flex().autodiff();
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let training = |steps| Training { steps, ema_decay: 0.98, seed: 3 };
    let of_bars = |network: &UNet, noise: &mut StepNoise| {
        let x0 = bars(noise, false, &device);
        objective.loss(network, x0, noise)
    };
    let trained = training(200).run(unet(8, 1), adam(), 3e-3, of_bars).unwrap();
    let base = trained.average.train();
    let known = loss(&base.valid(), false);
    let before = loss(&base.valid(), true);

    let of_turned = |adapted: &Adapted<UNet>, noise: &mut StepNoise| {
        let x0 = bars(noise, true, &device);
        objective.loss(&adapted.network(), x0, noise)
    };
    let trained = training(150).run(lora(base.clone()), adam(), 1e-2, of_turned).unwrap();
    let after = loss(&trained.average.network(), true);
    println!(
        "loss of bars {known:.3}; of turned ones {before:.3} → {after:.3}, by {} of {} numbers",
        trained.network.num_params(),
        base.num_params()
    );
    assert!(known < 0.5 * before && after < 0.7 * before);
    assert_eq!(weights(trained.network.base()), weights(&base));
    assert_eq!(weights(trained.average.base()), weights(&base));

    // Saved, and fused with the network as it was.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lora.safetensors");
    trained.average.save(Part::UNet, &file).unwrap();
    let fused = Lora::open(&file).unwrap().fused(base.valid(), Part::UNet, 1.0).unwrap();
    assert!((loss(&fused, true) - after).abs() < 1e-5);

    // In two runs, with a checkpoint of the factors alone.
    let checkpoints = Checkpoints::open(folder.path().join("run")).unwrap();
    for steps in [75, 150] {
        let adapted = lora(base.clone());
        let again = training(steps);
        let again = again.resume(&checkpoints, adapted, adam(), 1e-2, of_turned, |_| ()).unwrap();
        if steps == 150 {
            assert_eq!(weights(&again.network), weights(&trained.network));
            assert_eq!(weights(&again.average), weights(&trained.average));
        }
    }
    let last = checkpoints.last().unwrap().unwrap();
    let size = |name: &str| std::fs::metadata(last.directory().join(name)).unwrap().len();
    println!(
        "checkpoint: network {}, optimizer {} bytes",
        size("network.bpk"),
        size("optimizer.bpk")
    );
    // Other layers are another training.
    let other = LoraConfig::new(1, ["to_q"]).adapt(base).unwrap();
    let refused = training(151).resume(&checkpoints, other, adam(), 1e-2, of_turned, |_| ());
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("network.bpk") && refused.contains("does not fit"), "{refused}");
}

/// A network of diffusers, loaded, trained with a part frozen, saved and loaded again.
#[test]
fn a_loaded_network_is_trained_in_part() {
    let device = Device::flex().autodiff();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/pipelines/ddpm-unconditional/unet");
    let network = UNet2d::from_diffusers(directory, &device).unwrap();
    let before = weights(&network);
    let network = network.freeze_group(ParamGroup::from_predicate("down_blocks"));
    let objective = Objective::new(BetaTable::default(), EpsilonPrediction).unwrap();
    let training = Training { steps: 20, ema_decay: 0.9, seed: 1 };
    let trained = training.run(network, AdamWConfig::new().init(), 1e-3, |network, noise| {
        let x0 = noise.draw([2, 3, 12, 12], &device) * 0.1 + 0.5;
        objective.loss(network, x0, noise)
    });
    let trained = trained.unwrap();
    assert!(trained.losses[1].1 < trained.losses[0].1, "{:?}", trained.losses);
    for network in [trained.network.valid(), trained.average] {
        for ((path, before), (_, after)) in before.iter().zip(weights(&network)) {
            assert_eq!(*before == after, path.starts_with("down_blocks"), "{path}");
        }
        let folder = tempfile::tempdir().unwrap();
        network.to_diffusers(folder.path()).unwrap();
        let again = UNet2d::from_diffusers(folder.path(), &Device::flex()).unwrap();
        let x: Tensor<4> = HostNoise::new(1).draw([2, 3, 12, 12], &Device::flex());
        let t = Tensor::from_data([10.0, 500.0], &Device::flex());
        let predictions = [&network, &again].map(|n| n.predict(x.clone(), t.clone()).into_data());
        assert_eq!(predictions[0], predictions[1]);
    }
}

/// Points on two arms of a spiral.
fn spiral(noise: &mut impl NoiseSource, count: usize, device: &Device) -> Tensor<2> {
    let places = noise.uniform(count).unwrap();
    let points = places.iter().enumerate().flat_map(|(i, u)| {
        let (radius, side) = (0.3 + 1.2 * u, if i % 2 == 0 { 1.0 } else { -1.0 });
        let angle = 4.0 * u;
        [side * radius * angle.cos(), side * radius * angle.sin()].map(|x| x as f32)
    });
    let points = Tensor::from_data(TensorData::new(points.collect(), [count, 2]), device);
    points + noise.draw([count, 2], device) * 0.03
}

fn distance(network: &Mlp) -> f64 {
    let model = Model::new(network.clone(), VPrediction);
    let sampling = Sampling::new(&model, Cosine::default()).sampler(Ddim::default()).steps(40);
    let samples = sampling.seed(1).sample([1000, 2], &Device::flex()).unwrap();
    let real = spiral(&mut HostNoise::new(7), 4000, &Device::flex());
    energy_distance(&Features::new(samples).unwrap(), &Features::new(real).unwrap()).unwrap()
}

#[test]
fn a_smaller_network_learns_from_a_larger_one() {
    let device = Device::flex().autodiff();
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let training = |steps, seed| Training { steps, ema_decay: 0.99, seed };
    let of_data = |network: &Mlp, noise: &mut StepNoise| {
        let x0 = spiral(noise, 256, &device);
        objective.loss(network, x0, noise)
    };
    let teacher = training(1000, 0).run(mlp(128, 3, 1), adam(), 2e-3, of_data).unwrap().average;
    let student = mlp(32, 3, 2);
    let alone = training(500, 1).run(student.clone(), adam(), 2e-3, of_data).unwrap().average;
    let [taught, both] = [0.0, 1.0].map(|data| {
        let by = OutputDistillation::new(&teacher).data_weight(data).unwrap();
        let loss = |network: &Mlp, noise: &mut StepNoise| {
            by.loss(&objective, network, spiral(noise, 256, &device), noise)
        };
        training(500, 1).run(student.clone(), adam(), 2e-3, loss).unwrap().average
    });
    let [start, alone, taught, both] = [&student.valid(), &alone, &taught, &both].map(distance);
    println!(
        "distance of the teacher, of {} numbers: {:.5}",
        teacher.num_params(),
        distance(&teacher)
    );
    println!(
        "of the student, of {}: {start:.5} at first; after 500 steps by data {alone:.5}, by the teacher \
         {taught:.5}, by both {both:.5}",
        student.num_params()
    );
    assert!(taught < 0.6 * alone && both < alone);
}

#[test]
fn a_narrower_network_starts_with_a_part() {
    let teacher = mlp(24, 2, 1);
    // As wide: the teacher itself, that still trains.
    let same = narrow(mlp(24, 2, 2), &teacher.valid()).unwrap();
    assert_eq!(weights(&same), weights(&teacher));
    let device = Device::flex().autodiff();
    let x: Tensor<2> = HostNoise::new(1).draw([3, 2], &device);
    let loss = same.predict(x, Tensor::ones([3], &device)).square().mean();
    assert_eq!(GradientsParams::from_grads(loss.backward(), &same).len(), weights(&same).len());
    // Narrower: the first channels.
    let narrower = narrow(mlp(8, 2, 2).valid(), &teacher).unwrap();
    for ((path, whole), (_, part)) in weights(&teacher).iter().zip(weights(&narrower)) {
        let first = if path == "output.weight" { 2 } else { part.len().min(8) };
        assert_eq!(whole[..first], part[..first], "{path}");
    }
    for (student, word) in [(mlp(32, 2, 2), "[64, 24]"), (mlp(8, 3, 2), "missing")] {
        let error = narrow(student, &teacher).unwrap_err();
        println!("{error}");
        assert!(matches!(error, TrainError::Narrow { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = OutputDistillation::new(&teacher).data_weight(-1.0).unwrap_err();
    assert!(error.to_string().contains("data weight is -1"), "{error}");
}

/// A U-Net of half the width.
#[test]
fn a_part_of_a_network_learns_faster() {
    let device = Device::flex().autodiff();
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let training = |steps| Training { steps, ema_decay: 0.98, seed: 4 };
    let of_bars = |network: &UNet, noise: &mut StepNoise| {
        objective.loss(network, bars(noise, false, &device), noise)
    };
    let teacher = training(300).run(unet(16, 1), adam(), 3e-3, of_bars).unwrap().average;
    let by = OutputDistillation::new(&teacher);
    let taught = |network: &UNet, noise: &mut StepNoise| {
        by.loss(&objective, network, bars(noise, false, &device), noise)
    };
    let fresh = unet(8, 2);
    let of_data = training(100).run(fresh.clone(), adam(), 3e-3, of_bars).unwrap().average;
    let [of_teacher, pruned] = [fresh.clone(), narrow(fresh, &teacher).unwrap()]
        .map(|student| training(100).run(student, adam(), 3e-3, taught).unwrap().average);
    let [teacher, of_data, of_teacher, pruned] =
        [&teacher, &of_data, &of_teacher, &pruned].map(|network| loss(network, false));
    println!(
        "loss of the teacher {teacher:.3}; of half the width after 100 steps: by data {of_data:.3}, by \
         the teacher {of_teacher:.3}, from the teacher's first channels {pruned:.3}"
    );
    assert!(of_teacher < 0.95 * of_data && pruned < 0.95 * of_teacher);
}
