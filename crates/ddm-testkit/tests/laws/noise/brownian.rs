//! Brownian noise belongs to an interval of noise levels and not to a step.

use burn::tensor::Device;
use ddm_noise::{BrownianNoise, HostNoise, NoiseSource};
use ddm_schedule::NoiseLevel;
use ddm_testkit::compare;

use super::{draw, is_normal, uncorrelated};

/// The level of this signal-to-noise ratio.
fn at(snr: f64) -> NoiseLevel {
    let alpha = (snr / (1.0 + snr)).sqrt();
    NoiseLevel { timestep: 0.0, alpha, sigma: (1.0 / (1.0 + snr)).sqrt() }
}

fn step(noise: &mut BrownianNoise, shape: [usize; 2], from: f64, to: f64) -> Vec<f64> {
    let z = noise.between(&shape, at(from), at(to), &Device::flex());
    compare::values("noise", z).unwrap()
}

/// B(to) − B(from) on the first path of a seed.
fn increment(seed: u64, shape: [usize; 2], from: f64, to: f64) -> Vec<f64> {
    let z = step(&mut BrownianNoise::new(seed), shape, from, to);
    z.into_iter().map(|z| z * (to - from).sqrt()).collect()
}

/// v from pure noise on, in octaves, over several, and within one.
const LADDER: [f64; 12] = [0.0, 1e-4, 0.01, 0.5, 0.75, 0.750001, 0.8125, 0.99, 1.0, 2.0, 70.3, 1e5];

#[test]
fn increments_of_disjoint_intervals_are_standard_normal_and_independent() {
    let mut noise = BrownianNoise::new(7);
    let steps: Vec<_> =
        LADDER.windows(2).map(|v| step(&mut noise, [4, 10_000], v[0], v[1])).collect();
    for (i, first) in steps.iter().enumerate() {
        is_normal(first);
        uncorrelated(&first[..10_000], &first[10_000..20_000]);
        uncorrelated(&first[1..], &first[..first.len() - 1]);
        steps[..i].iter().for_each(|second| uncorrelated(first, second));
    }
    is_normal(&step(&mut BrownianNoise::new(8), [40_000, 1], 0.3, 0.4));
    uncorrelated(&steps[3], &step(&mut BrownianNoise::new(8), [4, 10_000], LADDER[3], LADDER[4]));
}

#[test]
fn increments_add_up() {
    let shape = [2, 50];
    for (i, &from) in LADDER.iter().enumerate() {
        for (j, &middle) in LADDER.iter().enumerate().skip(i + 1) {
            for &to in &LADDER[j + 1..] {
                let first = increment(7, shape, from, middle);
                let second = increment(7, shape, middle, to);
                let sum: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
                let whole = increment(7, shape, from, to);
                for (sum, whole) in sum.iter().zip(&whole) {
                    // Levels are rounded to 2⁻³⁰ and increments to f32.
                    let bound = 1e-4 * (middle - from).min(to - middle).sqrt() + 1e-6 * to.sqrt();
                    assert!((sum - whole).abs() < bound, "{from} {middle} {to}: {sum} {whole}");
                }
            }
        }
    }
}

/// Ancestral steps for data at 0, in x̄ = x/α: `x̄' = (s'²/s²) x̄ + s'² √(v' − v) z` with s² = 1/v.
fn end(steps: usize, first: f64, last: f64) -> Vec<f64> {
    let shape = [3, 400];
    let mut noise = BrownianNoise::new(11);
    let mut x: Vec<f64> =
        draw(&mut noise, shape).into_iter().map(|z| z * first.recip().sqrt()).collect();
    let ratio = (last / first).powf(1.0 / steps as f64);
    let levels: Vec<f64> = (0..=steps).map(|i| first * ratio.powi(i as i32)).collect();
    for v in levels.windows(2) {
        let z = step(&mut noise, shape, v[0], v[1]);
        let std = (v[1] - v[0]).sqrt() / v[1];
        x.iter_mut().zip(z).for_each(|(x, z)| *x = v[0] / v[1] * *x + std * z);
    }
    x
}

#[test]
fn the_end_of_a_run_does_not_depend_on_its_steps_where_the_data_are_one_point() {
    let (first, last) = (1.0 / 6400.0, 2500.0);
    let once = end(1, first, last);
    is_normal(&once.iter().map(|x| x * last.sqrt()).collect::<Vec<_>>());
    for steps in [2, 7, 40, 300] {
        for (many, once) in end(steps, first, last).iter().zip(&once) {
            assert!((many - once).abs() < 1e-5 * last.recip().sqrt(), "{steps}: {many} {once}");
        }
    }
}

#[test]
fn a_sample_has_its_numbers_whatever_the_batch() {
    let batch = step(&mut BrownianNoise::new(7), [5, 30], 0.3, 4.7);
    let part = step(&mut BrownianNoise::new(7).starting_at(2), [2, 30], 0.3, 4.7);
    assert_eq!(batch[60..120], part);
    let short = step(&mut BrownianNoise::new(7), [5, 10], 0.3, 4.7);
    assert_eq!(batch[30..40], short[10..20]);
}

#[test]
fn what_is_no_step_down_is_a_draw_like_any_other() {
    let (mut noise, mut host) = (BrownianNoise::new(7), HostNoise::new(7));
    let device = Device::flex();
    let data = NoiseLevel::DATA;
    for (from, to) in [(at(2.0), at(2.0)), (at(2.0), at(0.5)), (at(2.0), data), (data, at(2.0))] {
        let z = noise.between(&[2, 9], from, to, &device).into_data();
        assert_eq!(z, host.normal(&[2, 9], &device).into_data());
    }
    assert_eq!(NoiseSource::uniform(&mut noise, 3).unwrap(), host.uniform(3));
}

#[test]
fn a_run_that_begins_again_has_a_new_path() {
    let shape = [4, 10_000];
    let mut noise = BrownianNoise::new(7);
    let first = step(&mut noise, shape, 0.5, 2.0);
    // Two steps from one level are on one path: a sampler may look ahead.
    let mut ahead = noise.clone();
    assert_eq!(first, step(&mut ahead, shape, 0.5, 2.0));
    step(&mut noise, shape, 2.0, 3.0);
    let again = step(&mut noise, shape, 0.5, 2.0);
    is_normal(&again);
    uncorrelated(&first, &again);
}
