//! The model of a config: network, parameterization, clipping and thresholding.

use burn::tensor::Tensor;
use ddm_denoiser::{
    Clipped, Consistent, Denoiser, DynamicThreshold, Model, NoisePredictor, from_fn,
};
use ddm_schedule::NoiseLevel;

use crate::class::Family;
use crate::settings::Settings;
use crate::words::{Predicts, VarianceType};
use crate::{Class, ConfigError, Prediction, SchedulerConfig};

impl SchedulerConfig {
    /// Returns the network as a denoiser: its parameterization, then `thresholding` or
    /// `clip_sample`, then the boundary condition of a consistency model.
    ///
    /// With `learned_range` the network outputs twice the channels, see
    /// [`Model::learned_variance`]; the DPM-Solver classes use the first half of them.
    /// DDIM and its inversion limit x̂₀ but not ε̂. For them this denoiser does not limit x̂₀; the
    /// sampler, or [`invert`](Self::invert), does.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting of the parameterization, the clipping, the thresholding or the
    /// boundary condition is out of range.
    pub fn denoiser<'a, const D: usize>(
        &self,
        network: impl NoisePredictor<D> + 'a,
    ) -> Result<Box<dyn Denoiser<D> + 'a>, ConfigError> {
        self.limited(self.model(network)?)
    }

    /// Returns the network with its parameterization, to guide it: [`limited`](Self::limited) is
    /// then the rest of [`denoiser`](Self::denoiser).
    ///
    /// ```
    /// use burn::tensor::{Int, Tensor, Device};
    /// use ddm_denoiser::{ClassifierFree, ConditionalPredictor, Denoiser};
    /// use ddm_diffusers::{Class, SchedulerConfig};
    /// struct Label;
    /// impl ConditionalPredictor<1> for Label {
    ///     type Condition = Tensor<1, Int>;
    ///     fn predict_with(&self, _: Tensor<1>, _: Tensor<1>, label: Tensor<1, Int>) -> Tensor<1> {
    ///         label.float()
    ///     }
    /// }
    /// let config: SchedulerConfig =
    ///     r#"{"_class_name": "DDPMScheduler", "prediction_type": "sample"}"#.parse()?;
    /// let label = |label: i32| Tensor::<1, Int>::from_data([label], &Device::flex());
    /// let guided = ClassifierFree::new(config.model(Label)?, label(1), label(0), 7.5)?;
    /// let clipped = config.limited(guided)?; // `clip_sample` is true by default
    /// let x0 = clipped.denoise(Tensor::zeros([1], &Device::flex()), config.levels(10)?[0]);
    /// assert_eq!(x0.into_scalar::<f32>(), 1.0);
    /// # Ok::<(), ddm_diffusers::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if a setting of the parameterization is out of range.
    pub fn model<N>(&self, network: N) -> Result<Model<N, Prediction>, ConfigError> {
        let model = Model::new(network, self.parameterization()?);
        Ok(if self.settings().has_two_heads() { model.learned_variance() } else { model })
    }

    /// Returns `model` with `thresholding` or `clip_sample`, then the boundary condition of a
    /// consistency model, as [`denoiser`](Self::denoiser).
    ///
    /// # Errors
    ///
    /// Returns an error if a setting of the clipping, the thresholding or the boundary condition is
    /// out of range.
    pub fn limited<'a, const D: usize>(
        &self,
        model: impl Denoiser<D> + 'a,
    ) -> Result<Box<dyn Denoiser<D> + 'a>, ConfigError> {
        self.settings().limited(model)
    }
}

impl Settings {
    fn limited<'a, const D: usize>(
        &self,
        model: impl Denoiser<D> + 'a,
    ) -> Result<Box<dyn Denoiser<D> + 'a>, ConfigError> {
        match (self.threshold, self.clip) {
            _ if self.limits_in_sampler() || !self.limits() => Ok(Box::new(model)),
            (Some((ratio, max)), _) => {
                self.with_boundary(DynamicThreshold::new(model, ratio, max)?)
            }
            (None, Some(range)) => self.with_boundary(Clipped::new(model, -range, range)?),
            (None, None) => self.with_boundary(model),
        }
    }

    fn with_boundary<'a, const D: usize>(
        &self,
        model: impl Denoiser<D> + 'a,
    ) -> Result<Box<dyn Denoiser<D> + 'a>, ConfigError> {
        if self.class != Class::Lcm {
            return Ok(Box::new(model));
        }
        Ok(Box::new(Consistent::new(model).timestep_scaling(self.timestep_scaling)?))
    }

    /// Whether the class limits x̂₀; some have the keys but ignore them.
    pub(crate) fn limits(&self) -> bool {
        !matches!(self.class, Class::Tcd | Class::CogVideoXDdim | Class::CogVideoXDpm)
    }

    /// Whether x̂₀ is limited after ε̂ was computed from it.
    pub(crate) fn limits_in_sampler(&self) -> bool {
        matches!(
            self.class,
            Class::Ddim | Class::DdimParallel | Class::DdimInverse | Class::RePaint
        )
    }

    /// Whether the network also predicts a variance, in as many further channels.
    pub(crate) fn has_two_heads(&self) -> bool {
        let learned = matches!(self.variance, VarianceType::Learned | VarianceType::LearnedRange);
        let solver = self.class.family() == Family::Solver;
        learned && (!solver || self.predicts == Predicts::Epsilon)
    }
}

/// The limit that keeps x̂₀ in the range of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    None,
    Clip(f64),
    Threshold { ratio: f64, max: f64 },
}

impl Limit {
    pub(crate) fn of(settings: &Settings) -> Self {
        match (settings.threshold, settings.clip) {
            (Some((ratio, max)), _) => Self::Threshold { ratio, max },
            (None, Some(range)) => Self::Clip(range),
            (None, None) => Self::None,
        }
    }

    /// Returns x̂₀ limited to its range. The settings were checked when the config was read.
    pub(crate) fn apply<const D: usize>(&self, x0: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        match *self {
            Self::None => x0,
            Self::Clip(range) => x0.clamp(-range, range),
            Self::Threshold { ratio, max } => {
                let identity = from_fn(|x: Tensor<D>, _: NoiseLevel| x);
                match DynamicThreshold::new(identity, ratio, max) {
                    Ok(threshold) => threshold.denoise(x0, at),
                    Err(_) => x0,
                }
            }
        }
    }
}
