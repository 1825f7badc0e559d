//! An exact denoiser as a network of any parameterization.

use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, NoisePredictor, Parameterization, column};
use ddm_schedule::{NoiseLevel, NoiseSchedule};

/// A network that predicts `F = p x̂₀ + q ε̂` of a given denoiser, `ε̂ = (x − α x̂₀)/σ`: the
/// prediction of a perfectly trained ε-, v- or flow-network.
///
/// Like a real network it takes only x and t, and finds the level of each sample's t on its
/// schedule. It reads t from the device. At levels without noise (σ = 0) ε̂ is undefined, so it
/// must not be used there.
#[derive(Clone, Copy)]
pub struct ExactPredictor<'a, M, P> {
    /// The denoiser.
    pub denoiser: M,
    /// The parameterization of the prediction.
    pub parameterization: P,
    /// The schedule of t.
    pub schedule: &'a dyn NoiseSchedule,
}

impl<M: std::fmt::Debug, P: std::fmt::Debug> std::fmt::Debug for ExactPredictor<'_, M, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExactPredictor")
            .field("denoiser", &self.denoiser)
            .field("parameterization", &self.parameterization)
            .finish_non_exhaustive()
    }
}

impl<M, P> ExactPredictor<'_, M, P> {
    /// Returns the levels of the samples' timesteps.
    fn levels(&self, t: Tensor<1>) -> Vec<NoiseLevel> {
        let timesteps = t.try_into_vec_as::<f64>();
        let timesteps = timesteps.unwrap_or_else(|error| {
            panic!("the timesteps cannot be read from the device: {error}")
        });
        let level = |timestep: f64| self.schedule.level(self.schedule.time_of(timestep));
        timesteps.into_iter().map(level).collect()
    }
}

impl<const D: usize, M: Denoiser<D>, P: Parameterization> NoisePredictor<D>
    for ExactPredictor<'_, M, P>
{
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D> {
        let at = self.levels(t);
        let x0 = self.denoiser.predict_x0(x.clone(), &at).x0;
        let target = |at: &NoiseLevel| {
            let (p, q) = self.parameterization.target(*at);
            (q / at.sigma, p - q * at.alpha / at.sigma)
        };
        let of_x = column(&x, at.iter().map(|at| target(at).0));
        let of_x0 = column(&x, at.iter().map(|at| target(at).1));
        x * of_x + x0 * of_x0
    }
}
