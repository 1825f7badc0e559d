//! A vector of a whole text.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};

use crate::NetworkConfigError;
use crate::blocks::Ops;

/// A vector of a text: `norm(W a(norm(e)))`, where a is attention to the text by the mean of its
/// vectors plus a learned one.
///
/// Source: Saharia et al., *Photorealistic Text-to-Image Diffusion Models with Deep Language
/// Understanding*, appendix B, arXiv 2205.11487.
#[derive(Module, Debug)]
pub(super) struct TextEmbedding {
    norm1: LayerNorm,
    pool: Pool,
    proj: Linear,
    norm2: LayerNorm,
}

#[derive(Module, Debug)]
struct Pool {
    positional_embedding: Param<Tensor<2>>,
    k_proj: Linear,
    q_proj: Linear,
    v_proj: Linear,
    heads: usize,
}

impl TextEmbedding {
    pub(super) fn new(
        channels: usize,
        size: usize,
        heads: usize,
        device: &Device,
    ) -> Result<Self, NetworkConfigError> {
        let what = "the channels of the text";
        NetworkConfigError::require_some(what, channels)?;
        NetworkConfigError::require_some("addition_embed_type_num_heads", heads)?;
        NetworkConfigError::require_multiple(what, channels, heads, "number of heads")?;
        let square = || LinearConfig::new(channels, channels).init(device);
        let spread = Distribution::Normal(0.0, (channels as f64).powf(-0.5));
        Ok(Self {
            norm1: LayerNormConfig::new(channels).init(device),
            pool: Pool {
                positional_embedding: Param::from_tensor(Tensor::random(
                    [1, channels],
                    spread,
                    device,
                )),
                k_proj: square(),
                q_proj: square(),
                v_proj: square(),
                heads,
            },
            proj: LinearConfig::new(channels, size).init(device),
            norm2: LayerNormConfig::new(size).init(device),
        })
    }

    /// Maps `[batch, length, channels]` → `[batch, size]`.
    pub(super) fn forward(&self, ops: &Ops, text: Tensor<3>) -> Tensor<2> {
        let text = ops.layer_norm(&self.norm1, text);
        let pooled = self.pool.forward(ops, text);
        ops.layer_norm(&self.norm2, ops.linear(&self.proj, pooled))
    }
}

impl Pool {
    fn forward(&self, ops: &Ops, text: Tensor<3>) -> Tensor<2> {
        let position = self.positional_embedding.val().cast(text.dtype());
        let mean = text.clone().mean_dim(1) + position.unsqueeze_dim::<3>(0);
        let all = Tensor::cat(vec![mean.clone(), text], 1);
        let q = ops.linear(&self.q_proj, mean);
        let k = ops.linear(&self.k_proj, all.clone());
        let v = ops.linear(&self.v_proj, all);
        ops.attention(q, k, v, self.heads).squeeze_dim::<2>(1)
    }
}
