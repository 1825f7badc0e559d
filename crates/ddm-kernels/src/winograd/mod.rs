//! 3×3 convolutions by Winograd's method: on tiles of the output, all products of a tile become
//! products of matrices at N² points.
//!
//! With d a tile of the input, g a kernel and ∘ the product element by element, a tile of the output
//! is `Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A`. Sources: Winograd, *Arithmetic Complexity of Computations*
//! (1980); Lavin & Gray, *Fast Algorithms for Convolutional Neural Networks*, eq. 12, arXiv
//! 1509.09308. The points of F(4×4) are 0, ±1/√2, ±√2 and ∞, whose error is a tenth of that of the
//! usual 0, ±1, ±2 and ∞: Barabasz et al., *Error Analysis and Improving the Accuracy of Winograd
//! Convolution*, arXiv 1803.10986.

mod forward;
mod gradient;
mod grid;
mod tiles;
mod weights;

pub(crate) use forward::forward;
pub(crate) use gradient::{backward_weights, pays_for_weights};
pub(crate) use tiles::{F2, F4};
pub(crate) use weights::{Transformed, values};
