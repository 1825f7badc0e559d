//! The middle of a U-Net.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::{Attends, LayerAttention, Pass};
use crate::NetworkConfigError;
use crate::blocks::{Residual, ResidualConfig};

/// Residual blocks at the coarsest resolution, perhaps with attention between them.
#[derive(Module, Debug)]
pub(super) struct Middle {
    attentions: Vec<LayerAttention>,
    resnets: Vec<Residual>,
}

impl Middle {
    /// Creates a middle of one block, or of two with attention or nothing between them.
    pub(super) fn new(
        residual: &ResidualConfig,
        blocks: usize,
        attends: &Attends,
        device: &Device,
    ) -> Result<Self, NetworkConfigError> {
        let resnets = (0..blocks).map(|_| residual.init(device));
        Ok(Self {
            resnets: resnets.collect::<Result<_, _>>()?,
            attentions: attends.init(blocks - 1, device)?,
        })
    }

    pub(super) fn forward(&self, pass: &Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let mut h = x;
        for (layer, block) in self.resnets.iter().enumerate() {
            h = pass.residual(block, h);
            if let Some(attention) = self.attentions.get(layer) {
                h = attention.forward(pass, h);
            }
        }
        h
    }
}
