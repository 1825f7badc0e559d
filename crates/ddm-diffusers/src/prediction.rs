//! What a network of diffusers predicts.

use ddm_denoiser::{
    EdmPrediction, EpsilonPrediction, FlowPrediction, ModelError, Parameterization, VPrediction,
    X0Prediction,
};
use ddm_schedule::NoiseLevel;

use crate::ConfigError;
use crate::class::Family;
use crate::settings::{Predicts, Settings};

/// What a network predicts, chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prediction {
    /// `"epsilon"`.
    Epsilon(EpsilonPrediction),
    /// `"sample"`.
    X0(X0Prediction),
    /// `"v_prediction"`.
    V(VPrediction),
    /// `"flow_prediction"`, and what flow matching has.
    Flow(FlowPrediction),
    /// EDM's preconditioning, `"epsilon"` there.
    Edm(EdmPrediction),
    /// EDM's preconditioning with −F for F, `"v_prediction"` there.
    EdmNegative(EdmPrediction),
}

impl Prediction {
    pub(crate) fn of(settings: &Settings) -> Result<Self, ConfigError> {
        let family = settings.class.family();
        Ok(match settings.predicts {
            Predicts::V if family == Family::Edm => {
                Self::EdmNegative(EdmPrediction::new(settings.sigma_data)?)
            }
            _ if family == Family::Edm => Self::Edm(EdmPrediction::new(settings.sigma_data)?),
            Predicts::Epsilon => Self::Epsilon(EpsilonPrediction),
            Predicts::Sample => Self::X0(X0Prediction),
            Predicts::V => Self::V(VPrediction),
            Predicts::Flow => Self::Flow(FlowPrediction),
        })
    }

    fn inner(&self) -> &dyn Parameterization {
        match self {
            Self::Epsilon(inner) => inner,
            Self::X0(inner) => inner,
            Self::V(inner) => inner,
            Self::Flow(inner) => inner,
            Self::Edm(inner) | Self::EdmNegative(inner) => inner,
        }
    }
}

impl Parameterization for Prediction {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        let (p, q) = self.inner().target(at);
        if matches!(self, Self::EdmNegative(_)) { (-p, -q) } else { (p, q) }
    }

    fn name(&self) -> &'static str {
        self.inner().name()
    }

    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        let (a, b) = self.inner().x0_from(at);
        if matches!(self, Self::EdmNegative(_)) { (a, -b) } else { (a, b) }
    }

    fn input_scale(&self, at: NoiseLevel) -> f64 {
        self.inner().input_scale(at)
    }

    fn time(&self, at: NoiseLevel) -> f64 {
        self.inner().time(at)
    }

    fn check(&self, at: NoiseLevel) -> Result<(), ModelError> {
        self.inner().check(at)
    }
}
