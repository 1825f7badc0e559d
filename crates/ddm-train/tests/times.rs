//! Time samplings against their closed forms.

use std::f64::consts::{FRAC_PI_2, PI};
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{EpsilonPrediction, FlowPrediction, VPrediction};
use ddm_samplers::HostNoise;
use ddm_schedule::{BetaTable, Cosine, LinearVp, NoiseSchedule, RectifiedFlow};
use ddm_train::{
    Example, Hybrid, LogNormal, LogitNormal, LossHistory, Mode, Objective, Stratified,
    TimeSampling, UniformTime,
};

const DRAWS: usize = 20_000;

fn examples(schedule: &dyn NoiseSchedule, sampling: impl TimeSampling, batch: usize) -> Example<2> {
    let objective = Objective::new(schedule, VPrediction).unwrap().time_sampling(sampling);
    let x0 = Tensor::zeros([batch, 1], &Device::flex());
    objective.draw(x0, &mut HostNoise::new(5)).unwrap()
}

fn times(schedule: &dyn NoiseSchedule, sampling: impl TimeSampling) -> Vec<f64> {
    examples(schedule, sampling, DRAWS).sampled.iter().map(|of| of.time).collect()
}

/// Kolmogorov–Smirnov: the largest distance of the shares from a cumulative distribution function.
/// 20,000 draws exceed 1.95/√20,000 = 0.0138 once in a thousand times.
fn follows(mut found: Vec<f64>, cdf: impl Fn(f64) -> f64) {
    found.sort_by(f64::total_cmp);
    let off = |(i, &time): (usize, &f64)| (cdf(time) - i as f64 / found.len() as f64).abs();
    let worst = found.iter().enumerate().map(off).fold(0.0, f64::max);
    assert!(worst < 0.0138, "{worst}");
}

/// Φ, by Simpson's rule.
fn phi(z: f64) -> f64 {
    let (n, z) = (400, z.clamp(-9.0, 9.0));
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * PI).sqrt();
    let at = |k: usize| density(z * k as f64 / f64::from(n as u32));
    let sum: f64 = (0..n / 2).map(|k| at(2 * k) + 4.0 * at(2 * k + 1) + at(2 * k + 2)).sum();
    0.5 + sum * z / f64::from(n as u32) / 3.0
}

#[test]
fn times_have_their_distributions() {
    let cosine = Cosine::default();
    follows(times(&cosine, UniformTime), |t| t);
    follows(times(&cosine, |u: f64| u * u), f64::sqrt);
    follows(times(&RectifiedFlow, LogitNormal::default()), |t| phi((t / (1.0 - t)).ln()));
    let noisier = LogitNormal::new(0.5, 0.7).unwrap();
    follows(times(&RectifiedFlow, noisier), |t| phi(((t / (1.0 - t)).ln() - 0.5) / 0.7));
    // Every example of a stratified batch has the distribution that it had.
    follows(
        times(&RectifiedFlow, Stratified(noisier)),
        |t| phi(((t / (1.0 - t)).ln() - 0.5) / 0.7),
    );
    let shared: Arc<dyn TimeSampling> = Arc::new(noisier);
    assert_eq!(times(&RectifiedFlow, shared), times(&RectifiedFlow, noisier));
}

/// EDM's levels have the distribution that they should on any schedule, also on a table's rows.
#[test]
fn noise_levels_are_log_normal() {
    let (mean, std) = (-0.8, 1.1);
    let sampling = LogNormal::new(mean, std).unwrap();
    let vp = LinearVp::default();
    for schedule in [&vp as &dyn NoiseSchedule, &RectifiedFlow] {
        let of_time = |t: f64| phi((-schedule.lambda(t) - mean) / std);
        follows(times(schedule, sampling), of_time);
    }
    let table = BetaTable::default();
    let found = times(&table, sampling);
    for row in [50, 200, 400, 700] {
        let time = f64::from(row) / 1000.0;
        let share = found.iter().filter(|&&t| t < time + 5e-4).count() as f64 / DRAWS as f64;
        let expected = phi((-table.lambda(time) - mean) / std);
        assert!((share - expected).abs() < 0.0138, "row {row}: {share}, not {expected}");
    }
}

/// The mode sampling's density is 1/|f'(u)|; at its peak, u = 1/2, that is 1/(1 + s − s π/2).
#[test]
fn mode_times_peak_in_the_middle() {
    for scale in [-0.8, 0.0, 1.29] {
        let sampling = Mode::new(scale).unwrap();
        let schedule = RectifiedFlow;
        let at = |u: f64| sampling.time(u, &schedule);
        assert!((at(0.0) - 1.0).abs() < 1e-12 && at(1.0).abs() < 1e-12);
        let slope = (at(0.5 + 1e-5) - at(0.5 - 1e-5)) / 2e-5;
        assert!((slope + 1.0 + scale - scale * FRAC_PI_2).abs() < 1e-6, "{slope}");
        let found = times(&schedule, sampling);
        let near = found.iter().filter(|t| (*t - 0.5).abs() < 0.02).count() as f64;
        let density = 1.0 / (1.0 + scale - scale * FRAC_PI_2);
        // σ of the count is about 30 where 0.04 · 20,000 = 800 are expected.
        let expected = 0.04 * density * DRAWS as f64;
        assert!((near - expected).abs() < 0.08 * expected + 60.0, "{near}, not {expected}");
    }
    assert!(Mode::new(-1.1).is_err() && Mode::new(1.8).is_err());
    assert!(LogitNormal::new(0.0, 0.0).is_err() && LogNormal::new(f64::NAN, 1.0).is_err());
    assert!(serde_json::from_str::<LogNormal>(r#"{"mean": 0, "std": -1}"#).is_err());
}

/// One time in each of B strata, so the batch's mean of any function is nearly its integral.
#[test]
fn stratified_times_cover_the_batch_evenly() {
    let sampled = examples(&Cosine::default(), Stratified::<UniformTime>::default(), 64).sampled;
    let mut strata: Vec<usize> = sampled.iter().map(|of| (of.time * 64.0) as usize).collect();
    strata.sort_unstable();
    assert_eq!(strata, (0..64).collect::<Vec<_>>());
}

/// Losses of bin k are 1 + k: once there are ten of each, p is that to the share of 0.001, the
/// importance weights undo it, and the weighted mean of any loss is unbiased.
#[test]
fn rows_are_drawn_by_their_losses() {
    let table = BetaTable::linear(8, 0.01, 0.3).unwrap();
    let history = LossHistory::new(8).unwrap();
    let objective = Objective::new(&table, EpsilonPrediction).unwrap();
    let objective = objective.time_sampling(history.clone());
    let device = Device::flex();
    let row = |time: f64| (time * 8.0).round() as usize - 1;
    let mut noise = HostNoise::new(1);
    for _ in 0..5 {
        let x0 = Tensor::<2>::zeros([256, 1], &device);
        let example = objective.draw(x0, &mut noise).unwrap();
        let losses: Vec<f32> = example
            .sampled
            .iter()
            .map(|of| ((1 + row(of.time)) as f64 * of.importance) as f32)
            .collect();
        history.record(&example, Tensor::from_floats(losses.as_slice(), &device)).unwrap();
    }
    for (k, share) in history.shares().into_iter().enumerate() {
        let expected = 0.999 * (1 + k) as f64 / 36.0 + 0.001 / 8.0;
        assert!((share - expected).abs() < 1e-6, "bin {k}: {share}, not {expected}");
    }
    let x0 = Tensor::<2>::zeros([DRAWS, 1], &device);
    let sampled = objective.draw(x0, &mut noise).unwrap().sampled;
    let last = sampled.iter().filter(|of| row(of.time) == 7).count() as f64 / DRAWS as f64;
    assert!((last - 8.0 / 36.0).abs() < 0.01, "{last}");
    let mean = |f: fn(f64) -> f64| {
        sampled.iter().map(|of| f(of.time) * of.importance).sum::<f64>() / DRAWS as f64
    };
    let (mass, squares) = (mean(|_| 1.0), mean(|t| t * t));
    let expected = (1..=8).map(|k| f64::from(k * k) / 512.0).sum::<f64>();
    assert!((mass - 1.0).abs() < 0.02, "{mass}");
    assert!((squares - expected).abs() < 0.01, "{squares}, not {expected}");
    assert!(LossHistory::new(0).is_err());
}

/// Before every bin has ten losses, times are uniform; and the hybrid loss takes them too.
#[test]
fn a_young_history_is_uniform() {
    let history = LossHistory::new(4).unwrap();
    follows(times(&Cosine::default(), history.clone()), |t| t);
    let table = BetaTable::linear(4, 0.01, 0.3).unwrap();
    let hybrid = Hybrid::new(table, EpsilonPrediction, 0.1).unwrap().time_sampling(history.clone());
    let x0 = Tensor::<2>::zeros([8, 2], &Device::flex());
    let example = hybrid.draw(x0, &mut HostNoise::new(2)).unwrap().example;
    let losses = example.losses(example.target.clone() + 1.0).unwrap();
    history.record(&example, losses).unwrap();
    assert_eq!(history.shares(), [0.25; 4]);
}

#[test]
fn times_outside_the_schedule_are_refused() {
    let objective = Objective::new(RectifiedFlow, FlowPrediction).unwrap();
    let x0 = Tensor::<2>::zeros([8, 2], &Device::flex());
    let error = objective.time_sampling(|u: f64| u + 1.5).draw(x0, &mut HostNoise::new(0));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("time") && error.contains("[0, 1]"), "{error}");
}
