//! CPU kernels for the networks of diffusion models.

pub mod attention;
mod buffer;
#[cfg(feature = "burn")]
pub mod burn;
mod chunks;
mod columns;
pub mod concat;
pub mod conv;
mod error;
pub mod gemm;
pub mod group_norm;
pub mod layer_norm;
pub mod linear_combination;
mod math;
mod pass;
pub mod silu;
mod simd;
pub mod sums;
pub mod upsample;
mod winograd;

pub use error::ShapeError;
pub use pass::pass;
pub use simd::instruction_set;
