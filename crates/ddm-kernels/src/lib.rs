//! CPU kernels for the networks of diffusion models.

mod buffer;
pub mod gemm;
mod simd;

pub use simd::instruction_set;
