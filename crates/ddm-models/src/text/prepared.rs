//! The text encoders, prepared for many texts.

use burn::tensor::{Device, Int, Tensor};
use ddm_denoiser::ModelError;

use super::{ClipText, ClipTextOutput, T5Encoder};
use crate::Prepared;
use crate::blocks::Ops;

/// Returns one token, of the first row of the table.
fn one_token(device: &Device) -> Tensor<2, Int> {
    Tensor::zeros([1, 1], device)
}

impl ClipText {
    /// Returns the encoder with its weights packed once; as
    /// [`Network::prepare`](crate::Network::prepare). Packed, they take the memory that they took.
    #[must_use]
    pub fn prepare(self) -> Prepared<Self> {
        Prepared::new(self, None, |encoder: &Self, ops: &Ops, device: &Device| {
            // An encoder that takes no token has nothing to pack.
            let _ = encoder.forward_with(ops, one_token(device));
        })
    }
}

impl Prepared<ClipText> {
    /// As [`ClipText::forward`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Result<ClipTextOutput, ModelError> {
        let (encoder, ops) = self.parts();
        encoder.forward_with(ops, ids)
    }

    /// As [`ClipText::final_norm`].
    #[must_use]
    pub fn final_norm(&self, hidden_state: Tensor<3>) -> Tensor<3> {
        let (encoder, ops) = self.parts();
        encoder.final_norm(ops, hidden_state)
    }
}

impl T5Encoder {
    /// Returns the encoder with its weights packed once; as [`ClipText::prepare`].
    #[must_use]
    pub fn prepare(self) -> Prepared<Self> {
        Prepared::new(self, None, |encoder: &Self, ops: &Ops, device: &Device| {
            let _ = encoder.forward_with(ops, one_token(device), None);
        })
    }
}

impl Prepared<T5Encoder> {
    /// As [`T5Encoder::forward`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn forward(
        &self,
        ids: Tensor<2, Int>,
        mask: Option<Tensor<2, Int>>,
    ) -> Result<Tensor<3>, ModelError> {
        let (encoder, ops) = self.parts();
        encoder.forward_with(ops, ids, mask)
    }
}
