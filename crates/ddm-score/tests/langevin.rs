//! Langevin dynamics and the reverse SDE against closed forms, and their samples' moments.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::Denoiser;
use ddm_samplers::{
    Churn, Context, Ddim, Ddpm, DpmSolver, DpmSolverPp, DpmSolverSingle, Heun, HostNoise, Midpoint,
    NoiseSource, RecordedNoise, SaSolver, Sampler, Sampling, Variance,
};
use ddm_schedule::{
    BetaTable, Cosine, Exponential, GeometricSigmas, Grid, Levels, LinearVp, NoiseLevel,
    NoiseSchedule, RectifiedFlow, SubVp, Trailing, VarianceExploding, kernel,
};
use ddm_score::{
    AnnealedLangevin, CorrectorStep, EulerMaruyama, PredictorCorrector, ReverseDiffusion,
    ScoreError, score_of,
};
use ddm_testkit::{Gaussian, GaussianMixture, GaussianPath, Violation, compare, moments, sampler};

#[track_caller]
fn holds(law: Result<(), Violation>) {
    if let Err(violation) = law {
        panic!("{violation}");
    }
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() <= tolerance, "{found}, not {expected}");
}

fn exploding() -> VarianceExploding {
    VarianceExploding::new(0.01, 50.0).unwrap()
}

fn ddim(eta: f64) -> Ddim {
    Ddim::new(eta).unwrap()
}

const LARGE: Ddpm = Ddpm { variance: Variance::Large };

fn corrected<S>(predictor: S, step: f64) -> PredictorCorrector<S> {
    PredictorCorrector::new(predictor, CorrectorStep::of_variance(step).unwrap(), 1)
}

/// 10,000 samples of a run have the data's mean and covariance, within 3 standard errors.
fn samples_are_right<S: Sampler<2>>(
    name: &str,
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    steps: usize,
) {
    let one = GaussianMixture::new([vec![0.7, -0.3]], [0.5], [1.0]).unwrap();
    let means = [vec![-1.0, 0.5], vec![1.0, 0.0], vec![0.5, 1.2]];
    let three = GaussianMixture::new(means, [0.3, 0.5, 0.4], [1.0, 2.0, 1.0]).unwrap();
    for (data, of) in [("Gaussian", one), ("mixture", three)] {
        let run = Sampling::new(&of, schedule).sampler(sampler).grid(Exponential).steps(steps);
        let samples = run.seed(17).sample([10_000, 2], &Device::flex()).unwrap();
        let (mean, covariance) = (of.mean(), of.covariance());
        let off = moments::standard_errors_off(samples.clone(), &mean, &covariance).unwrap();
        println!("{name}, {steps} steps, {data}: off by {off:.2?}");
        holds(moments::samples_have(samples, &mean, &covariance, 3.0));
    }
}

/// So many that the bias of a method of weak order 1 is well below half a standard error: see
/// `the_bias_is_small`.
const STEPS: usize = 1500;

#[test]
fn reverse_diffusion_samples_are_right() {
    samples_are_right("reverse diffusion, VP", &ReverseDiffusion, &LinearVp::default(), STEPS);
    samples_are_right("reverse diffusion, VE", &ReverseDiffusion, &exploding(), STEPS);
}

#[test]
fn euler_maruyama_samples_are_right() {
    let (vp, sub, ve) = (LinearVp::default(), SubVp::default(), exploding());
    samples_are_right("Euler–Maruyama, VP", &EulerMaruyama, &vp, STEPS);
    samples_are_right("Euler–Maruyama, sub-VP", &EulerMaruyama, &sub, STEPS);
    samples_are_right("Euler–Maruyama, VE", &EulerMaruyama, &ve, STEPS);
}

#[test]
fn ancestral_samples_are_right() {
    samples_are_right("DDPM, large variance, VP", &LARGE, &LinearVp::default(), STEPS);
    samples_are_right("DDIM(1), VE", &ddim(1.0), &exploding(), STEPS);
}

/// The solvers of the same equation that are exact where it is linear need fewer steps.
#[test]
fn samples_of_the_sde_solvers_are_right() {
    let vp = LinearVp::default();
    samples_are_right("DPM-Solver++ 2M SDE", &DpmSolverPp::sde(2, 1.0).unwrap(), &vp, 300);
    samples_are_right("DPM-Solver++ 3M SDE", &DpmSolverPp::sde(3, 1.0).unwrap(), &vp, 300);
    samples_are_right("DPM-Solver 2M SDE", &DpmSolver::sde(2).unwrap(), &vp, 300);
    // Of weak order 1: the bias of the variance is 4 standard errors at 300 steps.
    let single = DpmSolverSingle::sde(2, 1.0).unwrap();
    samples_are_right("DPM-Solver++ singlestep SDE", &single, &vp, 2400);
    samples_are_right("SA-Solver", &SaSolver::default(), &vp, 300);
    samples_are_right("KDPM2 ancestral", &Midpoint::KDPM2_ANCESTRAL, &vp, 600);
    samples_are_right("DPM++ 2S ancestral", &Midpoint::DPM_PP_2S_ANCESTRAL, &vp, 600);
    let churned = Churn::new(Heun::default(), 40.0).unwrap();
    samples_are_right("Heun with churn", &churned, &vp, 300);
}

#[test]
fn corrected_samples_are_right() {
    let (vp, ve) = (LinearVp::default(), exploding());
    samples_are_right("corrected DDIM(0), VP", &corrected(ddim(0.0), 0.05), &vp, 800);
    let sampler = corrected(ReverseDiffusion, 0.05);
    samples_are_right("corrected reverse diffusion, VE", &sampler, &ve, 1000);
}

#[test]
fn annealed_langevin_samples_are_right() {
    // The least level decides: x̂₀ lacks the posterior's variance, about σ² of 0.25, and the moves
    // get nearer by e^(−T δ σ²/v), v = 0.25 or so.
    let ladder = GeometricSigmas::new(0.025, 4.0, 5).unwrap();
    samples_are_right("annealed", &AnnealedLangevin::new(0.6, 700).unwrap(), &ladder, 5);
}

/// What the discretisation itself is off by, exactly: in standard errors of 10,000 samples.
#[test]
fn the_bias_is_small() {
    fn small<S: Sampler<2>>(name: &str, sampler: &S, schedule: &dyn NoiseSchedule) {
        let data = Gaussian::new([0.7], 0.5).unwrap();
        let path = GaussianPath::new(schedule).unwrap().data(data).between(-4.5, 4.5);
        let ((mean, std), device) = (path.end(), Device::flex());
        let found = moments::exact(sampler, &path, STEPS, &device).unwrap();
        let of_mean = (found.mean - mean) / (std / 100.0);
        let of_variance = (found.variance / (std * std) - 1.0) / (2.0_f64 / 1e4).sqrt();
        println!("{name}, {STEPS} steps: mean {of_mean:.2}, variance {of_variance:.2}");
        assert!(of_mean.abs() < 0.42 && of_variance.abs() < 0.42, "{of_mean} {of_variance}");
        holds(moments::has_weak_order(sampler, 1.0, &path, &device));
    }
    let (vp, sub, ve) = (LinearVp::default(), SubVp::default(), exploding());
    small("reverse diffusion, VP", &ReverseDiffusion, &vp);
    small("reverse diffusion, VE", &ReverseDiffusion, &ve);
    small("Euler–Maruyama, VP", &EulerMaruyama, &vp);
    small("Euler–Maruyama, sub-VP", &EulerMaruyama, &sub);
    small("DDPM, large variance, VP", &LARGE, &vp);
    small("DDIM(1), VE", &ddim(1.0), &ve);
}

/// One step of `sampler` on the mixture, and the score there, at these levels.
fn one_step<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    (from, to): (NoiseLevel, NoiseLevel),
) -> (Tensor<2>, Tensor<2>, Tensor<2>, Tensor<2>) {
    let device = Device::flex();
    let data = GaussianMixture::new([vec![-1.0], vec![0.5]], [0.2, 0.4], [1.0, 2.0]).unwrap();
    let x: Tensor<2> = HostNoise::new(3).draw([8, 1], &device) * from.scale();
    let z: Tensor<2> = HostNoise::new(4).draw([8, 1], &device);
    let mut noise = HostNoise::new(4);
    let mut cx = Context::new(&data, schedule, &mut noise);
    let after = sampler.step(&mut cx, x.clone(), from, to, &mut S::State::default());
    let score = score_of(x.clone(), data.denoise(x.clone(), from), from).unwrap();
    (x, score, z, after)
}

/// Song et al., eq. 47, 4 and 46.
#[test]
fn steps_are_those_of_the_paper() {
    let (ve, vp) = (exploding(), LinearVp::default());
    let levels = |schedule: &dyn NoiseSchedule| (schedule.level(0.6), schedule.level(0.55));
    let same = |found, expected| holds(compare::close_tensors("eq.", found, expected, 1e-5));

    let (from, to) = levels(&ve);
    let (x, s, z, found) = one_step(&ddim(1.0), &ve, (from, to));
    let between = from.sigma.powi(2) - to.sigma.powi(2);
    let noise = (to.sigma.powi(2) * between / from.sigma.powi(2)).sqrt();
    same(found, x.clone() + s.clone() * between + z.clone() * noise);
    let (_, _, _, reverse) = one_step(&ReverseDiffusion, &ve, (from, to));
    same(reverse.clone(), x + s * between + z * between.sqrt());
    same(one_step(&LARGE, &ve, (from, to)).3, reverse);

    let (from, to) = levels(&vp);
    let beta = 1.0 - (from.alpha / to.alpha).powi(2);
    let (x, s, z, found) = one_step(&LARGE, &vp, (from, to));
    let root = (1.0 - beta).sqrt();
    same(found, (x.clone() + s.clone() * beta) / root + z.clone() * beta.sqrt());
    let (_, _, _, found) = one_step(&ReverseDiffusion, &vp, (from, to));
    same(found, x.clone() * (2.0 - root) + s.clone() * beta + z.clone() * beta.sqrt());

    // eq. 6 with eq. 11: dx = (−½ β x − β s) dt + √β dw̄
    let (_, _, _, found) = one_step(&EulerMaruyama, &vp, (from, to));
    let (beta, dt) = (0.1 + 0.6 * 19.9, 0.05);
    let drift = x.clone() * (-0.5 * beta) - s * beta;
    same(found, x - drift * dt + z * f64::sqrt(beta * dt));
}

/// The last step goes to the denoised mean, whatever the method.
#[test]
fn the_step_to_the_data_takes_the_denoised() {
    let vp = LinearVp::default();
    let levels = (vp.level(0.3), NoiseLevel { sigma: 0.0, ..vp.level(0.0) });
    let expected = |(x, s, _, found): (Tensor<2>, Tensor<2>, Tensor<2>, Tensor<2>)| {
        let x0 = (x + s * levels.0.sigma.powi(2)) / levels.0.alpha;
        holds(compare::close_tensors("the denoised", found, x0, 1e-5));
    };
    expected(one_step(&ReverseDiffusion, &vp, levels));
    expected(one_step(&EulerMaruyama, &vp, levels));
    expected(one_step(&corrected(ReverseDiffusion, 0.1), &vp, levels));
}

/// Moves at one level, from its exact marginal: `v_T = v* + (1 − κ)^(2T) (v − v*)` with
/// `κ = δ σ²/v` and `v* = v/(1 − κ/2)`; the bias of v* is O(δ).
#[test]
fn moves_leave_the_marginal_up_to_the_step() {
    let (device, times) = (Device::flex(), 300);
    for schedule in [&LinearVp::default() as &dyn NoiseSchedule, &exploding()] {
        for std in [0.0, 0.5] {
            let data = Gaussian::new([0.7], std).unwrap();
            let path = GaussianPath::new(schedule).unwrap().data(data).between(-0.2, -0.1);
            let from = path.levels(1).unwrap()[0];
            let (mean, root) = path.marginal(from);
            let v = root * root;
            let biases = [0.4, 0.2, 0.1].map(|step| {
                let langevin = AnnealedLangevin::new(step, times).unwrap();
                let found = moments::exact(&langevin, &path, 1, &device).unwrap();
                let kappa = step * from.sigma.powi(2) / v;
                let limit = v / (1.0 - 0.5 * kappa);
                close(found.mean, mean, 1e-9);
                let left = (1.0 - kappa).powi(2 * times as i32);
                close(found.variance, limit + left * (v - limit), 1e-9);
                found.variance / v - 1.0
            });
            println!("sigma {:.3}, v {v:.3}: bias {biases:.4?}", from.sigma);
            close(biases[0] / biases[1], 2.0, 0.15);
            close(biases[1] / biases[2], 2.0, 0.15);
        }
    }
}

/// NCSNv2's configs: (σ_max, L, T, ε) of CIFAR-10, CelebA and FFHQ, σ_min = 0.01. (That of LSUN
/// churches, (140, 788, 4, 4.9e-6), is not the least for its ladder: that is 2.3e-6.)
#[test]
fn step_sizes_are_the_published_ones() {
    let configs = [(50.0, 232, 5, 6.2e-6), (90.0, 500, 5, 3.3e-6), (348.0, 2311, 3, 0.9e-6)];
    for (sigma_max, levels, times, published) in configs {
        let ladder = GeometricSigmas::new(0.01, sigma_max, levels).unwrap();
        let langevin = AnnealedLangevin::ncsn_v2(ladder.ratio(), times).unwrap();
        let found = langevin.step_size() * 1e-4;
        assert!((found - published).abs() < 0.05e-6, "{found}, not {published}");
    }
}

/// From variance γ² σ² the moves of technique 4 leave the formula's, no other step leaves less, and
/// none comes down to σ².
#[test]
fn the_best_step_is_the_best() {
    let device = Device::flex();
    let ve = exploding();
    for (ratio, times) in [(1.04, 5), (1.2, 2), (2.0, 1), (3.0, 10)] {
        // Data that is a point, on two rungs of the ladder: T moves at each.
        let data = Gaussian::new([0.0], 0.0).unwrap();
        let levels: Vec<NoiseLevel> =
            [2.0, 2.0 / ratio].iter().map(|&sigma: &f64| ve.level_at(-sigma.ln())).collect();
        let end = NoiseLevel { sigma: 1e-3, ..levels[1] };
        let best = AnnealedLangevin::ncsn_v2(ratio, times).unwrap().step_size();
        let left = |step: f64| {
            let langevin = AnnealedLangevin::new(step, times).unwrap();
            let levels = Levels::new(vec![levels[1], end]).unwrap();
            // An impulse for the start and one for each draw: the variance is the sum of squares.
            let draws = (0..=times).map(|draw| {
                let x = Tensor::<2>::full([1, 1], if draw == 0 { 2.0 } else { 0.0 }, &device);
                let impulse = |k| vec![if k == draw { 1.0 } else { 0.0 }];
                let noise = RecordedNoise::new((1..=times).map(impulse));
                let run = Sampling::new(&data, &ve).sampler(langevin).levels(levels.clone());
                let x = run.noise(noise).start_from(x).unwrap().finish();
                compare::values("x", x).unwrap()[0].powi(2)
            });
            draws.sum::<f64>() / levels[0].sigma.powi(2)
        };
        let q = 2.0 * best / (1.0 - (1.0 - best).powi(2));
        let formula = (1.0 - best).powi(2 * times as i32) * (ratio * ratio - q) + q;
        println!("ratio {ratio}, {times} moves: step {best:.4} leaves {formula:.4}");
        close(left(best), formula, 1e-5);
        assert!(left(best) > 1.0);
        for other in [0.8, 0.95, 1.05, 1.2].map(|factor| (factor * best).min(0.999)) {
            assert!(left(other) > left(best), "{other} is better than {best}");
        }
    }
}

#[test]
fn corrections_of_size_0_change_nothing() {
    let vp = LinearVp::default();
    let data = GaussianMixture::new([vec![-1.0, 0.0], vec![0.5, 1.0]], [0.2, 0.4], [1.0, 2.0]);
    let data = data.unwrap();
    fn samples<S: Sampler<2>>(sampler: S, data: &GaussianMixture, vp: &LinearVp) -> Vec<f64> {
        let run = Sampling::new(data, vp).sampler(sampler).steps(7).seed(1);
        let run = run.start([5, 2], &Device::flex()).unwrap();
        let frames: Vec<_> = run.collect();
        assert_eq!(frames[6].evaluations, 7);
        compare::values("x", frames[6].x.clone()).unwrap()
    }
    let plain = samples(LARGE, &data, &vp);
    let snr = |r| CorrectorStep::snr(r).unwrap();
    assert_eq!(samples(PredictorCorrector::new(LARGE, snr(0.16), 0), &data, &vp), plain);
    assert_eq!(samples(PredictorCorrector::new(LARGE, snr(0.0), 3), &data, &vp), plain);
    assert_eq!(samples(corrected(LARGE, 0.0), &data, &vp), plain);
}

/// Algorithms 4 and 5 by hand.
#[test]
fn a_correction_is_the_published_one() {
    let (device, vp) = (Device::flex(), LinearVp::default());
    let data = Gaussian::new([0.2], 0.5).unwrap();
    let (from, to) = (vp.level(0.6), vp.level(0.55));
    let x = [[0.5, -1.0, 2.0], [0.3, 0.1, -0.4]];
    let z = vec![0.3, 1.2, -0.8, -0.5, 0.9, 0.4];
    let sampler = PredictorCorrector::new(ddim(0.0), CorrectorStep::snr(0.2).unwrap(), 1);
    let mut noise = RecordedNoise::new([z.clone()]);
    let mut cx = Context::new(&data, &vp, &mut noise);
    let x = Tensor::<2>::from_floats(x, &device);
    let found = sampler.step(&mut cx, x.clone(), from, to, &mut ());
    assert_eq!(cx.evaluations(), 2);
    let x0 = data.denoise(x.clone(), from);
    let step = kernel::reverse(from, to, 0.0);
    let x = compare::values("x", x * step.x + x0 * step.x0).unwrap();
    let variance = (0.5 * to.alpha).powi(2) + to.sigma.powi(2);
    let score: Vec<f64> = x.iter().map(|x| (0.2 * to.alpha - x) / variance).collect();
    let expected: Vec<f64> = (0..6)
        .map(|i| {
            let row = 3 * (i / 3)..3 * (i / 3) + 3;
            let square = |v: &[f64]| v[row.clone()].iter().map(|v| v * v).sum::<f64>();
            let z: Vec<f64> = z.iter().map(|&z| f64::from(z)).collect();
            let alpha = (from.alpha / to.alpha).powi(2);
            let size = 2.0 * alpha * 0.04 * square(&z) / square(&score);
            x[i] + size * score[i] + (2.0 * size).sqrt() * z[i]
        })
        .collect();
    let found = compare::values("x", found).unwrap();
    holds(compare::close("algorithm 5", &found, &expected, 1e-5));
}

/// Where the score vanishes, the quotient of norms is infinite, and the move is 2σ² long.
#[test]
fn a_vanishing_score_moves_no_further_than_is_stable() {
    let (device, ve) = (Device::flex(), exploding());
    let data = Gaussian::new([0.0], 0.5).unwrap();
    let (from, to) = (ve.level(0.6), ve.level(0.5));
    let sampler = PredictorCorrector::new(ddim(0.0), CorrectorStep::snr(0.16).unwrap(), 1);
    let mut noise = RecordedNoise::new([vec![1.0, -0.5]]);
    let mut cx = Context::new(&data, &ve, &mut noise);
    let found = sampler.step(&mut cx, Tensor::<2>::zeros([1, 2], &device), from, to, &mut ());
    let expected = Tensor::from_floats([[2.0 * to.sigma, -to.sigma]], &device);
    holds(compare::close_tensors("a move of 2σ²", found, expected, 1e-6));
}

/// Where the published rule settles on N(0, v I) of D elements: at variance `v (1 + 2/D)²`, since
/// ε ∝ ‖z‖²/‖s‖² makes the stationary density p^(D/(D+2)) ‖s‖². The fixed step stays at v.
#[test]
fn the_published_step_is_for_many_elements() {
    let (device, ve) = (Device::flex(), exploding());
    let variance = |step: CorrectorStep, dim: usize| {
        let data = Gaussian::new([0.0], 0.5).unwrap();
        let at = ve.level_at(0.0);
        // A predictor that does nothing: both levels have all but the same noise.
        let levels = Levels::new(vec![NoiseLevel { sigma: at.sigma * (1.0 + 1e-12), ..at }, at]);
        let sampler = PredictorCorrector::new(ddim(0.0), step, 600);
        let z: Tensor<2> = HostNoise::new(8).draw([4000, dim], &device);
        let run = Sampling::new(&data, &ve).sampler(sampler).levels(levels.unwrap()).seed(9);
        let x = run.start_from(z * data.std_at(at)).unwrap().finish();
        let found = x.square().mean().into_scalar::<f64>() / data.std_at(at).powi(2);
        println!("{step:?}, {dim} elements: {found:.3}");
        found
    };
    for dim in [8, 32] {
        let excess = 1.0 + 2.0 / dim as f64;
        // 3 % are 4 standard errors of 4000 samples of 8 elements; of the start, 600 moves of
        // 0.0072 σ² leave a thousandth.
        close(variance(CorrectorStep::snr(0.06).unwrap(), dim), excess * excess, 0.03);
        close(variance(CorrectorStep::of_variance(0.0072).unwrap(), dim), 1.0, 0.03);
    }
    // In the plane ε has no mean but for its bound.
    assert!(variance(CorrectorStep::snr(0.05).unwrap(), 2) > 3.0);
}

/// Every law, on schedules of each kind.
fn all<S>(sampler: &S, schedules: &[&dyn NoiseSchedule])
where
    S: Sampler<2> + Sampler<3> + Sampler<4> + Sampler<5> + Sync,
{
    for schedule in schedules {
        holds(sampler::all(sampler, schedule, &Device::flex()));
    }
}

#[test]
fn samplers_obey_the_laws() {
    let (vp, sub, ve, table) =
        (LinearVp::default(), SubVp::default(), exploding(), BetaTable::default());
    let ladder = GeometricSigmas::new(0.01, 50.0, 100).unwrap();
    let finite: [&dyn NoiseSchedule; 5] = [&vp, &sub, &ve, &table, &ladder];
    let every: [&dyn NoiseSchedule; 7] =
        [&vp, &sub, &ve, &table, &ladder, &Cosine::default(), &RectifiedFlow];
    all(&ReverseDiffusion, &every);
    all(&AnnealedLangevin::new(0.1, 3).unwrap(), &every);
    all(&corrected(ddim(0.0), 0.1), &every);
    let images = CorrectorStep::snr(0.16).unwrap();
    all(&PredictorCorrector::new(ReverseDiffusion, images, 2), &every);
    for schedule in finite {
        all(&EulerMaruyama, &[schedule]);
    }
}

#[test]
fn senseless_settings_are_refused() {
    let said = |error: ScoreError| error.to_string();
    assert!(said(AnnealedLangevin::new(0.0, 5).unwrap_err()).contains("step is 0"));
    assert!(said(AnnealedLangevin::new(-0.1, 5).unwrap_err()).contains("step is -0.1"));
    assert!(said(AnnealedLangevin::new(2.0, 5).unwrap_err()).contains("below 2"));
    assert!(said(AnnealedLangevin::new(f64::NAN, 5).unwrap_err()).contains("NaN"));
    assert!(said(AnnealedLangevin::new(0.1, 0).unwrap_err()).contains("times is 0"));
    assert!(said(AnnealedLangevin::ncsn_v2(1.0, 5).unwrap_err()).contains("ratio is 1"));
    assert!(AnnealedLangevin::ncsn_v2(-2.0, 5).is_err());
    assert!(AnnealedLangevin::ncsn_v2(f64::INFINITY, 5).is_err());
    assert!(said(AnnealedLangevin::ncsn_v2(1.5, 0).unwrap_err()).contains("times is 0"));
    assert!(said(CorrectorStep::snr(-0.16).unwrap_err()).contains("snr is -0.16"));
    assert!(said(CorrectorStep::of_variance(2.5).unwrap_err()).contains("step is 2.5"));
}

#[test]
fn runs_that_cannot_be_are_refused_when_they_start() {
    let (device, model) = (Device::flex(), Gaussian::new([0.0], 1.0).unwrap());
    let (cosine, linear, exploding) =
        (Cosine::default(), LinearVp::default(), VarianceExploding::default());
    let run = Sampling::new(&model, &cosine).sampler(EulerMaruyama).steps(20);
    let error = run.sample([2, 1], &device).unwrap_err().to_string();
    assert!(error.contains("alpha of the first level is 0"), "{error}");
    // Levels of another schedule than the run's, whose drift would be the wrong one.
    let refused = |levels: Levels, schedule: &dyn NoiseSchedule| {
        let run = Sampling::new(&model, schedule).sampler(EulerMaruyama).levels(levels);
        run.sample([2, 1], &device).unwrap_err().to_string()
    };
    let error = refused(Trailing.levels(&linear, 20).unwrap(), &exploding);
    assert!(error.contains("the run's schedule"), "{error}");
    let farther = VarianceExploding::new(0.01, 100.0).unwrap();
    let error = refused(Trailing.levels(&farther, 20).unwrap(), &exploding);
    assert!(error.contains("sigma of a level is 100"), "{error}");
    let corrected = |step| PredictorCorrector::new(EulerMaruyama, step, 1);
    let run = Sampling::new(&model, &cosine).sampler(corrected(CorrectorStep::snr(0.1).unwrap()));
    let error = run.sample([2, 1], &device).unwrap_err().to_string();
    assert!(error.contains("alpha of the first level is 0"), "{error}");
    let x = Tensor::<2>::zeros([2, 1], &device);
    let error = score_of(x.clone(), x, NoiseLevel::DATA).unwrap_err().to_string();
    assert!(error.contains("sigma is 0"), "{error}");
}

#[test]
fn settings_come_back_and_bad_ones_do_not() {
    fn comes_back<T>(value: T, text: &str)
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
        assert_eq!(serde_json::from_str::<T>(text).unwrap(), value);
    }
    let langevin = AnnealedLangevin::new(0.25, 5).unwrap();
    comes_back(langevin, r#"{"step":0.25,"times":5}"#);
    let sampler = PredictorCorrector::new(ReverseDiffusion, CorrectorStep::snr(0.16).unwrap(), 2);
    comes_back(sampler, r#"{"predictor":null,"step":{"Snr":0.16},"times":2}"#);
    comes_back(CorrectorStep::of_variance(0.5).unwrap(), r#"{"OfVariance":0.5}"#);
    comes_back(EulerMaruyama, "null");
    let bad = serde_json::from_str::<CorrectorStep>(r#"{"Snr":-1.0}"#).unwrap_err();
    assert!(bad.to_string().contains("snr is -1"), "{bad}");
    assert!(serde_json::from_str::<AnnealedLangevin>(r#"{"step":0.25,"times":0}"#).is_err());
}

/// From pure noise the published corrector has no step, and costs no call.
#[test]
fn a_corrector_without_a_step_calls_nothing() {
    let (model, cosine) = (Gaussian::new([0.0], 1.0).unwrap(), Cosine::default());
    let sampler = PredictorCorrector::new(ddim(0.0), CorrectorStep::snr(0.1).unwrap(), 1);
    let run = Sampling::new(&model, &cosine).sampler(sampler).steps(5);
    let calls = run.start([2, 3], &Device::flex()).unwrap().map(|frame| frame.evaluations);
    assert_eq!(calls.collect::<Vec<_>>(), [1, 3, 5, 7, 8]);
}
