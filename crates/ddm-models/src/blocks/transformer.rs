//! The transformer block of text-conditional U-Nets.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burn::tensor::{Device, Tensor, activation};

use super::{Context, CrossAttention, CrossAttentionConfig, Ops};
use crate::NetworkConfigError;

/// The configuration of a [`TransformerBlock`].
#[derive(Config, Debug)]
pub struct TransformerBlockConfig {
    /// The number of channels.
    pub channels: usize,
    /// The number of heads; it divides the channels.
    pub heads: usize,
    /// The number of channels of the context.
    pub context: usize,
    /// Whether the first attention, too, is to the context.
    #[config(default = false)]
    pub only_cross_attention: bool,
    /// Whether half-precision inputs are widened before the products of attention.
    #[config(default = false)]
    pub upcast_attention: bool,
}

/// Self-attention, attention to a context, and a feed-forward network, each after a layer norm and
/// added to its input.
///
/// Source: Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion Models*, sec. 3.3 and
/// appendix E.2, arXiv 2112.10752. The names of its parts are those of diffusers'
/// `BasicTransformerBlock`.
#[derive(Module, Debug)]
pub struct TransformerBlock {
    norm1: LayerNorm,
    attn1: CrossAttention,
    norm2: LayerNorm,
    attn2: CrossAttention,
    norm3: LayerNorm,
    ff: FeedForward,
    only_cross_attention: bool,
}

impl TransformerBlockConfig {
    /// Creates the block on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a number is 0, or the channels are not a multiple of the heads.
    pub fn init(&self, device: &Device) -> Result<TransformerBlock, NetworkConfigError> {
        let norm = || LayerNormConfig::new(self.channels).with_epsilon(1e-5).init(device);
        let attention = |context| {
            CrossAttentionConfig::new(self.channels, self.heads)
                .with_context(context)
                .with_upcast(self.upcast_attention)
                .init(device)
        };
        Ok(TransformerBlock {
            norm1: norm(),
            attn1: attention(self.only_cross_attention.then_some(self.context))?,
            norm2: norm(),
            attn2: attention(Some(self.context))?,
            norm3: norm(),
            ff: FeedForward::new(self.channels, device),
            only_cross_attention: self.only_cross_attention,
        })
    }
}

impl TransformerBlock {
    /// Maps `[batch, length, channels]` to the same shape.
    pub fn forward(&self, ops: &Ops, x: Tensor<3>, context: &Context) -> Tensor<3> {
        // The mask is that of the second attention alone.
        let unmasked = context.unmasked();
        let first = self.only_cross_attention.then_some(&unmasked);
        let x = self.attn1.forward(ops, ops.layer_norm(&self.norm1, x.clone()), first, x);
        let x = self.attn2.forward(ops, ops.layer_norm(&self.norm2, x.clone()), Some(context), x);
        self.ff.forward(ops, ops.layer_norm(&self.norm3, x.clone()), x)
    }
}

/// A gated feed-forward network: `W₂ (a ⊙ GELU(g))` with `(a, g) = W₁ x`, four times as wide inside.
///
/// Source: Shazeer, *GLU Variants Improve Transformer*, arXiv 2002.05202. The second matrix is
/// initialized to 0.
#[derive(Module, Debug)]
pub struct FeedForward {
    net: (Gate, Dropout, Linear),
}

/// The first half of a [`FeedForward`].
#[derive(Module, Debug)]
struct Gate {
    proj: Linear,
}

impl FeedForward {
    /// Creates the network, for inputs of this many channels.
    pub fn new(channels: usize, device: &Device) -> Self {
        let gate = Gate { proj: LinearConfig::new(channels, 8 * channels).init(device) };
        let last = LinearConfig::new(4 * channels, channels).with_initializer(Initializer::Zeros);
        Self { net: (gate, DropoutConfig::new(0.0).init(), last.init(device)) }
    }

    /// Returns `residual` plus the network's output for `[batch, length, channels]`.
    pub fn forward(&self, ops: &Ops, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let both = ops.linear(&self.net.0.proj, x);
        let half = both.dims()[2] / 2;
        let [value, gate] = [0, half].map(|start| both.clone().narrow(2, start, half));
        ops.linear_add(&self.net.2, value * activation::gelu(gate), residual)
    }
}
