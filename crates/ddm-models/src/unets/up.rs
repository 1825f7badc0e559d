//! A level on the way up.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::{Attends, LayerAttention, Pass};
use crate::NetworkConfigError;
use crate::blocks::{Resample, Residual, ResidualConfig, Upsample};

/// The settings of a level on the way up.
pub(super) struct UpConfig {
    /// The settings of the residual blocks, but for their channels.
    pub(super) residual: ResidualConfig,
    pub(super) attends: Attends,
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) blocks: usize,
    pub(super) upsample: Option<UpsampleBy>,
}

/// How a level doubles the image.
#[derive(Clone, Copy, Debug)]
pub(super) enum UpsampleBy {
    /// Repeated pixels and a convolution.
    Conv,
    /// A residual block.
    Residual,
}

/// Residual blocks, each of which takes a skip and perhaps has attention, and then perhaps twice the
/// resolution.
#[derive(Module, Debug)]
pub(super) struct Up {
    resnets: Vec<Residual>,
    attentions: Vec<LayerAttention>,
    upsamplers: Vec<Upsampler>,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box is no module of burn")]
enum Upsampler {
    Conv(Upsample),
    Residual(Residual),
}

impl UpConfig {
    /// Creates the level, which takes a skip a block from the end of `skips`.
    pub(super) fn init(
        &self,
        skips: &mut Vec<usize>,
        device: &Device,
    ) -> Result<Up, NetworkConfigError> {
        let width = self.channels_out;
        let resnets = (0..self.blocks).map(|block| {
            let channels_in = if block == 0 { self.channels_in } else { width };
            let skip = skips.pop().unwrap_or_default();
            self.residual.between(channels_in + skip, width).init(device)
        });
        let resnets = resnets.collect::<Result<_, _>>()?;
        let upsampler = match self.upsample {
            None => None,
            Some(UpsampleBy::Conv) => Some(Upsampler::Conv(Upsample::new(width, width, device))),
            Some(UpsampleBy::Residual) => {
                let config = self.residual.between(width, width);
                let block = config.with_resample(Some(Resample::Nearest)).init(device)?;
                Some(Upsampler::Residual(block))
            }
        };
        Ok(Up {
            resnets,
            attentions: self.attends.init(self.blocks, device)?,
            upsamplers: upsampler.into_iter().collect(),
        })
    }
}

impl Up {
    /// Takes skips from the end, and doubles the image or gives it the size of the next skip.
    pub(super) fn forward(
        &self,
        pass: &Pass<'_>,
        x: Tensor<4>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        let mut h = x;
        for (layer, block) in self.resnets.iter().enumerate() {
            if let Some(skip) = skips.pop() {
                h = pass.ops.concat(h, skip);
            }
            h = pass.residual(block, h);
            if let Some(attention) = self.attentions.get(layer) {
                h = attention.forward(pass, h);
            }
        }
        for upsampler in &self.upsamplers {
            h = match (upsampler, skips.last()) {
                (Upsampler::Conv(layer), Some(skip)) => {
                    let [_, height, width, _] = skip.dims();
                    layer.forward_to(pass.ops, h, [height, width])
                }
                (Upsampler::Conv(layer), None) => layer.forward(pass.ops, h),
                (Upsampler::Residual(block), _) => pass.residual(block, h),
            };
        }
        h
    }
}
