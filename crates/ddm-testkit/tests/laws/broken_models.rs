//! Parameterizations, denoisers and samplers that are broken on purpose: the laws catch each.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{Denoised, Denoiser, EpsilonPrediction, Parameterization, from_fn};
use ddm_samplers::{Context, Ddim, Sampler};
use ddm_schedule::{Cosine, NoiseLevel, kernel};
use ddm_testkit::{Gaussian, GaussianPath, denoiser, moments, order, parameterization, sampler};

use crate::{catches, holds};

/// v with a sign wrong on the way back; ε that claims to work nowhere.
#[derive(Clone, Copy)]
struct WrongWay;
struct Shy;

impl Parameterization for WrongWay {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        (-at.sigma, at.alpha)
    }
    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        (at.alpha, at.sigma)
    }
}

impl Parameterization for Shy {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        EpsilonPrediction.target(at)
    }
    fn check(&self, at: NoiseLevel) -> Result<(), ddm_denoiser::ModelError> {
        EpsilonPrediction.check(NoiseLevel { alpha: 0.0, ..at })
    }
}

#[test]
fn broken_parameterizations_are_caught() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let law = "x0 follows from the target";
    catches(law, parameterization::all(&WrongWay, &schedule, &device));
    catches(law, parameterization::all(&Shy, &schedule, &device));
    let law = "a perfect network recovers x0";
    catches(law, parameterization::gives_x0_back(&WrongWay, &schedule, &device));
}

/// Takes the first sample's level for all.
struct OneForAll;

impl Denoiser<2> for OneForAll {
    fn predict_x0(&self, x: Tensor<2>, at: &[NoiseLevel]) -> Denoised<2> {
        (x * at[0].alpha).into()
    }
}

#[test]
fn broken_denoisers_are_caught() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let all = |broken: &dyn Denoiser<2>| denoiser::all(broken, &schedule, [4, 3], &device);
    let good = |x: Tensor<2>, at: NoiseLevel| x * at.alpha;
    holds(all(&from_fn(good)));
    let wide = from_fn(|x: Tensor<2>, _: NoiseLevel| Tensor::cat(vec![x.clone(), x], 1));
    catches("x0 has the shape of x", all(&wide));
    catches("a sample's x0 depends on its own level only", all(&OneForAll));
    let nan = from_fn(|x: Tensor<2>, at: NoiseLevel| x / (at.sigma - at.sigma));
    catches("x0 has the shape of x", all(&nan));
    let calls = AtomicUsize::new(0);
    let moody = from_fn(|x: Tensor<2>, _: NoiseLevel| {
        x * 0.5 + calls.fetch_add(1, Ordering::Relaxed) as f64
    });
    catches("a denoiser repeats its prediction", all(&moody));
    let mixed = from_fn(|x: Tensor<2>, _: NoiseLevel| x.clone() - x.narrow(0, 0, 1));
    catches("samples do not depend on the batch", all(&mixed));
    let centred = from_fn(|x: Tensor<2>, _: NoiseLevel| x.clone() - x.mean_dim(0));
    catches("samples do not depend on the batch", all(&centred));
    let other = from_fn(|x: Tensor<2>, at: NoiseLevel| x * (at.alpha + 1e-3));
    let agree = denoiser::agree(&other, &from_fn(good), &schedule, [4, 3], &device);
    catches("two denoisers agree", agree);
}

/// DDIM(1) with one thing wrong.
#[derive(Debug)]
enum Slip {
    Remembers(AtomicUsize),
    MixesTheBatch,
    LosesTheShape,
    StopsShort,
    NoModelCall,
    ReadsRank,
    TooMuchNoise,
    OtherModelCall,
}

impl<const D: usize> Sampler<D> for Slip {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        _: &mut (),
    ) -> Tensor<D> {
        if matches!(self, Self::NoModelCall) {
            return x * (to.scale() / from.scale());
        }
        let level = match self {
            // The model is called at a level that x is not at.
            Self::OtherModelCall => to,
            _ => from,
        };
        let mut x0 = cx.denoise(x.clone(), level);
        let mut c = kernel::ddim_std(from, to, 1.0);
        match self {
            Self::Remembers(calls) => {
                x0 = x0 + calls.fetch_add(1, Ordering::Relaxed) as f64 * 1e-3;
            }
            Self::MixesTheBatch => x0 = x0.clone() + x0.mean_dim(0) * 1e-3,
            Self::LosesTheShape => return cx.reverse(x, x0, from, to, c).flip([0]),
            Self::StopsShort => x0 = x0 * 0.999,
            Self::ReadsRank => x0 = x0 + D as f64 * 1e-3,
            Self::TooMuchNoise => c *= 1.2,
            _ => {}
        }
        let x = cx.reverse(x, x0, from, to, c.min(to.sigma));
        if matches!(self, Self::TooMuchNoise) && to.sigma > 0.0 {
            let extra = cx.noise_like(&x) * (0.3 * c);
            return x + extra;
        }
        x
    }
}

#[test]
fn broken_samplers_are_caught() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    for (slip, law) in [
        (Slip::Remembers(AtomicUsize::new(0)), "the same seed gives the same sample"),
        (Slip::MixesTheBatch, "sample i does not depend on the batch size"),
        (Slip::LosesTheShape, "sample i does not depend on the batch size"),
        (Slip::ReadsRank, "every rank gives the same samples"),
        (Slip::StopsShort, "a run with a perfect denoiser ends at its x0"),
        (Slip::NoModelCall, "a run with a perfect denoiser ends at its x0"),
        (Slip::OtherModelCall, "the heads of one model give the same path"),
    ] {
        println!("{slip:?}");
        catches(law, sampler::all(&slip, &schedule, &device));
    }
    let uncounted = sampler::counts_evaluations(&Slip::NoModelCall, &schedule, &device);
    catches("model calls are counted correctly", uncounted);
}

#[test]
fn wrong_moments_and_orders_are_caught() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let data = Gaussian::new([-0.7], 0.5).unwrap();
    let path = GaussianPath::new(&schedule).unwrap().data(data).between(-3.0, 3.0);
    let law = "a sampler reaches the data's mean and variance";
    catches(law, moments::are_right(&Slip::TooMuchNoise, &path, 200, 0.05, &device));
    let law = "a solver has its stated order";
    catches(law, order::has_order(&Ddim::default(), 2.0, &schedule, &device));
    let measured = order::measured_order(&Slip::StopsShort, &path, &device);
    assert!(measured.is_ok_and(|order| order < 0.8));
}
