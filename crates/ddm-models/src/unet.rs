//! A U-Net from a few settings.

use burn::config::Config;
use burn::tensor::Device;

use crate::{BlockType, ClassEmbed, NetworkConfigError, UNet2d, UNet2dConfig};

/// A U-Net for images, optionally with classes. [`UNetConfig`] makes one from a few settings.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{ConditionalPredictor, NoisePredictor};
/// use ddm_models::UNetConfig;
/// let device = Device::flex();
/// let network = UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_head_size(Some(8));
/// let network = network.with_classes(Some(10)).init(&device)?;
/// let x = Tensor::<4>::zeros([2, 1, 8, 8], &device);
/// let t = Tensor::<1>::full([2], 500.0, &device);
/// let free = network.predict(x.clone(), t.clone());
/// let guided = network.predict_with(x, t, network.null_classes(2, &device));
/// assert_eq!(free.dims(), guided.dims());
/// # Ok::<(), ddm_models::NetworkConfigError>(())
/// ```
pub type UNet = UNet2d;

/// The configuration of a [`UNet`]: the settings that a network to be trained is chosen by.
/// [`UNet2dConfig`] has all of diffusers'.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_models::UNetConfig;
/// let config = UNetConfig::new(1, 1).with_channels(vec![30, 60]);
/// let error = config.init(&Device::flex()).unwrap_err();
/// let says = "channels is 30, but must be a multiple of 8, the number of norm groups";
/// assert_eq!(error.to_string(), says);
/// ```
#[derive(Config, Debug)]
pub struct UNetConfig {
    /// The number of channels of x.
    pub in_channels: usize,
    /// The number of channels of the prediction: that of x, or twice that with a learned variance.
    pub out_channels: usize,
    /// The channels of each level, finest first; each level has half the resolution of the last.
    #[config(default = "vec![32, 64]")]
    pub channels: Vec<usize>,
    /// The number of residual blocks per level on the way down; the way up has one more.
    #[config(default = 1)]
    pub blocks: usize,
    /// The levels with attention after each block; 0 is the finest.
    #[config(default = "Vec::new()")]
    pub attention: Vec<usize>,
    /// Whether the middle, at the coarsest resolution, has attention.
    #[config(default = true)]
    pub middle_attention: bool,
    /// The number of channels of an attention head; `None` for one head.
    #[config(default = "Some(32)")]
    pub head_size: Option<usize>,
    /// The number of groups of the group norms; it divides the channels of all levels.
    #[config(default = 8)]
    pub norm_groups: usize,
    /// What the group norms add to the variance.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// The padding of the convolutions that halve the resolution: 1 on all sides, or, with 0, only
    /// one row below and one column on the right, as in DDPM.
    #[config(default = 1)]
    pub downsample_padding: usize,
    /// Whether the cosines come first in the embedding of t.
    #[config(default = false)]
    pub flip_sin_to_cos: bool,
    /// The frequency shift of the embedding of t; see [`TimestepEmbedding`](crate::TimestepEmbedding).
    #[config(default = 0.0)]
    pub freq_shift: f64,
    /// The dropout rate in training.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// The number of classes; `None` for a network without a condition. The network has one more, the
    /// [null class](UNet2dConfig::null_class).
    pub classes: Option<usize>,
}

impl UNetConfig {
    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, the channels of a level are not a multiple of the norm
    /// groups (or of the head size, if it has attention), the channels of the finest level are odd,
    /// `attention` contains a level that does not exist, `norm_eps` is not above 0,
    /// `downsample_padding` is above 1, `freq_shift` is not below half the channels of the finest
    /// level, or dropout is outside [0, 1).
    pub fn init(&self, device: &Device) -> Result<UNet, NetworkConfigError> {
        self.settings()?.init(device)
    }

    /// Returns the settings by diffusers' names.
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init), where an error can be seen without the network.
    pub fn settings(&self) -> Result<UNet2dConfig, NetworkConfigError> {
        NetworkConfigError::require_some("blocks", self.blocks)?;
        if let Some(classes) = self.classes {
            NetworkConfigError::require_some("classes", classes)?;
        }
        let levels = self.channels.len();
        if let Some(&found) = self.attention.iter().find(|&&level| level >= levels) {
            let last =
                levels.checked_sub(1).ok_or(NetworkConfigError::Empty { what: "channels" })?;
            return Err(NetworkConfigError::Level { what: "attention", found, last });
        }
        let kind = |level| match self.attention.contains(&level) {
            true => BlockType::Attention,
            false => BlockType::Plain,
        };
        Ok(UNet2dConfig {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            block_out_channels: self.channels.clone(),
            layers_per_block: self.blocks,
            down_block_types: (0..levels).map(kind).collect(),
            up_block_types: (0..levels).rev().map(kind).collect(),
            add_attention: self.middle_attention,
            attention_head_dim: self.head_size,
            norm_num_groups: self.norm_groups,
            norm_eps: self.norm_eps,
            downsample_padding: self.downsample_padding,
            flip_sin_to_cos: self.flip_sin_to_cos,
            freq_shift: self.freq_shift,
            dropout: self.dropout,
            class_embed: self.classes.map(|classes| ClassEmbed::Table(classes + 1)),
            null_class: self.classes.is_some(),
            ..Default::default()
        })
    }
}
