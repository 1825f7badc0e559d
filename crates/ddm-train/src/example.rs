//! The input and target of one training step.

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;
use ddm_schedule::NoiseLevel;

use crate::TrainError;

/// A training example: the network's input and its target, for a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Example<const D: usize> {
    /// The network's input: the noisy data `α x₀ + σ ε`, scaled by the preconditioning if any.
    pub x_t: Tensor<D>,
    /// The network's timestep, `[batch]`; in f64 if the data is, else in f32.
    pub t: Tensor<1>,
    /// The target of the prediction, `p x₀ + q ε`.
    pub target: Tensor<D>,
    /// The weight of each sample, `[batch]`, including importance.
    pub weight: Tensor<1>,
    /// The time of each sample on the schedule.
    pub sampled: Vec<Sampled>,
    /// The noise level of each sample.
    pub levels: Vec<NoiseLevel>,
}

/// A drawn time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// The time of the schedule, in [0, 1].
    pub time: f64,
    /// The importance weight of this draw; see [`TimeSampling`](crate::TimeSampling::importance).
    pub importance: f64,
}

impl<const D: usize> Example<D> {
    /// Returns the weighted mean squared error, `mean_i w_i mean ‖F_i − target_i‖²`, of shape
    /// `[1]`.
    ///
    /// # Errors
    ///
    /// Returns an error if the prediction has another shape than the target.
    pub fn loss(&self, prediction: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        Ok(self.losses(prediction)?.mean())
    }

    /// Returns the weighted squared error per sample, `[batch]`, whose mean is the loss.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`loss`](Self::loss).
    pub fn losses(&self, prediction: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        ModelError::require_prediction(prediction.dims(), self.target.dims())?;
        let prediction = prediction.cast(self.target.dtype());
        let error = (prediction - self.target.clone()).square();
        let of_sample: Tensor<2> = error.reshape([self.weight.dims()[0] as i64, -1]).mean_dim(1);
        Ok(of_sample.squeeze_dim(1) * self.weight.clone())
    }
}
