//! The built-in samplers obey the laws, have their orders, and are what the papers say they are.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::Denoiser;
use ddm_samplers::{Ddim, Ddpm, Frame, Sampler, Sampling, Variance};
use ddm_schedule::{BetaTable, Cosine, LinearVp, NoiseLevel, NoiseSchedule, RectifiedFlow, kernel};
use ddm_testkit::{Gaussian, GaussianPath, Violation, compare, moments, order, sampler};

use crate::holds;

fn ddim(eta: f64) -> Ddim {
    Ddim::new(eta).unwrap()
}

fn ddpm(variance: Variance) -> Ddpm {
    Ddpm { variance }
}

/// Every law on schedules of each kind.
fn all<S>(sampler: S) -> Result<(), Violation>
where
    S: Sampler<2> + Sampler<3> + Sampler<4> + Sampler<5> + Sync,
{
    let device = Device::flex();
    sampler::all(&sampler, &Cosine::default(), &device)?;
    sampler::all(&sampler, &LinearVp::default(), &device)?;
    sampler::all(&sampler, &RectifiedFlow, &device)?;
    sampler::all(&sampler, &BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap(), &device)?;
    sampler::all(&sampler, &BetaTable::cosine(6).unwrap(), &device)?;
    sampler::all(&sampler, &BetaTable::default(), &device)
}

#[test]
fn ddim_obeys_the_laws() {
    holds(all(ddim(0.0)));
    holds(all(ddim(0.5)));
    holds(all(ddim(1.0)));
}

#[test]
fn ddpm_obeys_the_laws() {
    holds(all(ddpm(Variance::Small)));
    holds(all(ddpm(Variance::Large)));
    holds(all(ddpm(Variance::Learned)));
}

#[test]
fn ddim_has_order_1() {
    let device = Device::flex();
    holds(order::has_order(&ddim(0.0), 1.0, &Cosine::default(), &device));
    holds(order::has_order(&ddim(0.0), 1.0, &LinearVp::default(), &device));
    holds(order::has_order(&ddim(0.0), 1.0, &RectifiedFlow, &device));
    holds(order::has_order(&ddim(0.0), 1.0, &BetaTable::default(), &device));
    let stable = BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap();
    holds(order::has_order(&ddim(0.0), 1.0, &stable, &device));
}

fn path(schedule: &dyn NoiseSchedule) -> GaussianPath<'_> {
    let data = Gaussian::new([-0.7], 0.5).unwrap();
    GaussianPath::new(schedule).unwrap().data(data).between(-3.0, 3.0)
}

#[test]
fn samples_have_the_right_mean_and_variance() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let path = path(&schedule);
    for eta in [0.0, 0.5, 1.0] {
        println!("eta {eta} {:?}", moments::exact(&ddim(eta), &path, 100, &device));
        holds(moments::all(&ddim(eta), &path, 100, 0.1, &device));
        holds(moments::has_weak_order(&ddim(eta), 1.0, &path, &device));
    }
    for variance in [Variance::Small, Variance::Large] {
        println!("{variance:?} {:?}", moments::exact(&ddpm(variance), &path, 100, &device));
        holds(moments::all(&ddpm(variance), &path, 100, 0.1, &device));
        holds(moments::has_weak_order(&ddpm(variance), 1.0, &path, &device));
        holds(moments::are_right(&ddpm(variance), &path, 1000, 0.01, &device));
    }
}

fn frames(sampler: impl Sampler<2>, model: &dyn Denoiser<2>) -> Vec<Frame<2>> {
    let schedule = BetaTable::default();
    let sampling = Sampling::new(&model, &schedule).sampler(sampler).steps(8).seed(11);
    sampling.start([4, 3], &Device::flex()).unwrap().collect()
}

fn same_path(found: &[Frame<2>], demanded: &[Frame<2>]) {
    assert_eq!(found.len(), demanded.len());
    for (found, demanded) in found.iter().zip(demanded) {
        let (found, demanded) = (found.x.clone(), demanded.x.clone());
        holds(compare::close_tensors("two samplers are one", found, demanded, 1e-6));
    }
}

#[test]
fn ddpm_with_the_posterior_variance_is_ddim_with_eta_1() {
    let data = Gaussian::new([0.3], 0.5).unwrap();
    same_path(&frames(ddpm(Variance::Small), &data), &frames(ddim(1.0), &data));
}

/// Gaussian data, and the same learned v everywhere.
struct WithVariance(Gaussian, f64);

impl Denoiser<2> for WithVariance {
    fn denoise(&self, x: Tensor<2>, at: NoiseLevel) -> Tensor<2> {
        self.0.denoise(x, at)
    }
    fn denoise_with_variance(
        &self,
        x: Tensor<2>,
        at: NoiseLevel,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let v = x.full_like(self.1);
        (self.denoise(x, at), Some(v))
    }
}

#[test]
fn learned_variance_lies_between_the_two_others() {
    let data = Gaussian::new([0.3], 0.5).unwrap();
    let learned = |v| frames(ddpm(Variance::Learned), &WithVariance(data.clone(), v));
    same_path(&learned(0.0), &frames(ddpm(Variance::Small), &data));
    same_path(&learned(1.0), &frames(ddpm(Variance::Large), &data));
}

#[test]
fn the_two_variances_are_those_of_the_table() {
    for table in [BetaTable::default(), BetaTable::cosine(100).unwrap()] {
        let rows = table.betas().len();
        let mut alpha_bar = 1.0 - table.betas()[0];
        for k in 1..rows {
            let beta = table.betas()[k];
            let before = alpha_bar;
            alpha_bar *= 1.0 - beta;
            let level = |row: usize| table.level((row + 1) as f64 / rows as f64);
            let (from, to) = (level(k), level(k - 1));
            let large = kernel::forward(to, from).noise.powi(2);
            assert!((large / beta - 1.0).abs() < 1e-9, "beta {large} and {beta} in row {k}");
            // beta tilde = (1 − ᾱ_{k−1})/(1 − ᾱ_k) β_k, DDPM eq. 7
            let tilde = (1.0 - before) / (1.0 - alpha_bar) * beta;
            let small = kernel::ddim_std(from, to, 1.0).powi(2);
            assert!((small / tilde - 1.0).abs() < 1e-9, "{small} and {tilde} in row {k}");
        }
    }
}
