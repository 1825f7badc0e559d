//! A layer of CLIP's text encoder.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::ClipTextConfig;
use crate::blocks::{Activation, AttentionOptions, Ops};

/// A transformer layer, with the norms before attention and MLP:
/// `h = x + attention(norm(x))`, then `h + mlp(norm(h))`.
#[derive(Module, Debug)]
pub(super) struct ClipLayer {
    self_attn: ClipAttention,
    layer_norm1: LayerNorm,
    mlp: ClipMlp,
    layer_norm2: LayerNorm,
}

/// Causal self-attention: each token sees itself and those before it.
#[derive(Module, Debug)]
struct ClipAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

#[derive(Module, Debug)]
struct ClipMlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
}

impl ClipLayer {
    /// Creates a layer of a valid config.
    pub(super) fn new(config: &ClipTextConfig, device: &Device) -> Self {
        let width = config.hidden_size;
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let norm = LayerNormConfig::new(width).with_epsilon(config.layer_norm_eps);
        Self {
            self_attn: ClipAttention {
                q_proj: linear(width, width),
                k_proj: linear(width, width),
                v_proj: linear(width, width),
                out_proj: linear(width, width),
                heads: config.num_attention_heads,
            },
            layer_norm1: norm.init(device),
            mlp: ClipMlp {
                fc1: linear(width, config.intermediate_size),
                fc2: linear(config.intermediate_size, width),
                activation: config.hidden_act,
            },
            layer_norm2: norm.init(device),
        }
    }

    /// Applies the layer to `[batch, length, width]`.
    pub(super) fn forward(&self, ops: &Ops, x: Tensor<3>) -> Tensor<3> {
        let ClipAttention { q_proj, k_proj, v_proj, out_proj, heads } = &self.self_attn;
        let h = ops.layer_norm(&self.layer_norm1, x.clone());
        let q = ops.linear(q_proj, h.clone());
        let k = ops.linear(k_proj, h.clone());
        let v = ops.linear(v_proj, h);
        let options = AttentionOptions { causal: true, ..Default::default() };
        let x = ops.linear_add(out_proj, ops.attention_with(q, k, v, *heads, options), x);
        let h = ops.layer_norm(&self.layer_norm2, x.clone());
        let h = self.mlp.activation.forward(ops.linear(&self.mlp.fc1, h));
        ops.linear_add(&self.mlp.fc2, h, x)
    }
}
