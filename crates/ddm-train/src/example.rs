//! What one step of training compares.

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;

use crate::TrainError;

/// The input of the network and its target, for a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Example<const D: usize> {
    /// The noisy data, `α x₀ + σ ε`; scaled as the network sees it, if it is preconditioned.
    pub x_t: Tensor<D>,
    /// The time that the network sees, `[batch]`; in f32, or f64 with the data.
    pub t: Tensor<1>,
    /// The target of the prediction, `p x₀ + q ε`.
    pub target: Tensor<D>,
    /// The weight of each sample, `[batch]`, importance included.
    pub weight: Tensor<1>,
    /// The time of each sample on the schedule.
    pub sampled: Vec<Sampled>,
}

/// A time that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// Time of the schedule, in [0, 1].
    pub time: f64,
    /// Importance weight of this draw; see [`TimeSampling`](crate::TimeSampling::importance).
    pub importance: f64,
}

impl<const D: usize> Example<D> {
    /// The weighted mean squared error, `mean_i w_i mean ‖F_i − target_i‖²`; of shape `[1]`.
    ///
    /// # Errors
    /// A prediction of another shape than the target.
    pub fn loss(&self, prediction: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        Ok(self.losses(prediction)?.mean())
    }

    /// The weighted squared error of each sample, `[batch]`, whose mean is the loss.
    ///
    /// # Errors
    /// As [`loss`](Self::loss).
    pub fn losses(&self, prediction: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        ModelError::require_prediction(prediction.dims(), self.target.dims())?;
        let prediction = prediction.cast(self.target.dtype());
        let error = (prediction - self.target.clone()).square();
        let of_sample: Tensor<2> = error.reshape([self.weight.dims()[0] as i64, -1]).mean_dim(1);
        Ok(of_sample.squeeze_dim(1) * self.weight.clone())
    }
}
