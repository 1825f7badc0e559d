//! U-Nets without a text.

mod build;
pub(super) mod config;
mod predict;
mod read;
mod skip;
mod time;
mod write;

use std::path::Path;

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, FloatDType, Tensor};
use ddm_denoiser::ModelError;
use ddm_weights::LoadOptions;

use self::config::{TimeEmbedding, UNet2dConfig};
use self::skip::{SkipDown, SkipUp};
use self::time::TimeProjection;
use super::class_embedding::{ClassEmbedding, class_vector};
use super::down::Down;
use super::layer::Pass;
use super::middle::Middle;
use super::up::Up;
use super::{ClassEmbed, ClassLabels};
use crate::blocks::plain::{to_channels_first, to_channels_last};
use crate::blocks::{EmbeddingMlp, Ops};
use crate::component::{Component, component, current_name};
use crate::conditioning::null_vector;
use crate::error::require_image;
use crate::{DiffusersError, Network, Prepared};

/// A U-Net `F(x, t)` for images, optionally with classes: DDPM's, NCSN++ and those of consistency models.
///
/// It has residual blocks of decreasing resolution, a middle, and blocks of increasing resolution, each
/// of which also takes the skip features of the same resolution. It computes in the dtype of its weights;
/// the prediction has the dtype of x, and its channels, or twice as many for
/// [`Model::learned_variance`](ddm_denoiser::Model::learned_variance). The last convolution is
/// initialized to 0, so an untrained network predicts 0. A learned embedding of t takes the nearest
/// timestep that it has below t.
///
/// [`UNetConfig`](crate::UNetConfig) makes a small one from a few settings.
///
/// Sources: Ronneberger et al., *U-Net*, arXiv 1505.04597; Ho et al., *Denoising Diffusion
/// Probabilistic Models*, appendix B, arXiv 2006.11239; Song et al., *Score-Based Generative Modeling
/// through Stochastic Differential Equations*, appendix H, arXiv 2011.13456; Song et al., *Consistency
/// Models*, arXiv 2303.01469. The architecture and the names of its parts are those of diffusers'
/// `UNet2DModel`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::NoisePredictor;
/// use ddm_models::{BlockType, UNet2dConfig};
/// let config = UNet2dConfig {
///     block_out_channels: vec![8, 16],
///     down_block_types: vec![BlockType::Resnet, BlockType::Attention],
///     up_block_types: vec![BlockType::Attention, BlockType::Resnet],
///     norm_num_groups: 4,
///     ..Default::default()
/// };
/// let device = Device::flex();
/// let network = config.init(&device)?;
/// let x = Tensor::<4>::zeros([2, 3, 8, 8], &device);
/// assert_eq!(network.predict(x, Tensor::full([2], 500.0, &device)).dims(), [2, 3, 8, 8]);
/// # Ok::<(), ddm_models::NetworkConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct UNet2d {
    conv_in: Conv2d,
    time_proj: Option<TimeProjection>,
    time_embedding: EmbeddingMlp,
    class_embedding: Option<ClassEmbedding>,
    down_blocks: Vec<DownLevel>,
    mid_block: Option<Middle>,
    up_blocks: Vec<UpLevel>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    #[module(skip)]
    config: UNet2dConfig,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box is no module of burn")]
enum DownLevel {
    Plain(Down),
    Skip(SkipDown),
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box is no module of burn")]
enum UpLevel {
    Plain(Up),
    Skip(SkipUp),
}

impl UNet2d {
    /// Loads a `UNet2DModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`. The predictions are those of diffusers.
    ///
    /// A file of one float type gives a network of that type. The attention of old checkpoints has
    /// other names, which are read too.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`UNet2dConfig::from_diffusers`] does not cover, or a tensor is missing, unknown or of another
    /// shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &UNet2dConfig {
        &self.config
    }

    /// Returns `batch` labels of the null class, "no class": the last label that the network has. Of a
    /// network that was trained without one, that is a class as any other; see
    /// [`UNet2dConfig::null_class`].
    #[must_use]
    pub fn null_classes(&self, batch: usize, device: &Device) -> ClassLabels {
        let classes = match self.config.class_embed {
            Some(ClassEmbed::Table(classes)) => classes,
            _ => 1,
        };
        ClassLabels::Class(Tensor::full([batch], classes as i64 - 1, device))
    }

    /// Returns the conditioning vector.
    fn time(
        &self,
        ops: &Ops,
        t: Tensor<1>,
        labels: Option<ClassLabels>,
        dtype: FloatDType,
    ) -> Tensor<2> {
        let sinusoids = self.config.sinusoids();
        let project = |t: Tensor<1>| match &self.time_proj {
            Some(projection) => projection.forward(t),
            None => sinusoids.forward(t),
        };
        let time = self.time_embedding.forward(ops, project(t).cast(dtype), None);
        let class = match (labels, &self.class_embedding) {
            (None, Some(ClassEmbedding::Table(table))) if self.config.null_class => {
                Some(null_vector(table).cast(dtype))
            }
            (labels, layers) => self
                .config
                .class_embed
                .and(labels)
                .and_then(|labels| class_vector(ops, layers.as_ref(), &project, labels, dtype)),
        };
        match class {
            Some(class) => time + class,
            None => time,
        }
    }
}

impl Component for UNet2d {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(UNet2dConfig::from_diffusers(json)?.init(device)?);
        component(directory, options, init, current_name, &[])
    }
}

impl Network<4> for UNet2d {
    fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<4>,
        t: Tensor<1>,
        labels: Option<ClassLabels>,
    ) -> Tensor<4> {
        let outside = x.dtype();
        let dtype = ops.dtype(self.time_embedding.dtype(), &x);
        let time = ops.activate(self.config.act_fn, self.time(ops, t.clone(), labels, dtype));
        let pass = Pass { ops, time: &time, text: None };
        let mut image = to_channels_last(x.cast(dtype));
        if self.config.center_input_sample {
            image = image * 2.0 - 1.0;
        }
        let mut h = ops.conv2d(&self.conv_in, image.clone());
        let mut skips = vec![h.clone()];
        for level in &self.down_blocks {
            h = match level {
                DownLevel::Plain(level) => level.forward(&pass, h, &mut skips),
                DownLevel::Skip(level) => level.forward(&pass, h, &mut image, &mut skips),
            };
        }
        if let Some(middle) = &self.mid_block {
            h = middle.forward(&pass, h);
        }
        let mut image = None;
        for level in &self.up_blocks {
            h = match level {
                UpLevel::Plain(level) => level.forward(&pass, h, &mut skips),
                UpLevel::Skip(level) => level.forward(&pass, h, &mut image, &mut skips),
            };
        }
        let h = ops.group_norm_silu(&self.conv_norm_out, h);
        let out = to_channels_first(ops.conv2d_add(&self.conv_out, h, None, image));
        if self.config.time_embedding_type != TimeEmbedding::Fourier {
            return out.cast(outside);
        }
        let [batch] = t.dims();
        (out / t.cast(dtype).reshape([batch, 1, 1, 1])).cast(outside)
    }

    fn check_shape(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        let (channels, predicted) = (self.config.in_channels, self.config.out_channels);
        require_image("x", shape, channels, 1 << (self.down_blocks.len() - 1))?;
        if predicted == channels || predicted == 2 * channels {
            return Ok(());
        }
        let found = format!("of {predicted} channels");
        let expected = format!("the {channels} of x, or twice as many with a learned variance");
        Err(ModelError::Shape { what: "the U-Net's prediction", found, expected })
    }
}

impl Prepared<UNet2d> {
    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &UNet2dConfig {
        self.parts().0.config()
    }
}
