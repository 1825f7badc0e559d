//! Text-conditional U-Nets.

pub(super) mod build;
pub(super) mod check;
pub(super) mod config;
pub(super) mod encoder;
mod levels;
pub(super) mod read;

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, Linear};
use burn::tensor::{DType, Device, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError};
use ddm_weights::LoadOptions;

use self::config::UNet2dConditionConfig;
use self::encoder::{Encoded, Encoder};
use super::UNetCondition;
use super::class_embedding::ClassEmbedding;
use super::down::Down;
use super::middle::Middle;
use super::text_embedding::TextEmbedding;
use super::up::Up;
use crate::blocks::plain::{to_channels_first, to_channels_last};
use crate::blocks::{EmbeddingMlp, Ops};
use crate::component::{Component, component, current_name};
use crate::prepared::conditional;
use crate::{DiffusersError, Prepared};

/// A U-Net `F(x, t, c)` for images or latents with a text c, and further conditions: the network of
/// Stable Diffusion 1 and 2, SDXL and what is made of them.
///
/// On each level, residual blocks are followed by transformers that see the text. It computes in the
/// dtype of its weights; the prediction has the dtype of x. The last convolution is initialized to 0.
///
/// Sources: Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion Models*,
/// arXiv 2112.10752; Podell et al., *SDXL*, arXiv 2307.01952. The architecture and the names of its
/// parts are those of diffusers' `UNet2DConditionModel`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::ConditionalPredictor;
/// use ddm_models::{BlockType, PerLevel, UNet2dConditionConfig, UNetCondition};
/// let config = UNet2dConditionConfig {
///     block_out_channels: vec![8, 16],
///     down_block_types: vec![BlockType::CrossAttention, BlockType::Plain],
///     up_block_types: vec![BlockType::Plain, BlockType::CrossAttention],
///     norm_num_groups: 4,
///     attention_head_dim: PerLevel::All(2),
///     cross_attention_dim: PerLevel::All(12),
///     ..Default::default()
/// };
/// let device = Device::flex();
/// let network = config.init(&device)?;
/// let x = Tensor::<4>::zeros([2, 4, 8, 8], &device);
/// let t = Tensor::<1>::full([2], 500.0, &device);
/// let text = UNetCondition::new(Tensor::ones([2, 5, 12], &device));
/// assert_eq!(network.predict_with(x, t, text).dims(), [2, 4, 8, 8]);
/// # Ok::<(), ddm_models::NetworkConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct UNet2dCondition {
    conv_in: Conv2d,
    time_embedding: EmbeddingMlp,
    class_embedding: Option<ClassEmbedding>,
    add_embedding: Option<AddEmbedding>,
    encoder_hid_proj: Option<Linear>,
    down_blocks: Vec<Down>,
    mid_block: Option<Middle>,
    up_blocks: Vec<Up>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    #[module(skip)]
    config: UNet2dConditionConfig,
}

/// The layers of further conditions.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box is no module of burn")]
pub(in crate::unets) enum AddEmbedding {
    Text(TextEmbedding),
    TextTime(EmbeddingMlp),
}

impl UNet2dCondition {
    /// Loads a `UNet2DConditionModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`. The predictions are those of diffusers.
    ///
    /// A file of one float type gives a network of that type.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`UNet2dConditionConfig::from_diffusers`] does not cover, or a tensor is missing, unknown or of
    /// another shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &UNet2dConditionConfig {
        &self.config
    }

    /// Returns the prediction, computed with `ops`: `[batch, out_channels, height, width]` for x
    /// (`[batch, in_channels, height, width]`), t (`[batch]`) and a condition that
    /// [`check_with`](ConditionalPredictor::check_with) takes.
    pub fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<4>,
        t: Tensor<1>,
        condition: &UNetCondition,
    ) -> Tensor<4> {
        let outside = x.dtype();
        let encoder = self.encoder();
        let dtype = encoder.dtype(ops, &x);
        let Encoded { mut h, mut skips, time, text } = encoder.forward(ops, x, t, condition, None);
        let inside = |residual: &Tensor<4>| to_channels_last(residual.clone().cast(dtype));
        if let Some(residuals) = &condition.residuals {
            let added = skips.into_iter().zip(&residuals.down);
            skips = added.map(|(skip, residual)| skip + inside(residual)).collect();
        }
        let pass = Encoded::pass(ops, &time, &text);
        if let Some(middle) = &self.mid_block {
            h = middle.forward(&pass, h);
        }
        if let Some(residuals) = &condition.residuals {
            h = h + inside(&residuals.mid);
        }
        for level in &self.up_blocks {
            h = level.forward(&pass, h, &mut skips);
        }
        let h = ops.group_norm_activate(self.config.act_fn, &self.conv_norm_out, h);
        to_channels_first(ops.conv2d(&self.conv_out, h)).cast(outside)
    }

    /// Returns the network for sampling, with its weights packed for images of `shape` and for
    /// conditions such as this one; as [`Network::prepare`](crate::Network::prepare). The batch does
    /// not matter.
    ///
    /// # Errors
    ///
    /// Returns an error if the network does not take images of `shape` or the condition.
    pub fn prepare(
        self,
        shape: [usize; 4],
        condition: &UNetCondition,
        memory: Option<usize>,
    ) -> Result<Prepared<Self>, ModelError> {
        self.check_with(shape, condition)?;
        Ok(Prepared::new(self, memory, |network: &Self, ops: &Ops, device: &Device| {
            let x = Tensor::<4>::zeros(shape, (device, DType::F32));
            network.forward_with(ops, x, Tensor::zeros([shape[0]], device), condition);
        }))
    }

    /// As [`prepare`](Self::prepare), for images of this height and width and any condition.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_denoiser::ConditionalPredictor;
    /// use ddm_models::{PerLevel, UNet2dConditionConfig, UNetCondition};
    /// let device = Device::flex();
    /// let network = UNet2dConditionConfig {
    ///     block_out_channels: vec![8, 8, 16, 16],
    ///     norm_num_groups: 4,
    ///     attention_head_dim: PerLevel::All(2),
    ///     cross_attention_dim: PerLevel::All(12),
    ///     ..Default::default()
    /// };
    /// let fast = network.init(&device)?.prepare_for([16, 16], None)?;
    /// let x = Tensor::<4>::ones([1, 4, 16, 16], &device);
    /// let text = UNetCondition::new(Tensor::ones([1, 5, 12], &device));
    /// assert_eq!(fast.predict_with(x, Tensor::zeros([1], &device), text).dims(), [1, 4, 16, 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the network does not take images of this size.
    pub fn prepare_for(
        self,
        [height, width]: [usize; 2],
        memory: Option<usize>,
    ) -> Result<Prepared<Self>, ModelError> {
        let shape = [1, self.config.in_channels, height, width];
        let condition = UNetCondition::blank(&self.config, &self.conv_in.weight.device());
        self.prepare(shape, &condition, memory)
    }

    fn encoder(&self) -> Encoder<'_> {
        Encoder {
            config: &self.config,
            conv_in: &self.conv_in,
            time_embedding: &self.time_embedding,
            class_embedding: self.class_embedding.as_ref(),
            add_embedding: self.add_embedding.as_ref(),
            encoder_hid_proj: self.encoder_hid_proj.as_ref(),
            down_blocks: &self.down_blocks,
        }
    }
}

impl Component for UNet2dCondition {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(UNet2dConditionConfig::from_diffusers(json)?.init(device)?);
        component(directory, options, init, current_name, &[])
    }
}

impl ConditionalPredictor<4> for UNet2dCondition {
    type Condition = UNetCondition;

    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, condition: UNetCondition) -> Tensor<4> {
        Ops::pass(&x.clone(), || self.forward_with(&Ops::default(), x, t, &condition))
    }

    fn check_with(&self, shape: [usize; 4], condition: &UNetCondition) -> Result<(), ModelError> {
        self.check_inputs(shape, condition)
    }

    fn output_shape_with(&self, [batch, _, height, width]: [usize; 4]) -> Option<[usize; 4]> {
        Some([batch, self.config.out_channels, height, width])
    }
}

conditional!(
    UNet2dCondition,
    4,
    UNetCondition,
    |network: &UNet2dCondition, ops: &Ops, x, t, condition| {
        network.forward_with(ops, x, t, &condition)
    }
);

impl Prepared<UNet2dCondition> {
    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &UNet2dConditionConfig {
        self.parts().0.config()
    }
}
