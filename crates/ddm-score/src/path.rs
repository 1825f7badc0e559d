//! The path between two levels in the angle θ, and the slope along it.

use burn::tensor::Tensor;
use ddm_denoiser::{column, linear_combination_each};
use ddm_schedule::{NoiseLevel, NoiseSchedule};

use crate::ScoreError;
use crate::dormand_prince::{Arrival, DormandPrince};
use crate::state::State;

/// The path of a batch between two levels, in the angle θ.
pub(crate) struct Path<'a> {
    schedule: &'a dyn NoiseSchedule,
    from: NoiseLevel,
    to: NoiseLevel,
    batch: usize,
}

impl<'a> Path<'a> {
    /// A path between two levels that lie on the schedule and have noise.
    pub(crate) fn new(
        schedule: &'a dyn NoiseSchedule,
        [from, to]: [NoiseLevel; 2],
        batch: usize,
    ) -> Result<Self, ScoreError> {
        for (way, level) in [("from", from), ("to", to)] {
            if level.sigma == 0.0 {
                return Err(ScoreError::NoNoise { way });
            }
            let there = schedule.level_at(level.lambda());
            let turned = (angle(there) - angle(level)).abs();
            let scaled = (there.scale() / level.scale() - 1.0).abs();
            if !(turned < 1e-6 && scaled < 1e-6) {
                let NoiseLevel { alpha, sigma, .. } = level;
                return Err(ScoreError::OffSchedule { alpha, sigma });
            }
        }
        Ok(Self { schedule, from, to, batch })
    }

    /// The noisier end.
    pub(crate) fn noisiest(&self) -> NoiseLevel {
        if angle(self.from) > angle(self.to) { self.from } else { self.to }
    }

    /// The levels at these angles.
    pub(crate) fn levels(&self, angles: &[f64]) -> Vec<NoiseLevel> {
        let level = |&theta: &f64| match theta {
            theta if theta == angle(self.from) => self.from,
            theta if theta == angle(self.to) => self.to,
            theta => self.schedule.level_at(-theta.tan().ln()),
        };
        angles.iter().map(level).collect()
    }

    /// Integrates the slope, a function of y and the samples' levels, to the end.
    pub(crate) async fn follow<S: State>(
        &self,
        start: S,
        solver: &DormandPrince,
        mut slope: impl FnMut(&S, &[NoiseLevel]) -> Result<S, ScoreError>,
    ) -> Result<Arrival<S>, ScoreError> {
        let ends = [angle(self.from), angle(self.to)];
        solver.solve(start, self.batch, ends, |y, angles| slope(y, &self.levels(angles))).await
    }
}

/// θ = atan2(σ, α).
fn angle(at: NoiseLevel) -> f64 {
    at.sigma.atan2(at.alpha)
}

/// x = √(α² + σ²) y.
pub(crate) fn scaled<const D: usize>(y: &Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
    y.clone() * column(y, at.iter().map(NoiseLevel::scale))
}

/// dy/dθ = (cos θ y − x̂₀)/sin θ.
pub(crate) fn velocity<const D: usize>(
    y: &Tensor<D>,
    x0: Tensor<D>,
    at: &[NoiseLevel],
) -> Tensor<D> {
    let of_y = at.iter().map(|at| at.alpha / at.sigma).collect();
    let of_x0 = at.iter().map(|at| -at.scale() / at.sigma).collect();
    linear_combination_each([(of_y, y.clone()), (of_x0, x0)])
}
