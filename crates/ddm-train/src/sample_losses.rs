//! The losses of the samples of a step.

use burn::tensor::Tensor;
use ddm_denoiser::{ModelError, read_back, wait_for};

use crate::{Example, Sampled, TrainError};

/// The weighted losses of the samples of a step, with the time of each. Their mean is the loss.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::VPrediction;
/// use ddm_noise::HostNoise;
/// use ddm_schedule::Cosine;
/// use ddm_train::Objective;
/// let objective = Objective::new(Cosine::default(), VPrediction)?;
/// let x0 = Tensor::<2>::ones([8, 2], &Device::flex());
/// let example = objective.draw(x0, &mut HostNoise::new(0))?;
/// let losses = example.sample_losses(example.target.clone() + 2.0)?;
/// assert_eq!((losses.sampled().len(), losses.mean().dims()), (8, [1]));
/// assert!(losses.read()?.iter().all(|loss| (loss - 4.0).abs() < 1e-5));
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SampleLosses {
    losses: Tensor<1>,
    sampled: Vec<Sampled>,
}

impl SampleLosses {
    /// Creates them from the losses, `[batch]`, and what was sampled for each.
    ///
    /// # Errors
    ///
    /// Returns an error if they are not equally many.
    pub fn new(losses: Tensor<1>, sampled: Vec<Sampled>) -> Result<Self, TrainError> {
        ModelError::require_batch("the losses", losses.dims()[0], sampled.len())?;
        Ok(Self { losses, sampled })
    }

    /// Returns the loss, of shape `[1]`.
    pub fn mean(&self) -> Tensor<1> {
        self.losses.clone().mean()
    }

    /// Returns the loss of each sample, `[batch]`.
    pub fn losses(&self) -> &Tensor<1> {
        &self.losses
    }

    /// Returns the time and the importance of each sample.
    pub fn sampled(&self) -> &[Sampled] {
        &self.sampled
    }

    /// Returns the losses as numbers. Waits for the device.
    ///
    /// # Errors
    ///
    /// Returns an error if they cannot be read.
    pub fn read(&self) -> Result<Vec<f64>, TrainError> {
        let losses = self.losses.clone().without_autodiff();
        wait_for(async { Ok(read_back("the losses", losses).await?) })
    }

    /// Returns an error with the step and the times if a loss is not finite. Waits for the device.
    ///
    /// # Errors
    ///
    /// Returns [`TrainError::Diverged`], and an error if the losses cannot be read.
    pub fn require_finite(&self, step: usize) -> Result<(), TrainError> {
        let losses = self.read()?;
        let Some(&loss) = losses.iter().find(|loss| !loss.is_finite()) else { return Ok(()) };
        let times = self.times_not_finite(&losses);
        Err(TrainError::Diverged { step, loss, times })
    }

    /// Returns the times of the samples whose losses, given as numbers, are not finite.
    pub(crate) fn times_not_finite(&self, losses: &[f64]) -> Vec<f64> {
        let samples = losses.iter().zip(&self.sampled);
        samples.filter(|(loss, _)| !loss.is_finite()).map(|(_, of)| of.time).collect()
    }

    /// Returns the same losses, without their graph.
    #[must_use]
    pub fn without_autodiff(self) -> Self {
        Self { losses: self.losses.without_autodiff(), ..self }
    }
}

impl<const D: usize> Example<D> {
    /// Returns the losses of the samples, with their times.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`loss`](Self::loss).
    pub fn sample_losses(&self, prediction: Tensor<D>) -> Result<SampleLosses, TrainError> {
        SampleLosses::new(self.losses(prediction)?, self.sampled.clone())
    }
}
