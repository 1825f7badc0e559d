//! The kernels as operations on burn's tensors, with gradients.
//!
//! They compute with tensors on burn's `flex` in f32 ([`supports`]); for all others burn's own
//! operations serve. Images are `[batch, height, width, channels]`, and weights have burn's layouts.

mod attention;
mod conv;
mod conv_transpose;
mod elementwise;
mod linear;
mod linear_combination;
mod memory;
mod norm;
mod operation;
mod remembered;

pub use attention::{AttentionOptions, attention};
pub use conv::{ConvPlus, PackedConv, conv2d, conv2d_packed};
pub use conv_transpose::conv_transpose2d;
pub use elementwise::{concat, resize_bilinear, silu, upsample_nearest};
pub use linear::{PackedLinear, linear, linear_packed, linear_remembered};
pub use linear_combination::linear_combination;
pub use norm::{GroupNormOptions, group_norm, layer_norm};
pub use operation::{is_on_flex, supports};
