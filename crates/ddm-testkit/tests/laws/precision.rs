//! Half precision comes in, and everything is computed in single precision.

use burn::tensor::{DType, Device, FloatDType, Tensor};
use ddm_denoiser::{
    ClassifierGuided, Denoiser, EpsilonPrediction, Model, NoisePredictor, from_fn, sum_each,
};
use ddm_samplers::{BoxedSampler, HostNoise, NoiseSource, Sampler, Sampling};
use ddm_schedule::{BetaTable, NoiseSchedule};
use ddm_testkit::{Gaussian, compare};

use crate::claims::{samplers, stochastic};
use crate::holds;

const HALVES: [FloatDType; 2] = [FloatDType::F16, FloatDType::BF16];

/// Every sampler on half-precision x gives what it gives on the same values in f32: the network sees
/// the same timesteps, and no coefficient is rounded.
#[test]
fn samplers_compute_in_single_precision() {
    let (device, table) = (Device::flex(), BetaTable::default());
    let network = from_fn(|x: Tensor<2>, t: Tensor<1>| {
        // Whole timesteps tell: 998 and 1000 are one in bf16.
        (x + t.unsqueeze_dim(1) * 0.01).sin()
    });
    let model = Model::new(network, EpsilonPrediction);
    let x: Tensor<2> = HostNoise::new(1).draw([4, 5], &device);
    let end = |sampler: &BoxedSampler<2>, x: Tensor<2>| {
        let run = Sampling::new(&model, &table).sampler(sampler).steps(7).seed(3);
        run.start_from(x).unwrap().finish()
    };
    let stochastic = stochastic().into_iter().map(|(name, sampler)| (name.to_owned(), sampler));
    for (name, sampler) in samplers().into_iter().chain(stochastic) {
        for half in HALVES {
            let rounded = x.clone().cast(half);
            let wanted = end(&sampler, rounded.clone().cast(FloatDType::F32));
            let found = end(&sampler, rounded);
            assert_eq!(found.dtype(), DType::F32, "{name}");
            holds(compare::close_tensors("half precision comes in", found, wanted, 0.0));
        }
    }
}

#[test]
fn the_network_sees_whole_timesteps() {
    struct Timestep;
    impl NoisePredictor<2> for Timestep {
        fn predict(&self, x: Tensor<2>, t: Tensor<1>) -> Tensor<2> {
            assert_eq!(t.dtype(), DType::F32);
            x.zeros_like() + t.unsqueeze_dim(1)
        }
    }
    let x = Tensor::<2>::zeros([1, 2], &Device::flex());
    let at = BetaTable::default().level(0.999);
    assert_eq!(at.timestep, 998.0);
    let model = Model::new(Timestep, ddm_denoiser::X0Prediction);
    for half in HALVES {
        let x0 = model.denoise(x.clone().cast(half), at);
        assert_eq!(x0.into_data().try_to_vec::<f32>().unwrap(), [998.0, 998.0]);
    }
}

#[test]
fn guidance_computes_in_single_precision() {
    let device = Device::flex();
    let at = BetaTable::default().level(0.999);
    let data = Gaussian::new([0.5], 0.7).unwrap();
    let classifier = from_fn(|x: Tensor<2>, _| -sum_each((x - 1.0).square()));
    let guided = ClassifierGuided::new(&data, classifier, 2.0).unwrap();
    let x: Tensor<2> = HostNoise::new(1).draw([4, 5], &device);
    for half in HALVES {
        let rounded = x.clone().cast(half);
        let wanted = guided.denoise(rounded.clone().cast(FloatDType::F32), at);
        holds(compare::close_tensors("guided", guided.denoise(rounded, at), wanted, 0.0));
    }
}

/// Double precision stays.
#[test]
fn double_precision_stays() {
    let (device, table) = (Device::flex(), BetaTable::default());
    let data = Gaussian::new([0.5], 0.7).unwrap();
    let x = Tensor::<2>::ones([1, 1], &device).cast(FloatDType::F64);
    for (name, sampler) in samplers() {
        let run = Sampling::new(&data, &table).sampler(&sampler).steps(4);
        assert_eq!(run.start_from(x.clone()).unwrap().finish().dtype(), DType::F64, "{name}");
        assert!(sampler.calls() > 0);
    }
}
