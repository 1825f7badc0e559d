//! The prediction types of diffusers.

use ddm_denoiser::{
    EdmPrediction, EpsilonPrediction, FlowPrediction, ModelError, Parameterization, VPrediction,
    X0Prediction,
};
use ddm_schedule::NoiseLevel;

use crate::class::Family;
use crate::settings::Settings;
use crate::words::Predicts;
use crate::{Class, ConfigError, ConsistencyPrediction};

/// What the network predicts, chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Prediction {
    /// `"epsilon"`.
    Epsilon(EpsilonPrediction),
    /// `"sample"`.
    X0(X0Prediction),
    /// `"v_prediction"`.
    V(VPrediction),
    /// `"flow_prediction"`, and the classes of flow matching.
    Flow(FlowPrediction),
    /// The preconditioning of EDM, called `"epsilon"` there.
    Edm(EdmPrediction),
    /// The preconditioning of EDM with −F for F, called `"v_prediction"` there.
    EdmNegative(EdmPrediction),
    /// `"flow_prediction"` without flow levels: `x̂₀ = x − (σ/α) F`.
    FlowOnRatio,
    /// Flow with −F for F, of `invert_sigmas`.
    FlowNegative(FlowPrediction),
    /// A consistency model.
    Consistency(ConsistencyPrediction),
    /// `"trigflow"`: `F = α σ_d ε − √(1 − α²) x₀` for data of standard deviation σ_d. Source: Lu &
    /// Song, *Simplifying, Stabilizing and Scaling Continuous-Time Consistency Models*,
    /// arXiv 2410.11081.
    TrigFlow {
        /// σ_d.
        sigma_data: f64,
    },
}

impl Prediction {
    pub(crate) fn of(settings: &Settings) -> Result<Self, ConfigError> {
        let family = settings.class.family();
        if settings.class == Class::CmStochasticIterative {
            let (data, least) = (settings.sigma_data, settings.sigma_min.unwrap_or(0.002));
            return Ok(Self::Consistency(ConsistencyPrediction::new(data, least)?));
        }
        Ok(match settings.predicts {
            Predicts::V if family == Family::Edm => {
                Self::EdmNegative(EdmPrediction::new(settings.sigma_data)?)
            }
            _ if family == Family::Edm => Self::Edm(EdmPrediction::new(settings.sigma_data)?),
            Predicts::Epsilon => Self::Epsilon(EpsilonPrediction),
            Predicts::Sample => Self::X0(X0Prediction),
            Predicts::V => Self::V(VPrediction),
            Predicts::Flow if settings.invert_sigmas => Self::FlowNegative(FlowPrediction),
            Predicts::Flow if family == Family::Solver && !settings.flow => Self::FlowOnRatio,
            Predicts::TrigFlow => Self::TrigFlow { sigma_data: settings.sigma_data },
            Predicts::Flow => Self::Flow(FlowPrediction),
        })
    }

    /// Whether the network predicts −F.
    fn is_negative(&self) -> bool {
        matches!(self, Self::EdmNegative(_) | Self::FlowNegative(_))
    }

    /// Returns the parameterization up to the sign of F.
    fn inner(&self) -> &dyn Parameterization {
        match self {
            Self::Epsilon(inner) => inner,
            Self::X0(inner) => inner,
            Self::V(inner) => inner,
            Self::Flow(inner) | Self::FlowNegative(inner) => inner,
            Self::FlowOnRatio => &FlowOnRatio,
            Self::Consistency(inner) => inner,
            Self::TrigFlow { .. } => self,
            Self::Edm(inner) | Self::EdmNegative(inner) => inner,
        }
    }
}

/// Returns sin t for the level of angle t.
fn trig_sine(at: NoiseLevel) -> f64 {
    ((1.0 - at.alpha) * (1.0 + at.alpha)).sqrt()
}

/// Flow on levels that are not flow's, with `x̂₀ = x − (σ/α) F`.
struct FlowOnRatio;

impl Parameterization for FlowOnRatio {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        let (a, b) = self.x0_from(at);
        ((1.0 - a * at.alpha) / b, -a * at.sigma / b)
    }

    fn name(&self) -> &'static str {
        "flow"
    }

    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        (1.0, -at.sigma / at.alpha)
    }
}

impl Parameterization for Prediction {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        if let Self::TrigFlow { sigma_data } = self {
            return (-trig_sine(at), sigma_data * at.alpha);
        }
        let (p, q) = self.inner().target(at);
        if self.is_negative() { (-p, -q) } else { (p, q) }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::TrigFlow { .. } => "TrigFlow",
            _ => self.inner().name(),
        }
    }

    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        if matches!(self, Self::TrigFlow { .. }) {
            return (at.alpha, -trig_sine(at));
        }
        let (a, b) = self.inner().x0_from(at);
        if self.is_negative() { (a, -b) } else { (a, b) }
    }

    fn input_scale(&self, at: NoiseLevel) -> f64 {
        match self {
            Self::TrigFlow { .. } => 1.0,
            _ => self.inner().input_scale(at),
        }
    }

    fn time(&self, at: NoiseLevel) -> f64 {
        // Levels of the EDM classes already hold the timestep of their networks.
        at.timestep
    }

    fn check(&self, at: NoiseLevel) -> Result<(), ModelError> {
        match self {
            Self::TrigFlow { .. } => Ok(()),
            _ => self.inner().check(at),
        }
    }
}
