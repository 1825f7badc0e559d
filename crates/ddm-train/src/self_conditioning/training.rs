//! The loss of self-conditioned networks.

use burn::module::Module;
use burn::tensor::Tensor;
use ddm_denoiser::{
    ConditionalPredictor, ModelError, NoisePredictor, Parameterization, linear_combination_each,
};
use ddm_noise::NoiseSource;
use ddm_schedule::NoiseSchedule;

use super::{beside, doubled};
use crate::{Example, Objective, TimeSampling, TrainError, Weighting};

impl<S: NoiseSchedule, P: Parameterization, W: Weighting, T: TimeSampling> Objective<S, P, W, T> {
    /// Returns the loss of a self-conditioned network, whose input has twice the channels of x₀:
    /// x and an estimate x̂₀ of the data.
    ///
    /// For half of the batches the estimate is the network's own, from a pass without gradients and
    /// without dropout whose estimate is 0; for the others it is 0. A step takes about a quarter
    /// longer. [`SelfConditioned`](crate::SelfConditioned) samples with the network. Times, noise and
    /// the choice are the next draws. Source: Chen et al., *Analog Bits: Generating Discrete Data
    /// using Diffusion Models with Self-Conditioning*, sec. 3 and algorithm 1, arXiv 2208.04202.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`loss`](Self::loss), and an error if x₀ has no channels (axis 1).
    pub fn loss_self_conditioned<const D: usize, N: NoisePredictor<D> + Module>(
        &self,
        network: &N,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError> {
        network.check(doubled(x0.dims())?)?;
        let example = self.draw(x0, noise)?;
        let first = |x, t| network.valid().predict(x, t);
        let input = self.with_estimate(&example, noise, first)?;
        example.loss(network.predict(input, example.t.clone()))
    }

    /// Returns the loss as [`loss_self_conditioned`](Self::loss_self_conditioned), for a network
    /// with a condition.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`loss_self_conditioned`](Self::loss_self_conditioned), and an error if
    /// the network does not accept the condition.
    pub fn loss_self_conditioned_with<const D: usize, N: ConditionalPredictor<D> + Module>(
        &self,
        network: &N,
        x0: Tensor<D>,
        condition: N::Condition,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError> {
        network.check_with(doubled(x0.dims())?, &condition)?;
        let example = self.draw(x0, noise)?;
        let first = |x, t| network.valid().predict_with(x, t, condition.clone());
        let input = self.with_estimate(&example, noise, first)?;
        example.loss(network.predict_with(input, example.t.clone(), condition))
    }

    /// Returns x and its estimate of the data: with probability 1/2 that of `first`, else 0.
    fn with_estimate<const D: usize>(
        &self,
        example: &Example<D>,
        noise: &mut impl NoiseSource,
        first: impl FnOnce(Tensor<D>, Tensor<1>) -> Tensor<D>,
    ) -> Result<Tensor<D>, TrainError> {
        let input = self.cast(&example.x_t);
        let zeros = input.zeros_like();
        if noise.uniform(1)?.iter().all(|&u| u < 0.5) {
            return Ok(beside(input, zeros));
        }
        let x = example.x_t.clone().inner();
        let f = first(beside(input.clone().inner(), zeros.inner()), example.t.clone().inner());
        ModelError::require_prediction(f.dims(), x.dims())?;
        let factors = |&at| {
            let (a, b) = self.parameterization.x0_from(at);
            // Of the network's x, which preconditioning scales.
            (a / self.parameterization.input_scale(at), b)
        };
        let (a, b) = example.levels.iter().map(factors).unzip();
        let f = f.inner().cast(x.dtype());
        let estimate = linear_combination_each([(a, x), (b, f)]);
        Ok(beside(input, estimate))
    }
}
