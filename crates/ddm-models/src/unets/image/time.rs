//! Embeddings of t with weights.

use burn::module::{Module, Param};
use burn::nn::Embedding;
use burn::tensor::{DType, Tensor};

/// An embedding of t with weights.
#[derive(Module, Debug)]
pub(super) enum TimeProjection {
    Fourier(Fourier),
    Learned(Embedding),
}

/// Frequencies of ln t.
#[derive(Module, Debug)]
pub(super) struct Fourier {
    pub(super) weight: Param<Tensor<1>>,
}

impl TimeProjection {
    /// Maps `[batch]` → `[batch, size]`, in f32.
    pub(super) fn forward(&self, t: Tensor<1>) -> Tensor<2> {
        match self {
            Self::Fourier(Fourier { weight }) => {
                let frequencies = weight.val().cast(DType::F32).unsqueeze_dim::<2>(0);
                let angles = t.cast(DType::F32).log().unsqueeze_dim::<2>(1) * frequencies;
                let angles = angles * (2.0 * std::f64::consts::PI);
                Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1)
            }
            Self::Learned(table) => {
                let table = table.weight.val();
                let last = table.dims()[0] - 1;
                table.select(0, t.clamp(0.0, last as f64).int()).cast(DType::F32)
            }
        }
    }
}
