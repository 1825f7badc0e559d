//! The encoder and the decoder that `AutoencoderKl` and `VqModel` share.

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use ddm_schedule::Invalid;

use crate::NetworkConfigError;
use crate::blocks::{
    Downsample, Ops, Residual, ResidualConfig, SelfAttention, SelfAttentionConfig, Upsample,
    conv3x3, group_norm,
};

/// What all group norms add to the variance.
const NORM_EPS: f64 = 1e-6;

/// The sizes of an encoder and its decoder. Levels are counted from the finest.
pub(super) struct Sizes<'a> {
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) latent_channels: usize,
    /// The channels of each level.
    pub(super) channels: &'a [usize],
    /// The residual blocks of a level of the encoder; the decoder has one more.
    pub(super) blocks: usize,
    /// The levels with attention in the encoder.
    pub(super) attention_down: &'a [usize],
    /// The levels with attention in the decoder.
    pub(super) attention_up: &'a [usize],
    pub(super) middle_attention: bool,
    pub(super) norm_groups: usize,
}

/// `[batch, h, w, in_channels]` → `[batch, h/f, w/f, …]`, `f = 2^(levels − 1)`.
#[derive(Module, Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// `[batch, h, w, latent_channels]` → `[batch, h f, w f, out_channels]`.
#[derive(Module, Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Module, Debug)]
struct DownBlock {
    resnets: Vec<Residual>,
    attentions: Vec<SelfAttention>,
    downsamplers: Option<[Downsample; 1]>,
}

#[derive(Module, Debug)]
struct MidBlock {
    resnets: Vec<Residual>,
    attentions: Vec<SelfAttention>,
}

#[derive(Module, Debug)]
struct UpBlock {
    resnets: Vec<Residual>,
    attentions: Vec<SelfAttention>,
    upsamplers: Option<[Upsample; 1]>,
}

impl Sizes<'_> {
    /// Checks the sizes.
    pub(super) fn validate(&self) -> Result<(), NetworkConfigError> {
        NetworkConfigError::require_some("in_channels", self.in_channels)?;
        NetworkConfigError::require_some("out_channels", self.out_channels)?;
        NetworkConfigError::require_some("latent_channels", self.latent_channels)?;
        NetworkConfigError::require_some("blocks", self.blocks)?;
        NetworkConfigError::require_channels("channels", self.channels, self.norm_groups)?;
        require_levels(self.channels.len())?;
        let last = self.channels.len() - 1;
        for (what, levels) in
            [("attention_down", self.attention_down), ("attention_up", self.attention_up)]
        {
            if let Some(&found) = levels.iter().find(|&&level| level > last) {
                return Err(NetworkConfigError::Level { what, found, last });
            }
        }
        Ok(())
    }

    /// Returns residual blocks, the first of which changes the channels.
    fn resnets(
        &self,
        count: usize,
        [channels_in, channels]: [usize; 2],
        device: &Device,
    ) -> Result<Vec<Residual>, NetworkConfigError> {
        let config = |block| {
            let before = if block == 0 { channels_in } else { channels };
            ResidualConfig::new(before, channels)
        };
        (0..count)
            .map(|block| {
                let config = config(block).with_norm_groups(self.norm_groups);
                config.with_norm_eps(NORM_EPS).init(device)
            })
            .collect()
    }

    fn attentions(
        &self,
        count: usize,
        channels: usize,
        device: &Device,
    ) -> Result<Vec<SelfAttention>, NetworkConfigError> {
        let config = SelfAttentionConfig::new(channels).with_norm_groups(self.norm_groups);
        let config = config.with_norm_eps(NORM_EPS);
        (0..count).map(|_| config.init(device)).collect()
    }

    fn middle(&self, device: &Device) -> Result<MidBlock, NetworkConfigError> {
        let channels = self.last();
        Ok(MidBlock {
            resnets: self.resnets(2, [channels; 2], device)?,
            attentions: self.attentions(self.middle_attention.into(), channels, device)?,
        })
    }

    fn first(&self) -> usize {
        self.channels[0]
    }

    fn last(&self) -> usize {
        self.channels[self.channels.len() - 1]
    }
}

/// Checks the number of levels, each of which halves an image.
pub(super) fn require_levels(levels: usize) -> Result<(), NetworkConfigError> {
    let what = "the number of levels";
    Ok(Invalid::require(levels <= 16, what, levels as f64, "at most 16")?)
}

/// Applies residual blocks, each followed by attention where there is one.
fn stack(ops: &Ops, resnets: &[Residual], attentions: &[SelfAttention], x: Tensor<4>) -> Tensor<4> {
    resnets.iter().enumerate().fold(x, |x, (at, resnet)| {
        let h = resnet.forward(ops, x, None);
        match attentions.get(at) {
            Some(attention) => attention.forward(ops, h),
            None => h,
        }
    })
}

impl Encoder {
    /// Creates an encoder of valid sizes with this number of output channels.
    pub(super) fn new(
        sizes: &Sizes<'_>,
        channels_out: usize,
        device: &Device,
    ) -> Result<Self, NetworkConfigError> {
        let levels = sizes.channels.len();
        let block = |level: usize| {
            let channels = sizes.channels[level];
            let before = sizes.channels[level.saturating_sub(1)];
            let attends = sizes.attention_down.contains(&level);
            let count = if attends { sizes.blocks } else { 0 };
            Ok(DownBlock {
                resnets: sizes.resnets(sizes.blocks, [before, channels], device)?,
                attentions: sizes.attentions(count, channels, device)?,
                downsamplers: (level + 1 < levels)
                    .then(|| [Downsample::asymmetric(channels, device)]),
            })
        };
        Ok(Self {
            conv_in: conv3x3(sizes.in_channels, sizes.first()).init(device),
            down_blocks: (0..levels).map(block).collect::<Result<_, NetworkConfigError>>()?,
            mid_block: sizes.middle(device)?,
            conv_norm_out: group_norm(sizes.norm_groups, sizes.last(), NORM_EPS, device)?,
            conv_out: conv3x3(sizes.last(), channels_out).init(device),
        })
    }

    pub(super) fn forward(&self, ops: &Ops, x: Tensor<4>) -> Tensor<4> {
        let mut h = ops.conv2d(&self.conv_in, x);
        for block in &self.down_blocks {
            h = stack(ops, &block.resnets, &block.attentions, h);
            if let Some([downsample]) = &block.downsamplers {
                h = downsample.forward(ops, h);
            }
        }
        h = stack(ops, &self.mid_block.resnets, &self.mid_block.attentions, h);
        ops.conv2d(&self.conv_out, ops.group_norm_silu(&self.conv_norm_out, h))
    }

    /// Returns the ratio of image and latent, in height and in width.
    pub(super) fn factor(&self) -> usize {
        1 << (self.down_blocks.len() - 1)
    }

    pub(super) fn in_channels(&self) -> usize {
        self.conv_in.weight.dims()[1]
    }
}

impl Decoder {
    /// Creates a decoder of valid sizes.
    pub(super) fn new(sizes: &Sizes<'_>, device: &Device) -> Result<Self, NetworkConfigError> {
        let levels = sizes.channels.len();
        let block = |level: usize| {
            let channels = sizes.channels[level];
            let before = sizes.channels[(level + 1).min(levels - 1)];
            let blocks = sizes.blocks + 1;
            let count = if sizes.attention_up.contains(&level) { blocks } else { 0 };
            Ok(UpBlock {
                resnets: sizes.resnets(blocks, [before, channels], device)?,
                attentions: sizes.attentions(count, channels, device)?,
                upsamplers: (level > 0).then(|| [Upsample::new(channels, channels, device)]),
            })
        };
        Ok(Self {
            conv_in: conv3x3(sizes.latent_channels, sizes.last()).init(device),
            mid_block: sizes.middle(device)?,
            up_blocks: (0..levels).rev().map(block).collect::<Result<_, NetworkConfigError>>()?,
            conv_norm_out: group_norm(sizes.norm_groups, sizes.first(), NORM_EPS, device)?,
            conv_out: conv3x3(sizes.first(), sizes.out_channels).init(device),
        })
    }

    pub(super) fn forward(&self, ops: &Ops, z: Tensor<4>) -> Tensor<4> {
        let h = ops.conv2d(&self.conv_in, z);
        let mut h = stack(ops, &self.mid_block.resnets, &self.mid_block.attentions, h);
        for block in &self.up_blocks {
            h = stack(ops, &block.resnets, &block.attentions, h);
            if let Some([upsample]) = &block.upsamplers {
                h = upsample.forward(ops, h);
            }
        }
        ops.conv2d(&self.conv_out, ops.group_norm_silu(&self.conv_norm_out, h))
    }

    /// Returns the number of channels that the decoder takes.
    pub(super) fn in_channels(&self) -> usize {
        self.conv_in.weight.dims()[1]
    }

    pub(super) fn weights(&self) -> &Tensor<4> {
        &self.conv_out.weight
    }
}
