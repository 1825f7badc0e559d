//! Attention to a context, such as an encoded text.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};

use super::{AttentionOptions, Ops};
use crate::NetworkConfigError;

/// The configuration of [`CrossAttention`].
#[derive(Config, Debug)]
pub struct CrossAttentionConfig {
    /// The number of channels of the queries and of the output.
    pub channels: usize,
    /// The number of heads; it divides the channels.
    pub heads: usize,
    /// The number of channels of the context; `None` for self-attention.
    pub context: Option<usize>,
    /// Whether half-precision inputs are widened before the products.
    #[config(default = false)]
    pub upcast: bool,
}

/// What a network attends to.
#[derive(Clone, Debug)]
pub struct Context {
    /// The vectors, `[batch, length, channels]`.
    pub states: Tensor<3>,
    /// What is added to their scores, `[batch, 1, 1, length]`.
    pub bias: Option<Tensor<4>>,
}

impl Context {
    /// Returns the vectors, of which those with a 0 in the mask (`[batch, length]`, else 1) are hidden.
    #[must_use]
    pub fn new(states: Tensor<3>, mask: Option<Tensor<2>>) -> Self {
        let dtype = states.dtype();
        let bias = mask.map(|mask| AttentionOptions::hiding(mask, -1e4).cast(dtype));
        Self { states, bias }
    }

    /// Returns all of the vectors.
    pub(super) fn unmasked(&self) -> Self {
        Self { states: self.states.clone(), bias: None }
    }
}

/// Residual attention: `r + W_o softmax(q kᵀ/√d) v`, with q linear in the queries, k and v linear in
/// the context, in heads of d channels.
///
/// The last matrix is initialized to 0. Sources: Vaswani et al., *Attention Is All You Need*, eq. 1,
/// arXiv 1706.03762; to a text: Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion
/// Models*, sec. 3.3, arXiv 2112.10752.
#[derive(Module, Debug)]
pub struct CrossAttention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: [Linear; 1],
    heads: usize,
    upcast: bool,
}

impl CrossAttentionConfig {
    /// Creates the layer on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a number is 0, or the channels are not a multiple of the heads.
    pub fn init(&self, device: &Device) -> Result<CrossAttention, NetworkConfigError> {
        let (what, channels) = ("channels with attention", self.channels);
        NetworkConfigError::require_some(what, channels)?;
        NetworkConfigError::require_some("the number of attention heads", self.heads)?;
        NetworkConfigError::require_multiple(what, channels, self.heads, "number of heads")?;
        let context = self.context.unwrap_or(channels);
        NetworkConfigError::require_some("the channels of the context", context)?;
        let matrix = |from| LinearConfig::new(from, channels);
        Ok(CrossAttention {
            to_q: matrix(channels).with_bias(false).init(device),
            to_k: matrix(context).with_bias(false).init(device),
            to_v: matrix(context).with_bias(false).init(device),
            to_out: [matrix(channels).with_initializer(Initializer::Zeros).init(device)],
            heads: self.heads,
            upcast: self.upcast,
        })
    }
}

impl CrossAttention {
    /// Returns `residual` plus the attention of `queries` (both `[batch, length, channels]`) to a
    /// context; without one, to themselves.
    pub fn forward(
        &self,
        ops: &Ops,
        queries: Tensor<3>,
        context: Option<&Context>,
        residual: Tensor<3>,
    ) -> Tensor<3> {
        let Context { states, bias } = match context {
            Some(context) => context.clone(),
            None => Context { states: queries.clone(), bias: None },
        };
        let dtype = queries.dtype();
        let is_half = matches!(dtype, DType::F16 | DType::BF16);
        let wide = if self.upcast && is_half { DType::F32 } else { dtype };
        let q = ops.linear(&self.to_q, queries).cast(wide);
        let k = ops.linear(&self.to_k, states.clone()).cast(wide);
        let v = ops.linear(&self.to_v, states).cast(wide);
        let bias = bias.map(|bias| bias.cast(wide));
        let options = AttentionOptions { bias, ..Default::default() };
        let mixed = ops.attention_with(q, k, v, self.heads, options).cast(dtype);
        ops.linear_add(&self.to_out[0], mixed, residual)
    }
}
