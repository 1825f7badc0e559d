//! The model that a config means: network, parameterization, clipping and thresholding.

use burn::tensor::Tensor;
use ddm_denoiser::{
    Clipped, Consistent, Denoiser, DynamicThreshold, Model, NoisePredictor, from_fn,
};
use ddm_schedule::NoiseLevel;

use crate::class::Family;
use crate::settings::{Predicts, Settings, VarianceType};
use crate::{Class, ConfigError, SchedulerConfig};

impl SchedulerConfig {
    /// The network as a denoiser: what it predicts, then `thresholding` or `clip_sample`, then the
    /// boundary condition of a consistency model.
    ///
    /// With `learned_range` the network predicts twice the channels, see [`Model::learned_variance`]; the
    /// DPM-Solver classes use the first half of them.
    /// DDIM and its inversion limit x̂₀ but not the noise that goes with it: their network is taken
    /// as it is, and the sampler, or [`invert`](Self::invert), limits x̂₀.
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

    /// Whether the class limits x̂₀ at all; some have the keys and do not.
    pub(crate) fn limits(&self) -> bool {
        !matches!(self.class, Class::Tcd | Class::CogVideoXDdim | Class::CogVideoXDpm)
    }

    /// Whether x̂₀ is limited after the noise ε̂ was taken from it.
    pub(crate) fn limits_in_sampler(&self) -> bool {
        matches!(
            self.class,
            Class::Ddim | Class::DdimParallel | Class::DdimInverse | Class::RePaint
        )
    }

    /// Whether the network predicts a variance, too, in as many channels again.
    pub(crate) fn has_two_heads(&self) -> bool {
        let learned = matches!(self.variance, VarianceType::Learned | VarianceType::LearnedRange);
        let solver = self.class.family() == Family::Solver;
        learned && (!solver || self.predicts == Predicts::Epsilon)
    }
}

/// How x̂₀ is kept in the range of the data.
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

    /// x̂₀ in its range. The settings were checked when the config was read.
    pub(crate) fn apply<const D: usize>(&self, x0: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        match *self {
            Self::None => x0,
            Self::Clip(range) => x0.clamp(-range, range),
            Self::Threshold { ratio, max } => {
                let same = from_fn(|x: Tensor<D>, _: NoiseLevel| x);
                match DynamicThreshold::new(same, ratio, max) {
                    Ok(threshold) => threshold.denoise(x0, at),
                    Err(_) => x0,
                }
            }
        }
    }
}
