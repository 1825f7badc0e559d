//! Conversion of half precision to single precision.

use burn::tensor::{DType, FloatDType, Tensor};

/// Returns x in single precision if it is in half precision (f16, bf16), else unchanged.
///
/// Coefficients and timesteps are as exact as the type of x: bf16 holds 8 bits, so that timestep
/// 998 would become 1000, and ε̂ = (x − α x̂₀)/σ would lose its digits by cancellation. So runs,
/// guidance, objectives and likelihoods compute in f32 or f64. For a network in half precision, use
/// [`Model::network_dtype`](crate::Model::network_dtype).
///
/// ```
/// use burn::tensor::{DType, Device, FloatDType, Tensor};
/// use ddm_denoiser::full_precision;
/// let x = Tensor::<1>::ones([2], &Device::flex());
/// assert_eq!(full_precision(x.clone().cast(FloatDType::BF16)).dtype(), DType::F32);
/// assert_eq!(full_precision(x.cast(FloatDType::F64)).dtype(), DType::F64);
/// ```
pub fn full_precision<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(FloatDType::F32),
        _ => x,
    }
}
