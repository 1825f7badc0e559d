//! Densities on a lattice, as shades.

use ddm_core::prelude::*;
use ddm_core::score::{Likelihood, ProbabilityFlow, Probe, ScoreError};
use ddm_examples::plots::lattice;
use ddm_examples::tensors::{from_points, numbers};
use ddm_testkit::GaussianMixture;

/// Half the width of the plane in the pictures.
pub(crate) const EXTENT: f32 = 2.2;

/// The cells of a heat map, at which densities are evaluated.
pub(crate) struct Cells {
    pub(crate) x: Tensor<2>,
}

impl Cells {
    pub(crate) fn new(side: usize, device: &Device) -> Self {
        Self { x: from_points(&lattice(side, EXTENT), device) }
    }

    /// Returns the exact ln p of the data at a level.
    pub(crate) fn exact(&self, data: &GaussianMixture, at: NoiseLevel) -> Vec<f32> {
        numbers(data.log_density(self.x.clone(), at))
    }

    /// Returns ln p of a model's data at a level, by the probability flow.
    pub(crate) fn learned(
        &self,
        model: &impl Denoiser<2>,
        schedule: &VarianceExploding,
        at: NoiseLevel,
    ) -> Result<Vec<f32>, ScoreError> {
        log_density(model, schedule, self.x.clone(), at)
    }
}

/// Returns ln p of x at a level by the model's probability flow, with the exact divergence, which in
/// the plane costs two gradients.
pub(crate) fn log_density(
    model: &impl Denoiser<2>,
    schedule: &VarianceExploding,
    x: Tensor<2>,
    at: NoiseLevel,
) -> Result<Vec<f32>, ScoreError> {
    let flow = ProbabilityFlow::new(model, schedule).tolerance(1e-3)?;
    let found = Likelihood::new(flow).probe(Probe::Exact).log_density(x, at)?;
    Ok(found.log_density.into_iter().map(|value| value as f32).collect())
}

/// Returns the maximum of `values`.
pub(crate) fn peak(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Returns √(p/p_max) of these ln p, with ln p_max = `peak`. The root makes thin parts visible.
pub(crate) fn shades(log_density: &[f32], peak: f32) -> Vec<f32> {
    log_density.iter().map(|value| (0.5 * (value - peak)).exp()).collect()
}
