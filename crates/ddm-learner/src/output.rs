//! The output of a step, as burn's learner takes it.

use burn::tensor::ExecutionError;
use burn::train::ItemLazy;
use burn::train::metric::{Adaptor, LossInput};
use ddm_train::SampleLosses;

/// The losses of a step's samples, as burn's learner and its metrics take them.
///
/// It has the input of burn's `LossMetric` and of [`LossInTimes`](crate::LossInTimes). A training whose
/// steps return it stops at a loss that is not finite; see [`Resumable`](crate::Resumable).
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn::tensor::Tensor;
/// use burn::train::{InferenceStep, TrainOutput, TrainStep};
/// use ddm_denoiser::X0Prediction;
/// use ddm_learner::StepOutput;
/// use ddm_schedule::Cosine;
/// use ddm_train::{Objective, StepNoise, TrainError};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     layer: Linear,
/// }
///
/// impl Net {
///     fn losses(&self, (x0, mut noise): (Tensor<2>, StepNoise)) -> Result<StepOutput, TrainError> {
///         let objective = Objective::new(Cosine::default(), X0Prediction)?;
///         let example = objective.draw(x0, &mut noise)?;
///         let prediction = self.layer.forward(example.x_t.clone());
///         Ok(example.sample_losses(prediction)?.into())
///     }
/// }
///
/// impl TrainStep for Net {
///     type Input = (Tensor<2>, StepNoise);
///     type Output = StepOutput;
///     fn step(&self, batch: Self::Input) -> TrainOutput<StepOutput> {
///         let output = self.losses(batch).expect("a prediction of the shape of the data");
///         TrainOutput::new(self, output.losses().mean().backward(), output)
///     }
/// }
///
/// impl InferenceStep for Net {
///     type Input = (Tensor<2>, StepNoise);
///     type Output = StepOutput;
///     fn step(&self, batch: Self::Input) -> StepOutput {
///         self.losses(batch).expect("a prediction of the shape of the data")
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct StepOutput {
    losses: SampleLosses,
}

impl StepOutput {
    /// Returns the losses of the samples.
    pub fn losses(&self) -> &SampleLosses {
        &self.losses
    }
}

impl From<SampleLosses> for StepOutput {
    fn from(losses: SampleLosses) -> Self {
        Self { losses }
    }
}

impl ItemLazy for StepOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.losses.losses().device().flush()?;
        Ok(Self { losses: self.losses.without_autodiff() })
    }
}

impl Adaptor<LossInput> for StepOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.losses.losses().clone())
    }
}

impl Adaptor<SampleLosses> for StepOutput {
    fn adapt(&self) -> SampleLosses {
        self.losses.clone()
    }
}
