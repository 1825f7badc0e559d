//! CPU kernels for the networks of diffusion models.

pub mod attention;
mod buffer;
pub mod gemm;
mod math;
mod simd;

pub use simd::instruction_set;
