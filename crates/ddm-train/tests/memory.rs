//! The memory of a long training is that of a short one. Alone in its process, which is measured.
#![cfg(target_os = "linux")]

use burn::optim::AdamWConfig;
use burn::tensor::Device;
use ddm_denoiser::VPrediction;
use ddm_models::MlpConfig;
use ddm_noise::NoiseSource;
use ddm_schedule::Cosine;
use ddm_train::{Objective, Training};

/// Returns the memory of this process, in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    1024.0 * line.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap()
}

/// Returns the slope of the line through the points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let along: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    along / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

#[test]
fn ten_thousand_steps_take_no_more_memory_than_two_thousand() {
    let device = Device::flex().autodiff();
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let network = MlpConfig::new().with_hidden(32).init(&device).unwrap();
    let training = Training { steps: 10_000, ema_decay: 0.99, seed: 1 };
    let mut measured = Vec::new();
    let loss = |network: &_, noise: &mut ddm_train::StepNoise| {
        let data = noise.draw([64, 2], &device) * 0.5 + 1.0;
        objective.loss(network, data, noise)
    };
    let run = training.run_with(network, AdamWConfig::new().init(), 1e-3, loss, |at| {
        measured.push((at.step as f64, resident()));
    });
    run.unwrap();
    let late: Vec<_> = measured.iter().copied().filter(|(step, _)| *step > 2_000.0).collect();
    let slope = slope(&late);
    println!("{slope:.1} bytes per step, at {:.1} MB", late.last().unwrap().1 / 1e6);
    // One tensor of a batch that is not freed, [64, 2] in f32, would be 512.
    assert!(slope < 100.0, "the memory grows by {slope:.1} bytes per step");
}
