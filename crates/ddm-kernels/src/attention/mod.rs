//! Attention: softmax(q kᵀ · scale + mask) v, in memory linear in the length.
//!
//! Blocks of queries meet blocks of keys, and the softmax keeps a running maximum and sum (Milakov &
//! Gimelshein, *Online normalizer calculation for softmax*, arXiv 1805.02867; Dao et al.,
//! *FlashAttention*, arXiv 2205.14135, algorithm 1). The queries lie side by side in the lanes of the
//! vectors: so the vectors are full for any size of the heads, keys and values are read where they
//! lie, and the softmax needs no sums across a vector.
//!
//! The result of a token has the same bits for any number of threads and any batch.

mod backward;
mod forward;
mod inputs;
mod panel;
mod product;
mod scores;
mod shape;
mod softmax;

pub use backward::{Gradients, Results, backward};
pub use forward::forward;
pub use inputs::{Inputs, Sequence};
pub use shape::Shape;

use inputs::check_len;

/// The number of tokens of a block: a panel's scores stay in the nearest cache.
const BLOCK: usize = 96;

/// Below this number of multiplications, waking a thread costs more than it gains.
const SERIAL: usize = 1 << 16;
