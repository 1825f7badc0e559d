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
