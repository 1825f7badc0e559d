//! Group normalization of channels-last images, with SiLU where a network has it next.
//!
//! Of each sample and group of channels, with the mean μ and the variance v over its pixels and
//! channels, `y = γ (x - μ) / √(v + ε) + β`, and `out = y` or `out = y σ(y)`.
//!
//! Source: Wu & He, *Group Normalization* (2018), arXiv 1803.08494.

mod backward;
mod forward;
mod moments;

pub use backward::backward;
pub use forward::forward;

use crate::chunks::rows_of;

/// A group normalization and the shape of what it normalizes.
///
/// # Example
///
/// ```
/// use ddm_kernels::group_norm::{self, GroupNorm};
///
/// // An image of two pixels with two channels, each a group.
/// let (gamma, beta) = ([1.0, 1.0], [0.0, 10.0]);
/// let norm = GroupNorm {
///     shape: [1, 2, 2],
///     groups: 2,
///     gamma: &gamma,
///     beta: &beta,
///     eps: 0.0,
///     silu: false,
/// };
/// let (mut out, mut stats) = ([0.0; 4], [0.0; 4]);
/// group_norm::forward(norm, &[1.0, 5.0, 3.0, 6.0], &mut out, &mut stats);
/// assert_eq!(out, [-1.0, 9.0, 1.0, 11.0]);
/// assert_eq!(stats, [2.0, 1.0, 5.5, 2.0]); // mean and 1 / standard deviation of each group
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// The number of samples, of pixels of each, and of channels.
    pub shape: [usize; 3],
    /// The number of groups.
    pub groups: usize,
    /// The factor of each channel, γ.
    pub gamma: &'a [f32],
    /// What is added to each channel, β.
    pub beta: &'a [f32],
    /// What is added to the variance, ε.
    pub eps: f64,
    /// Whether SiLU follows.
    pub silu: bool,
}

impl GroupNorm<'_> {
    fn channels(&self) -> usize {
        self.shape[2]
    }

    fn channels_per_group(&self) -> usize {
        self.channels() / self.groups
    }

    /// Returns the numbers of a sample.
    fn sample(&self) -> usize {
        self.shape[1] * self.channels()
    }

    /// Returns the numbers of a chunk of pixels: a function of the shape of a sample alone, so that
    /// its sums depend neither on the batch nor on the threads.
    fn chunk(&self) -> usize {
        // At most 512 pixels: their sums are in `f32`.
        let chunks = self.shape[1].div_ceil(rows_of(self.channels()).min(512));
        self.shape[1].div_ceil(chunks.max(1)) * self.channels()
    }

    fn check(&self, x: &[f32], stats: &[f32]) {
        let Self { shape: [n, pixels, channels], groups, gamma, beta, .. } = *self;
        assert!(
            groups > 0 && channels > 0 && channels.is_multiple_of(groups),
            "{groups} groups of {channels} channels"
        );
        assert_eq!(gamma.len(), channels, "numbers of gamma and channels");
        assert_eq!(beta.len(), channels, "numbers of beta and channels");
        assert_eq!(x.len(), n * pixels * channels, "numbers of x and of its shape");
        assert_eq!(
            stats.len(),
            2 * n * groups,
            "numbers of the statistics of {n} × {groups} groups"
        );
    }
}
