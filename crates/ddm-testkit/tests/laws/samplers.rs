//! The built-in samplers obey the laws, have their orders, and are what the papers say they are.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{Denoised, Denoiser};
use ddm_samplers::{
    BoxedSampler, Ddim, Ddpm, Deis, DpmSolver, DpmSolverPp, DpmSolverSingle, Ending, Extrapolate,
    Frame, Ipndm, Lms, Midpoint, SaSolver, Sampler, Sampling, Variance,
};
use ddm_schedule::{
    BetaTable, Cosine, Levels, LinearVp, NoiseLevel, NoiseSchedule, RectifiedFlow, kernel,
};
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

/// Orders of mean and variance on Gaussian data; `short` ends at λ = 1, `long` at 3.
#[test]
fn stochastic_solvers_have_their_weak_orders() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let (short, long) = (GaussianPath::new(&schedule).unwrap(), path(&schedule));
    let has = |order: f64, path: &GaussianPath<'_>, sampler: BoxedSampler<2>| {
        holds(moments::has_weak_order(&sampler, order, path, &device));
    };
    let noise = |answers| BoxedSampler::new(DpmSolver::sde(answers).unwrap());
    has(1.0, &short, noise(1));
    has(2.0, &long, noise(2));
    has(2.0, &long, noise(3));
    let single = DpmSolverSingle::sde(2, 1.0).unwrap().ending(Ending::Keep);

    has(1.0, &short, BoxedSampler::new(single));
    for answer in [Extrapolate::Data, Extrapolate::Noise] {
        for eta in [0.5, 1.0] {
            let midpoint = BoxedSampler::new(Midpoint::new(answer, eta).unwrap());
            has(2.0, &short, midpoint.clone());
            has(2.0, &long, midpoint);
        }
        let sa = SaSolver::new(1, Some(1)).unwrap().tau(1.0, 0.0..=1000.0).unwrap();
        has(2.0, &long, BoxedSampler::new(sa.extrapolate(answer).lower_order_final(false)));
    }
}

/// In ε̂ at τ = 0, SA-Solver is the ODE solver of the same order as in x̂₀.
#[test]
fn sa_solver_in_the_noise_has_its_order() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    for (predictor, corrector, wanted) in [(1, 1, 2.0), (2, 2, 3.0), (3, 3, 4.0)] {
        let sampler =
            SaSolver::new(predictor, Some(corrector)).unwrap().extrapolate(Extrapolate::Noise);
        let sampler = sampler.tau(0.0, 0.0..=0.0).unwrap().lower_order_final(false);
        holds(order::has_order(&sampler, wanted, &schedule, &device));
    }
    holds(all(SaSolver::default().extrapolate(Extrapolate::Noise)));
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
    fn predict_x0(&self, x: Tensor<2>, at: &[NoiseLevel]) -> Denoised<2> {
        let variance = Some(x.full_like(self.1));
        Denoised { variance, ..self.0.predict_x0(x, at) }
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

/// Where σ/α falls by even steps, the true spacing is the even one.
#[test]
fn lms_on_even_levels_is_ipndm() {
    let (device, schedule) = (Device::flex(), LinearVp::default());
    let data = Gaussian::new([0.3, -0.5], 0.4).unwrap();
    for answers in 1..=4 {
        let end = |sampler: BoxedSampler<2>| {
            let levels = Levels::at_sigmas(&schedule, (1..=9).rev().map(f64::from)).unwrap();
            let run = Sampling::new(&data, &schedule).sampler(sampler).levels(levels).seed(2);
            run.sample([3, 2], &device).unwrap()
        };
        let lms = end(BoxedSampler::new(Lms::new(answers).unwrap()));
        let ipndm = end(BoxedSampler::new(Ipndm::new(answers).unwrap()));
        holds(compare::close_tensors("LMS on even levels is iPNDM", lms, ipndm, 1e-5));
    }
}

/// The weights are had from a series in short steps, and by parts in long ones: both meet at h = 1.
#[test]
fn short_and_long_steps_have_the_same_weights() {
    let (device, schedule) = (Device::flex(), LinearVp::default());
    let data = Gaussian::new([0.3, -0.5], 0.4).unwrap();
    let samplers = [
        BoxedSampler::<2>::new(Deis::new(3).unwrap().ending(Ending::Keep)),
        BoxedSampler::new(DpmSolverPp::new(3).unwrap().ending(Ending::Keep)),
    ];
    for sampler in samplers {
        let end = |h: f64| {
            let levels = (0..=3).map(|i| schedule.level_at(-3.0 + h * f64::from(i)));
            let levels = Levels::new(levels.collect()).unwrap();
            let run = Sampling::new(&data, &schedule).sampler(&sampler).levels(levels).seed(2);
            run.sample([3, 2], &device).unwrap()
        };
        let (short, long) = (end(1.0 - 1e-9), end(1.0 + 1e-9));
        holds(compare::close_tensors("the weights are continuous in h", short, long, 1e-5));
    }
}
