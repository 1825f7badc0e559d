//! CPU kernels for the networks of diffusion models.

mod buffer;
pub mod conv;
mod error;
pub mod gemm;
mod simd;
mod winograd;

pub use error::ShapeError;
pub use simd::instruction_set;
