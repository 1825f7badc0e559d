//! The configuration of a text-conditional U-Net.

use crate::blocks::{Activation, ContextNorm};
use crate::unets::{BlockType, ClassEmbed, PerLevel};

/// The configuration of a [`UNet2dCondition`](crate::UNet2dCondition), by diffusers' names. The default
/// is diffusers' own, which is Stable Diffusion 1's but for the width of the text.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_models::{PerLevel, UNet2dConditionConfig};
/// let small = UNet2dConditionConfig {
///     block_out_channels: vec![8, 8, 16, 16],
///     norm_num_groups: 4,
///     attention_head_dim: PerLevel::All(2),
///     cross_attention_dim: PerLevel::All(12),
///     ..Default::default()
/// };
/// assert!(small.init(&Device::flex()).is_ok());
/// let error = UNet2dConditionConfig { norm_num_groups: 5, ..small }.init(&Device::flex()).unwrap_err();
/// assert_eq!(error.to_string(), "channels is 8, but must be a multiple of 5, the number of norm groups");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UNet2dConditionConfig {
    /// The number of channels of x; 9 for inpainting, with the mask and the masked image.
    pub in_channels: usize,
    /// The number of channels of the prediction.
    pub out_channels: usize,
    /// Whether x is taken as 2x − 1.
    pub center_input_sample: bool,
    /// Whether the cosines come first in the embedding of t.
    pub flip_sin_to_cos: bool,
    /// The frequency shift of the embedding of t.
    pub freq_shift: f64,
    /// The levels on the way down, finest first.
    pub down_block_types: Vec<BlockType>,
    /// The middle; `None` for a network without one.
    pub mid_block_type: Option<MidBlockType>,
    /// The levels on the way up, coarsest first.
    pub up_block_types: Vec<BlockType>,
    /// Whether the first attention of a transformer block, too, is to the text.
    pub only_cross_attention: PerLevel<bool>,
    /// The same of a [`MidBlockType::SimpleCrossAttention`]; `None` for the setting of all levels.
    pub mid_block_only_cross_attention: Option<bool>,
    /// The channels of each level, finest first.
    pub block_out_channels: Vec<usize>,
    /// The number of residual blocks per level on the way down; the way up has one more.
    pub layers_per_block: PerLevel<usize>,
    /// The padding of the convolutions that halve the resolution: 1 on all sides, or, with 0, only
    /// one row below and one column on the right.
    pub downsample_padding: usize,
    /// What the sums of the middle's residual blocks are divided by.
    pub mid_block_scale_factor: f64,
    /// The dropout rate in training.
    pub dropout: f64,
    /// The activation.
    pub act_fn: Activation,
    /// The number of groups of the group norms.
    pub norm_num_groups: usize,
    /// What the group norms of the residual blocks add to the variance.
    pub norm_eps: f64,
    /// The number of channels of the text that attention sees.
    pub cross_attention_dim: PerLevel<usize>,
    /// The number of transformer blocks after each residual block, per level and block.
    pub transformer_layers_per_block: PerLevel<PerLevel<usize>>,
    /// The same on the way up, coarsest first; `None` for those of the way down.
    pub reverse_transformer_layers_per_block: Option<Vec<PerLevel<usize>>>,
    /// The number of channels of the text, where it is projected first.
    pub encoder_hid_dim: Option<usize>,
    /// The number of attention **heads** of a level with [`BlockType::CrossAttention`], in spite of its
    /// name; the channels of a head for the other kinds.
    pub attention_head_dim: PerLevel<usize>,
    /// Whether the projections around transformer blocks are linear layers, not 1×1 convolutions.
    pub use_linear_projection: bool,
    /// The class labels; `None` for a network without.
    pub class_embed: Option<ClassEmbed>,
    /// Whether the class vector follows that of t, instead of being added.
    pub class_embeddings_concat: bool,
    /// The further conditions; `None` for a network without.
    pub addition_embed: Option<AdditionEmbed>,
    /// Whether attention in half precision is computed in f32.
    pub upcast_attention: bool,
    /// Whether the conditioning vector scales and shifts the second norm of residual blocks.
    pub resnet_time_scale_shift: bool,
    /// Whether residual blocks take the conditioning vector without activation. Levels of the kinds
    /// [`BlockType::Resnet`] and [`BlockType::SimpleCrossAttention`] only.
    pub resnet_skip_time_act: bool,
    /// What the sums of residual blocks are divided by, on levels of the same kinds.
    pub resnet_out_scale_factor: f64,
    /// The length of the conditioning vector; `None` for 4 times the first channels.
    pub time_embedding_dim: Option<usize>,
    /// An activation of the whole conditioning vector.
    pub time_embedding_act_fn: Option<Activation>,
    /// An activation at the end of the embedding of t.
    pub timestep_post_act: Option<Activation>,
    /// The size of the embedded guidance scale, for distilled networks.
    pub time_cond_proj_dim: Option<usize>,
    /// The size of the first convolution; odd.
    pub conv_in_kernel: usize,
    /// The size of the last convolution; odd.
    pub conv_out_kernel: usize,
    /// How the text is normalized by [`BlockType::SimpleCrossAttention`].
    pub cross_attention_norm: Option<ContextNorm>,
}

/// The kind of the middle of a text-conditional U-Net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MidBlockType {
    /// One residual block: `UNetMidBlock2D`.
    Plain,
    /// Two with a transformer between: `UNetMidBlock2DCrossAttn`.
    CrossAttention,
    /// Two with one attention to pixels and text between: `UNetMidBlock2DSimpleCrossAttn`.
    SimpleCrossAttention,
}

/// Further conditions of a text-conditional U-Net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdditionEmbed {
    /// A vector of the encoded text, by attention with this many heads.
    Text {
        /// The number of heads.
        heads: usize,
    },
    /// SDXL's pooled text and sizes, [`AddedConditions`](crate::AddedConditions).
    TextTime {
        /// The sinusoids of each size.
        sinusoids: usize,
        /// The length of the pooled text with all sinusoids.
        size: usize,
    },
}

impl Default for UNet2dConditionConfig {
    fn default() -> Self {
        use BlockType::{CrossAttention, Plain};
        Self {
            in_channels: 4,
            out_channels: 4,
            center_input_sample: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            down_block_types: vec![CrossAttention, CrossAttention, CrossAttention, Plain],
            mid_block_type: Some(MidBlockType::CrossAttention),
            up_block_types: vec![Plain, CrossAttention, CrossAttention, CrossAttention],
            only_cross_attention: PerLevel::All(false),
            mid_block_only_cross_attention: None,
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerLevel::All(2),
            downsample_padding: 1,
            mid_block_scale_factor: 1.0,
            dropout: 0.0,
            act_fn: Activation::Silu,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: PerLevel::All(1280),
            transformer_layers_per_block: PerLevel::All(PerLevel::All(1)),
            reverse_transformer_layers_per_block: None,
            encoder_hid_dim: None,
            attention_head_dim: PerLevel::All(8),
            use_linear_projection: false,
            class_embed: None,
            class_embeddings_concat: false,
            addition_embed: None,
            upcast_attention: false,
            resnet_time_scale_shift: false,
            resnet_skip_time_act: false,
            resnet_out_scale_factor: 1.0,
            time_embedding_dim: None,
            time_embedding_act_fn: None,
            timestep_post_act: None,
            time_cond_proj_dim: None,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
            cross_attention_norm: None,
        }
    }
}
