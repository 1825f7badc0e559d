//! A source that is saved in the middle and restored goes on to the bit.

use burn::tensor::{Device, FloatDType};
use ddm_noise::{BrownianNoise, HostNoise, NoiseSource, RecordedNoise, Stream, TorchNoise};
use ddm_schedule::NoiseLevel;
use serde::{Serialize, de::DeserializeOwned};

fn level(sigma: f64) -> NoiseLevel {
    NoiseLevel { timestep: 0.0, alpha: 1.0, sigma }
}

/// The bits of draws of every kind.
fn bits(noise: &mut impl NoiseSource) -> Vec<u64> {
    let device = Device::flex();
    let normal = noise.draw([2, 5], &device).into_data();
    let long = noise.draw([2, 23], &device).into_data();
    let step = noise.between(&[2, 4], level(3.0), level(0.7), &device).into_data();
    let again = noise.between(&[2, 4], level(0.7), level(0.1), &device).into_data();
    let normals = [normal, long, step, again];
    let normals = normals.iter().flat_map(|data| data.iter::<f64>());
    normals.chain(noise.uniform(2).unwrap()).map(f64::to_bits).collect()
}

fn goes_on<N: NoiseSource + Serialize + DeserializeOwned + Clone>(mut noise: N) {
    let first = bits(&mut noise);
    for saved in 0..20 {
        // Odd draws, so that torch's second number of a pair is left over.
        noise.draw([1, 1 + 2 * (saved % 3)], &Device::flex());
        let text = serde_json::to_string(&noise).unwrap();
        let mut restored: N = serde_json::from_str(&text).unwrap();
        let next = bits(&mut noise);
        assert_eq!(next, bits(&mut restored), "{text}");
        assert_ne!(next, first);
    }
}

#[test]
fn saved_sources_go_on_to_the_bit() {
    goes_on(HostNoise::new(u64::MAX).stream(Stream::Training).fork("a").starting_at(1 << 60));
    goes_on(BrownianNoise::new(8).starting_at(3));
    for dtype in [FloatDType::F32, FloatDType::F64, FloatDType::F16, FloatDType::BF16] {
        goes_on(TorchNoise::per_sample([7, u64::MAX]).dtype(dtype));
        goes_on(TorchNoise::new(7).dtype(dtype));
    }
}

#[test]
fn a_saved_record_goes_on() {
    let mut noise = RecordedNoise::new([vec![1.0], vec![0.1], vec![0.3]]);
    noise.draw([1, 1], &Device::flex());
    let text = serde_json::to_string(&noise).unwrap();
    assert_eq!(serde_json::from_str::<RecordedNoise>(&text).unwrap(), noise);
}
