//! Levels beside a pyramid of images.

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use crate::NetworkConfigError;
use crate::blocks::{Resample, Residual, ResidualConfig, SelfAttentionConfig, conv3x3, group_norm};
use crate::unets::layer::{Attends, LayerAttention, Pass};

/// The settings of a level beside a pyramid of images.
pub(super) struct SkipConfig {
    /// The settings of the residual blocks, but for their channels and groups.
    pub(super) residual: ResidualConfig,
    /// The settings of the attention, if there is any.
    pub(super) attention: Option<SelfAttentionConfig>,
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) blocks: usize,
    pub(super) resamples: bool,
}

/// A level on the way down: residual blocks, perhaps with attention, and then half the resolution,
/// where the image itself, halved by a filter, is added.
///
/// Source: Song et al., *Score-Based Generative Modeling through Stochastic Differential Equations*,
/// appendix H, arXiv 2011.13456; there it is an "input skip".
#[derive(Module, Debug)]
pub(super) struct SkipDown {
    resnets: Vec<Residual>,
    attentions: Vec<LayerAttention>,
    resnet_down: Option<Residual>,
    skip_conv: Option<Conv2d>,
}

/// A level on the way up: residual blocks, perhaps with attention, whose image is added to those of
/// coarser levels, doubled by a filter; there it is an "output skip". Then twice the resolution.
#[derive(Module, Debug)]
pub(super) struct SkipUp {
    resnets: Vec<Residual>,
    attentions: Vec<LayerAttention>,
    resnet_up: Option<Residual>,
    skip_norm: Option<GroupNorm>,
    skip_conv: Option<Conv2d>,
}

/// Returns the groups of a norm of this many channels.
fn groups(channels: usize) -> usize {
    (channels / 4).min(32)
}

impl SkipConfig {
    fn block(&self, from: usize, groups_in: usize) -> ResidualConfig {
        let to = self.channels_out;
        let config = self.residual.between(from, to).with_norm_groups(groups_in);
        config.with_norm_groups_out(Some(groups(to)))
    }

    fn resampling(&self, resample: Resample) -> ResidualConfig {
        let width = self.channels_out;
        let config = self.block(width, groups(width)).with_resample(Some(resample));
        config.with_conv_shortcut(true)
    }

    fn attends(&self) -> Attends {
        self.attention.clone().map_or(Attends::No, Attends::Pixels)
    }

    /// Creates a level on the way down, and adds the channels of what it keeps to `skips`.
    pub(super) fn down(
        &self,
        skips: &mut Vec<usize>,
        device: &Device,
    ) -> Result<SkipDown, NetworkConfigError> {
        let width = self.channels_out;
        let resnets = (0..self.blocks).map(|block| {
            let from = if block == 0 { self.channels_in } else { width };
            self.block(from, groups(from)).init(device)
        });
        let resnet_down = self.resamples.then(|| self.resampling(Resample::FirDown).init(device));
        skips.extend(std::iter::repeat_n(width, self.blocks + usize::from(self.resamples)));
        Ok(SkipDown {
            resnets: resnets.collect::<Result<_, _>>()?,
            attentions: self.attends().init(self.blocks, device)?,
            resnet_down: resnet_down.transpose()?,
            skip_conv: self.resamples.then(|| Conv2dConfig::new([3, width], [1, 1]).init(device)),
        })
    }

    /// Creates a level on the way up, which takes a skip a block from the end of `skips`.
    pub(super) fn up(
        &self,
        skips: &mut Vec<usize>,
        device: &Device,
    ) -> Result<SkipUp, NetworkConfigError> {
        let width = self.channels_out;
        let resnets = (0..self.blocks).map(|block| {
            let from = if block == 0 { self.channels_in } else { width };
            let skip = skips.pop().unwrap_or_default();
            // As in diffusers, where a division of the sum lacks its parentheses beside attention.
            let groups_in = match self.attention {
                Some(_) => (from + skip / 4).min(32),
                None => groups(from + skip),
            };
            self.block(from + skip, groups_in).init(device)
        });
        let resnets = resnets.collect::<Result<_, _>>()?;
        let resnet_up = self.resamples.then(|| self.resampling(Resample::FirUp).init(device));
        let norm = || group_norm(groups(width), width, self.residual.norm_eps, device);
        Ok(SkipUp {
            resnets,
            attentions: self.attends().init(1, device)?,
            resnet_up: resnet_up.transpose()?,
            skip_norm: self.resamples.then(norm).transpose()?,
            skip_conv: self.resamples.then(|| conv3x3(width, 3).init(device)),
        })
    }
}

impl SkipDown {
    /// Adds what the way up takes to `skips`, and halves the image.
    pub(super) fn forward(
        &self,
        pass: &Pass<'_>,
        x: Tensor<4>,
        image: &mut Tensor<4>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        let mut h = x;
        for (layer, block) in self.resnets.iter().enumerate() {
            h = pass.residual(block, h);
            if let Some(attention) = self.attentions.get(layer) {
                h = attention.forward(pass, h);
            }
            skips.push(h.clone());
        }
        if let (Some(block), Some(conv)) = (&self.resnet_down, &self.skip_conv) {
            h = pass.residual(block, h);
            *image = Resample::FirDown.forward(pass.ops, image.clone());
            h = pass.ops.conv2d_add(conv, image.clone(), None, Some(h));
            skips.push(h.clone());
        }
        h
    }
}

impl SkipUp {
    /// Takes skips from the end, and adds to the image of the coarser levels.
    pub(super) fn forward(
        &self,
        pass: &Pass<'_>,
        x: Tensor<4>,
        image: &mut Option<Tensor<4>>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        let mut h = x;
        for block in &self.resnets {
            if let Some(skip) = skips.pop() {
                h = pass.ops.concat(h, skip);
            }
            h = pass.residual(block, h);
        }
        for attention in &self.attentions {
            h = attention.forward(pass, h);
        }
        *image = image.take().map(|image| Resample::FirUp.forward(pass.ops, image));
        if let (Some(block), Some(norm), Some(conv)) =
            (&self.resnet_up, &self.skip_norm, &self.skip_conv)
        {
            let own = pass.ops.group_norm_silu(norm, h.clone());
            *image = Some(pass.ops.conv2d_add(conv, own, None, image.take()));
            h = pass.residual(block, h);
        }
        h
    }
}
