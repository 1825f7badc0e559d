//! Rotary position embeddings.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Rotations of pairs of channels, by angles that grow with a token's position.
///
/// Each axis of the position turns its share of a head's channels, pair i of n by p 10000^(−i/n).
/// Source: Su et al., *RoFormer*, eq. 34, arXiv 2104.09864; with axes as in Flux.
#[derive(Clone, Debug)]
pub(super) struct Rope {
    /// `[1, length, 1, pairs, 1]` each.
    cos: Tensor<5>,
    sin: Tensor<5>,
}

impl Rope {
    /// Creates the rotations for positions `[length, axes]`, where an axis has `sizes[axis]` channels.
    pub(super) fn new(positions: &Tensor<2>, sizes: &[usize], dtype: DType) -> Self {
        let ([length, _], device) = (positions.dims(), positions.device());
        let angles = sizes.iter().enumerate().map(|(axis, &size)| {
            let position = positions.clone().narrow(1, axis, 1).cast(DType::F32);
            cos_sin(position, &frequencies(size), &device)
        });
        let (cos, sin): (Vec<_>, Vec<_>) = angles.unzip();
        let pairs = sizes.iter().sum::<usize>() / 2;
        let join = |parts: Vec<Tensor<2>>| {
            Tensor::cat(parts, 1).cast(dtype).reshape([1, length, 1, pairs, 1])
        };
        Self { cos: join(cos), sin: join(sin) }
    }

    /// Turns the channels of each head of `[batch, length, heads · size]`.
    pub(super) fn turn(&self, x: Tensor<3>, heads: usize) -> Tensor<3> {
        let shape @ [batch, length, width] = x.dims();
        let x = x.reshape([batch, length, heads, width / heads / 2, 2]);
        let (a, b) = (x.clone().narrow(4, 0, 1), x.narrow(4, 1, 1));
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        let turned_a = a.clone() * cos.clone() - b.clone() * sin.clone();
        let turned_b = b * cos + a * sin;
        Tensor::cat(vec![turned_a, turned_b], 4).reshape(shape)
    }
}

/// Returns the angle per position of each pair of channels.
fn frequencies(size: usize) -> Vec<f64> {
    (0..size / 2).map(|i| 10000_f64.powf(-(2.0 * i as f64) / size as f64)).collect()
}

/// Returns the cosines and sines of positions × frequencies, `[length, pairs]`, from `[length, 1]`.
///
/// A product in f32 would be off by 1e-5 at position 100. So each frequency is a number of few digits,
/// whose products with whole numbers are exact, plus a small rest; the two angles are added by the
/// theorems of addition.
fn cos_sin(position: Tensor<2>, frequencies: &[f64], device: &Device) -> (Tensor<2>, Tensor<2>) {
    let row = |numbers: Vec<f32>| {
        let data = TensorData::new(numbers, [1, frequencies.len()]);
        Tensor::<2>::from_data(data, (device, DType::F32))
    };
    let coarse: Vec<f32> = frequencies.iter().map(|&f| short(f)).collect();
    let rest = frequencies.iter().zip(&coarse).map(|(&f, &coarse)| (f - f64::from(coarse)) as f32);
    let fine = position.clone() * row(rest.collect());
    let coarse = position * row(coarse);
    let (cos, sin) = (coarse.clone().cos(), coarse.sin());
    let (cos_fine, sin_fine) = (fine.clone().cos(), fine.sin());
    (
        cos.clone() * cos_fine.clone() - sin.clone() * sin_fine.clone(),
        sin * cos_fine + cos * sin_fine,
    )
}

/// Returns a number with its last 12 binary digits in f32 cleared.
fn short(number: f64) -> f32 {
    f32::from_bits((number as f32).to_bits() & !0xfff)
}
