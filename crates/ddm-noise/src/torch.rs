//! The numbers of torch's generator.

mod fill;
mod generator;
mod polynomials;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{NoiseError, NoiseSource};
use generator::Generator;

/// The normal numbers of `torch.randn(…, generator=torch.Generator("cpu").manual_seed(seed))`, draw
/// after draw: with it a seed gives the picture that it gives in diffusers.
///
/// The numbers are those of torch 2.15 on x86 processors with AVX2, bit for bit in f32, f16 and
/// bf16; in f64 to a unit in the last place, since logarithm and sine are those of the platform.
/// On other processors torch itself is a few units off. A draw of at least 16 numbers takes another
/// way than a shorter one, so the batch size changes the numbers; a generator
/// [per sample](Self::per_sample) avoids that. The draws are those of the CPU generator, also where
/// the tensor is made on another device; diffusers does the same if it is given such a generator.
///
/// Source: Matsumoto and Nishimura, *Mersenne Twister*, ACM TOMACS 8 (1998); Box and Muller, *A Note
/// on the Generation of Random Normal Deviates* (1958).
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
    /// One generator for the whole batch, in f32. Like torch it takes the low 32 bits of the seed.
    pub fn new(seed: u64) -> Self {
        Self::per_sample([seed])
    }

    /// A generator per sample, each for shape `[1, …]`: the list of generators of diffusers'
    /// pipelines. A list of one draws for the whole batch, as there.
    ///
    /// A list of another length than the batch gives NaN throughout, because a draw cannot fail.
    pub fn per_sample(seeds: impl IntoIterator<Item = u64>) -> Self {
        let generators = seeds.into_iter().map(Generator::new).collect();
        Self { generators, dtype: FloatDType::F32 }
    }

    /// The numbers of `torch.randn(…, dtype=…)`, which differ from type to type. They come as a
    /// tensor in f64 for [`FloatDType::F64`], and in f32 otherwise, which holds them exactly.
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

    /// The numbers of `torch.rand(samples, generator=…)` in f32: multiples of 2⁻²⁴.
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
