//! Transformer blocks over the pixels of an image.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::{Context, Ops, TransformerBlock, TransformerBlockConfig, group_norm};
use crate::NetworkConfigError;

/// The configuration of a [`SpatialTransformer`].
#[derive(Config, Debug)]
pub struct SpatialTransformerConfig {
    /// The blocks, of the image's channels.
    pub block: TransformerBlockConfig,
    /// The number of blocks.
    #[config(default = 1)]
    pub layers: usize,
    /// The number of groups of the group norm.
    #[config(default = 32)]
    pub norm_groups: usize,
    /// Whether the projections are linear layers, instead of 1×1 convolutions. The numbers are the
    /// same, the shapes of the weights are not.
    #[config(default = false)]
    pub linear_projection: bool,
}

/// Transformer blocks over all pixels of an image: `x + W_o T(W_i norm(x))`.
///
/// The last projection is initialized to 0. Source: Rombach et al., *High-Resolution Image Synthesis
/// with Latent Diffusion Models*, appendix E.2, arXiv 2112.10752. The names of its parts are those of
/// diffusers' `Transformer2DModel`.
#[derive(Module, Debug)]
pub struct SpatialTransformer {
    norm: GroupNorm,
    proj_in: Projection,
    transformer_blocks: Vec<TransformerBlock>,
    proj_out: Projection,
}

/// A matrix along the channels of an image.
#[derive(Module, Debug)]
enum Projection {
    Linear(Linear),
    Conv(Conv2d),
}

impl Projection {
    fn new(channels: usize, linear: bool, initializer: Initializer, device: &Device) -> Self {
        if linear {
            let linear = LinearConfig::new(channels, channels).with_initializer(initializer);
            return Self::Linear(linear.init(device));
        }
        let conv = Conv2dConfig::new([channels, channels], [1, 1]).with_initializer(initializer);
        Self::Conv(conv.init(device))
    }

    fn forward(&self, ops: &Ops, x: Tensor<4>, residual: Option<Tensor<4>>) -> Tensor<4> {
        match (self, residual) {
            (Self::Conv(conv), residual) => ops.conv2d_add(conv, x, None, residual),
            (Self::Linear(linear), Some(residual)) => ops.linear_add(linear, x, residual),
            (Self::Linear(linear), None) => ops.linear(linear, x),
        }
    }
}

impl SpatialTransformerConfig {
    /// Creates the layer on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a number but that of the blocks is 0, or the channels are not a multiple
    /// of the heads and of the norm groups.
    pub fn init(&self, device: &Device) -> Result<SpatialTransformer, NetworkConfigError> {
        let channels = self.block.channels;
        let what = "channels with attention";
        NetworkConfigError::require_channels(what, &[channels], self.norm_groups)?;
        let random = LinearConfig::new(channels, channels).initializer;
        let project =
            |initializer| Projection::new(channels, self.linear_projection, initializer, device);
        let blocks = (0..self.layers).map(|_| self.block.init(device));
        Ok(SpatialTransformer {
            norm: group_norm(self.norm_groups, channels, 1e-6, device)?,
            proj_in: project(random),
            transformer_blocks: blocks.collect::<Result<_, _>>()?,
            proj_out: project(Initializer::Zeros),
        })
    }
}

impl SpatialTransformer {
    /// Maps `[batch, h, w, channels]` to the same shape.
    pub fn forward(&self, ops: &Ops, x: Tensor<4>, context: &Context) -> Tensor<4> {
        let shape @ [batch, height, width, channels] = x.dims();
        let h = self.proj_in.forward(ops, ops.group_norm(&self.norm, x.clone()), None);
        let mut h = h.reshape([batch, height * width, channels]);
        for block in &self.transformer_blocks {
            h = block.forward(ops, h, context);
        }
        self.proj_out.forward(ops, h.reshape(shape), Some(x))
    }
}
