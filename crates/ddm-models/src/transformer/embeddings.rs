//! Embeddings of timesteps and pooled texts.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::TimestepEmbedding;
use crate::blocks::{Activation, Ops};

/// The size of the sinusoidal embedding of a number.
const SINUSOIDS: usize = 256;

/// Returns the sinusoids of t, cosines first: `[batch]` → `[batch, 256]`, in the dtype of a network.
pub(super) fn sinusoids(t: Tensor<1>, freq_shift: f64, dtype: DType) -> Tensor<2> {
    let embedding = TimestepEmbedding::new(SINUSOIDS).with_flip_sin_to_cos(true);
    embedding.with_freq_shift(freq_shift).forward(t).cast(dtype)
}

/// Two linear layers with an activation between them.
#[derive(Module, Debug)]
pub(super) struct Projection {
    linear_1: Linear,
    linear_2: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Projection {
    pub(super) fn new(from: usize, to: usize, activation: Activation, device: &Device) -> Self {
        let linear_1 = LinearConfig::new(from, to).init(device);
        Self { linear_1, linear_2: LinearConfig::new(to, to).init(device), activation }
    }

    /// Creates the projection of [`sinusoids`].
    pub(super) fn of_sinusoids(to: usize, device: &Device) -> Self {
        Self::new(SINUSOIDS, to, Activation::Silu, device)
    }

    pub(super) fn forward<const D: usize>(&self, ops: &Ops, x: Tensor<D>) -> Tensor<D> {
        let h = self.activation.forward(ops.linear(&self.linear_1, x));
        ops.linear(&self.linear_2, h)
    }
}

/// The conditioning vector of a joint transformer: the timestep, the scale of the guidance where a
/// network was distilled from a guided one, and the pooled text, each embedded, added up.
#[derive(Module, Debug)]
pub(super) struct TimeText {
    timestep_embedder: Projection,
    guidance_embedder: Option<Projection>,
    text_embedder: Projection,
}

impl TimeText {
    pub(super) fn new(pooled: usize, to: usize, guidance: bool, device: &Device) -> Self {
        Self {
            timestep_embedder: Projection::of_sinusoids(to, device),
            guidance_embedder: guidance.then(|| Projection::of_sinusoids(to, device)),
            text_embedder: Projection::new(pooled, to, Activation::Silu, device),
        }
    }

    /// Whether the guidance is part of the condition.
    pub(super) fn has_guidance(&self) -> bool {
        self.guidance_embedder.is_some()
    }

    /// Returns the vector, `[batch, to]`, in the dtype of `pooled`, `[batch, size]`. Without
    /// `guidance`, its embedding is left out.
    pub(super) fn forward(
        &self,
        ops: &Ops,
        t: Tensor<1>,
        guidance: Option<Tensor<1>>,
        pooled: Tensor<2>,
    ) -> Tensor<2> {
        let dtype = pooled.dtype();
        let mut sum = self.timestep_embedder.forward(ops, sinusoids(t, 0.0, dtype));
        if let Some((embedder, guidance)) = self.guidance_embedder.as_ref().zip(guidance) {
            sum = sum + embedder.forward(ops, sinusoids(guidance, 0.0, dtype));
        }
        sum + self.text_embedder.forward(ops, pooled)
    }
}
