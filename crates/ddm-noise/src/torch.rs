//! The numbers of torch's generator.

mod fill;
mod generator;
mod polynomials;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{NoiseError, NoiseSource};
use generator::Generator;

/// The normal numbers of `torch.randn(…, generator=torch.Generator("cpu").manual_seed(seed))`: with
/// this source a seed gives the same image as in diffusers.
///
/// The numbers are those of torch 2.15 on x86 processors with AVX2, bit for bit in f32, f16 and
/// bf16; in f64 to a unit in the last place, since logarithm and sine are those of the platform.
/// On other processors torch itself differs by a few units. A draw of at least 16 numbers uses
/// another algorithm than a shorter one, so the batch size changes the numbers; a generator
/// [per sample](Self::per_sample) avoids that. The draws are those of the CPU generator even for a
/// tensor on another device; diffusers does the same if it is given such a generator.
///
/// Source: Matsumoto and Nishimura, *Mersenne Twister*, ACM TOMACS 8 (1998); Box and Muller, *A
/// Note on the Generation of Random Normal Deviates* (1958).
///
/// ```
/// use burn::tensor::Device;
/// use ddm_noise::{NoiseSource, TorchNoise};
/// let device = Device::flex();
/// // torch.randn(2, generator=torch.Generator().manual_seed(0))
/// let z = TorchNoise::new(0).draw([1, 2], &device);
/// assert_eq!(z.into_data().to_vec::<f32>()?, [1.5409961, -0.2934289]);
/// // One generator per sample, as diffusers' pipelines take them.
/// let mut noise = TorchNoise::per_sample([0, 1]);
/// assert_eq!(noise.draw([2, 4], &device).dims(), [2, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TorchNoise {
    generators: Vec<Generator>,
    dtype: FloatDType,
}

impl TorchNoise {
    /// Creates one generator for the whole batch, in f32. Like torch, it uses the low 32 bits of
    /// the seed.
    pub fn new(seed: u64) -> Self {
        Self::per_sample([seed])
    }

    /// Creates a generator per sample, each for shape `[1, …]`, as the list of generators of
    /// diffusers' pipelines. A list of one draws for the whole batch, as there.
    ///
    /// If the length of the list is not the batch size, the draw is all NaN, because it cannot
    /// fail.
    pub fn per_sample(seeds: impl IntoIterator<Item = u64>) -> Self {
        let generators = seeds.into_iter().map(Generator::new).collect();
        Self { generators, dtype: FloatDType::F32 }
    }

    /// Sets the type of `torch.randn(…, dtype=…)`, on which the numbers depend. The tensor is in
    /// f64 for
    /// [`FloatDType::F64`] and otherwise in f32, which represents them exactly.
    #[must_use]
    pub fn dtype(self, dtype: FloatDType) -> Self {
        Self { dtype, ..self }
    }

    fn values(&mut self, shape: &[usize]) -> Vec<f64> {
        let (size, samples) = (shape.iter().product(), shape.first().copied().unwrap_or(1));
        match self.generators.as_mut_slice() {
            [one] => one.normal(size, self.dtype),
            each if each.len() == samples => {
                let elements = size / samples.max(1);
                each.iter_mut().flat_map(|one| one.normal(elements, self.dtype)).collect()
            }
            _ => vec![f64::NAN; size],
        }
    }
}

impl NoiseSource for TorchNoise {
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        let values = self.values(shape);
        let length = values.len();
        if self.dtype == FloatDType::F64 {
            return Tensor::from_data(TensorData::new(values, [length]), (device, DType::F64));
        }
        let values: Vec<f32> = values.into_iter().map(|z| z as f32).collect();
        Tensor::from_data(TensorData::new(values, [length]), device)
    }

    /// Returns the numbers of `torch.rand(samples, generator=…)` in f32: multiples of 2⁻²⁴.
    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        match self.generators.as_mut_slice() {
            [one] => Ok((0..samples).map(|_| one.uniform_f32().into()).collect()),
            each if each.len() == samples => {
                Ok(each.iter_mut().map(|one| one.uniform_f32().into()).collect())
            }
            other => Err(NoiseError::Batch { generators: other.len(), samples }),
        }
    }
}
