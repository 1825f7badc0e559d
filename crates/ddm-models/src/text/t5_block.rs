//! A block of T5's encoder.
#![allow(non_snake_case, reason = "the names of the checkpoints")]

use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Linear, LinearConfig, RmsNorm,
    RmsNormConfig,
};
use burn::tensor::{Device, Tensor};

use super::T5EncoderConfig;
use crate::blocks::{Activation, AttentionOptions, Ops};

/// Attention, then a feed-forward network: `h = x + attention(norm(x))`, then `h + ff(norm(h))`.
#[derive(Module, Debug)]
pub(super) struct T5Block {
    layer: (AttentionLayer, FeedForwardLayer),
}

#[derive(Module, Debug)]
struct AttentionLayer {
    SelfAttention: T5Attention,
    layer_norm: RmsNorm,
    dropout: Dropout,
}

#[derive(Module, Debug)]
struct FeedForwardLayer {
    DenseReluDense: T5FeedForward,
    layer_norm: RmsNorm,
    dropout: Dropout,
}

/// Self-attention with a bias per head and relative position, whose scores are not scaled.
#[derive(Module, Debug)]
struct T5Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    relative_attention_bias: Option<Embedding>,
    heads: usize,
}

/// `wo act(wi x)`, or gated `wo (act(wi_0 x) · wi_1 x)`.
#[derive(Module, Debug)]
struct T5FeedForward {
    wi: Option<Linear>,
    wi_0: Option<Linear>,
    wi_1: Option<Linear>,
    wo: Linear,
    dropout: Dropout,
    #[module(skip)]
    activation: Activation,
}

impl T5Block {
    /// Creates a block of a valid config. The first block has the table of the bias.
    pub(super) fn new(config: &T5EncoderConfig, first: bool, device: &Device) -> Self {
        let (width, inner) = (config.d_model, config.num_heads * config.d_kv);
        let linear = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        let norm = || RmsNormConfig::new(width).with_epsilon(config.layer_norm_epsilon);
        let dropout = || DropoutConfig::new(config.dropout_rate).init();
        let table = || EmbeddingConfig::new(config.buckets, config.num_heads).init(device);
        let (gated, hidden) = (config.gated, config.d_ff);
        let attention = AttentionLayer {
            SelfAttention: T5Attention {
                q: linear(width, inner),
                k: linear(width, inner),
                v: linear(width, inner),
                o: linear(inner, width),
                relative_attention_bias: first.then(table),
                heads: config.num_heads,
            },
            layer_norm: norm().init(device),
            dropout: dropout(),
        };
        let feed_forward = FeedForwardLayer {
            DenseReluDense: T5FeedForward {
                wi: (!gated).then(|| linear(width, hidden)),
                wi_0: gated.then(|| linear(width, hidden)),
                wi_1: gated.then(|| linear(width, hidden)),
                wo: linear(hidden, width),
                dropout: dropout(),
                activation: config.activation,
            },
            layer_norm: norm().init(device),
            dropout: dropout(),
        };
        Self { layer: (attention, feed_forward) }
    }

    /// Returns the table of the bias, `[buckets, heads]`, if the block has it.
    pub(super) fn bias(&self) -> Option<&Embedding> {
        self.layer.0.SelfAttention.relative_attention_bias.as_ref()
    }

    /// Applies the block to `[batch, length, width]`, with the bias of the scores,
    /// `[1 or batch, heads, length, length]`.
    pub(super) fn forward(&self, ops: &Ops, x: Tensor<3>, bias: Tensor<4>) -> Tensor<3> {
        let (attention, feed_forward) = &self.layer;
        let h = ops.rms_norm(&attention.layer_norm, x.clone());
        let T5Attention { q, k, v, o, heads, .. } = &attention.SelfAttention;
        let [q, k, v] = [q, k, v].map(|layer| ops.linear(layer, h.clone()));
        let options = AttentionOptions { bias: Some(bias), causal: false, scale: Some(1.0) };
        let mixed = ops.linear(o, ops.attention_with(q, k, v, *heads, options));
        let x = x + attention.dropout.forward(mixed);
        let h = ops.rms_norm(&feed_forward.layer_norm, x.clone());
        x + feed_forward.dropout.forward(feed_forward.DenseReluDense.forward(ops, h))
    }
}

impl T5FeedForward {
    fn forward(&self, ops: &Ops, x: Tensor<3>) -> Tensor<3> {
        let gate = self.wi.as_ref().or(self.wi_0.as_ref());
        let mut h = match gate {
            Some(gate) => self.activation.forward(ops.linear(gate, x.clone())),
            None => x.clone(),
        };
        if let Some(linear) = &self.wi_1 {
            h = h * ops.linear(linear, x);
        }
        ops.linear(&self.wo, self.dropout.forward(h))
    }
}
