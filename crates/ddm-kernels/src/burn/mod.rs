//! The kernels as operations on burn's tensors, with gradients.
//!
//! They compute with tensors on burn's `flex` in f32 ([`supports`]); for all others burn's own
//! operations serve. Images are `[batch, height, width, channels]`, and weights have burn's layouts.

mod conv;
mod linear;
mod operation;

pub use conv::conv2d;
pub use linear::linear;
pub use operation::supports;
