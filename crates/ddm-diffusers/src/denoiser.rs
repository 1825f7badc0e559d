//! The model of a config: network, parameterization, clipping and thresholding.

use burn::tensor::Tensor;
use ddm_denoiser::{
    Clipped, Consistent, Denoiser, DynamicThreshold, Model, NoisePredictor, from_fn,
};
use ddm_schedule::NoiseLevel;

use crate::class::Family;
use crate::settings::Settings;
use crate::words::{Predicts, VarianceType};
use crate::{Class, ConfigError, SchedulerConfig};

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
        let settings = self.settings();
        if settings.has_two_heads() {
            let model = Model::new(network, self.parameterization()?).learned_variance();
            return settings.limited(model);
        }
        settings.limited(Model::new(network, self.parameterization()?))
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
