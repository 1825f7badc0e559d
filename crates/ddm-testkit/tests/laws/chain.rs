//! The chain of single steps and the closed form agree in distribution.

use burn::tensor::{Device, Tensor};
use ddm_samplers::{HostNoise, NoiseSource};
use ddm_schedule::{BetaTable, NoiseSchedule};
use ddm_testkit::{Violation, compare};

use crate::holds;

const SAMPLES: usize = 20_000;
const X0: f64 = 1.5;

/// Walks the chain `x ← keep(β) x + √β ε` from x₀ = 1.5 over the whole table.
fn walk(table: &BetaTable, keep: fn(f64) -> f64) -> Vec<f64> {
    let device = Device::flex();
    let mut noise = HostNoise::new(21);
    let mut x = Tensor::<1>::full([SAMPLES], X0, &device);
    for &beta in table.betas() {
        let eps: Tensor<1> = noise.draw([SAMPLES], &device);
        x = x * keep(beta) + eps * beta.sqrt();
    }
    compare::values("the chain", x).unwrap()
}

/// The distribution function of N(0, 1), Zelen & Severo's approximation (error below 1e-7).
fn normal(z: f64) -> f64 {
    let k = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530];
    let tail = series.iter().fold(0.0, |sum, c| (sum + c) * k) * (-0.5 * z * z).exp()
        / (2.0 * std::f64::consts::PI).sqrt();
    if z < 0.0 { tail } else { 1.0 - tail }
}

/// Kolmogorov and Smirnov: the chain's samples come from `α x₀ + σ ε` (p = 0.001).
fn has_closed_form(table: &BetaTable, samples: &[f64]) -> Result<(), Violation> {
    let (alpha, sigma) = table.alpha_sigma(1.0);
    let mut z: Vec<f64> = samples.iter().map(|x| (x - alpha * X0) / sigma).collect();
    z.sort_by(f64::total_cmp);
    let count = z.len() as f64;
    let gaps = z.iter().enumerate().map(|(i, &z)| {
        let (below, above) = (i as f64 / count, (i + 1) as f64 / count);
        (normal(z) - below).abs().max((normal(z) - above).abs())
    });
    let (distance, bound) = (gaps.fold(0.0, f64::max), 1.95 / count.sqrt());
    let law = "the chain equals the closed form";
    if distance <= bound {
        return Ok(());
    }
    Err(Violation::new(law, format!("distance {distance}"), format!("at most {bound}")))
}

#[test]
fn the_chain_ends_in_the_closed_form() {
    for table in [
        BetaTable::linear(60, 1e-3, 0.05).unwrap(),
        BetaTable::scaled_linear(40, 0.002, 0.3).unwrap(),
        BetaTable::cosine(30).unwrap(),
    ] {
        holds(has_closed_form(&table, &walk(&table, |beta| (1.0 - beta).sqrt())));
    }
}

#[test]
fn the_common_error_of_slides_does_not() {
    // x_{t+1} = √β x_t + √β ε: neither signal nor unit variance is left.
    let table = BetaTable::linear(60, 1e-3, 0.05).unwrap();
    assert!(has_closed_form(&table, &walk(&table, f64::sqrt)).is_err());
}
