//! A block of one sequence: text and patches together.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::attention::{Attention, AttentionConfig};
use super::joint_block::in_range;
use super::modulation::{EPSILON, Modulation, modulated};
use super::rope::Rope;
use crate::blocks::{Activation, Ops};

/// A block whose attention and feed-forward network are side by side:
/// `x + gate W [attention(h), gelu(V h)]` with `h = norm(x)`, modulated.
///
/// Source: Dehghani et al., *Scaling Vision Transformers to 22 Billion Parameters*, sec. 2, arXiv
/// 2302.05442; as in Flux.
#[derive(Module, Debug)]
pub(super) struct SingleBlock {
    norm: Modulation,
    proj_mlp: Linear,
    proj_out: Linear,
    attn: Attention,
}

impl SingleBlock {
    pub(super) fn new(heads: usize, head_size: usize, device: &Device) -> Self {
        let (width, hidden) = (heads * head_size, 4 * heads * head_size);
        let own = AttentionConfig::new(heads, head_size);
        Self {
            norm: Modulation::new(width, 3, device),
            proj_mlp: LinearConfig::new(width, hidden).init(device),
            proj_out: LinearConfig::new(width + hidden, width).init(device),
            attn: AttentionConfig { qk_norm: true, output: false, ..own }.init(device),
        }
    }

    /// Applies the block to `[batch, length, width]`, with a condition `[batch, width]`.
    pub(super) fn forward(
        &self,
        ops: &Ops,
        x: Tensor<3>,
        condition: &Tensor<2>,
        rope: &Rope,
    ) -> Tensor<3> {
        let [shift, scale, gate] = self.norm.parts(ops, condition.clone());
        let h = modulated(ops, x.clone(), EPSILON, shift, scale);
        let hidden = Activation::GeluTanh.forward(ops.linear(&self.proj_mlp, h.clone()));
        let seen = self.attn.of_itself(ops, h, Some(rope));
        let both = Tensor::cat(vec![seen, hidden], 2);
        in_range(x + gate * ops.linear(&self.proj_out, both))
    }
}
