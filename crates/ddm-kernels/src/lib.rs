//! CPU kernels for the networks of diffusion models.

mod buffer;
mod chunks;
mod columns;
pub mod concat;
pub mod gemm;
pub mod group_norm;
pub mod layer_norm;
pub mod linear_combination;
mod math;
pub mod silu;
mod simd;
pub mod sums;
pub mod upsample;

pub use simd::instruction_set;
