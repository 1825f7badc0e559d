//! The configuration of a U-Net without a text.

use crate::blocks::Activation;
use crate::unets::{BlockType, ClassEmbed};

/// The configuration of a [`UNet2d`](crate::UNet2d), by diffusers' names. The default is diffusers' own.
#[derive(Clone, Debug, PartialEq)]
pub struct UNet2dConfig {
    /// The number of channels of x.
    pub in_channels: usize,
    /// The number of channels of the prediction: that of x, or twice that with a learned variance.
    pub out_channels: usize,
    /// The height and width of the images of training, for pipelines; no number depends on it.
    pub sample_size: Option<[usize; 2]>,
    /// Whether x is taken as 2x − 1.
    pub center_input_sample: bool,
    /// How t is embedded.
    pub time_embedding_type: TimeEmbedding,
    /// The length of the conditioning vector; `None` for 4 times the first channels.
    pub time_embedding_dim: Option<usize>,
    /// The frequency shift of the embedding of t.
    pub freq_shift: f64,
    /// Whether the cosines come first in the embedding of t.
    pub flip_sin_to_cos: bool,
    /// The levels on the way down, finest first.
    pub down_block_types: Vec<BlockType>,
    /// Whether the network has a middle: two residual blocks.
    pub mid_block: bool,
    /// The levels on the way up, coarsest first.
    pub up_block_types: Vec<BlockType>,
    /// The channels of each level, finest first.
    pub block_out_channels: Vec<usize>,
    /// The number of residual blocks per level on the way down; the way up has one more.
    pub layers_per_block: usize,
    /// What the sums of the middle are divided by.
    pub mid_block_scale_factor: f64,
    /// The padding of the convolutions that halve the resolution: 1 on all sides, or, with 0, only
    /// one row below and one column on the right.
    pub downsample_padding: usize,
    /// Whether levels of the kind [`BlockType::Attention`] halve the resolution by residual blocks.
    pub resnet_downsample: bool,
    /// Whether levels of the kind [`BlockType::Attention`] double the resolution by residual blocks.
    pub resnet_upsample: bool,
    /// The dropout rate in training.
    pub dropout: f64,
    /// The activation of the residual blocks.
    pub act_fn: Activation,
    /// The number of channels of an attention head; `None` for one head.
    pub attention_head_dim: Option<usize>,
    /// The number of groups of the group norms.
    pub norm_num_groups: usize,
    /// The number of groups of the norm before the middle's attention; `None` for that of the others.
    pub attn_norm_num_groups: Option<usize>,
    /// What the group norms add to the variance.
    pub norm_eps: f64,
    /// Whether the conditioning vector scales and shifts the second norm of residual blocks.
    pub resnet_time_scale_shift: bool,
    /// Whether the middle has attention between its residual blocks.
    pub add_attention: bool,
    /// The class labels; `None` for a network without.
    pub class_embed: Option<ClassEmbed>,
    /// Whether the last of a table of classes is the null class, "no class", which is taken where no
    /// labels are given. diffusers has no such setting, and ignores it in a file.
    ///
    /// Classifier-free guidance requires it; to train it, use the null class for about one sample in
    /// ten. Source: Ho & Salimans, *Classifier-Free Diffusion Guidance*, arXiv 2207.12598.
    pub null_class: bool,
}

/// How a U-Net embeds t.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeEmbedding {
    /// Sinusoids of t.
    Positional,
    /// Sinusoids of ln t at random frequencies, and a prediction that is divided by t: for networks
    /// that take the noise's standard deviation as t.
    ///
    /// Source: Song et al., *Score-Based Generative Modeling through Stochastic Differential
    /// Equations*, appendix H, arXiv 2011.13456.
    Fourier,
    /// A learned vector for each of this many timesteps.
    Learned(usize),
}

impl Default for UNet2dConfig {
    fn default() -> Self {
        use BlockType::{Attention, Plain};
        Self {
            in_channels: 3,
            out_channels: 3,
            sample_size: None,
            center_input_sample: false,
            time_embedding_type: TimeEmbedding::Positional,
            time_embedding_dim: None,
            freq_shift: 0.0,
            flip_sin_to_cos: true,
            down_block_types: vec![Plain, Attention, Attention, Attention],
            mid_block: true,
            up_block_types: vec![Attention, Attention, Attention, Plain],
            block_out_channels: vec![224, 448, 672, 896],
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            downsample_padding: 1,
            resnet_downsample: false,
            resnet_upsample: false,
            dropout: 0.0,
            act_fn: Activation::Silu,
            attention_head_dim: Some(8),
            norm_num_groups: 32,
            attn_norm_num_groups: None,
            norm_eps: 1e-5,
            resnet_time_scale_shift: false,
            add_attention: true,
            class_embed: None,
            null_class: false,
        }
    }
}
