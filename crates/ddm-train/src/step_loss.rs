//! What the loss function of a training returns.

use burn::tensor::Tensor;

use crate::SampleLosses;

/// The loss of a step, which the loss function of a [`Training`](crate::Training) returns: a tensor, whose mean
/// is taken, or the [losses of the samples](SampleLosses).
///
/// With the samples, the error of a loss that is not finite names the times of those that are not.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_train::StepLoss;
/// let loss = StepLoss::from(Tensor::<1>::from_floats([2.0], &Device::flex()));
/// assert!(loss.samples().is_none());
/// assert_eq!(loss.mean().into_scalar::<f32>(), 2.0);
/// ```
#[derive(Clone, Debug)]
pub struct StepLoss {
    loss: Tensor<1>,
    samples: Option<SampleLosses>,
}

impl StepLoss {
    /// Returns the loss, of shape `[1]`.
    pub fn mean(&self) -> Tensor<1> {
        self.loss.clone().mean()
    }

    /// Returns the losses of the samples, if they are known.
    pub fn samples(&self) -> Option<&SampleLosses> {
        self.samples.as_ref()
    }
}

impl From<Tensor<1>> for StepLoss {
    fn from(loss: Tensor<1>) -> Self {
        Self { loss, samples: None }
    }
}

impl From<SampleLosses> for StepLoss {
    fn from(samples: SampleLosses) -> Self {
        Self { loss: samples.losses().clone(), samples: Some(samples) }
    }
}
