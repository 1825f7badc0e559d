//! Latents as Flux's transformer takes them.

use burn::tensor::Tensor;

/// Returns `[batch, channels, height, width]` as patches of 2×2, `[batch, patches, 4 channels]`.
///
/// The patches are in rows; in a patch each channel's four values lie together.
#[must_use]
pub fn pack(x: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    let x = x.reshape([batch, channels, height / 2, 2, width / 2, 2]);
    x.permute([0, 2, 4, 1, 3, 5]).reshape([batch, height / 2 * (width / 2), 4 * channels])
}

/// Returns patches as `[batch, channels, height, width]`, the inverse of [`pack`].
#[must_use]
pub fn unpack(x: Tensor<3>, height: usize, width: usize) -> Tensor<4> {
    let [batch, _, values] = x.dims();
    let x = x.reshape([batch, height / 2, width / 2, values / 4, 2, 2]);
    x.permute([0, 3, 1, 4, 2, 5]).reshape([batch, values / 4, height, width])
}
