//! CPU kernels for the networks of diffusion models, on channels-last images
//! `[batch, height, width, channels]` in `f32`.
//!
//! * [`conv`]: convolutions, 3×3 ones by Winograd's method; [`gemm`]: matrix products, which are
//!   linear layers and 1×1 convolutions too.
//! * [`attention`]: self and cross, causal and masked, with memory linear in the length.
//! * [`group_norm`] (with SiLU), [`layer_norm`], [`silu`], [`upsample`], [`concat`](mod@concat), [`sums`],
//!   [`linear_combination`].
//! * [`burn`](mod@crate::burn), feature `burn`: all of them as operations on burn's tensors.
//!
//! All have a forward and a backward pass, and take slices; wrong lengths panic, wrong shapes of a
//! convolution are a [`ShapeError`].
//!
//! **The instruction set** is chosen at run time: AVX-512, AVX2 with FMA, NEON, or none
//! ([`instruction_set`]). The environment variable `DDM_SIMD` limits it (`avx2`, `scalar`).
//!
//! **The same bits** for any number of threads, and for a sample alone and in a batch: sums are
//! split in parts that depend on the shape of a sample alone (sums over the batch, the gradients of
//! weights, on the shape of the batch). Other instruction sets give other roundings.
//!
//! ```
//! use ddm_kernels::gemm::{Matrix, Panels, Plus, matmul};
//! let b = Panels::pack(Matrix::new(&[1.0, 2.0, 3.0, 4.0], 2)); // [[1, 2], [3, 4]]
//! let mut out = [0.0; 2];
//! matmul(Matrix::new(&[10.0, 1.0], 2), &b, &mut out, Plus::default());
//! assert_eq!(out, [13.0, 24.0]);
//! ```

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
