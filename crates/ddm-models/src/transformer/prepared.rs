//! The transformers of texts, prepared for sampling.

use burn::tensor::{DType, Device, Tensor};

use super::{
    FluxConditions, FluxTransformer, PixArt, PixArtConditions, Sd3Conditions, Sd3Transformer,
};
use crate::Prepared;
use crate::blocks::Ops;
use crate::prepared::conditional;

/// Returns zeros of f32, whatever the device's default.
fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::zeros(shape, (device, DType::F32))
}

impl PixArt {
    /// Returns the network for sampling, with its weights packed once; as
    /// [`Network::prepare`](crate::Network::prepare). Packed, they take the memory that they took, and
    /// the size of the images does not matter.
    #[must_use]
    pub fn prepare(self) -> Prepared<Self> {
        Prepared::new(self, None, |network: &Self, ops: &Ops, device: &Device| {
            let sized = network.takes_size();
            let conditions = PixArtConditions {
                encoder_hidden_states: zeros([1, 1, network.text_width], device),
                encoder_attention_mask: None,
                resolution: sized.then(|| zeros([1, 2], device)),
                aspect_ratio: sized.then(|| zeros([1, 1], device)),
            };
            let x = zeros(network.pos_embed.one_patch(), device);
            let _ = network.forward_with(ops, x, zeros([1], device), conditions);
        })
    }
}

impl Sd3Transformer {
    /// Returns the network for sampling, with its weights packed once; as [`PixArt::prepare`].
    #[must_use]
    pub fn prepare(self) -> Prepared<Self> {
        Prepared::new(self, None, |network: &Self, ops: &Ops, device: &Device| {
            let [width, _] = network.context_embedder.weight.dims();
            let conditions = Sd3Conditions {
                encoder_hidden_states: zeros([1, 1, width], device),
                pooled_projections: zeros([1, network.pooled_width], device),
            };
            let x = zeros(network.pos_embed.one_patch(), device);
            let _ = network.forward_with(ops, x, zeros([1], device), conditions);
        })
    }
}

impl FluxTransformer {
    /// Returns the network for sampling, with its weights packed once; as [`PixArt::prepare`].
    #[must_use]
    pub fn prepare(self) -> Prepared<Self> {
        Prepared::new(self, None, |network: &Self, ops: &Ops, device: &Device| {
            let [[width, _], [channels, _]] =
                [&network.context_embedder, &network.x_embedder].map(|layer| layer.weight.dims());
            let position = zeros([1, network.axes.len()], device);
            let conditions = FluxConditions {
                encoder_hidden_states: zeros([1, 1, width], device),
                pooled_projections: zeros([1, network.pooled_width], device),
                img_ids: position.clone(),
                txt_ids: position,
                guidance: network.takes_guidance().then(|| zeros([1], device)),
            };
            let x = zeros([1, 1, channels], device);
            let _ = network.forward_with(ops, x, zeros([1], device), conditions);
        })
    }
}

impl Prepared<FluxTransformer> {
    /// As [`FluxTransformer::takes_guidance`].
    #[must_use]
    pub fn takes_guidance(&self) -> bool {
        self.parts().0.takes_guidance()
    }
}

conditional!(PixArt, 4, PixArtConditions, PixArt::forward_with);
conditional!(Sd3Transformer, 4, Sd3Conditions, Sd3Transformer::forward_with);
conditional!(
    FluxTransformer,
    3,
    FluxConditions,
    |network: &FluxTransformer, ops: &Ops, x, t: Tensor<1>, conditions| {
        network.forward_with(ops, x, t / 1000.0, conditions)
    }
);
