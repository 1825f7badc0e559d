//! Networks that control a text-conditional U-Net by an image.

mod config;
mod hint;

pub use config::ControlNetConfig;

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Device, Tensor};
use ddm_denoiser::ModelError;
use ddm_schedule::Invalid;
use ddm_weights::LoadOptions;

use self::hint::Hint;
use super::class_embedding::ClassEmbedding;
use super::condition::AddEmbedding;
use super::condition::check::require_shape;
use super::condition::encoder::{Encoded, Encoder};
use super::down::Down;
use super::middle::Middle;
use super::{ControlResiduals, UNetCondition};
use crate::blocks::plain::{to_channels_first, to_channels_last};
use crate::blocks::{EmbeddingMlp, Ops};
use crate::component::{Component, component, current_name};
use crate::{DiffusersError, Prepared};

/// A network that turns a control image, such as edges or a depth map, into what is added to the skips
/// and the middle of a [`UNet2dCondition`](crate::UNet2dCondition).
///
/// It is a copy of the U-Net's way down and middle, with a 1×1 convolution behind each skip. These
/// are initialized to 0, so that the U-Net is as it was when training starts. Source: Zhang et al.,
/// *Adding Conditional Control to Text-to-Image Diffusion Models*, arXiv 2302.05543. The names of its
/// parts are those of diffusers' `ControlNetModel`.
#[derive(Module, Debug)]
pub struct ControlNet {
    conv_in: Conv2d,
    time_embedding: EmbeddingMlp,
    class_embedding: Option<ClassEmbedding>,
    add_embedding: Option<AddEmbedding>,
    controlnet_cond_embedding: Hint,
    down_blocks: Vec<Down>,
    controlnet_down_blocks: Vec<Conv2d>,
    mid_block: Middle,
    controlnet_mid_block: Conv2d,
    #[module(skip)]
    config: ControlNetConfig,
}

/// The control image, and how strongly it acts.
#[derive(Clone, Debug)]
pub struct Control {
    /// The image, `[batch, channels, f h, f w]` for x of height h and width w, in [0, 1]; f is 8 for
    /// the networks of Stable Diffusion.
    pub image: Tensor<4>,
    /// What the residuals are multiplied by.
    pub conditioning_scale: f64,
    /// Whether the residuals grow from 0.1 at the finest skip to 1 at the middle. It is meant for
    /// guidance without a text.
    pub guess_mode: bool,
}

impl Control {
    /// Returns a control image that acts with full strength.
    #[must_use]
    pub fn new(image: Tensor<4>) -> Self {
        Self { image, conditioning_scale: 1.0, guess_mode: false }
    }
}

impl ControlResiduals {
    /// Returns the sum of the residuals of two networks.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let down = self.down.into_iter().zip(other.down);
        Self { down: down.map(|(a, b)| a + b).collect(), mid: self.mid + other.mid }
    }
}

impl ControlNet {
    /// Loads a `ControlNetModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`ControlNetConfig::from_diffusers`] does not cover, or a tensor is missing, unknown or of
    /// another shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &ControlNetConfig {
        &self.config
    }

    /// Checks x of this shape (`[batch, channels, height, width]`), with what comes with it.
    ///
    /// # Errors
    ///
    /// Returns an error if a shape does not fit the network, or the scale is not finite.
    pub fn check(
        &self,
        shape @ [batch, _, height, width]: [usize; 4],
        condition: &UNetCondition,
        control: &Control,
    ) -> Result<(), ModelError> {
        self.encoder().check(shape, condition)?;
        let (factor, channels) = (self.config.factor(), self.config.conditioning_channels);
        let expected = [batch, channels, factor * height, factor * width];
        require_shape("the control image", &control.image.dims(), &expected)?;
        let scale = control.conditioning_scale;
        Ok(Invalid::require(scale.is_finite(), "conditioning_scale", scale, "finite")?)
    }

    /// Returns the residuals for x (`[batch, channels, height, width]`), t (`[batch]`), and inputs that
    /// [`check`](Self::check) takes. Residuals in the condition are not read.
    #[must_use]
    pub fn residuals(
        &self,
        x: Tensor<4>,
        t: Tensor<1>,
        condition: &UNetCondition,
        control: &Control,
    ) -> ControlResiduals {
        Ops::pass(&x.clone(), || self.residuals_with(&Ops::default(), x, t, condition, control))
    }

    /// Returns the residuals, computed with `ops`.
    #[must_use]
    pub fn residuals_with(
        &self,
        ops: &Ops,
        x: Tensor<4>,
        t: Tensor<1>,
        condition: &UNetCondition,
        control: &Control,
    ) -> ControlResiduals {
        let outside = x.dtype();
        let encoder = self.encoder();
        let image = to_channels_last(control.image.clone().cast(encoder.dtype(ops, &x)));
        let image = if self.config.bgr { image.flip([3]) } else { image };
        let hint = self.controlnet_cond_embedding.forward(ops, image);
        let Encoded { h, skips, time, text } = encoder.forward(ops, x, t, condition, Some(hint));
        let h = self.mid_block.forward(&Encoded::pass(ops, &time, &text), h);
        let last = skips.len();
        let layers = self.controlnet_down_blocks.iter();
        let residual = |(index, (layer, h)): (usize, (&Conv2d, Tensor<4>))| {
            let scale = self.scale(control, index, last);
            let residual = to_channels_first(ops.conv2d(layer, h) * scale).cast(outside);
            match self.config.global_pool_conditions {
                true => residual.mean_dim(2).mean_dim(3),
                false => residual,
            }
        };
        ControlResiduals {
            down: layers.zip(skips).enumerate().map(residual).collect(),
            mid: residual((last, (&self.controlnet_mid_block, h))),
        }
    }

    /// Returns the factor of a residual; the last is that of the middle.
    fn scale(&self, control: &Control, index: usize, last: usize) -> f64 {
        let grows = control.guess_mode && !self.config.global_pool_conditions;
        let growth = if grows { 10.0_f64.powf(index as f64 / last as f64 - 1.0) } else { 1.0 };
        control.conditioning_scale * growth
    }

    /// Returns the network for sampling, with its weights packed for such inputs; as
    /// [`UNet2dCondition::prepare`](crate::UNet2dCondition::prepare).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn prepare(
        self,
        shape: [usize; 4],
        condition: &UNetCondition,
        control: &Control,
        memory: Option<usize>,
    ) -> Result<Prepared<Self>, ModelError> {
        self.check(shape, condition, control)?;
        Ok(Prepared::new(self, memory, |network: &Self, ops: &Ops, device: &Device| {
            let x = Tensor::<4>::zeros(shape, (device, DType::F32));
            let t = Tensor::zeros([shape[0]], device);
            let _ = network.residuals_with(ops, x, t, condition, control);
        }))
    }

    /// As [`prepare`](Self::prepare), for latents of this height and width and any inputs.
    ///
    /// # Errors
    ///
    /// Returns an error if the network does not take latents of this size.
    pub fn prepare_for(
        self,
        [height, width]: [usize; 2],
        memory: Option<usize>,
    ) -> Result<Prepared<Self>, ModelError> {
        let device = self.conv_in.weight.device();
        let (factor, channels) = (self.config.factor(), self.config.conditioning_channels);
        let image = [1, channels, factor * height, factor * width];
        let control = Control::new(Tensor::zeros(image, (&device, DType::F32)));
        let condition = UNetCondition::blank(&self.config.unet, &device);
        let shape = [1, self.config.unet.in_channels, height, width];
        self.prepare(shape, &condition, &control, memory)
    }

    fn encoder(&self) -> Encoder<'_> {
        Encoder {
            config: &self.config.unet,
            conv_in: &self.conv_in,
            time_embedding: &self.time_embedding,
            class_embedding: self.class_embedding.as_ref(),
            add_embedding: self.add_embedding.as_ref(),
            encoder_hid_proj: None,
            down_blocks: &self.down_blocks,
        }
    }
}

impl Component for ControlNet {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(ControlNetConfig::from_diffusers(json)?.init(device)?);
        component(directory, options, init, current_name, &[])
    }
}

impl Prepared<ControlNet> {
    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &ControlNetConfig {
        self.parts().0.config()
    }

    /// As [`ControlNet::check`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn check(
        &self,
        shape: [usize; 4],
        condition: &UNetCondition,
        control: &Control,
    ) -> Result<(), ModelError> {
        self.parts().0.check(shape, condition, control)
    }

    /// As [`ControlNet::residuals`].
    #[must_use]
    pub fn residuals(
        &self,
        x: Tensor<4>,
        t: Tensor<1>,
        condition: &UNetCondition,
        control: &Control,
    ) -> ControlResiduals {
        let (network, ops) = self.parts();
        Ops::pass(&x.clone(), || network.residuals_with(ops, x, t, condition, control))
    }
}
