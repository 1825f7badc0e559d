//! A level on the way down.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::{Attends, LayerAttention, Pass};
use crate::NetworkConfigError;
use crate::blocks::{Downsample, Resample, Residual, ResidualConfig};

/// The settings of a level on the way down.
pub(super) struct DownConfig {
    /// The settings of the residual blocks, but for their channels.
    pub(super) residual: ResidualConfig,
    pub(super) attends: Attends,
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) blocks: usize,
    pub(super) downsample: Option<DownsampleBy>,
}

/// How a level halves the image.
#[derive(Clone, Copy, Debug)]
pub(super) enum DownsampleBy {
    /// A convolution, padded by 1 on all sides, or with 0 below and on the right only.
    Conv { padding: usize },
    /// A residual block.
    Residual,
}

/// Residual blocks, each perhaps with attention, and then perhaps half the resolution.
#[derive(Module, Debug)]
pub(super) struct Down {
    resnets: Vec<Residual>,
    attentions: Vec<LayerAttention>,
    downsamplers: Vec<Downsampler>,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box is no module of burn")]
enum Downsampler {
    Conv(Downsample),
    Residual(Residual),
}

impl DownConfig {
    /// Creates the level, and adds the channels of what it keeps to `skips`.
    pub(super) fn init(
        &self,
        skips: &mut Vec<usize>,
        device: &Device,
    ) -> Result<Down, NetworkConfigError> {
        let width = self.channels_out;
        let resnets = (0..self.blocks).map(|block| {
            let channels_in = if block == 0 { self.channels_in } else { width };
            self.residual.between(channels_in, width).init(device)
        });
        let downsampler = match self.downsample {
            None => None,
            Some(DownsampleBy::Conv { padding: 0 }) => {
                Some(Downsampler::Conv(Downsample::asymmetric(width, device)))
            }
            Some(DownsampleBy::Conv { .. }) => {
                Some(Downsampler::Conv(Downsample::new(width, device)))
            }
            Some(DownsampleBy::Residual) => {
                let config = self.residual.between(width, width);
                let block = config.with_resample(Some(Resample::Mean)).init(device)?;
                Some(Downsampler::Residual(block))
            }
        };
        skips.extend(std::iter::repeat_n(width, self.blocks + usize::from(downsampler.is_some())));
        Ok(Down {
            resnets: resnets.collect::<Result<_, _>>()?,
            attentions: self.attends.init(self.blocks, device)?,
            downsamplers: downsampler.into_iter().collect(),
        })
    }
}

impl Down {
    /// Adds what the way up takes to `skips`.
    pub(super) fn forward(
        &self,
        pass: &Pass<'_>,
        x: Tensor<4>,
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
        for downsampler in &self.downsamplers {
            h = match downsampler {
                Downsampler::Conv(layer) => layer.forward(pass.ops, h),
                Downsampler::Residual(block) => pass.residual(block, h),
            };
            skips.push(h.clone());
        }
        h
    }
}
