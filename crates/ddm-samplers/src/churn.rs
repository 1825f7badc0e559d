//! EDM's churn: steps that first add a little fresh noise.

use burn::tensor::Tensor;
use ddm_denoiser::{Parameterization, linear_combination};
use ddm_schedule::{Invalid, Levels, NoiseLevel, NoiseSchedule, kernel};
use serde::{Deserialize, Serialize};

use crate::prediction::{prediction_of, x0_of};
use crate::settings::NonNegative;
use crate::{Context, Ddim, Sampler, SamplingError};

/// EDM's churn around any one-step sampler. Before a step, the forward kernel raises s = σ/α to
///
/// ```text
/// ŝ = (1 + γ) s,   γ = min(S_churn/n, √2 − 1) where S_tmin ≤ s ≤ S_tmax, else 0
/// ```
///
/// with noise of std S_noise, and the sampler takes the step from there. n is the number of steps
/// of the run. ŝ is limited by the schedule's end. Do not use it with multistep methods: their old
/// predictions do not include the new noise, and their samples spread too far. Stochastic; model
/// calls and state are the inner sampler's; S_churn = 0 changes nothing. Source: Karras et al.,
/// *Elucidating the Design Space of Diffusion-Based Generative Models*, algorithm 2, arXiv
/// 2206.00364 (Heun).
///
/// ```
/// use ddm_samplers::{Churn, Heun};
/// let images = Churn::new(Heun::default(), 40.0)?.between(0.05, 50.0)?.s_noise(1.003)?;
/// assert!(Churn::new(Heun::default(), -1.0).is_err());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings<S>")]
pub struct Churn<S> {
    inner: S,
    s_churn: f64,
    s_tmin: f64,
    s_tmax: Option<f64>,
    s_noise: f64,
}

impl<S> Churn<S> {
    /// Wraps `inner`, with churn `S_churn ≥ 0` at every s and S_noise = 1.
    ///
    /// # Errors
    /// Returns an error if S_churn is not finite and at least 0.
    pub fn new(inner: S, s_churn: f64) -> Result<Self, SamplingError> {
        let NonNegative(s_churn) = NonNegative::new("s_churn", s_churn)?;
        Ok(Self { inner, s_churn, s_tmin: 0.0, s_tmax: None, s_noise: 1.0 })
    }

    /// Sets the range `[s_tmin, s_tmax]` of s = σ/α with churn.
    ///
    /// # Errors
    /// Returns an error if s_tmin is not finite and at least 0, or if s_tmax is below s_tmin.
    pub fn between(self, s_tmin: f64, s_tmax: f64) -> Result<Self, SamplingError> {
        let NonNegative(s_tmin) = NonNegative::new("s_tmin", s_tmin)?;
        if s_tmax >= s_tmin {
            // An infinite bound is stored as `None`, since JSON has no infinity.
            let s_tmax = Some(s_tmax).filter(|s| s.is_finite());
            return Ok(Self { s_tmin, s_tmax, ..self });
        }
        Err(Invalid { name: "s_tmax", value: s_tmax, allowed: "at least s_tmin" }.into())
    }

    /// Sets the noise scale `S_noise ≥ 0`: a little above 1 restores detail that denoising loses.
    ///
    /// # Errors
    /// Returns an error if S_noise is not finite and at least 0.
    pub fn s_noise(self, s_noise: f64) -> Result<Self, SamplingError> {
        let NonNegative(s_noise) = NonNegative::new("s_noise", s_noise)?;
        Ok(Self { s_noise, ..self })
    }

    fn gamma(&self, at: NoiseLevel, steps: usize) -> f64 {
        let s = at.sigma / at.alpha;
        let inside = s >= self.s_tmin && self.s_tmax.is_none_or(|most| s <= most);
        if inside { (self.s_churn / steps as f64).min(2f64.sqrt() - 1.0) } else { 0.0 }
    }

    fn raise<const D: usize>(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
    ) -> Tensor<D> {
        let up = kernel::forward(from, to);
        let z = cx.fresh_noise(&x);
        linear_combination([(up.x, x), (up.noise * self.s_noise, z)])
    }
}

#[derive(Deserialize)]
struct Settings<S> {
    inner: S,
    s_churn: f64,
    s_tmin: f64,
    s_tmax: Option<f64>,
    s_noise: f64,
}

impl<S> TryFrom<Settings<S>> for Churn<S> {
    type Error = SamplingError;
    fn try_from(of: Settings<S>) -> Result<Self, SamplingError> {
        let s_tmax = of.s_tmax.unwrap_or(f64::INFINITY);
        Self::new(of.inner, of.s_churn)?.between(of.s_tmin, s_tmax)?.s_noise(of.s_noise)
    }
}

impl<const D: usize, S: Sampler<D>> Sampler<D> for Churn<S> {
    type State = S::State;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut S::State,
    ) -> Tensor<D> {
        let gamma = self.gamma(from, cx.steps());
        let raised = cx.level_at(from.lambda() - gamma.ln_1p());
        if gamma == 0.0 || raised.lambda() >= from.lambda() {
            return self.inner.step(cx, x, from, to, state);
        }
        let x = self.raise(cx, x, from, raised);
        self.inner.step(cx, x, raised, to, state)
    }

    fn order(&self) -> Option<usize> {
        self.inner.order().map(|order| if self.s_churn > 0.0 { 1 } else { order })
    }

    fn is_stochastic(&self) -> bool {
        self.s_churn > 0.0 || self.inner.is_stochastic()
    }

    fn calls(&self) -> usize {
        self.inner.calls()
    }

    fn check(
        &self,
        shape: [usize; D],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        self.inner.check(shape, levels, schedule)
    }
}

/// The churn of diffusers' Euler schedulers: the network is called before the noise is raised, and
/// its prediction is used at the raised level.
///
/// With S_churn = 0 it is [`Ddim`]. Use it to reproduce diffusers' samples. Otherwise use
/// [`Churn`], which calls the network at the raised level, as the paper does. One model call per
/// step; no state. `parameterization` must be the model's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaggingChurn<P> {
    /// The churn, and the sampler it wraps.
    pub churn: Churn<Ddim>,
    /// The quantity the network predicts.
    pub parameterization: P,
}

impl<const D: usize, P: Parameterization> Sampler<D> for LaggingChurn<P> {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        (): &mut (),
    ) -> Tensor<D> {
        let gamma = self.churn.gamma(from, cx.steps());
        let Ddim { eta } = self.churn.inner;
        let x0 = cx.denoise(x.clone(), from);
        if gamma == 0.0 {
            return cx.reverse(x, x0, from, to, kernel::ddim_std(from, to, eta));
        }
        let predicted = prediction_of(&self.parameterization, x.clone(), x0, from);
        let raised = NoiseLevel { sigma: (1.0 + gamma) * from.sigma, ..from };
        let x = self.churn.raise(cx, x, from, raised);
        let x0 = x0_of(&self.parameterization, x.clone(), predicted, raised);
        cx.reverse(x, x0, raised, to, kernel::ddim_std(raised, to, eta))
    }

    fn is_stochastic(&self) -> bool {
        self.churn.s_churn > 0.0 || self.churn.inner.eta > 0.0
    }
}
