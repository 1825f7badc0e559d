//! Torch's numbers, as recorded by testdata/torch_randn.py.
//!
//! f32, f16 and bf16 agree to the last bit, drawn one by one or in blocks. f64 agrees to 1 unit in
//! the last place, since its logarithm, sine and cosine are the platform's.

use burn::tensor::{Device, FloatDType};
use ddm_noise::{NoiseError, NoiseSource, TorchNoise};
use serde::Deserialize;

#[derive(Deserialize)]
struct Record {
    cases: Vec<Case>,
    large: Vec<Large>,
}

#[derive(Deserialize)]
struct Case {
    what: String,
    seed: u64,
    sizes: Vec<usize>,
    dtype: String,
    draws: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Large {
    seed: u64,
    size: usize,
    dtype: String,
    every_997th: Vec<f64>,
    last: Vec<f64>,
    sum: f64,
    sum_of_squares: f64,
}

fn record() -> Record {
    serde_json::from_str(include_str!("../../../testdata/torch_randn.json")).unwrap()
}

fn dtype(name: &str) -> FloatDType {
    match name {
        "float32" => FloatDType::F32,
        "float64" => FloatDType::F64,
        "float16" => FloatDType::F16,
        "bfloat16" => FloatDType::BF16,
        other => panic!("the record has numbers of type {other}"),
    }
}

fn draw(noise: &mut TorchNoise, shape: [usize; 2]) -> Vec<f64> {
    let data = noise.draw(shape, &Device::flex()).into_data();
    data.iter::<f64>().collect()
}

/// Exact; in f64 to 1 unit in the last place (and half a unit for the text of the record).
#[track_caller]
fn agrees(found: &[f64], recorded: &[f64], dtype: FloatDType) {
    assert_eq!(found.len(), recorded.len());
    for (&z, &r) in found.iter().zip(recorded) {
        match dtype {
            FloatDType::F64 => {
                assert!(z.to_bits().abs_diff(r.to_bits()) <= 1, "{z:?}, torch {r:?}")
            }
            _ => assert_eq!((z as f32).to_bits(), (r as f32).to_bits(), "{z:?}, torch {r:?}"),
        }
    }
}

#[test]
fn normal_and_uniform_numbers_are_torchs() {
    for case in record().cases {
        let dtype = dtype(&case.dtype);
        let mut noise = TorchNoise::new(case.seed).dtype(dtype);
        for (&size, recorded) in case.sizes.iter().zip(&case.draws) {
            let found = match case.what.as_str() {
                "rand" => noise.uniform(size).unwrap(),
                _ => draw(&mut noise, [1, size]),
            };
            agrees(&found, recorded, dtype);
        }
    }
}

#[test]
fn a_hundred_thousand_numbers_are_torchs() {
    for large in record().large {
        let dtype = dtype(&large.dtype);
        let z = draw(&mut TorchNoise::new(large.seed).dtype(dtype), [1, large.size]);
        let every: Vec<f64> = z.iter().copied().step_by(997).collect();
        agrees(&every, &large.every_997th, dtype);
        agrees(&z[large.size - 16..], &large.last, dtype);
        // Sums of other order differ by rounding, about √n · 2⁻⁵³; one wrong number by far more.
        let squares: f64 = z.iter().map(|z| z * z).sum();
        assert!((z.iter().sum::<f64>() - large.sum).abs() < 1e-9, "{dtype:?}");
        assert!((squares - large.sum_of_squares).abs() < 1e-8, "{dtype:?}");
    }
}

#[test]
fn a_list_of_generators_draws_for_each_sample() {
    for elements in [5, 16, 40] {
        let mut list = TorchNoise::per_sample([3, 4, 5]);
        let mut alone = [3, 4, 5].map(TorchNoise::new);
        for _ in 0..2 {
            let each = alone.iter_mut().flat_map(|noise| draw(noise, [1, elements]));
            assert_eq!(draw(&mut list, [3, elements]), each.collect::<Vec<_>>());
        }
        let each: Vec<f64> = alone.iter_mut().flat_map(|noise| noise.uniform(1).unwrap()).collect();
        assert_eq!(list.uniform(3), Ok(each));
    }
}

#[test]
fn a_list_of_another_length_than_the_batch_has_no_numbers() {
    let mut list = TorchNoise::per_sample([3, 4]);
    assert!(draw(&mut list, [3, 2]).iter().all(|z| z.is_nan()));
    assert_eq!(list.uniform(3), Err(NoiseError::Batch { generators: 2, samples: 3 }));
    let same = draw(&mut TorchNoise::per_sample([3]), [3, 2]);
    assert_eq!(same, draw(&mut TorchNoise::new(3), [3, 2]));
}
