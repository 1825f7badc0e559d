//! Networks of pipelines, prepared for sampling when they are loaded.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{DType, Tensor};
use ddm_denoiser::ModelError;
use ddm_models::text::{ClipText, T5Encoder};
use ddm_models::transformer::{Dit, FluxTransformer, PixArt, Sd3Transformer};
use ddm_models::{
    AutoencoderKl, AutoencoderNetwork, AutoencoderTiny, ControlNet, Network, Prepared, UNet2d,
    UNet2dCondition, VqModel,
};

use crate::files::FromFiles;

/// A network that a pipeline prepares.
pub(crate) trait Prepare: FromFiles {
    /// Prepares it for x of height and width `side`, with at most `memory` bytes for the packed weights
    /// of convolutions.
    fn prepare_for_side(self, side: usize, memory: usize) -> Result<Prepared<Self>, ModelError>;
}

/// Prepares a network in f32. One in half precision stays as it is: packed, it would be twice as
/// large, and who loads it so wants it small.
pub(crate) fn prepared<M: Prepare>(network: M, side: usize) -> Result<Prepared<M>, ModelError> {
    let mut size = Size::default();
    network.visit(&mut size);
    if size.other > 0 {
        return Ok(network.into());
    }
    // Packed, the network takes at most 1.2 times its memory.
    let memory = size.convolutions + (size.convolutions + size.rest) / 5;
    network.prepare_for_side(side, memory)
}

/// Returns the side of x in the trial of a network with this many levels, each of which halves the
/// sides of the one before.
///
/// The method of a convolution depends on the size of small images alone, of at most 8 pixels. So
/// that of a larger image has 16 on the coarsest level, whatever the config says.
fn trial_side(side: usize, levels: usize) -> usize {
    let coarsest = 1 << levels.saturating_sub(1).min(16);
    side.clamp(1, 16 * coarsest).next_multiple_of(coarsest)
}

/// The bytes of a network's weights.
#[derive(Default)]
struct Size {
    convolutions: usize,
    rest: usize,
    /// Those that are not in f32.
    other: usize,
}

impl ModuleVisitor for Size {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let bytes = tensor.dims().iter().product::<usize>() * size_of::<f32>();
        match (tensor.dtype(), D) {
            (DType::F32, 4) => self.convolutions += bytes,
            (DType::F32, _) => self.rest += bytes,
            _ => self.other += bytes,
        }
    }
}

impl Prepare for UNet2d {
    fn prepare_for_side(self, side: usize, memory: usize) -> Result<Prepared<Self>, ModelError> {
        let (channels, levels) =
            (self.config().in_channels, self.config().block_out_channels.len());
        let side = trial_side(side, levels);
        self.prepare_within([1, channels, side, side], memory)
    }
}

impl Prepare for UNet2dCondition {
    fn prepare_for_side(self, side: usize, memory: usize) -> Result<Prepared<Self>, ModelError> {
        let side = trial_side(side, self.config().block_out_channels.len());
        self.prepare_for([side, side], Some(memory))
    }
}

impl Prepare for ControlNet {
    fn prepare_for_side(self, side: usize, memory: usize) -> Result<Prepared<Self>, ModelError> {
        let side = trial_side(side, self.config().unet.block_out_channels.len());
        self.prepare_for([side, side], Some(memory))
    }
}

/// A network of linear layers, whose packed weights take the memory that they took.
macro_rules! linear {
    ($($network:ty),*) => { $(
        impl Prepare for $network {
            fn prepare_for_side(self, _: usize, _: usize) -> Result<Prepared<Self>, ModelError> {
                Ok(self.prepare())
            }
        }
    )* };
}

linear!(ClipText, T5Encoder, PixArt, Sd3Transformer, FluxTransformer);

impl Prepare for Dit {
    fn prepare_for_side(self, _: usize, memory: usize) -> Result<Prepared<Self>, ModelError> {
        let [channels, size] = self.patches(); // one is enough
        self.prepare_within([1, channels, size, size], memory)
    }
}

/// An autoencoder. Its trial has few pixels, but more than make a difference at its coarsest level.
macro_rules! autoencoder {
    ($($network:ty),*) => { $(
        impl Prepare for $network {
            fn prepare_for_side(
                self,
                _: usize,
                memory: usize,
            ) -> Result<Prepared<Self>, ModelError> {
                let (side, channels) = (16 * self.factor(), self.image_channels());
                self.prepare_within([1, channels, side, side], memory)
            }
        }
    )* };
}

autoencoder!(AutoencoderKl, AutoencoderTiny, VqModel);
