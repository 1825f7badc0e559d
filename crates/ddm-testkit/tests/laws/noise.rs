//! Noise is normal, and each number of it is its own.

mod address;
mod brownian;

use burn::tensor::{Device, Tensor};
use ddm_samplers::{DeviceNoise, HostNoise, NoiseSource, RecordedNoise};
use ddm_testkit::{compare, moments};

use crate::holds;

fn draw(mut noise: &mut dyn NoiseSource, shape: [usize; 2]) -> Vec<f64> {
    compare::values("noise", NoiseSource::draw(&mut noise, shape, &Device::flex())).unwrap()
}

/// Mean, variance and the fourth moment within 5 standard errors.
fn is_normal(z: &[f64]) {
    let (count, found) = (z.len() as f64, moments::of(z));
    let fourth = z.iter().map(|z| z.powi(4)).sum::<f64>() / count;
    assert!(found.mean.abs() < 5.0 / count.sqrt(), "{found:?}");
    assert!((found.variance - 1.0).abs() < 5.0 * (2.0 / count).sqrt(), "{found:?}");
    assert!((fourth - 3.0).abs() < 5.0 * (96.0 / count).sqrt(), "fourth moment {fourth}");
}

fn uncorrelated(a: &[f64], b: &[f64]) {
    let product = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64;
    assert!(product.abs() < 5.0 / (a.len() as f64).sqrt(), "correlation {product}");
}

#[test]
fn host_noise_is_normal_along_elements_samples_draws_and_seeds() {
    let mut noise = HostNoise::new(1);
    let (first, second) = (draw(&mut noise, [4, 50_000]), draw(&mut noise, [4, 50_000]));
    is_normal(&first);
    is_normal(&second);
    uncorrelated(&first, &second);
    uncorrelated(&first[..50_000], &first[50_000..100_000]);
    uncorrelated(&first, &draw(&mut HostNoise::new(2), [4, 50_000]));
    is_normal(&draw(&mut HostNoise::new(3), [100_000, 1]));
    let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut noise, [1, 1])[0]).collect();
    is_normal(&draws);
}

#[test]
fn host_noise_keeps_its_place() {
    // A shorter sample takes the first numbers of its stream: each draw has room of its own.
    let long = draw(&mut HostNoise::new(1), [2, 100]);
    let short = draw(&mut HostNoise::new(1), [2, 10]);
    assert_eq!((&short[..10], &short[10..]), (&long[..10], &long[100..110]));
    let mut noise = HostNoise::new(1);
    draw(&mut noise, [7, 3]);
    let mut other = HostNoise::new(1);
    draw(&mut other, [1, 500]);
    assert_eq!(draw(&mut noise, [2, 9]), draw(&mut other, [2, 9]));
    let copy = &mut noise.clone();
    assert_eq!(draw(&mut noise, [2, 9]), draw(copy, [2, 9]));
}

#[test]
fn uniform_noise_is_uniform() {
    let mut noise = HostNoise::new(4);
    let u = noise.uniform(50_000);
    assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
    let found = moments::of(&u);
    assert!((found.mean - 0.5).abs() < 0.01 && (found.variance - 1.0 / 12.0).abs() < 0.002);
    assert_eq!(HostNoise::new(4).starting_at(5).uniform(3), u[5..8]);
    assert_ne!(noise.uniform(3), u[..3]);
}

#[test]
fn device_noise_is_normal() {
    is_normal(&draw(&mut DeviceNoise::new(&Device::flex()), [4, 50_000]));
}

#[test]
fn recorded_noise_is_in_order_and_nan_where_there_is_none() {
    let mut noise = RecordedNoise::new([vec![1.0, 2.0], vec![3.0, 4.0]]);
    assert_eq!(draw(&mut noise, [1, 2]), [1.0, 2.0]);
    assert_eq!(noise.remaining(), 1);
    assert!(draw(&mut noise, [3, 1]).iter().all(|z| z.is_nan()));
    assert!(draw(&mut noise, [1, 2]).iter().all(|z| z.is_nan()));
    assert_eq!(noise.remaining(), 0);
    let nan = Tensor::<1>::full([2], f32::NAN, &Device::flex());
    assert!(compare::close_tensors("NaN agrees with nothing", nan.clone(), nan, 1.0).is_err());
    holds(compare::close("empty", &[], &[], 0.0));
}
