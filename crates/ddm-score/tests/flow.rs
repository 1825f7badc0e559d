//! The probability flow, likelihoods and the bound against closed forms, through the public API.

use std::f64::consts::{LN_2, TAU};

use burn::tensor::{DType, Device, Tensor};
use ddm_denoiser::{Denoiser, EpsilonPrediction, Model, ModelError, VPrediction, from_fn};
use ddm_noise::{HostNoise, NoiseSource};
use ddm_samplers::{Ddim, Sampling, Variance};
use ddm_schedule::{
    BetaTable, Cosine, Edm, Exponential, Grid, LinearVp, NoiseLevel, NoiseSchedule, RectifiedFlow,
    SubVp, VarianceExploding,
};
use ddm_score::{
    Bound, DataTerm, Dequantizer, Likelihood, ProbabilityFlow, Probe, ScoreError, VariationalBound,
    slerp,
};
use ddm_testkit::{ExactPredictor, Gaussian, GaussianMixture};

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.cast(DType::F64).into_data().try_into_vec().expect("f64")
}

fn greatest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |worst: f64, value| worst.max(value.abs()))
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

fn schedules() -> [(&'static str, Box<dyn NoiseSchedule>); 7] {
    [
        ("cosine", Box::new(Cosine::default())),
        ("linear", Box::new(LinearVp::default())),
        ("sub-VP", Box::new(SubVp::default())),
        ("exploding", Box::new(VarianceExploding::default())),
        ("EDM", Box::new(Edm::default())),
        ("flow", Box::new(RectifiedFlow)),
        ("table", Box::new(BetaTable::default())),
    ]
}

fn mixture() -> GaussianMixture {
    let means = [vec![-1.0, -0.5], vec![1.2, 0.0], vec![0.0, 1.0]];
    GaussianMixture::new(means, [0.3, 0.2, 0.4], [1.0, 2.0, 1.0]).unwrap()
}

/// Noisy data of the mixture at a level.
fn noisy(samples: usize, at: NoiseLevel) -> Tensor<2> {
    let device = Device::flex();
    let x0 = mixture().sample(samples, &mut HostNoise::new(1), &device);
    let epsilon: Tensor<2> = HostNoise::new(2).draw([samples, 2], &device);
    x0 * at.alpha + epsilon * at.sigma
}

#[test]
fn encoding_and_decoding_undo_each_other() {
    let model = mixture();
    for (name, schedule) in schedules() {
        for (dtype, tolerance, allowed) in
            [(DType::F32, 1e-5, 1e-3), (DType::F32, 1e-7, 1e-5), (DType::F64, 1e-9, 1e-7)]
        {
            let flow = ProbabilityFlow::new(&model, &schedule).tolerance(tolerance).unwrap();
            let x = noisy(64, flow.ends()[1]).cast(dtype);
            let there = flow.encode(x.clone()).unwrap();
            let back = flow.decode(there.x.clone()).unwrap();
            let error = greatest(host(back.x - x));
            println!(
                "{name} {dtype:?} at {tolerance:e}: off by {error:.1e}, {} and {} evaluations",
                there.evaluations.iter().sum::<usize>() / 64,
                back.evaluations.iter().sum::<usize>() / 64,
            );
            assert!(error < allowed, "{name} {dtype:?}: {error:e} at {tolerance:e}");
            assert!(there.reached.iter().chain(&back.reached).all(|&reached| reached));
            assert_eq!(there.calls, *there.evaluations.iter().max().unwrap());
        }
    }
}

/// Networks that take t and predict ε or v; the flow calls them through `Denoiser` only.
#[test]
fn networks_go_the_same_way_as_the_denoiser_that_they_imitate() {
    let (model, schedule) = (mixture(), LinearVp::default());
    let x = noisy(32, schedule.level(1e-3)).cast(DType::F64);
    let known = ProbabilityFlow::new(&model, &schedule).encode(x.clone()).unwrap().x;
    fn goes<P: ddm_denoiser::Parameterization + Copy>(
        parameterization: P,
        x: &Tensor<2>,
        known: &Tensor<2>,
    ) {
        let (denoiser, schedule) = (mixture(), LinearVp::default());
        let network = ExactPredictor { denoiser, parameterization, schedule: &schedule };
        let model = Model::new(network, parameterization);
        let flow = ProbabilityFlow::new(&model, &schedule);
        let there = flow.encode(x.clone()).unwrap();
        let apart = greatest(host(there.x.clone() - known.clone()));
        let error = greatest(host(flow.decode(there.x).unwrap().x - x.clone()));
        // In f64 the two differ by rounding alone; the way back has the error of the tolerance.
        assert!(apart < 1e-9 && error < 1e-3, "{apart:e} apart, {error:e} after both ways");
    }
    goes(EpsilonPrediction, &x, &known);
    goes(VPrediction, &x, &known);
}

/// On Gaussian data (x − αμ)/√(α²s² + σ²) is constant.
#[test]
fn the_error_follows_the_tolerance_and_the_cost_its_fifth_root() {
    let model = Gaussian::new([0.5], 0.3).unwrap();
    let z = Tensor::<2>::from_floats([[-2.0], [-1.0], [0.5], [2.0]], &Device::flex());
    let tolerances = [1e-4, 1e-6, 1e-8, 1e-10, 1e-12];
    for (name, schedule) in schedules() {
        let (mut errors, mut costs) = (Vec::new(), Vec::new());
        for tolerance in tolerances {
            let flow = ProbabilityFlow::new(&model, &schedule).tolerance(tolerance).unwrap();
            let [noise, data] = flow.ends();
            let at = |level: NoiseLevel| {
                z.clone().cast(DType::F64) * model.std_at(level) + 0.5 * level.alpha
            };
            let down = flow.solve(at(noise), noise, data).unwrap();
            let up = flow.solve(at(data), data, noise).unwrap();
            // The error of y, in which the tolerance is stated.
            let of_y = |x: Tensor<2>, level: NoiseLevel| {
                greatest(host(x - at(level)).into_iter().map(|error| error / level.scale()))
            };
            errors.push(of_y(down.x, data).max(of_y(up.x, noise)));
            costs.push(down.evaluations.iter().chain(&up.evaluations).sum::<usize>() as f64 / 8.0);
        }
        println!("{name}: errors {errors:?}, evaluations {costs:.0?}");
        for (error, tolerance) in errors.iter().zip(tolerances) {
            assert!(*error < 20.0 * tolerance, "{name}: {error:e} at {tolerance:e}");
        }
        // The first steps, which feel their way, count less the more there are.
        let order = (1e-8_f64 / 1e-12).ln() / (costs[4] / costs[2]).ln();
        println!("{name}: cost ~ tolerance^(-1/{order:.2})");
        assert!((4.5..6.0).contains(&order), "{name}: evaluations {costs:?}, {order}");
    }
}

/// Fixed steps of a first-order method come to the same curve as they get small.
#[test]
fn ddim_goes_the_same_way_in_small_steps() {
    let (model, schedule) = (mixture(), VarianceExploding::default());
    let flow = ProbabilityFlow::new(&model, &schedule);
    let [noise, data] = flow.ends();
    let x: Tensor<2> = HostNoise::new(3).draw([16, 2], &Device::flex()) * noise.scale();
    let known = flow.decode(x.clone()).unwrap().x;
    let apart = |steps| {
        let levels = Exponential.levels(&schedule, steps).unwrap().without_data().unwrap();
        assert_eq!(levels.last().map(|level| level.sigma), Some(data.sigma));
        let run = Sampling::new(&model, &schedule).sampler(Ddim::default()).levels(levels);
        let found = run.start_from(x.clone()).unwrap().finish();
        let (mean, _) = mean_and_error(&host((found - known.clone()).abs()));
        mean
    };
    let (coarse, fine) = (apart(200), apart(800));
    assert!(fine < 0.02 && (3.0..5.0).contains(&(coarse / fine)), "{coarse} and {fine}");
}

#[test]
fn a_sample_goes_its_own_way_whoever_is_in_the_batch() {
    let (model, schedule) = (mixture(), Cosine::default());
    let flow = ProbabilityFlow::new(&model, &schedule);
    let x: Tensor<2> = HostNoise::new(3).draw([16, 2], &Device::flex());
    let together = flow.decode(x.clone()).unwrap();
    let likelihood = Likelihood::new(flow.clone()).probe(Probe::Exact);
    let data = flow.ends()[1];
    let densities = likelihood.log_density(together.x.clone(), data).unwrap();
    for i in 0..16 {
        let alone = flow.decode(x.clone().narrow(0, i, 1)).unwrap();
        let in_batch = together.x.clone().narrow(0, i, 1);
        assert_eq!(host(alone.x.clone()), host(in_batch), "sample {i}");
        assert_eq!(alone.evaluations, [together.evaluations[i]], "sample {i}");
        assert_eq!(alone.calls, alone.evaluations[0]);
        let density = likelihood.log_density(alone.x, data).unwrap();
        assert_eq!(density.log_density, [densities.log_density[i]], "sample {i}");
    }
    let paces: std::collections::BTreeSet<_> = together.evaluations.iter().collect();
    assert!(paces.len() > 1, "all took {paces:?}: this shows nothing");
}

#[test]
fn what_cannot_be_reached_is_marked() {
    let (model, schedule) = (mixture(), Cosine::default());
    let x: Tensor<2> = HostNoise::new(3).draw([4, 2], &Device::flex());
    let flow = ProbabilityFlow::new(&model, &schedule);
    let [noise, data] = flow.ends();

    let short = flow.clone().max_evaluations(20).unwrap().decode(x.clone()).unwrap();
    assert_eq!(short.reached, [false; 4]);
    assert!(short.evaluations.iter().all(|&n| n > 2 && n <= 20), "{:?}", short.evaluations);
    for (i, &at) in short.levels.iter().enumerate() {
        assert!(at.sigma < noise.sigma && at.sigma > data.sigma, "{at:?}");
        // Where it is it can go on from.
        let rest = flow.solve(short.x.clone().narrow(0, i, 1), at, data).unwrap();
        let whole = flow.decode(x.clone().narrow(0, i, 1)).unwrap();
        assert!(greatest(host(rest.x - whole.x)) < 1e-3);
    }
    let unknown = Likelihood::new(flow.clone().max_evaluations(20).unwrap());
    let unknown = unknown.log_density(x.clone(), data).unwrap();
    assert!(unknown.log_density[0].is_nan() && !unknown.reached[0]);

    // f32 knows no such tolerance.
    let strict = flow.clone().tolerance(1e-14).unwrap().max_evaluations(2000).unwrap();
    assert_eq!(strict.decode(x.clone()).unwrap().reached, [false; 4]);

    // A model that is no number from somewhere on stops short of there.
    let broken = from_fn(|x: Tensor<2>, at: NoiseLevel| {
        x * if at.sigma < 0.5 { f64::NAN } else { at.alpha }
    });
    let stopped = ProbabilityFlow::new(&broken, &schedule).decode(x).unwrap();
    assert_eq!(stopped.reached, [false; 4]);
    assert!(host(stopped.x).iter().all(|x| x.is_finite()));
    assert!(stopped.levels.iter().all(|at| at.sigma >= 0.5));
}

#[test]
fn what_has_no_flow_is_refused() {
    let (model, schedule) = (mixture(), Cosine::default());
    let flow = ProbabilityFlow::new(&model, &schedule);
    let x = Tensor::<2>::zeros([2, 2], &Device::flex());
    let [noise, data] = flow.ends();
    for tolerance in [0.0, -1e-3, f64::NAN, f64::INFINITY] {
        let error = flow.clone().tolerance(tolerance).unwrap_err().to_string();
        assert!(error.contains("tolerance is"), "{error}");
    }
    assert!(flow.clone().max_evaluations(0).is_err());
    let at_data = flow.solve(x.clone(), noise, NoiseLevel::DATA).unwrap_err();
    assert_eq!(at_data, ScoreError::NoNoise { way: "to" });
    assert!(at_data.to_string().contains("schedule.level(1e-3)"));
    let from_data = flow.solve(x.clone(), NoiseLevel::DATA, noise).unwrap_err();
    assert_eq!(from_data, ScoreError::NoNoise { way: "from" });
    let elsewhere = VarianceExploding::default().level(0.5);
    let error = flow.solve(x.clone(), noise, elsewhere).unwrap_err();
    assert!(matches!(error, ScoreError::OffSchedule { alpha: 1.0, .. }), "{error}");
    let unknown = NoiseLevel { alpha: f64::NAN, ..data };
    assert!(matches!(flow.solve(x.clone(), noise, unknown), Err(ScoreError::OffSchedule { .. })));
    let empty = Tensor::<2>::zeros([0, 2], &Device::flex());
    assert!(matches!(flow.decode(empty), Err(ScoreError::Empty { .. })));
    let wide = Tensor::<2>::zeros([2, 3], &Device::flex());
    assert!(matches!(flow.decode(wide), Err(ScoreError::Model(ModelError::Shape { .. }))));
    // ε does not determine x₀ where no signal is left.
    let network = Model::new(from_fn(|x: Tensor<2>, _: Tensor<1>| x), EpsilonPrediction);
    let error = ProbabilityFlow::new(&network, &schedule).decode(x.clone()).unwrap_err();
    assert!(matches!(error, ScoreError::Model(ModelError::NoSignal { .. })), "{error}");
    // No way at all is no work.
    let nowhere = flow.solve(x.clone(), data, data).unwrap();
    assert_eq!((nowhere.calls, nowhere.reached), (0, vec![true; 2]));

    assert!(Likelihood::new(flow.clone()).probes(0).is_err());
    let constant = from_fn(|x: Tensor<2>, _: NoiseLevel| x.detach());
    let likelihood = Likelihood::new(ProbabilityFlow::new(&constant, &schedule));
    assert_eq!(likelihood.log_density(x, data).unwrap_err(), ScoreError::NoGradient);
}

#[test]
fn interpolation_keeps_the_norm_and_the_ends() {
    let device = Device::flex();
    let draw = |seed| -> Tensor<3> { HostNoise::new(seed).draw([5, 4, 3], &device) };
    let norms = |x: Tensor<3>| host(x.reshape([5, 12]).square().sum_dim(1).sqrt());
    let (a, b) = (draw(1), draw(2));
    assert!(slerp(a.clone(), b.clone(), 0.0).unwrap().all_close(a.clone(), None, Some(1e-5)));
    assert!(slerp(a.clone(), b.clone(), 1.0).unwrap().all_close(b.clone(), None, Some(1e-5)));
    for u in [0.1, 0.5, 0.8] {
        let between = norms(slerp(a.clone(), b.clone(), u).unwrap());
        for (norm, (a, b)) in between.iter().zip(norms(a.clone()).iter().zip(norms(b.clone()))) {
            let expected = (1.0 - u) * a + u * b;
            assert!((norm - expected).abs() < 1e-4, "{norm}, not {expected}");
        }
        // The formula of DDIM, where both norms are equal.
        let (x, y) = (Tensor::<2>::from([[3.0, 0.0]]), Tensor::<2>::from([[1.8, 2.4]]));
        let angle = 0.6_f64.acos();
        let (of_x, of_y) = (((1.0 - u) * angle).sin(), (u * angle).sin());
        let expected = (x.clone() * of_x + y.clone() * of_y) / angle.sin();
        assert!(slerp(x, y, u).unwrap().all_close(expected, None, Some(1e-5)));
    }
    // Nearly or quite parallel, and no direction at all.
    for near in [a.clone(), a.clone() * 2.0, a.clone() + 1e-6] {
        let line = a.clone() * 0.7 + near.clone() * 0.3;
        assert!(slerp(a.clone(), near, 0.3).unwrap().all_close(line, None, Some(1e-4)));
    }
    let none = slerp(a.zeros_like(), b.zeros_like(), 0.5).unwrap();
    assert!(host(none).iter().all(|&x| x == 0.0));

    let error = slerp(a.clone(), a.clone() * -2.0, 0.5).unwrap_err();
    assert_eq!(error, ScoreError::Opposite { sample: 0 });
    for u in [-0.1, 1.1, f64::NAN] {
        let error = slerp(a.clone(), b.clone(), u).unwrap_err().to_string();
        assert!(error.contains("u is"), "{error}");
    }
    assert!(slerp(a, b.narrow(0, 0, 2), 0.5).is_err());
}

/// The log-density is that of the model with one thing replaced: the prior in place of the noisiest
/// data's own density.
#[test]
fn exact_traces_give_the_density_of_a_mixture() {
    let model = mixture();
    for (name, schedule) in schedules() {
        let flow = ProbabilityFlow::new(&model, &schedule);
        let [noise, data] = flow.ends();
        for from in [data, schedule.level(0.4)] {
            let x = noisy(64, from);
            let found = Likelihood::new(flow.clone()).probe(Probe::Exact);
            let found = found.log_density(x.clone(), from).unwrap();
            let ends = flow.solve(x.clone(), from, noise).unwrap().x;
            let prior = Gaussian::new([0.0], noise.scale()).unwrap();
            let here = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 0.0 };
            let swap = host(prior.log_density(ends.clone(), here) - model.log_density(ends, noise));
            let known = host(model.log_density(x, from));
            let errors = found.log_density.iter().zip(&known).map(|(found, known)| found - known);
            let errors: Vec<f64> = errors.collect();
            let worst = greatest(errors.iter().zip(&swap).map(|(error, swap)| error - swap));
            let mismatch = greatest(swap.iter().copied());
            println!(
                "{name} from sigma = {:.3}: {worst:.1e} beside the prior's {mismatch:.1e}",
                from.sigma
            );
            assert!(worst < 1e-3, "{name}: {worst:e}");
            // It is small, and nothing where no signal is left.
            let allowed = if noise.alpha == 0.0 { 1e-5 } else { 0.05 };
            assert!(mismatch < allowed, "{name}: the prior is off by {mismatch}");
            assert_eq!(found.standard_error, Some(vec![0.0; 64]));
        }
    }
}

#[test]
fn estimated_traces_are_right_within_their_error() {
    let (model, schedule) = (mixture(), Cosine::default());
    let flow = ProbabilityFlow::new(&model, &schedule);
    let data = flow.ends()[1];
    let x = noisy(64, data);
    let known = host(model.log_density(x.clone(), data));
    for probe in [Probe::Rademacher, Probe::Gaussian] {
        let likelihood = Likelihood::new(flow.clone()).probe(probe);
        assert_eq!(likelihood.log_density(x.clone(), data).unwrap().standard_error, None);
        let found = likelihood.probes(64).unwrap().seed(5).log_density(x.clone(), data).unwrap();
        let errors = found.standard_error.unwrap();
        let off: Vec<f64> =
            (0..64).map(|i| (found.log_density[i] - known[i]) / errors[i]).collect();
        let (mean, error) = mean_and_error(&off);
        let outside = off.iter().filter(|off| off.abs() > 2.0).count();
        let worst = greatest(off.iter().copied());
        let (size, _) = mean_and_error(&errors);
        println!(
            "{probe:?}: standard error {size:.3}, off by {mean:.2} ± {error:.2} of them, {outside} of 64 by > 2, at most {worst:.2}"
        );
        assert!(mean.abs() < 4.0 * error && worst < 4.5, "{probe:?}: {off:.1?}");
        assert!((1..10).contains(&outside), "{probe:?}: {outside} of 64 by more than 2");
        assert!(size > 0.01, "{probe:?}: {size}");
    }
}

/// In 16 dimensions and 1, where every way of probing must find the same.
#[test]
fn the_density_of_a_gaussian_is_found_in_any_dimension() {
    for dims in [1, 16] {
        let model = Gaussian::new((0..dims).map(|j| 0.1 * j as f64 - 0.5), 0.4).unwrap();
        let schedule = RectifiedFlow;
        let flow = ProbabilityFlow::new(&model, &schedule);
        let data = flow.ends()[1];
        let x: Tensor<3> = HostNoise::new(4).draw([6, 1, dims], &Device::flex()) * 0.5;
        let known = host(model.log_density(x.clone(), data));
        for probe in [Probe::Exact, Probe::Rademacher, Probe::Gaussian] {
            let likelihood = Likelihood::new(flow.clone()).probe(probe).probes(32).unwrap();
            let found = likelihood.log_density(x.clone(), data).unwrap();
            let errors = found.standard_error.unwrap();
            for i in 0..6 {
                let off = (found.log_density[i] - known[i]).abs();
                // A diagonal Jacobian leaves Rademacher probes no error; Gaussian ones have theirs.
                let allowed = 4.0 * errors[i] + 1e-3;
                assert!(off < allowed, "{probe:?} in {dims}: {off} with {errors:?}");
                assert_eq!(errors[i] > 0.05, probe == Probe::Gaussian, "{probe:?}: {errors:?}");
            }
        }
    }
}

/// Values k/127.5 − 1 of a Gaussian, and the exact probability of the bin of each.
fn pixels(samples: usize, dims: usize, std: f64) -> (Tensor<2>, Vec<f64>) {
    let device = Device::flex();
    let x: Tensor<2> = HostNoise::new(6).draw([samples, dims], &device) * std;
    let x = ((x.clamp(-1.0, 1.0) + 1.0) * 127.5).round() / 127.5 - 1.0;
    let below = |edge: Tensor<2>| (edge.cast(DType::F64) / (std * 2_f64.sqrt())).erf() * 0.5;
    let mass = below(x.clone() + 1.0 / 255.0) - below(x.clone() - 1.0 / 255.0);
    let bits = mass.log().sum_dim(1) / -(LN_2 * dims as f64);
    (x, host(bits))
}

#[test]
fn bits_a_dimension_are_those_of_the_bins() {
    let (dims, std) = (4, 0.25);
    let (x, known) = pixels(64, dims, std);
    let (model, schedule) = (Gaussian::new([0.0], std).unwrap(), Cosine::default());
    let flow = ProbabilityFlow::new(&model, &schedule);
    let data = flow.ends()[1];
    let bytes = Dequantizer::centred(256, -1.0, 1.0).unwrap();
    let continuous = bytes.dequantize(x.clone(), &mut HostNoise::new(7));
    let within = host((continuous.clone() - x.clone()).abs());
    assert!(within.iter().all(|&off| off <= 1.0 / 255.0 + 1e-6));
    let (mean, error) = mean_and_error(&host(continuous.clone() - x));
    assert!(mean.abs() < 4.0 * error && (error * 16.0 - 1.0 / 255.0 / 3_f64.sqrt()).abs() < 2e-4);

    let found = Likelihood::new(flow).log_density(continuous * data.alpha, data).unwrap();
    let bits: Vec<f64> =
        found.log_density.iter().map(|&nats| bytes.bits_per_dim(nats, dims)).collect();
    let apart: Vec<f64> = bits.iter().zip(&known).map(|(found, known)| found - known).collect();
    let (mean, error) = mean_and_error(&apart);
    println!("bits/dim {:.4}, off by {mean:.4} ± {error:.4}", mean_and_error(&bits).0);
    assert!(mean.abs() < 0.01, "off by {mean} ± {error}");

    // The other convention: bins that fill [−1, 1], the values at their lower edges.
    let filling = Dequantizer::filling(256, -1.0, 1.0).unwrap();
    assert_eq!((filling.width(), bytes.width()), (2.0 / 256.0, 2.0 / 255.0));
    let edges = Tensor::<2>::from([[-1.0, 127.0 / 128.0]]).expand([1000, 2]);
    let spread = filling.dequantize(edges, &mut HostNoise::new(8));
    let [low, high] = [host(spread.clone().min())[0], host(spread.max())[0]];
    assert!((-1.0..-0.99).contains(&low) && (0.99..=1.0).contains(&high), "{low} to {high}");

    assert!(
        Dequantizer::centred(1, -1.0, 1.0).is_err() && Dequantizer::filling(2, 1.0, 1.0).is_err()
    );
    let json = serde_json::to_string(&bytes).unwrap();
    assert_eq!(serde_json::from_str::<Dequantizer>(&json).unwrap(), bytes);
    assert!(serde_json::from_str::<Dequantizer>(r#"{"width": 0.0, "place": 0.5}"#).is_err());
}

/// The linear table of T steps between the same levels for all T.
fn table(steps: usize) -> BetaTable {
    let unit = 1.0 / steps as f64;
    BetaTable::linear(steps, 0.1 * unit, 20.0 * unit).unwrap()
}

/// The bound of N(0, s²) data under its own denoiser, averaged over data and noise: nats per
/// dimension.
fn expected_bound(table: &BetaTable, std: f64, variance: Variance) -> f64 {
    let betas = table.betas();
    let alpha_bar = |k: usize| -> f64 { betas[..k].iter().map(|beta| 1.0 - beta).product() };
    let small = |row: usize| {
        let row = row.max(1);
        betas[row] * (1.0 - alpha_bar(row)) / (1.0 - alpha_bar(row + 1))
    };
    let chosen = |row: usize| if variance == Variance::Large { betas[row] } else { small(row) };
    // E (x₀ − x̂₀)²
    let left = |row: usize| {
        let (signal, noise) = (alpha_bar(row + 1) * std * std, 1.0 - alpha_bar(row + 1));
        std * std * noise / (signal + noise)
    };
    let last = alpha_bar(betas.len());
    let prior = 0.5 * (last * std * std + (1.0 - last) - 1.0 - (1.0 - last).ln());
    let data = 0.5 * (left(0) / chosen(0) + (TAU * chosen(0)).ln());
    let chain = (1..betas.len()).map(|row| {
        let mean = alpha_bar(row).sqrt() * betas[row] / (1.0 - alpha_bar(row + 1));
        let ratio = small(row) / chosen(row);
        0.5 * (mean * mean * left(row) / chosen(row) + ratio - 1.0 - ratio.ln())
    });
    prior + data + chain.sum::<f64>()
}

#[test]
fn the_bound_is_one_and_tightens_with_the_steps() {
    let dims = 2;
    for std in [1.0, 0.4] {
        let model = Gaussian::new([0.0], std).unwrap();
        let x0: Tensor<2> = HostNoise::new(9).draw([256, dims], &Device::flex());
        let x0 = x0.cast(DType::F64) * std;
        let known = host(model.log_density(x0.clone(), NoiseLevel::DATA));
        let entropy = 0.5 * (TAU * std * std).ln() + 0.5;
        for variance in [Variance::Small, Variance::Large] {
            let mut gaps = Vec::new();
            for steps in [100, 1000] {
                let table = table(steps);
                let bound = VariationalBound::new(&model, &table).unwrap();
                let bound = bound.variance(variance).data(DataTerm::Density);
                let found = bound.evaluate(x0.clone(), &mut HostNoise::new(10)).unwrap();
                assert_eq!(found.rows, (1..steps).collect::<Vec<_>>());
                let gap: Vec<f64> = found
                    .nats()
                    .iter()
                    .zip(&known)
                    .map(|(bound, known)| (bound + known) / dims as f64)
                    .collect();
                let (mean, error) = mean_and_error(&gap);
                let expected = expected_bound(&table, std, variance) - entropy;
                println!(
                    "s = {std}, {variance:?}, T = {steps}: gap {mean:.4} ± {error:.4}, expected {expected:.4}"
                );
                assert!((mean - expected).abs() < 4.0 * error, "{mean} ± {error}: {expected}");
                assert!(expected > -1e-9 && mean > -4.0 * error);
                gaps.push(expected);
            }
            assert!(gaps[1] < gaps[0], "{gaps:?}");
        }
    }
}

/// Weights that are being trained and weights that are not give the same, and no graph is left.
#[test]
fn networks_need_not_leave_the_device_they_are_trained_on() {
    let plain = Device::flex();
    let trained = plain.clone().autodiff();
    let schedule = LinearVp::default();
    let weight = Tensor::<2>::from_floats([[0.5, 0.2], [-0.1, 0.4]], &plain);
    let of = |weight: Tensor<2>| {
        Model::new(from_fn(move |x: Tensor<2>, _: Tensor<1>| x.matmul(weight.clone())), VPrediction)
    };
    let (still, learning) =
        (of(weight.clone()), of(Tensor::from_data(weight.into_data(), &trained).require_grad()));
    let x: Tensor<2> = HostNoise::new(1).draw([3, 2], &plain);
    let data = schedule.level(0.0).sigma.max(0.1);
    let data = schedule.level_at(-data.ln());
    for x in [x.clone(), Tensor::from_data(x.into_data(), &trained)] {
        let flow = ProbabilityFlow::new(&still, &schedule);
        let known = flow.solve(x.clone().inner(), data, schedule.level(1.0)).unwrap();
        let known_density = Likelihood::new(flow).log_density(x.clone().inner(), data).unwrap();
        let flow = ProbabilityFlow::new(&learning, &schedule);
        let found = flow.solve(x.clone(), data, schedule.level(1.0)).unwrap();
        assert_eq!(host(found.x.clone()), host(known.x));
        assert!(!found.x.is_tracked());
        assert_eq!(Likelihood::new(flow).log_density(x, data).unwrap(), known_density);
    }
}

fn evaluate(bound: VariationalBound<'_, impl Denoiser<2>>, x0: &Tensor<2>, seed: u64) -> Bound {
    bound.evaluate(x0.clone(), &mut HostNoise::new(seed)).unwrap()
}

#[test]
fn the_bound_of_pixels_is_in_bits_of_their_bins() {
    let (x0, known) = pixels(2048, 4, 0.25);
    let (model, table) = (Gaussian::new([0.0], 0.25).unwrap(), table(1000));
    let bound = VariationalBound::new(&model, &table).unwrap().variance(Variance::Large);
    let found = evaluate(bound, &x0.cast(DType::F64), 3).bits_per_dim();
    let gap: Vec<f64> = found.iter().zip(&known).map(|(found, known)| found - known).collect();
    let (mean, error) = mean_and_error(&gap);
    println!("bound {:.4} bits/dim, {mean:.4} ± {error:.4} above", mean_and_error(&found).0);
    assert!(mean > -4.0 * error && mean < 0.3, "{mean} ± {error}");
}

#[test]
fn some_rows_stand_for_all_and_learned_variances_lie_between_the_fixed_ones() {
    let table = table(50);
    let x0: Tensor<2> = HostNoise::new(9).draw([8, 2], &Device::flex());
    let model = Gaussian::new([0.0], 1.0).unwrap();
    let bound = || VariationalBound::new(&model, &table).unwrap().variance(Variance::Small);
    let all = mean_and_error(&evaluate(bound(), &x0, 1).nats()).0;
    let some: Vec<f64> = (0..200)
        .map(|seed| {
            let found = evaluate(bound().rows(10).unwrap(), &x0, seed);
            assert!(found.rows.len() == 10 && found.rows.is_sorted() && found.rows[0] >= 1);
            mean_and_error(&found.nats()).0
        })
        .collect();
    let (mean, error) = mean_and_error(&some);
    let whole: Vec<f64> =
        (0..50).map(|seed| mean_and_error(&evaluate(bound(), &x0, seed).nats()).0).collect();
    let (expected, spread) = mean_and_error(&whole);
    println!("10 of 49 rows: {mean:.3} ± {error:.3}, all: {expected:.3} ± {spread:.3} ({all:.3})");
    assert!((mean - expected).abs() < 4.0 * error.hypot(spread));

    for (u, variance) in [(-1.0, Variance::Small), (1.0, Variance::Large)] {
        let with_variance = from_fn(move |x: Tensor<2>, _: Tensor<1>| {
            Tensor::cat(vec![x.clone() * 0.5, x.zeros_like() + u], 1)
        });
        let learned = Model::new(with_variance, VPrediction).learned_variance();
        let plain = Model::new(from_fn(|x: Tensor<2>, _: Tensor<1>| x * 0.5), VPrediction);
        let bound = VariationalBound::new(&learned, &table).unwrap().variance(Variance::Learned);
        let found = evaluate(bound, &x0, 2).nats();
        let bound = VariationalBound::new(&plain, &table).unwrap().variance(variance);
        let fixed = evaluate(bound, &x0, 2).nats();
        let apart = greatest(found.iter().zip(&fixed).map(|(a, b)| (a - b) / b));
        assert!(apart < 1e-4, "{found:?} and {fixed:?}");
    }

    let error = VariationalBound::new(&model, &Cosine::default()).unwrap_err().to_string();
    assert!(error.contains("table"), "{error}");
    assert!(bound().rows(0).is_err() && bound().rows(50).is_err());
    let empty = Tensor::<2>::zeros([0, 2], &Device::flex());
    let refused = bound().evaluate(empty, &mut HostNoise::new(0)).unwrap_err();
    assert_eq!(refused, ScoreError::Empty { shape: vec![0, 2] });
}
